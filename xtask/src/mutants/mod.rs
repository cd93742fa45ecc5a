//! `cargo xtask mutants`: what the core's own tests notice when its code is changed.

mod accepted;
mod outcomes;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::answer;
use crate::project::Project;
use accepted::Accepted;
use outcomes::{Outcomes, Verdict};

/// Changes the core in one place at a time, and counts by file which changes its own tests catch.
///
/// Fails where a file has less than 90 % caught, where a survivor is not named with its reason in
/// crates/ntp-clock-core/mutants.toml, where a name there fits no survivor, and where the tests
/// take longer than 20 s. A whole run takes hours; everything it makes is in .work/mutants. Needs
/// cargo-mutants.
#[derive(clap::Args, Debug)]
pub(crate) struct MutantsArgs {
    /// Only these files, relative to crates/ntp-clock-core/src, such as estimator/window.rs
    files: Vec<String>,
    /// Only one part of all changes, such as 0/30
    #[arg(long)]
    shard: Option<String>,
    /// Only changes whose name matches this regular expression
    #[arg(long)]
    re: Option<String>,
    /// Name the changes and test none
    #[arg(long)]
    list: bool,
    /// Show the results of the last run again
    #[arg(long, conflicts_with_all = ["list", "shard", "re"])]
    again: bool,
}

/// Runs cargo-mutants; gives whether enough was caught and every survivor is named.
pub(crate) fn run(args: &MutantsArgs) -> Result<bool> {
    let project = Project::here();
    for file in &args.files {
        let path = project.path(SOURCES).join(file);
        if !path.is_file() {
            bail!("there is no file {}", project.shown(&path));
        }
    }
    let output = project.work("mutants");
    let report = output.join("mutants.out/outcomes.json");
    if !args.again {
        let tree = output.join("tree");
        copy_checkout(&project, &tree)?;
        let mut command = command(&project, args)?;
        // The copy is ours to change, and keeps what was compiled from one run to the next.
        command.current_dir(&tree).env("CARGO_TARGET_DIR", output.join("target"));
        let status = command.status().context("cannot run cargo-mutants")?;
        if args.list || !SURVIVORS_OR_NONE.contains(&status.code().unwrap_or(-1)) {
            return Ok(status.success());
        }
    }
    let text = fs::read_to_string(&report)
        .with_context(|| format!("{}: run without --again first", project.shown(&report)))?;
    let outcomes = Outcomes::parse(&text).context("cargo-mutants' report")?;
    let names = project.path(NAMES);
    let text = fs::read_to_string(&names).with_context(|| format!("{}", project.shown(&names)))?;
    let accepted = Accepted::parse(&text).with_context(|| format!("{}", project.shown(&names)))?;
    // A part of the changes does not show that a name fits none.
    let whole = args.shard.is_none() && args.re.is_none();
    let verdict = Verdict::of(&outcomes, &accepted, &args.files, whole);
    print!("{verdict}");
    Ok(verdict.is_good())
}

fn command(project: &Project, args: &MutantsArgs) -> Result<Command> {
    let mut command = Command::new(program(project)?);
    command.args(["mutants", "--in-place", "--package", PACKAGE, "--no-shuffle"]);
    command.args(["--colors", "never"]);
    command.arg("--output").arg(project.work("mutants"));
    for file in &args.files {
        command.arg("--file").arg(format!("{SOURCES}/{file}"));
    }
    if let Some(shard) = &args.shard {
        command.args(["--shard", shard]);
    }
    if let Some(re) = &args.re {
        command.args(["--re", re]);
    }
    if args.list {
        command.arg("--list");
    } else {
        // Examples in the documentation show how things are used; they are not there to hold them.
        command.args(["--", "--lib", "--tests"]);
    }
    Ok(command)
}

/// Makes the tree a copy of what git knows of the checkout or would take, as it is now. Files that
/// are the same stay untouched, so that they need not be compiled again.
fn copy_checkout(project: &Project, tree: &Path) -> Result<()> {
    let root = project.path("");
    let mut git = Command::new("git");
    git.arg("-C").arg(&root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = git.output().context("cannot run git")?;
    if !listed.status.success() {
        bail!("git cannot list the checkout: {}", String::from_utf8_lossy(&listed.stderr).trim());
    }
    let names = String::from_utf8(listed.stdout).context("a file's name is not text")?;
    // Files that were deleted are listed too, and links lead out of the tree.
    let is_file = |name: &&str| root.join(name).is_file() && !root.join(name).is_symlink();
    let names: BTreeSet<&str> = names.split('\0').filter(is_file).collect();
    remove_all_but(&names, tree, tree)?;
    for name in names {
        let (from, to) = (root.join(name), tree.join(name));
        let text = fs::read(&from).with_context(|| name.to_owned())?;
        if fs::read(&to).is_ok_and(|copied| copied == text) {
            continue;
        }
        fs::create_dir_all(to.parent().unwrap_or(tree))?;
        fs::write(&to, text).with_context(|| to.display().to_string())?;
    }
    Ok(())
}

/// The contents of the tree from an earlier run would be compiled as well.
fn remove_all_but(names: &BTreeSet<&str>, folder: &Path, tree: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        let name = path.strip_prefix(tree)?.to_string_lossy();
        if path.is_dir() {
            remove_all_but(names, &path, tree)?;
        } else if !names.contains(name.as_ref()) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The program in this checkout, or the one on the path.
fn program(project: &Project) -> Result<PathBuf> {
    let own = project.work("cargo/bin/cargo-mutants");
    let candidates = [own.with_extension(std::env::consts::EXE_EXTENSION), "cargo-mutants".into()];
    candidates
        .into_iter()
        .find(|program| answer(program, &["mutants", "--version"]).is_some())
        .context(
            "cargo-mutants is missing: cargo install --locked --root .work/cargo cargo-mutants",
        )
}

const PACKAGE: &str = "ntp-clock-core";
const SOURCES: &str = "crates/ntp-clock-core/src";
const NAMES: &str = "crates/ntp-clock-core/mutants.toml";
/// Exit statuses of cargo-mutants: all caught, some survived, some timed out.
const SURVIVORS_OR_NONE: [i32; 3] = [0, 2, 3];
