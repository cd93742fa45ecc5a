//! Python's source package, from which pip builds where no wheel fits.

use std::path::PathBuf;

use anyhow::Result;

use super::build::Build;
use super::contents::SDIST;

/// Builds `portacode-VERSION.tar.gz`.
pub(super) fn build(build: &Build) -> Result<Vec<PathBuf>> {
    let out = build.cleared("python", "gz")?;
    let mut command = build.tools.maturin(&build.origin, &["sdist", "--out"]);
    build.job.must(command.arg(&out))?;
    let made = build.made(&out, "gz")?;
    for sdist in &made {
        build.check(sdist, &SDIST, 1)?;
    }
    build.job.must(build.tools.module("twine").args(["check", "--strict"]).args(&made))?;
    Ok(made)
}
