//! `cargo xtask test`: every suite and check, one closing line for all of them.

mod js;
mod report;
mod steps;

use std::env;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::command::Job;
use crate::project::Project;
use crate::tally::Counts;
use report::Report;
use steps::{Need, STEPS};

/// Runs formatting, lints, documentation, type checks and the tests of all languages.
///
/// Whatever fails, everything else still runs; logs are in .work/logs. What this machine lacks is
/// skipped, counted and named, with the line that installs it; with XTASK_NO_SKIP=1 in the
/// environment, as in CI, a skip is a failure.
#[derive(clap::Args, Debug)]
pub(crate) struct TestArgs {
    /// Run only these parts; all of them by default
    #[arg(value_enum)]
    parts: Vec<Part>,
}

/// A part of the work that can be run alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Part {
    /// Formatting, lints, documentation and types, of all languages
    Lint,
    /// Rust's tests, and builds for other systems
    Rust,
    /// Python's tests
    Python,
    /// JavaScript's tests, in Node
    Js,
    /// JavaScript's tests, in Chromium
    Browser,
}

/// One step, counted as one check unless its runner counts tests.
struct Step {
    name: &'static str,
    parts: &'static [Part],
    needs: Option<Need>,
    /// A step that prepares others is only counted when it fails.
    prepares: Option<Need>,
    run: fn(&Job) -> Result<Outcome>,
}

/// How a step ended.
#[derive(Debug, Default)]
struct Outcome {
    counts: Counts,
    /// What was skipped, why, and what to do about it.
    skips: Vec<String>,
    /// What failed, where the end of the log would not show it.
    failures: Option<String>,
}

impl Outcome {
    fn check(passed: bool) -> Self {
        Outcome { counts: Counts::check(passed), ..Outcome::default() }
    }

    fn skipped(why: impl Into<String>) -> Self {
        Outcome { counts: Counts::SKIPPED, skips: vec![why.into()], failures: None }
    }
}

/// Runs the steps; gives whether all is well.
pub(crate) fn run(args: &TestArgs) -> Result<bool> {
    let project = Project::here();
    let chosen: Vec<&Step> = STEPS.iter().filter(|step| args.wants(step)).collect();
    check_tools(&chosen)?;
    let started = Instant::now();
    let mut report = Report::new(env::var_os("XTASK_NO_SKIP").is_some_and(|value| value != "0"));
    let mut broken: Vec<Need> = Vec::new();
    for step in chosen {
        if step.needs.is_some_and(|need| broken.contains(&need)) {
            report.not_run(step.name);
            broken.extend(step.prepares);
            continue;
        }
        let job = Job::start(&project, step.name)?;
        let step_started = Instant::now();
        let mut outcome = (step.run)(&job).unwrap_or_else(|error| Outcome {
            counts: Counts::FAILED,
            failures: Some(format!("{error:#}\n{}", report::tail(&job.output()))),
            ..Outcome::default()
        });
        if let Some(prepared) = step.prepares {
            if outcome.counts.failed > 0 {
                broken.push(prepared);
            } else {
                outcome.counts = Counts::default();
            }
        }
        job.finish();
        report.add(step.name, &job, outcome, step_started.elapsed());
    }
    Ok(report.close(started.elapsed()))
}

impl TestArgs {
    fn wants(&self, step: &Step) -> bool {
        self.parts.is_empty() || step.parts.iter().any(|part| self.parts.contains(part))
    }
}

/// Fails before any work is done where a tool is missing that most of it needs.
fn check_tools(steps: &[&Step]) -> Result<()> {
    type Check = fn() -> Result<()>;
    let checks: [(Need, Check); 3] = [
        (Need::Rustfmt, || steps::check_component("fmt", "rustfmt")),
        (Need::Clippy, || steps::check_component("clippy", "clippy")),
        (Need::PythonEnvironment, crate::python::check),
    ];
    let missing: Vec<String> = checks
        .into_iter()
        .filter(|(need, _)| steps.iter().any(|step| step.needs == Some(*need)))
        .filter_map(|(_, check)| Some(format!("  {:#}", check().err()?)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("something is missing on this machine:\n{}", missing.join("\n"))
}
