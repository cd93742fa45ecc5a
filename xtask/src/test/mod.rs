//! `cargo xtask test`: every suite and check, one closing line for all of them.

mod js;
mod report;
mod rust;
mod schedule;
mod step;
mod steps;

use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use crate::command::{Job, Lines};
use crate::project::Project;
use crate::tally::Counts;
use report::Report;
use schedule::{Next, Schedule};
use step::{Lane, Need, Outcome, Part, Step};
use steps::STEPS;

/// Runs formatting, lints, documentation, type checks and the tests of all languages.
///
/// Whatever fails, everything else still runs; logs are in .work/logs. What waits runs beside what
/// computes. What this machine lacks is skipped, counted and named, with the line that installs it;
/// with XTASK_NO_SKIP=1 in the environment, as in CI, a skip is a failure.
#[derive(clap::Args, Debug)]
pub(crate) struct TestArgs {
    /// Run only these parts; all of them by default
    #[arg(value_enum)]
    parts: Vec<Part>,
}

/// Runs the steps; gives whether all is well.
pub(crate) fn run(args: &TestArgs) -> Result<bool> {
    let project = Project::here();
    let chosen: Vec<&Step> = STEPS.iter().filter(|step| args.wants(step)).collect();
    check_tools(&chosen)?;
    let started = Instant::now();
    let lines = Lines::default();
    let no_skip = env::var_os("XTASK_NO_SKIP").is_some_and(|value| value != "0");
    let mut report = Report::new(no_skip, &lines);
    let mut schedule = Schedule::new(chosen);
    let (tell, ended_steps) = mpsc::channel();
    thread::scope(|scope| {
        loop {
            match schedule.next() {
                Next::Start(step) => {
                    let job = Job::start_among(&lines, &project, step.name)?;
                    let job = if step.lane == Lane::Computes { job.at_low_priority() } else { job };
                    let tell = tell.clone();
                    // Should nobody listen any more, nobody wants to know.
                    scope.spawn(move || drop(tell.send(run_step(step, job))));
                }
                Next::Drop(step) => report.not_run(step.name),
                Next::Wait => {
                    let Ended { step, job, outcome, took } = ended_steps.recv()?;
                    schedule.ended(step, outcome.counts.failed > 0);
                    report.add(step.name, &job, outcome, took);
                }
                Next::Done => return Ok(report.close(started.elapsed())),
            }
        }
    })
}

/// A step that has run.
struct Ended<'a> {
    step: &'static Step,
    job: Job<'a>,
    outcome: Outcome,
    took: Duration,
}

fn run_step<'a>(step: &'static Step, job: Job<'a>) -> Ended<'a> {
    let started = Instant::now();
    // A step that panics has failed; the others go on.
    let ran = panic::catch_unwind(AssertUnwindSafe(|| (step.run)(&job)))
        .unwrap_or_else(|_| Err(anyhow!("xtask itself panicked")));
    let mut outcome = ran.unwrap_or_else(|error| Outcome {
        counts: Counts::FAILED,
        failures: Some(format!("{error:#}\n{}", report::tail(&job.output()))),
        ..Outcome::default()
    });
    if step.prepares.is_some() && outcome.counts.failed == 0 {
        outcome.counts = Counts::default();
    }
    job.finish();
    Ended { step, job, outcome, took: started.elapsed() }
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
        .filter(|(need, _)| steps.iter().any(|step| step.needs.contains(need)))
        .filter_map(|(_, check)| Some(format!("  {:#}", check().err()?)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("something is missing on this machine:\n{}", missing.join("\n"))
}
