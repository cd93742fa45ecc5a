//! What the shipped programs and modules are made of, for those who look for known faults in it:
//! CycloneDX.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::archive::Member;
use super::build::Build;
use super::contents::traces;
use super::crates::metadata;
use crate::command::{answer_of, cargo};

/// Writes `CRATE.cdx.json` for each thing that is built from a crate, and one for npm's package.
pub(super) fn build(build: &Build) -> Result<Vec<PathBuf>> {
    let out = build.cleared("sbom", "json")?;
    let mut made = Vec::new();
    for package in PACKAGES {
        made.push(of_crate(build, package, &out)?);
    }
    made.push(of_npm(build, &out)?);
    Ok(made)
}

/// What a crate is built from, whatever the system, into a folder.
pub(super) fn of_crate(build: &Build, package: &str, out: &Path) -> Result<PathBuf> {
    let project = build.job.project();
    let manifest = format!("crates/{package}/Cargo.toml");
    let mut command = cargo(&["cyclonedx", "--format", "json", "--spec-version", "1.5"]);
    command.args(["--no-build-deps", "--target", "all", "--override-filename", BESIDE]);
    command.args(["--manifest-path", &manifest]);
    build.job.must(&mut command)?;
    // It writes beside the manifests of all members of the workspace.
    let mut text = None;
    for member in metadata(build.job)? {
        let manifest = Path::new(member["manifest_path"].as_str().unwrap_or_default());
        let written = manifest.with_file_name(format!("{BESIDE}.json"));
        if written.is_file() {
            if member["name"] == package {
                text = Some(fs::read_to_string(&written)?);
            }
            fs::remove_file(written)?;
        }
    }
    let text = text.context("cargo cyclonedx wrote nothing")?;
    let root = project.path("").to_string_lossy().trim_end_matches('/').to_owned();
    write(build, &text.replace(&root, "/ntp-clock"), &out.join(format!("{package}.cdx.json")))
}

/// It has no dependencies: a list of one.
fn of_npm(build: &Build, out: &Path) -> Result<PathBuf> {
    let mut command = Command::new("npm");
    command.args(["sbom", "--sbom-format", "cyclonedx", "--omit", "dev", "--package-lock-only"]);
    command.current_dir(build.job.project().path("js"));
    write(build, &answer_of(build.job, &mut command)?, &out.join("npm.cdx.json"))
}

/// Writes a list without what would differ at each call, and where it was made.
fn write(build: &Build, text: &str, to: &Path) -> Result<PathBuf> {
    let mut listed: Value = serde_json::from_str(text)?;
    let parts = listed.as_object_mut().context("the list is no object")?;
    parts.remove("serialNumber");
    if let Some(metadata) = parts.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("timestamp");
    }
    let text = serde_json::to_string_pretty(&listed)? + "\n";
    let member = Member::new(to.to_string_lossy(), text.as_bytes());
    if let Some(fault) = traces(&[member], &build.origin.secrets()).first() {
        bail!("{fault}");
    }
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(to.to_owned())
}

/// Those that something shipped is compiled from: the wheel, the command.
const PACKAGES: &[&str] = &[WHEEL, "ntp-clock-cli"];
/// Each wheel has its list inside.
pub(super) const WHEEL: &str = "ntp-clock-python";
/// The name of the files that are written beside the manifests.
const BESIDE: &str = "xtask-dist-sbom";
