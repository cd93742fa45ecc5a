//! `cargo xtask dist`: all that a release consists of, into `target/dist`. `RELEASING.md` says how it
//! becomes one.

mod archive;
mod build;
mod c_library;
mod compare;
mod contents;
mod crates;
mod lists;
mod npm;
mod origin;
mod platform;
mod programs;
mod sbom;
mod sdist;
mod sums;
mod tools;
mod wheels;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;

use crate::command::{Job, answer};
use crate::project::Project;
use build::Build;
pub(crate) use lists::faults;
use origin::Origin;
use platform::Platform;
use tools::Tools;

/// Builds and checks all that a release consists of, into target/dist.
///
/// Its tools come from PyPI and npm, pinned, into .work. What else the machine lacks is named, with
/// the line that installs it, before anything is built. Equal commits become equal files.
#[derive(clap::Args, Debug)]
pub(crate) struct DistArgs {
    /// Only this kind of package; may be given more than once
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Only this system's wheel and program; may be given more than once
    #[arg(long, value_parser = PossibleValuesParser::new(Platform::names()))]
    target: Vec<String>,
    /// Package what is not committed, to try it: such packages are of no commit
    #[arg(long)]
    allow_dirty: bool,
    /// Build the same commit in another folder too, and name the files that differ
    #[arg(long, conflicts_with = "allow_dirty")]
    compare: bool,
    /// Build nothing: only say what is wrong with the files that packages would contain
    #[arg(long, conflicts_with_all = ["only", "target", "allow_dirty", "compare"])]
    list: bool,
}

/// A kind of package.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Part {
    /// Python's source package
    Sdist,
    /// Wheels for each system
    Wheels,
    /// The npm tarball
    Npm,
    /// The crates, and their documentation as docs.rs builds it
    Crates,
    /// The command for each system, with manual pages and completions
    Programs,
    /// libntp_clock for C, for each system
    CLibrary,
    /// Lists of what is inside, in CycloneDX
    Sbom,
}

impl Part {
    fn needs_python(self) -> bool {
        matches!(self, Part::Sdist | Part::Wheels | Part::Programs | Part::CLibrary)
    }

    fn compiles_for_platforms(self) -> bool {
        matches!(self, Part::Wheels | Part::Programs | Part::CLibrary)
    }

    fn lists_what_is_inside(self) -> bool {
        matches!(self, Part::Wheels | Part::Sbom)
    }

    fn build(self, build: &Build) -> Result<Vec<PathBuf>> {
        match self {
            Part::Sdist => sdist::build(build),
            Part::Wheels => wheels::build(build),
            Part::Npm => npm::build(build),
            Part::Crates => crates::build(build),
            Part::Programs => programs::build(build),
            Part::CLibrary => c_library::build(build),
            Part::Sbom => sbom::build(build),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

pub(crate) fn run(args: &DistArgs) -> Result<bool> {
    let project = Project::here();
    if args.list {
        return list(&project);
    }
    let parts: Vec<Part> =
        if args.only.is_empty() { Part::value_variants().to_vec() } else { args.only.clone() };
    let platforms = Platform::chosen(&args.target);
    let missing = tools::missing(&project, &parts, &platforms);
    if !missing.is_empty() {
        bail!("this machine cannot build all of it:\n  {}", missing.join("\n  "));
    }
    if !args.allow_dirty {
        check_committed(&project)?;
    }
    let out = project.target("dist");
    build_all(&project, &parts, platforms, args.allow_dirty, &out)?;
    if args.compare {
        return compare::with_another_folder(&project, &compare_arguments(args), &out);
    }
    Ok(true)
}

fn build_all(
    project: &Project,
    parts: &[Part],
    platforms: Vec<&'static Platform>,
    allows_dirty: bool,
    out: &PathBuf,
) -> Result<()> {
    std::fs::create_dir_all(out)?;
    let job = Job::start(project, "dist")?;
    let tools = Tools::set_up(&job, parts).with_context(|| log_of(&job))?;
    let origin = Origin::of(project)?;
    let build = Build { job: &job, origin, tools, platforms, out: out.clone(), allows_dirty };
    for part in parts {
        let started = Instant::now();
        let made = part.build(&build).with_context(|| log_of(&job))?;
        job.print(&format!("{:<10}{:>6.0} s", part.name(), started.elapsed().as_secs_f64()));
        for path in made {
            let bytes = std::fs::metadata(&path)?.len();
            job.print(&format!("{bytes:>12} bytes  {}", project.shown(&path)));
        }
    }
    if parts.contains(&Part::Crates) {
        job.print(&crates::compatibility(&build).with_context(|| log_of(&job))?);
    }
    job.finish();
    let shipped = sums::write(out)?;
    println!("{} files in {}, {}", shipped.len(), project.shown(out), sums::FILE);
    for target in Platform::elsewhere() {
        println!("not built here: {target}");
    }
    Ok(())
}

/// The cheap part of the checks, with the wheels of an earlier run.
fn list(project: &Project) -> Result<bool> {
    let job = Job::start(project, "dist-list")?;
    let checked = (|| {
        let tools = Tools::set_up(&job, &[Part::Sdist])?;
        faults(&job, tools.python(), &project.target("dist/wheels"))
    })();
    job.finish();
    let faults = checked.with_context(|| log_of(&job))?;
    for fault in &faults {
        println!("{fault}");
    }
    println!("{} faults in what packages would contain", faults.len());
    Ok(faults.is_empty())
}

/// So that every file of a release is in the history.
fn check_committed(project: &Project) -> Result<()> {
    let root = project.path("");
    let changed = answer("git", &["-C", &root.to_string_lossy(), "status", "--porcelain"])
        .context("this is no checkout of git, and packages are made of a commit")?;
    if !changed.is_empty() {
        bail!("not all is committed: commit it, or try it by --allow-dirty\n{changed}");
    }
    Ok(())
}

fn compare_arguments(args: &DistArgs) -> Vec<String> {
    let only = args.only.iter().flat_map(|part| ["--only".to_owned(), part.name()]);
    let target = args.target.iter().flat_map(|target| ["--target".to_owned(), target.clone()]);
    only.chain(target).collect()
}

fn log_of(job: &Job) -> String {
    format!("see {}", job.project().shown(job.log()))
}
