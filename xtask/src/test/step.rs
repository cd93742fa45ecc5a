//! A step of the work: which part it belongs to, what it needs, how it ended.

use anyhow::Result;
use clap::ValueEnum;

use crate::command::Job;
use crate::tally::Counts;

/// One step, counted as one check unless its runner counts tests.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) parts: &'static [Part],
    pub(super) lane: Lane,
    /// It is not run where one of these failed.
    pub(super) needs: &'static [Need],
    /// It waits for these, however they end.
    pub(super) after: &'static [Need],
    /// A step that prepares others is only counted when it fails.
    pub(super) prepares: Option<Need>,
    pub(super) run: Run,
}

/// The work itself.
pub(super) type Run = fn(&Job) -> Result<Outcome>;

/// A part of the work that can be run alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Part {
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

/// What a step does most of the time, which decides what may run beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lane {
    /// It computes: one at a time, for cargo locks its target directory and uses all cores. At low
    /// priority, so that clocks that are tested at the same time are not kept waiting.
    Computes,
    /// It waits, for clocks, servers and downloads: some at a time.
    Waits,
}

/// What a step cannot do without: a tool, or what another step prepares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Need {
    Rustfmt,
    Clippy,
    /// Rust's tests are compiled.
    RustTests,
    /// The programs that tests of other languages start.
    Programs,
    /// The core that answers logs, as wasm.
    Wasm,
    PythonEnvironment,
    PythonModule,
    /// The package as others install it.
    Wheel,
    Npm,
}

/// How a step ended.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) counts: Counts,
    /// What was skipped, why, and what to do about it.
    pub(super) skips: Vec<String>,
    /// What failed, where the end of the log would not show it.
    pub(super) failures: Option<String>,
}

impl Outcome {
    pub(super) fn check(passed: bool) -> Self {
        Outcome { counts: Counts::check(passed), ..Outcome::default() }
    }

    pub(super) fn skipped(why: impl Into<String>) -> Self {
        Outcome { counts: Counts::SKIPPED, skips: vec![why.into()], failures: None }
    }
}
