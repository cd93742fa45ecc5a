//! What the services and the store need. All of it stays in this checkout.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::super::build::{install_package, make};
use crate::command::{Job, cargo};
use crate::js;
use crate::project::Project;
use crate::python::{self, Venv};

/// What was built.
#[derive(Debug)]
pub(super) struct Built {
    /// The service in Python's environment, with the package: opentelemetry-instrument finds it.
    pub(super) venv: Venv,
    /// The same without the package.
    pub(super) plain: Venv,
    /// The store's own: it asks for other releases of the same packages.
    pub(super) store: Venv,
    /// The service in Rust.
    pub(super) payment: PathBuf,
}

/// Builds all of it; the second time there is little to do.
pub(super) fn all(project: &Project) -> Result<Built> {
    python::check()?;
    js::check_npm()?;
    if !project.work("demo/otel/store.stamp").exists() {
        eprintln!("Building; the first time takes some minutes, and about 1 GB for the store.");
    }
    let job = Job::start(project, "building the otel demo")?;
    let built = steps(&job);
    let log = project.shown(job.log()).to_string();
    job.finish();
    built.with_context(|| format!("the demo could not be built; see {log}"))
}

fn steps(job: &Job) -> Result<Built> {
    let project = job.project();
    job.must(&mut cargo(&["build", "--release", "--package", "ntp-test-server"]))?;
    let payment = ["build", "--manifest-path", PAYMENT];
    let target = project.target("demo-otel");
    job.must(cargo(&payment).env("CARGO_TARGET_DIR", &target))?;

    let wanted = fs::read_to_string(project.path(REQUIREMENTS)).context(REQUIREMENTS)?;
    let plain = environment(job, "plain", &wanted, &["-r", REQUIREMENTS])?;
    let more = ["-r", REQUIREMENTS, "libfaketime", "maturin"];
    let venv = environment(job, "services", &wanted, &more)?;
    install_package(job, &venv)?;
    let store = environment(job, "store", STORE, &[STORE])?;

    job.must(Command::new("npm").args(["ci", "--prefix", SHOP, "--no-audit", "--no-fund"]))?;
    job.must(Command::new("npm").args(["run", "--prefix", "js", "prepack"]))?;
    let program = format!("debug/payment{}", std::env::consts::EXE_SUFFIX);
    Ok(Built { venv, plain, store, payment: target.join(program) })
}

/// An environment in `.work/demo/otel` with these packages, made again where they change.
fn environment(job: &Job, name: &str, wanted: &str, packages: &[&str]) -> Result<Venv> {
    let dir = job.project().work(format!("demo/otel/{name}"));
    let stamp = job.project().work(format!("demo/otel/{name}.stamp"));
    let venv = Venv::at(dir.clone());
    if !fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        make(job, &venv, &dir)?;
        job.must(venv.module("pip").args(["install", "--no-input"]).args(packages))?;
        fs::write(&stamp, wanted).context("cannot write the environment's stamp")?;
    }
    Ok(venv)
}

const PAYMENT: &str = "demos/otel/rust/Cargo.toml";
const REQUIREMENTS: &str = "demos/otel/python/requirements.txt";
const SHOP: &str = "demos/otel/node";
const STORE: &str = "arize-phoenix==20.26.1";
