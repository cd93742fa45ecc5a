//! Running the examples of README.md, as a reader would, against the test server.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{Job, cargo};
use crate::python::Venv;
use crate::server::Server;
use crate::tally::Counts;

/// Compiles and runs each ```` ```rust ```` block.
pub(crate) fn run_rust(job: &Job) -> Result<Counts> {
    job.must(&mut cargo(&["build", "--package", "ntp-clock", "--package", "ntp-test-server"]))?;
    let project = job.project();
    let rlib = project.target("debug/libntp_clock.rlib");
    let deps = project.target("debug/deps");
    run_each(job, "rust", |number, code| {
        let source = project.target(format!("readme/block{number}.rs"));
        let program = project.program(&format!("readme/block{number}"));
        fs::write(&source, format!("fn main() {{\n{code}}}\n"))?;
        let mut compile = Command::new("rustc");
        compile.args(["--edition", "2024", "--extern"]);
        compile.arg(format!("ntp_clock={}", rlib.display()));
        compile.arg("-L").arg(format!("dependency={}", deps.display()));
        job.must(compile.arg("-o").arg(&program).arg(&source))?;
        Ok(Command::new(program))
    })
}

/// Runs each ```` ```python ```` block.
pub(crate) fn run_python(job: &Job) -> Result<Counts> {
    job.must(&mut cargo(&["build", "--package", "ntp-test-server"]))?;
    run_each(job, "python", |number, code| {
        let source = job.project().target(format!("readme/block{number}.py"));
        fs::write(&source, code)?;
        let mut command = Command::new(Venv::of(job.project()).python());
        command.arg(source);
        Ok(command)
    })
}

/// Each block is one check: it must end well, print something, and never an unsynchronised `None`.
fn run_each(
    job: &Job,
    language: &str,
    prepare: impl Fn(usize, &str) -> Result<Command>,
) -> Result<Counts> {
    let project = job.project();
    let text = fs::read_to_string(project.path("README.md")).context("cannot read README.md")?;
    fs::create_dir_all(project.target("readme"))?;
    let blocks = blocks(&text, language);
    ensure!(!blocks.is_empty(), "README.md has no {language} example");
    let server = Server::start(project, "debug")?;
    let mut counts = Counts::default();
    for (line, code) in blocks {
        let mut command = prepare(line, &code)?;
        let before = job.output().len();
        let ended_well = job.run(command.env("PORTACODE_NTP_SERVER", server.address()))?.success();
        let output = job.output().split_off(before);
        let printed: Vec<&str> = output.lines().skip(1).collect();
        let told_time = !printed.is_empty() && !printed.iter().any(|line| line.contains("None"));
        if !(ended_well && told_time) {
            job.note(&format!("the {language} example in line {line} of README.md failed"))?;
        }
        counts += Counts::check(ended_well && told_time);
    }
    Ok(counts)
}

/// The code of each fenced block in the language, with the line on which it begins.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((index + 2, info == language, String::new())),
            (Some(_), Some(_)) => {
                if let Some((line, true, code)) = open.take() {
                    found.push((line, code));
                }
            }
            (Some((_, _, code)), None) => {
                code.push_str(line);
                code.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_explains_every_state_and_rejection() {
        use ntp_clock_core::{Rejection, SyncState};
        let readme = include_str!("../../README.md");
        let states = [
            SyncState::Unsynchronised,
            SyncState::Synchronised,
            SyncState::Holdover,
            SyncState::Failed,
        ];
        let names = states.map(SyncState::name).into_iter().chain(Rejection::NAMES);
        for name in names {
            let row = |line: &str| line.starts_with('|') && line.contains(&format!("`{name}`"));
            assert!(readme.lines().any(row), "README.md has no row for {name:?}");
        }
    }

    #[test]
    fn blocks_are_found_by_language_with_their_line() {
        let text = "a\n```rust\nlet x;\n```\n```python\nx = 1\ny = 2\n```\n```\nplain\n```\n";
        assert_eq!(blocks(text, "rust"), [(3, "let x;\n".to_owned())]);
        assert_eq!(blocks(text, "python"), [(6, "x = 1\ny = 2\n".to_owned())]);
    }
}
