//! What the demo needs: the time server, optimised, and an environment with the package as users
//! get it and with what the reference server asks for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{Job, answer, cargo};
use crate::project::Project;
use crate::python::{self, CONSTRAINTS, Venv};

/// Builds all of it; the second time there is little to do.
pub(super) fn all(project: &Project, live: bool) -> Result<Venv> {
    python::check()?;
    if is_first(project, live) {
        eprintln!("Building; the first time takes some minutes.");
    }
    let job = Job::start(project, "building the demo")?;
    let built = steps(&job, live);
    let log = project.shown(job.log()).to_string();
    job.finish();
    built.with_context(|| format!("the demo could not be built; see {log}"))
}

/// Whether something has never been built. What has changed since is built as well, in less time.
fn is_first(project: &Project, live: bool) -> bool {
    let server = project.program("release/ntp-test-server");
    !project.work("demo/venv.stamp").exists() || !(live || server.exists())
}

fn steps(job: &Job, live: bool) -> Result<Venv> {
    let project = job.project();
    if !live {
        job.must(&mut cargo(&["build", "--release", "--package", "ntp-test-server"]))?;
    }
    let venv = Venv::at(project.work("demo/venv"));
    let version = answer(python::system_python(), &["-VV"]).unwrap_or_default();
    let read = |path: &str| fs::read_to_string(project.path(path)).with_context(|| path.to_owned());
    let stamp = format!("{version}\n{}\n{}", read(REQUIREMENTS)?, read(CONSTRAINTS)?);
    let stamp_path = project.work("demo/venv.stamp");
    let made = fs::read_to_string(&stamp_path).is_ok_and(|made| made == stamp)
        && answer(venv.python(), &["-c", ""]).is_some();
    let install = ["install", "--no-input", "--constraint", CONSTRAINTS];
    if !made {
        make(job, &venv, &project.work("demo/venv"))?;
        job.must(venv.module("pip").args(install).arg("maturin"))?;
    }
    // The package first: it is among what the server asks for.
    install_package(job, &venv)?;
    if !made {
        let more = ["--requirement", REQUIREMENTS, "libfaketime"];
        job.must(venv.module("pip").args(install).args(more))?;
        fs::write(&stamp_path, stamp).context("cannot write the environment's stamp")?;
    }
    Ok(venv)
}

/// An environment in a directory, with a recent pip.
pub(super) fn make(job: &Job, venv: &Venv, dir: &Path) -> Result<()> {
    let python = python::system_python();
    let recent = "import sys; sys.exit(sys.version_info < (3, 10))";
    if answer(&python, &["-c", recent]).is_none() {
        bail!("the demo needs Python 3.10 or newer: set PYTHON to one");
    }
    job.must(Command::new(&python).args(["-m", "venv", "--clear"]).arg(dir))?;
    job.must(venv.module("pip").args(["install", "--no-input", "--upgrade", "pip>=25.1"]))
}

/// The package as users get it.
pub(super) fn install_package(job: &Job, venv: &Venv) -> Result<()> {
    let project = job.project();
    let wheels = project.work("demo/wheels");
    if wheels.exists() {
        fs::remove_dir_all(&wheels)?;
    }
    let mut maturin = venv.maturin(project, &["build", "--release", "--interpreter"]);
    job.must(maturin.arg(venv.python()).arg("--out").arg(&wheels))?;
    let wheel: PathBuf = fs::read_dir(&wheels)?.next().context("maturin made no wheel")??.path();
    let install = ["install", "--no-deps", "--no-index", "--force-reinstall"];
    job.must(venv.module("pip").args(install).arg(wheel))
}

const REQUIREMENTS: &str = "server/portacode_django/requirements.txt";
