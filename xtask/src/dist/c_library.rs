//! libntp_clock for C: header, shared and static library, pkg-config.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::archive::{Member, write_tar_gz};
use super::build::Build;
use super::contents::C_LIBRARY;
use super::crates::version;
use super::tools::PROFILE;
use crate::c_library::lay_out_by;

/// Builds `libntp_clock-VERSION-TARGET.tar.gz` for the chosen platforms: to be unpacked into
/// `/usr/local`, say.
pub(super) fn build(build: &Build) -> Result<Vec<PathBuf>> {
    let out = build.out.join("c");
    fs::create_dir_all(&out)?;
    let mut made = Vec::new();
    for platform in build.platforms.iter().filter(|platform| platform.c_library) {
        let built = build.origin.target_dir().join(platform.target).join(PROFILE);
        let installed = build.origin.target_dir().join("c-library").join(platform.target);
        build.empty(&installed)?;
        let mut command = build.tools.cargo("rustc", &build.origin, platform);
        lay_out_by(build.job, &mut command, platform.target, &built, &installed)?;
        let folder = format!("libntp_clock-{}-{}", version(), platform.target);
        let mut members = Vec::new();
        gather(&installed, &folder, &mut members)?;
        let archive = out.join(format!("{folder}.tar.gz"));
        write_tar_gz(&archive, members, build.origin.epoch_s())?;
        build.check(&archive, &C_LIBRARY, 1)?;
        made.push(archive);
    }
    Ok(made)
}

/// All files of a folder, below `name` in the archive.
fn gather(folder: &Path, name: &str, members: &mut Vec<Member>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let entry = entry?;
        let path = format!("{name}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            gather(&entry.path(), &path, members)?;
        } else if kind.is_symlink() {
            let to = fs::read_link(entry.path())?;
            members.push(Member::link(path, to.to_string_lossy()));
        } else {
            members.push(Member::of(path, &entry.path())?);
        }
    }
    Ok(())
}
