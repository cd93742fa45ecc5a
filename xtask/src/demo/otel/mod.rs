//! `cargo xtask demo --otel`: three services with wrong system clocks, instrumented with
//! OpenTelemetry as usual, and their traces in a real store: without our line, and with it.

mod build;
mod report;
mod services;
mod store;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::path::Profile;
use crate::command::{Job, answer};
use crate::project::Project;
use crate::server::Server;
use build::Built;
use report::Report;
use services::Services;
use store::Store;

/// Shows both; gives whether the traces with the line are true.
pub(super) fn run(project: &Project, once: bool, is_ended: &dyn Fn() -> bool) -> Result<bool> {
    if !cfg!(target_os = "linux") {
        // libfaketime makes the clocks wrong; known before a gigabyte is fetched.
        bail!("the demo of OpenTelemetry runs on Linux only");
    }
    let built = build::all(project)?;
    let time_server = Profile::Internet.time_server(project, super::BUILD)?;
    let mut store = Store::start(project, &built, is_ended)?;
    println!(
        "\nThree services, each with a wrong system clock: {}.\n\
         All of them send their spans to Phoenix, a trace store. Orders are sent as soon as the \
         services answer.\n",
        services::skews()
    );
    let job = Job::start(project, "running the services")?;
    let mut reports = Vec::new();
    for pass in PASSES {
        reports.push(observe(&job, &built, &time_server, &mut store, pass, is_ended)?);
    }
    job.finish();
    for (report, pass) in reports.iter().zip(PASSES) {
        report.print(pass.title);
    }
    let (wrong, true_now) = (!reports[0].is_true(), reports[1].is_true());
    if !once {
        println!(
            "Open  {}   (projects: {})",
            store.url(),
            PASSES.map(|pass| pass.project).join(", ")
        );
        println!("\nCtrl-C ends all of it. What they say is in .work/logs/demo-*.log");
        while !is_ended() {
            store.check()?;
            thread::sleep(Duration::from_millis(100));
        }
        println!();
    }
    println!("{}", verdict(wrong, true_now));
    Ok(wrong && true_now)
}

fn verdict(wrong_without: bool, true_with: bool) -> &'static str {
    match (wrong_without, true_with) {
        (true, true) => {
            "As expected: wrong without the line, true within the stated errors with it."
        }
        (false, _) => "Failed: the traces without the line are true, so nothing is shown.",
        (true, false) => {
            "Failed: with the line a start is outside its stated error, or a child begins before \
             its parent."
        }
    }
}

/// One run of the services.
#[derive(Clone, Copy, Debug)]
struct Pass {
    /// What the store calls it.
    project: &'static str,
    title: &'static str,
    true_time: bool,
}

fn observe(
    job: &Job,
    built: &Built,
    time_server: &Server,
    store: &mut Store,
    pass: Pass,
    is_ended: &dyn Fn() -> bool,
) -> Result<Report> {
    let mut services = Services::start(job, built, time_server, store.url(), pass, is_ended)?;
    for _ in 0..ORDERS {
        services.order()?;
    }
    let deadline = Instant::now() + PATIENCE;
    let spans = loop {
        services.check()?;
        store.check()?;
        let spans = store.spans(pass.project)?;
        if spans.len() >= ORDERS * report::SPANS {
            break spans;
        }
        if is_ended() {
            bail!("ended");
        }
        if Instant::now() > deadline {
            let expected = ORDERS * report::SPANS;
            let (project, names) = (pass.project, report::names(&spans));
            bail!(
                "the store's project {project} has {} of {expected} spans ({names}); \
                 see .work/logs/demo-*.log",
                spans.len()
            );
        }
        thread::sleep(Duration::from_millis(200));
    };
    services.stop();
    Report::of(spans, monotonic_zero_ns(built)?)
}

/// What this machine's clock, which is the truth here, showed when the counter that the services
/// looked at was zero.
fn monotonic_zero_ns(built: &Built) -> Result<i64> {
    let script = "import time\nlooks = []\nfor _ in range(100):\n    \
        before, real, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()\n    \
        looks.append((after - before, real - (before + after) // 2))\nprint(min(looks)[1])";
    let said = answer(built.venv.python(), &["-c", script]).context("Python does not run")?;
    said.parse().with_context(|| format!("Python said {said:?}"))
}

const PASSES: [Pass; 2] = [
    Pass { project: "without", title: "Without the line", true_time: false },
    Pass { project: "with", title: "With the line", true_time: true },
];
const ORDERS: usize = 5;
/// The gate's ten seconds, and what exporters wait besides.
const PATIENCE: Duration = Duration::from_secs(40);
