//! Python environments to measure in: ours, built as it is shipped, and the peers'.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::Job;
use crate::python::{self, Venv};

/// The package as users get it: an optimised wheel, in an environment of its own.
pub(super) fn ours(job: &Job) -> Result<Venv> {
    python::check()?;
    let tools = Venv::set_up(job)?;
    let wheel = wheel(job, &tools)?;
    let venv = environment(job, &tools, "ours")?;
    let install = ["install", "--no-input", "--no-deps", "--force-reinstall"];
    job.must(venv.module("pip").args(install).arg(wheel))?;
    Ok(venv)
}

/// The same with what its relays are served by.
pub(super) fn serving(job: &Job) -> Result<Venv> {
    let tools = Venv::of(job.project());
    ensure!(
        tools.python().exists(),
        "no environment yet: run cargo xtask test python, which makes it"
    );
    let mut with_extra = wheel(job, &tools)?.into_os_string();
    with_extra.push("[server]");
    let venv = environment(job, &tools, "serving")?;
    let install = ["install", "--no-input", "--force-reinstall", "--constraint"];
    job.must(venv.module("pip").args(install).arg(python::CONSTRAINTS).arg(with_extra))?;
    Ok(venv)
}

/// An optimised wheel of the checkout.
fn wheel(job: &Job, tools: &Venv) -> Result<PathBuf> {
    let project = job.project();
    let wheels = project.work("bench/wheels");
    if wheels.exists() {
        fs::remove_dir_all(&wheels)?;
    }
    let mut build = tools.maturin(project, &["build", "--release", "--out"]);
    job.must(build.arg(&wheels))?;
    Ok(fs::read_dir(&wheels)?.next().context("maturin made no wheel")??.path())
}

/// The old package and ntplib, which it needs; of its many other requirements the clock uses none.
pub(super) fn old(job: &Job) -> Result<Venv> {
    python::check()?;
    let tools = Venv::set_up(job)?;
    let venv = environment(job, &tools, "old")?;
    let mut probe = Command::new(venv.python());
    probe.args(["-c", "import ntplib, portacode"]);
    if !job.run(&mut probe)?.success() {
        let install = ["install", "--no-input", "--no-deps", "ntplib==0.4.0", OLD];
        let installed = job.run(venv.module("pip").args(install))?;
        ensure!(installed.success(), "{OLD} and ntplib do not install here");
    }
    Ok(venv)
}

fn environment(job: &Job, tools: &Venv, name: &str) -> Result<Venv> {
    let dir = job.project().work("bench").join(name);
    let venv = Venv::at(dir.clone());
    if !venv.python().exists() {
        job.must(tools.module("venv").arg(&dir))?;
    }
    Ok(venv)
}

const OLD: &str = "portacode==1.3.27";
