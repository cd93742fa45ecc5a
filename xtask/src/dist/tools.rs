//! What packages are built and checked with: from PyPI and npm, pinned, in `.work`; and what the
//! machine has to have.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::Part;
use super::crates::last_release;
use super::origin::Origin;
use super::platform::Platform;
use crate::command::{Job, answer};
use crate::python::{self, Venv};
use crate::{js, project::Project};

/// The tools.
#[derive(Debug)]
pub(super) struct Tools {
    python: Venv,
    npm: PathBuf,
}

impl Tools {
    /// Those that these parts need, installed where they are not.
    pub(super) fn set_up(job: &Job, parts: &[Part]) -> Result<Self> {
        let project = job.project();
        let tools = Tools::of(project);
        if parts.iter().any(|part| part.needs_python()) {
            Venv::with(job, VENV, REQUIREMENTS)?;
        }
        if parts.contains(&Part::Npm) {
            js::install_in(job, NPM)?;
        }
        Ok(tools)
    }

    /// Where they are, or will be.
    pub(super) fn of(project: &Project) -> Self {
        Tools { python: Venv::at(project.work(VENV)), npm: project.path(NPM) }
    }

    /// `maturin ...`, whose packages are the same wherever they are built.
    pub(super) fn maturin(&self, origin: &Origin, args: &[&str]) -> Command {
        let mut command = self.python.module("maturin");
        command.args(args).env("CARGO_TERM_COLOR", "never");
        origin.apply(&mut command);
        command
    }

    /// Their Python.
    pub(super) fn python(&self) -> &Venv {
        &self.python
    }

    /// `python -m NAME`: twine, auditwheel.
    pub(super) fn module(&self, name: &str) -> Command {
        self.python.module(name)
    }

    /// `cargo build` or `cargo rustc`, linked by zig where it links that platform.
    pub(super) fn cargo(&self, verb: &str, origin: &Origin, platform: &Platform) -> Command {
        let mut command = if platform.by_zig() {
            let mut zig = self.python.tool("cargo-zigbuild");
            zig.arg(if verb == "build" { "zigbuild" } else { verb });
            zig
        } else {
            crate::command::cargo(&[verb])
        };
        command.args(["--locked", "--profile", PROFILE, "--target", &platform.asked_target()]);
        command.env("CARGO_TERM_COLOR", "never");
        origin.apply(&mut command);
        command
    }

    /// A program of npm's: publint, attw.
    pub(super) fn npm(&self, name: &str) -> Command {
        let script = if cfg!(windows) { format!("{name}.cmd") } else { name.to_owned() };
        Command::new(self.npm.join("node_modules/.bin").join(script))
    }
}

/// What this machine lacks for these parts, each with the line that installs it.
pub(super) fn missing(project: &Project, parts: &[Part], platforms: &[&Platform]) -> Vec<String> {
    let mut missing = Vec::new();
    let mut note = |check: Result<()>| missing.extend(check.err().map(|error| error.to_string()));
    if parts.iter().any(|part| part.needs_python()) {
        note(python::check());
    }
    if parts.contains(&Part::Npm) {
        note(js::check_npm());
    }
    if answer("git", &["--version"]).is_none() {
        missing.push("git is missing: apt-get install git".to_owned());
    }
    if parts.iter().any(|part| part.compiles_for_platforms()) {
        missing.extend(platforms.iter().filter_map(|platform| platform.missing()));
    }
    if parts.iter().any(|part| part.lists_what_is_inside())
        && answer("cargo", &["cyclonedx", "--version"]).is_none()
    {
        missing.push(format!("cargo-cyclonedx is missing: {CYCLONEDX}"));
    }
    if last_release(project).is_some() && answer("cargo", &["semver-checks", "--version"]).is_none()
    {
        missing.push(format!("cargo-semver-checks is missing: {SEMVER_CHECKS}"));
    }
    missing
}

/// Cargo's profile of all that is shipped.
pub(super) const PROFILE: &str = "shipped";
const REQUIREMENTS: &str = "xtask/dist/requirements.txt";
const VENV: &str = "dist-venv";
/// Has a package.json of its own.
const NPM: &str = "xtask/dist";
const CYCLONEDX: &str = "cargo install --locked cargo-cyclonedx@0.5.9";
const SEMVER_CHECKS: &str = "cargo install --locked cargo-semver-checks@0.51.0";
