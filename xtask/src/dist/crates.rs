//! The crates, packaged as `cargo publish` would send them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::build::Build;
use super::contents::CRATE;
use crate::command::{Job, answer, answer_of, cargo, nightly};
use crate::project::Project;

/// Packages all that may be published, and builds each from its package alone, after those that it
/// needs; then their documentation, as docs.rs does.
pub(super) fn build(build: &Build) -> Result<Vec<PathBuf>> {
    let packages = metadata(build.job)?;
    let names: Vec<&str> =
        publishable(&packages).filter_map(|package| package["name"].as_str()).collect();
    let mut command = cargo(&["package", "--locked"]);
    for name in &names {
        command.args(["--package", name]);
    }
    if build.allows_dirty {
        command.arg("--allow-dirty");
    }
    let packages = build.job.project().target("package");
    build.empty(&packages)?;
    build.job.must(&mut command)?;
    let out = build.cleared("crates", "crate")?;
    for package in build.made(&packages, "crate")? {
        let name = package.file_name().context("a crate without a name")?;
        fs::copy(&package, out.join(name))?;
    }
    let made = build.made(&out, "crate")?;
    for package in &made {
        build.check(package, &CRATE, 1)?;
    }
    documentation(build, &names)?;
    Ok(made)
}

/// What cargo says of the packages of this workspace.
pub(super) fn metadata(job: &Job) -> Result<Vec<Value>> {
    let mut command = cargo(&["metadata", "--no-deps", "--format-version", "1", "--locked"]);
    command.current_dir(job.project().path(""));
    let mut listed: Value = serde_json::from_str(&answer_of(job, &mut command)?)?;
    match listed["packages"].take() {
        Value::Array(packages) => Ok(packages),
        _ => bail!("cargo metadata names no packages"),
    }
}

/// Those that may be published.
pub(super) fn publishable(packages: &[Value]) -> impl Iterator<Item = &Value> {
    // `publish = false` is an empty list of registries.
    packages.iter().filter(|package| package["publish"].is_null())
}

/// With the compiler of docs.rs where there is one: a nightly.
fn documentation(build: &Build, names: &[&str]) -> Result<()> {
    let mut command = match nightly("doc", "") {
        Ok(command) => command,
        Err(_) => cargo(&["doc"]),
    };
    command.args(["--no-deps", "--lib", "--all-features", "--locked"]);
    for name in names {
        command.args(["--package", name]);
    }
    command.env("RUSTDOCFLAGS", "--cfg docsrs --deny warnings");
    build.job.must(&mut command)
}

/// The version that all packages have.
pub(super) fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Compares with the last release, where there is one: fails where a change breaks more than its
/// version says.
pub(super) fn compatibility(build: &Build) -> Result<String> {
    let Some(last) = last_release(build.job.project()) else {
        return Ok("not compared with an earlier release: there is none".to_owned());
    };
    let args = ["semver-checks", "--workspace", "--all-features", "--baseline-rev", &last];
    build.job.must(&mut cargo(&args))?;
    Ok(format!("compatible with {last}, as far as its version promises"))
}

/// The tag of the release before this one.
pub(super) fn last_release(project: &Project) -> Option<String> {
    let root = project.path("").to_string_lossy().into_owned();
    let tags = answer("git", &["-C", &root, "tag", "--list", "v*", "--sort=-v:refname"])?;
    let of_this = format!("v{}", version());
    tags.lines().find(|tag| *tag != of_this).map(str::to_owned)
}
