//! What there is to run.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::step::{Lane, Need, Outcome, Part, Run, Step};
use super::{js, rust};
use crate::command::{Job, answer, cargo};
use crate::python::Venv;
use crate::tally::{Counts, PytestReport, cargo_failures};

/// All steps. Those that come first start first, of all that may: what much waits for and what takes
/// long comes before the rest.
pub(super) const STEPS: &[Step] = &[
    waits("Python environment", ALL_WITH_PYTHON, python_environment)
        .prepares(Need::PythonEnvironment),
    waits("npm environment", ALL_WITH_NPM, js::environment).prepares(Need::Npm),
    computes("rustfmt", LINT, rustfmt).needs(&[Need::Rustfmt]),
    computes("structure", LINT, structure),
    computes("JavaScript module", LINT_AND_JS, js::fresh),
    // What tests of other languages start comes first: they wait longest.
    computes("programs", ALL_WITH_PROGRAMS, programs).prepares(Need::Programs),
    computes("Python module", ALL_WITH_PYTHON, python_module)
        .needs(&[Need::PythonEnvironment])
        .prepares(Need::PythonModule),
    computes("wheel", PYTHON, wheel).needs(&[Need::PythonModule]).prepares(Need::Wheel),
    waits("packages", PYTHON, packages).needs(&[Need::Wheel]).after(&[Need::Npm]),
    computes("wasm", JS, js::wasm).prepares(Need::Wasm),
    waits("Chromium tests", BROWSER, js::chromium_tests).needs(&[
        Need::PythonModule,
        Need::Programs,
        Need::Npm,
    ]),
    waits("server tests", PYTHON, server_tests).needs(&[Need::PythonModule, Need::Programs]),
    waits("slow pytest", PYTHON, slow_pytest)
        .needs(&[Need::PythonModule, Need::Wheel, Need::Programs])
        .after(&[Need::Npm]),
    waits("pytest", PYTHON, pytest)
        .needs(&[Need::PythonModule, Need::Wheel, Need::Programs])
        // Some of them start Node.
        .after(&[Need::Npm]),
    waits("abuse of the server", PYTHON, abuse).needs(&[Need::PythonModule, Need::Programs]),
    waits("Node tests", JS, js::node_tests)
        .needs(&[Need::Npm, Need::Programs, Need::Wasm])
        .after(&[Need::PythonModule]),
    waits("demo", PYTHON, demo).needs(&[Need::PythonModule, Need::Programs]),
    computes("Rust test programs", RUST, rust::built).prepares(Need::RustTests),
    waits("Rust tests", RUST, rust::tests).needs(&[Need::RustTests]),
    computes("Rust examples", RUST, rust::examples).needs(&[Need::RustTests]),
    computes("loom models", RUST, rust::loom),
    computes("clippy", LINT, clippy).needs(&[Need::Clippy]),
    computes("rustdoc", LINT, rustdoc),
    computes("core without std", RUST, core_without_std),
    computes("NTS without std", RUST, nts_without_std),
    computes("core for wasm", RUST, core_for_wasm),
    computes("clock for Windows", RUST, clock_for_windows),
    computes("clock for macOS", RUST, clock_for_macos),
    computes("clippy for wasm", LINT_AND_JS, js::clippy).needs(&[Need::Clippy]),
    computes("ruff format", LINT_AND_PYTHON, ruff_format).needs(&[Need::PythonEnvironment]),
    computes("ruff", LINT_AND_PYTHON, ruff).needs(&[Need::PythonEnvironment]),
    computes("prettier", LINT_AND_JS, js::prettier).needs(&[Need::Npm]),
    computes("mypy", LINT_AND_PYTHON, mypy).needs(&[Need::PythonModule]),
    computes("stubtest", LINT_AND_PYTHON, stubtest).needs(&[Need::PythonModule]),
];

const LINT: &[Part] = &[Part::Lint];
const RUST: &[Part] = &[Part::Rust];
const PYTHON: &[Part] = &[Part::Python];
const LINT_AND_PYTHON: &[Part] = &[Part::Lint, Part::Python];
const JS: &[Part] = &[Part::Js];
const LINT_AND_JS: &[Part] = &[Part::Lint, Part::Js];
const BROWSER: &[Part] = &[Part::Browser];
const ALL_WITH_PROGRAMS: &[Part] = &[Part::Python, Part::Js, Part::Browser];
const ALL_WITH_PYTHON: &[Part] = &[Part::Lint, Part::Python, Part::Browser];
const ALL_WITH_NPM: &[Part] = &[Part::Lint, Part::Js, Part::Browser];

const fn computes(name: &'static str, parts: &'static [Part], run: Run) -> Step {
    Step { name, parts, lane: Lane::Computes, needs: &[], after: &[], prepares: None, run }
}

const fn waits(name: &'static str, parts: &'static [Part], run: Run) -> Step {
    Step { lane: Lane::Waits, ..computes(name, parts, run) }
}

impl Step {
    const fn needs(self, needs: &'static [Need]) -> Self {
        Step { needs, ..self }
    }

    const fn after(self, after: &'static [Need]) -> Self {
        Step { after, ..self }
    }

    const fn prepares(self, prepares: Need) -> Self {
        Step { prepares: Some(prepares), ..self }
    }
}

/// Whether a component of the toolchain is there; the error names the line that installs it.
pub(super) fn check_component(subcommand: &str, component: &str) -> Result<()> {
    match cargo(&[subcommand, "--version"]).output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => bail!("{component} is missing: rustup component add {component}"),
    }
}

fn rustfmt(job: &Job) -> Result<Outcome> {
    passes(job, &mut cargo(&["fmt", "--all", "--check"]))
}

fn clippy(job: &Job) -> Result<Outcome> {
    let args = ["clippy", "--workspace", "--all-targets", "--all-features"];
    compiles(job, cargo(&args).args(["--", "--deny", "warnings"]))
}

/// No files that need one another.
fn structure(job: &Job) -> Result<Outcome> {
    Ok(Outcome::check(crate::structure::check(job)?))
}

fn rustdoc(job: &Job) -> Result<Outcome> {
    let args = ["doc", "--workspace", "--all-features", "--no-deps"];
    compiles(job, cargo(&args).env("RUSTDOCFLAGS", "--deny warnings"))
}

/// With the features of the Rust tests, so that nothing is compiled twice.
fn programs(job: &Job) -> Result<Outcome> {
    let mut command = cargo(&["build", "--workspace", "--all-features"]);
    command.args(["--bin", "ntp-test-server", "--bin", "delay-proxy", "--bin", "ntp-clock"]);
    compiles(job, command.args(["--example", "truth"]))
}

/// A target that has no std at all proves that nothing in the core uses it.
fn core_without_std(job: &Job) -> Result<Outcome> {
    checks_for(job, "ntp-clock-core", "thumbv7em-none-eabihf")
}

fn nts_without_std(job: &Job) -> Result<Outcome> {
    checks_for(job, "ntp-clock-nts", "thumbv7em-none-eabihf")
}

fn core_for_wasm(job: &Job) -> Result<Outcome> {
    checks_for(job, "ntp-clock-core", "wasm32-unknown-unknown")
}

fn clock_for_windows(job: &Job) -> Result<Outcome> {
    checks_for(job, "ntp-clock", "x86_64-pc-windows-gnu")
}

fn clock_for_macos(job: &Job) -> Result<Outcome> {
    checks_for(job, "ntp-clock", "aarch64-apple-darwin")
}

fn python_environment(job: &Job) -> Result<Outcome> {
    Venv::set_up(job)?;
    Ok(Outcome::check(true))
}

fn ruff_format(job: &Job) -> Result<Outcome> {
    passes(job, Venv::of(job.project()).module("ruff").args(["format", "--check", "."]))
}

fn ruff(job: &Job) -> Result<Outcome> {
    passes(job, Venv::of(job.project()).module("ruff").args(["check", "."]))
}

fn python_module(job: &Job) -> Result<Outcome> {
    passes(job, &mut Venv::of(job.project()).maturin(job.project(), &["develop"]))
}

/// Built here and not by its test, which would wait for the lock of cargo's target directory.
fn wheel(job: &Job) -> Result<Outcome> {
    let folder = job.project().work("wheel");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let venv = Venv::of(job.project());
    passes(job, venv.maturin(job.project(), &["build", "--out"]).arg(folder))
}

/// What packages contain, by their lists of files, and what they say about themselves.
fn packages(job: &Job) -> Result<Outcome> {
    if let Err(lack) = crate::js::check_npm() {
        return Ok(Outcome::skipped(lack.to_string()));
    }
    let project = job.project();
    let faults = crate::dist::faults(job, &Venv::of(project), &project.work("wheel"))?;
    for fault in &faults {
        job.note(fault)?;
    }
    Ok(Outcome::check(faults.is_empty()))
}

fn mypy(job: &Job) -> Result<Outcome> {
    // Its settings say what to check.
    let all = passes(job, &mut Venv::of(job.project()).module("mypy"))?;
    if all.counts.failed > 0 {
        return Ok(all);
    }
    // Apart, for their conftests have the name of another.
    for tests in ["tests/e2e", "tests/server"] {
        let mut command = Venv::of(job.project()).module("mypy");
        let outcome = passes(job, command.env("MYPYPATH", tests).arg(tests))?;
        if outcome.counts.failed > 0 {
            return Ok(outcome);
        }
    }
    mypy_server(job)
}

/// The reference server, whose types need Django's plugin, which starts it.
fn mypy_server(job: &Job) -> Result<Outcome> {
    let project = job.project();
    let mut command = Venv::of(project).module("mypy");
    command.current_dir(project.path("server/portacode_django"));
    command.env("PYTHONPATH", ".").env("PORTACODE_NTP_SERVER", "127.0.0.1:1");
    command.env("DATA_DIR", project.work("mypy-server"));
    passes(job, &mut command)
}

/// The stubs say what the compiled module has.
fn stubtest(job: &Job) -> Result<Outcome> {
    let mut command = Venv::of(job.project()).module("mypy.stubtest");
    passes(job, command.arg("portacode._native"))
}

fn pytest(job: &Job) -> Result<Outcome> {
    run_pytest(job, "pytest", &["tests/python", "-m", "not slow", "--numprocesses", "3"])
}

/// Apart, so that none of them begins when all others have ended.
fn slow_pytest(job: &Job) -> Result<Outcome> {
    let beside = ["--numprocesses", "6", "--maxschedchunk", "1"];
    run_pytest(job, "slow", &[["tests/python", "-m", "slow"].as_slice(), &beside].concat())
}

/// The reference server, as real processes, with real Redis and PostgreSQL.
fn server_tests(job: &Job) -> Result<Outcome> {
    // In the order that `tests/server/conftest.py` gives them.
    let beside = ["--numprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder"];
    let without = ["tests/server", "--ignore", ABUSE];
    run_pytest(job, "server", &[without.as_slice(), &beside].concat())
}

/// A minute of strangers, spoilt frames and cut links.
fn abuse(job: &Job) -> Result<Outcome> {
    run_pytest(job, "abuse", &[ABUSE])
}

/// Pytest with these arguments; its report is of this name.
pub(super) fn run_pytest(job: &Job, name: &str, args: &[&str]) -> Result<Outcome> {
    let project = job.project();
    let report_path = project.work(format!("logs/{name}.xml"));
    if report_path.exists() {
        std::fs::remove_file(&report_path)?;
    }
    let mut command = Venv::of(project).module("pytest");
    command.env("NTP_TEST_SERVER_BIN", project.program("debug/ntp-test-server"));
    command.env("OTEL_TRUTH_BIN", project.program("debug/examples/truth"));
    command.env("PORTACODE_WHEELS", project.work("wheel"));
    command.args(args);
    command.arg("-o").arg(format!("cache_dir={}", project.work("pytest").display()));
    command.arg(format!("--junitxml={}", report_path.display()));
    let success = job.run(&mut command)?.success();
    let xml = std::fs::read_to_string(&report_path).context("pytest wrote no report")?;
    let PytestReport { mut counts, skips } = PytestReport::parse(&xml)?;
    if !success && counts.failed == 0 {
        counts += Counts::FAILED;
    }
    Ok(Outcome { counts, skips: in_words(skips), failures: None })
}

/// Server, devices and client, as `cargo xtask demo --once` has them.
fn demo(job: &Job) -> Result<Outcome> {
    Ok(Outcome::check(crate::demo::check(job)?))
}

pub(super) fn passes(job: &Job, command: &mut Command) -> Result<Outcome> {
    Ok(Outcome::check(job.run(command)?.success()))
}

/// A cargo command, of whose output only the errors are worth showing.
pub(super) fn compiles(job: &Job, command: &mut Command) -> Result<Outcome> {
    let passed = job.run(command)?.success();
    let failures = Some(cargo_failures(&job.output())).filter(|text| !text.is_empty());
    Ok(Outcome { failures, ..Outcome::check(passed) })
}

pub(super) fn in_words(skips: Vec<(String, u64)>) -> Vec<String> {
    skips.into_iter().map(|(reason, count)| format!("{count} skipped: {reason}")).collect()
}

/// Compiles a package's library for another target, whose standard library is fetched if need be.
fn checks_for(job: &Job, package: &str, target: &str) -> Result<Outcome> {
    let installed = answer("rustup", &["target", "list", "--installed"]).unwrap_or_default();
    if !installed.lines().any(|line| line == target) {
        let added = job.run(Command::new("rustup").args(["target", "add", target]));
        if !added.is_ok_and(|status| status.success()) {
            return Ok(Outcome::skipped(format!("needs the target: rustup target add {target}")));
        }
    }
    compiles(job, &mut cargo(&["check", "--package", package, "--target", target]))
}

const ABUSE: &str = "tests/server/test_abuse.py";
