//! Rust's tests: compiled by cargo, and run some programs at a time.
//!
//! Cargo itself would run one program after another, and wait for the lock of its target directory
//! before each run while something else is compiled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use serde_json::Value;

use super::step::Outcome;
use super::steps::{compiles, in_words};
use crate::command::{Job, answer_of, cargo};
use crate::project::Project;
use crate::tally::{Counts, cargo_failures, cargo_skips};

/// A program of tests: of a library, of a binary, or of a file in `tests/`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Program {
    /// Of the package and of what is tested.
    name: String,
    /// The package's, where cargo runs its tests.
    folder: PathBuf,
    path: PathBuf,
}

pub(super) fn built(job: &Job) -> Result<Outcome> {
    let outcome = compiles(job, cargo(RUST_TESTS).arg("--no-run"))?;
    if outcome.counts.failed == 0 {
        let mut again = cargo(RUST_TESTS);
        again.args(["--no-run", "--quiet", "--message-format", "json"]);
        fs::write(list(job.project()), answer_of(job, &mut again)?)?;
    }
    Ok(outcome)
}

/// All programs, those that take longest first.
pub(super) fn tests(job: &Job) -> Result<Outcome> {
    let list = list(job.project());
    let reported = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let mut programs = Program::all_of(&reported);
    programs.sort_by_key(Program::rank);
    let logs = job.project().work("logs/rust");
    fs::create_dir_all(&logs)?;
    // As others have it, made here: its tests would wait for cargo's lock.
    let built = job.project().target("debug/deps");
    crate::c_library::lay_out_built(job.project(), &built, &c_library(job.project()))?;
    let waiting = Mutex::new(programs.into_iter());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || {
        let mut ran = Vec::new();
        while let Some(program) = next() {
            ran.push(program.run(job, &logs));
        }
        ran
    };
    let ran: Vec<Result<Ran>> = thread::scope(|scope| {
        let beside: Vec<_> = (0..BESIDE).map(|_| scope.spawn(run)).collect();
        beside.into_iter().flat_map(|one| one.join().expect("no program panics us")).collect()
    });
    Ran::all(ran.into_iter().collect::<Result<Vec<_>>>()?)
}

pub(super) fn examples(job: &Job) -> Result<Outcome> {
    cargo_test(job, cargo(RUST_TESTS).args(["--no-fail-fast", "--doc"]))
}

/// Every order in which threads can see each other's writes, for the code that has no locks. In a
/// target directory of its own, because everything is built with another configuration.
pub(super) fn loom(job: &Job) -> Result<Outcome> {
    let mut command = cargo(&["test", "--package", "ntp-clock-models"]);
    command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", job.project().target("loom"));
    cargo_test(job, &mut command)
}

fn cargo_test(job: &Job, command: &mut Command) -> Result<Outcome> {
    let success = job.run(command)?.success();
    Ran::all(vec![Ran { output: job.output(), success }])
}

/// What a program said, and whether it ended well.
struct Ran {
    output: String,
    success: bool,
}

impl Ran {
    fn all(ran: Vec<Ran>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut failures = Vec::new();
        for Ran { output, success } in ran {
            outcome.counts += Counts::of_cargo_test(&output, success);
            outcome.skips.extend(in_words(cargo_skips(&output)));
            if !success {
                failures.push(cargo_failures(&output));
            }
        }
        failures.retain(|text| !text.is_empty());
        outcome.failures = (!failures.is_empty()).then(|| failures.join("\n"));
        Ok(outcome)
    }
}

impl Program {
    /// The programs that cargo has made, by what it says in JSON, a message a line.
    fn all_of(reported: &str) -> Vec<Self> {
        let messages = reported.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        messages.filter_map(|message| Program::of(&message)).collect()
    }

    fn of(message: &Value) -> Option<Self> {
        let is_test = message["profile"]["test"].as_bool()?;
        let path = PathBuf::from(message["executable"].as_str()?);
        let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
        let package = folder.file_name()?.to_string_lossy();
        let name = format!("{package}-{}", message["target"]["name"].as_str()?);
        is_test.then_some(Program { name, folder, path })
    }

    fn rank(&self) -> usize {
        LONGEST.iter().position(|name| self.name == *name).unwrap_or(LONGEST.len())
    }

    fn run(&self, job: &Job, logs: &Path) -> Result<Ran> {
        let mut command = Command::new(&self.path);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        command.env("RUST_TEST_THREADS", THREADS);
        command.env("NTP_CLOCK_C_LIBRARY", c_library(job.project()));
        // A library and a binary may have one name.
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        let log = logs.join(format!("{file}.log"));
        let success = job.run_apart(&mut command, &log)?.success();
        let output = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        job.note(&format!("{}\n{output}", self.name))?;
        if !success {
            job.note(&format!("{} failed", self.name))?;
        }
        Ok(Ran { output, success })
    }
}

fn c_library(project: &Project) -> PathBuf {
    project.work("c-library")
}

fn list(project: &Project) -> PathBuf {
    project.work("rust-test-programs.json")
}

/// What is tested, built and run by the same words.
const RUST_TESTS: &[&str] = &["test", "--workspace", "--all-features"];
/// This many programs run at once ...
const BESIDE: usize = 3;
/// ... and this many tests of each: more than there are cores, for most wait.
const THREADS: &str = "4";
/// What begins first; the others are over before these.
const LONGEST: &[&str] = &["ntp-clock-outage", "ntp-clock-nts", "ntp-clock-faults"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_cargo_has_made_the_programs_of_tests_are_run() {
        let message = |test: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/crates/a/Cargo.toml",
                "target":{{"name":"b"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
            .replace('\n', "")
        };
        let reported = [
            message("true", r#""/w/target/debug/deps/b-1""#),
            message("false", r#""/w/target/debug/b""#),
            message("true", "null"),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
            "no JSON".to_owned(),
        ];
        let program = Program {
            name: "a-b".to_owned(),
            folder: "/w/crates/a".into(),
            path: "/w/target/debug/deps/b-1".into(),
        };
        assert_eq!(Program::all_of(&reported.join("\n")), [program]);
    }

    #[test]
    fn a_program_that_fails_is_counted_and_shown_among_those_that_do_not() {
        let ran = |output: &str, success| Ran { output: output.to_owned(), success };
        let outcome = Ran::all(vec![
            ran("test result: ok. 3 passed; 0 failed; 0 ignored", true),
            ran("failures:\n  broken\ntest result: FAILED. 1 passed; 1 failed; 0 ignored", false),
            ran("killed", false),
        ])
        .unwrap();
        assert_eq!(outcome.counts, Counts { passed: 4, failed: 2, skipped: 0 });
        assert_eq!(outcome.failures.as_deref(), Some("failures:\n  broken"));
    }
}
