//! `cargo xtask mutants`: what the core's own tests notice when its code is changed.

mod accepted;
mod outcomes;

use std::fs;
use std::path::PathBuf;
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
    /// How many changes are tested at a time
    #[arg(long, default_value_t = 1)]
    jobs: u8,
    /// Name the changes and test none
    #[arg(long)]
    list: bool,
    /// Tell of the last run again
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
        fs::create_dir_all(&output)?;
        let mut command = command(&project, args)?;
        let temporary = output.join("tmp");
        fs::create_dir_all(&temporary)?;
        command.env("TMPDIR", temporary);
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
    command.current_dir(project.path("")).arg("mutants");
    command.args(["--package", PACKAGE, "--no-shuffle", "--colors", "never"]);
    command.arg("--output").arg(project.work("mutants"));
    command.arg("--jobs").arg(args.jobs.to_string());
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
