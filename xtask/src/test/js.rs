//! The steps of JavaScript.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::step::Outcome;
use super::steps::{compiles, passes, run_pytest};
use crate::command::{Job, answer, cargo};
use crate::js;
use crate::project::Project;
use crate::python::Venv;
use crate::tally::Counts;

/// What is committed is of these sources.
pub(super) fn fresh(job: &Job) -> Result<Outcome> {
    js::check_fresh(job.project())?;
    Ok(Outcome::check(true))
}

/// The exports exist on this target alone.
pub(super) fn clippy(job: &Job) -> Result<Outcome> {
    let mut command = cargo(&["clippy", "--all-features", "--target", js::TARGET]);
    for wasm in [js::CLOCK, js::ORDER] {
        command.args(["--package", wasm.package]);
    }
    compiles(job, command.args(["--", "--deny", "warnings"]))
}

pub(super) fn environment(job: &Job) -> Result<Outcome> {
    js::install(job)?;
    Ok(Outcome::check(true))
}

pub(super) fn prettier(job: &Job) -> Result<Outcome> {
    let prettier = || {
        let mut command = Command::new("node");
        command.args(["js/node_modules/prettier/bin/prettier.cjs", "--check"]);
        command
    };
    let folders = ["src", "order", "otel", "page", "programs", "test", "bench"];
    let folders = folders.map(|folder| format!("js/{folder}"));
    let files = folders.iter().map(String::as_str).chain(["js/*.mjs", "js/package.json"]);
    let ours = passes(job, prettier().args(files))?;
    if ours.counts.failed > 0 {
        return Ok(ours);
    }
    let style = ["--config", "js/.prettierrc.json"];
    let others = [
        "portacode/static/js/utils/trace*",
        "server/portacode_django/dashboard/static",
        "demos/otel/node/*.cjs",
    ];
    passes(job, prettier().args(style).args(others))
}

/// The core that answers logs.
pub(super) fn wasm(job: &Job) -> Result<Outcome> {
    std::fs::copy(js::compile(job, js::CLOCK, &["replay"])?, replaying(job.project()))?;
    Ok(Outcome::check(true))
}

fn replaying(project: &Project) -> PathBuf {
    project.work("ntp-clock-replay.wasm")
}

/// All tests that Node runs.
pub(super) fn node_tests(job: &Job) -> Result<Outcome> {
    let project = job.project();
    let mut command = Command::new("node");
    command
        // Node's own choice is one process fewer than there are cores; most tests wait.
        .args(["--test", "--test-concurrency=4", "--test-reporter=tap", "js/test/"])
        .env("NTP_TEST_SERVER_BIN", project.program("debug/ntp-test-server"))
        .env("NTP_CLOCK_BIN", project.program("debug/ntp-clock"))
        .env("NTP_CLOCK_REPLAY_WASM", replaying(project));
    // Where Python's part has run, its answers are compared as well.
    let python = Venv::of(project).python();
    if answer(&python, &["-c", "import portacode._native"]).is_some() {
        command.env("NTP_CLOCK_PYTHON", python);
    }
    let success = job.run(&mut command)?.success();
    let output = job.output();
    let mut counts = Counts {
        passed: tap(&output, "# pass "),
        failed: tap(&output, "# fail ") + tap(&output, "# cancelled "),
        skipped: tap(&output, "# skipped "),
    };
    if !success && counts.failed == 0 {
        counts += Counts::FAILED;
    }
    let skips = output.lines().filter_map(skip_of).map(str::to_owned).collect();
    let failures: Vec<&str> = output.lines().filter(|line| is_failure(line)).collect();
    let failures = (!failures.is_empty()).then(|| failures.join("\n"));
    Ok(Outcome { counts, skips, failures })
}

/// All tests that a real Chromium runs; those of one file share what they start.
pub(super) fn chromium_tests(job: &Job) -> Result<Outcome> {
    run_pytest(job, "chromium", &["tests/e2e", "--numprocesses", "3", "--dist", "loadfile"])
}

/// A count at the end of what Node's runner says.
fn tap(output: &str, name: &str) -> u64 {
    output.lines().rev().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
}

/// Why a test was skipped.
fn skip_of(line: &str) -> Option<&str> {
    line.trim_start().starts_with("ok ").then(|| line.split_once("# SKIP "))?.map(|(_, why)| why)
}

fn is_failure(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("not ok ") || line.starts_with("error:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_counts_skips_and_failures_are_read() {
        let output = "ok 1 - a # SKIP needs b\nnot ok 2 - c\n  error: 'd'\n# pass 5\n# skipped 1\n";
        assert_eq!((tap(output, "# pass "), tap(output, "# skipped ")), (5, 1));
        assert_eq!(tap(output, "# fail "), 0);
        assert_eq!(output.lines().filter_map(skip_of).collect::<Vec<_>>(), ["needs b"]);
        assert_eq!(output.lines().filter(|line| is_failure(line)).count(), 2);
    }
}
