//! Wheels: one for every CPython from 3.9 on, for each system.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::build::Build;
use super::contents::WHEEL;
use super::platform::Platform;
use super::sbom;
use super::tools::PROFILE;
use crate::command::answer_of;

/// Builds the wheels of the chosen platforms.
pub(super) fn build(build: &Build) -> Result<Vec<PathBuf>> {
    let lists = build.origin.target_dir().join("sbom");
    build.empty(&lists)?;
    let inside = sbom::of_crate(build, sbom::WHEEL, &lists)?;
    let mut made = Vec::new();
    for platform in &build.platforms {
        if let Some(tag) = platform.wheel {
            made.push(wheel(build, platform, tag, &inside)?);
        }
    }
    if !made.is_empty() {
        build.job.must(build.tools.module("twine").args(["check", "--strict"]).args(&made))?;
    }
    Ok(made)
}

fn wheel(build: &Build, platform: &Platform, tag: &str, inside: &Path) -> Result<PathBuf> {
    let out = build.out.join("wheels").join(platform.target);
    build.empty(&out)?;
    let args = ["build", "--locked", "--profile", PROFILE, "--compatibility", tag];
    let mut command = build.tools.maturin(&build.origin, &args);
    command.args(["--target", platform.target, "--out"]).arg(&out);
    command.arg("--sbom-include").arg(inside);
    if platform.by_zig() {
        command.arg("--zig");
    }
    // It fails where the module needs a newer libc than the tag says, or a library that it does not allow.
    if platform.target.contains("linux") {
        command.args(["--auditwheel", "check"]);
    }
    build.job.must(&mut command)?;
    let made = build.made(&out, "whl")?;
    let [wheel] = made.as_slice() else { bail!("maturin made {} wheels, not one", made.len()) };
    build.check(wheel, &WHEEL, 0)?;
    audit(build, platform, wheel)?;
    Ok(wheel.clone())
}

/// The second opinion of a program that is not the builder's.
fn audit(build: &Build, platform: &Platform, wheel: &Path) -> Result<()> {
    if !platform.target.contains("linux") {
        return Ok(());
    }
    let mut command = build.tools.module("auditwheel");
    let finding = answer_of(build.job, command.arg("show").arg(wheel))?;
    build.job.note(&finding)?;
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    let consistent = tags(&name).any(|tag| finding.contains(&format!("\"{tag}\"")));
    if !consistent {
        bail!("auditwheel finds {name} inconsistent with its name:\n{finding}");
    }
    Ok(())
}

/// The systems in a wheel's name: one tag, or one in two spellings.
fn tags(name: &str) -> impl Iterator<Item = &str> {
    let stem = name.strip_suffix(".whl").unwrap_or(name);
    stem.rsplit('-').next().unwrap_or_default().split('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_names_its_systems_after_the_last_hyphen() {
        let name = "portacode-2.0.0-cp39-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl";
        let found: Vec<&str> = tags(name).collect();
        assert_eq!(found, ["manylinux2014_x86_64", "manylinux_2_17_x86_64"]);
    }
}
