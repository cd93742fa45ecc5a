//! The npm tarball.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::build::Build;
use super::contents::NPM;
use crate::js;

/// Packs `portacode-ntp-clock-VERSION.tgz` of the committed modules.
pub(super) fn build(build: &Build) -> Result<Vec<PathBuf>> {
    js::check_fresh(build.job.project())?;
    let out = build.cleared("npm", "tgz")?;
    let mut pack = Command::new("npm");
    // Given by its path, npm packs from any folder.
    pack.args(["pack", "./js", "--pack-destination"]).arg(&out);
    build.job.must(&mut pack)?;
    let made = build.made(&out, "tgz")?;
    for tarball in &made {
        build.check(tarball, &NPM, 1)?;
        build.job.must(build.tools.npm("publint").arg("--strict").arg(tarball))?;
        // It has modules alone, which CommonJS can import and not require.
        let types = ["--profile", "esm-only", "--no-emoji", "--no-color"];
        build.job.must(build.tools.npm("attw").args(types).arg(tarball))?;
    }
    Ok(made)
}
