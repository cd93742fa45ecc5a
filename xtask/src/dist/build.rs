//! What all kinds of packages share while they are built.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::archive::{Member, members};
use super::contents::{Rules, traces};
use super::origin::Origin;
use super::platform::Platform;
use super::tools::Tools;
use crate::command::Job;

/// One run of `cargo xtask dist`.
#[derive(Debug)]
pub(super) struct Build<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) origin: Origin,
    pub(super) tools: Tools,
    pub(super) platforms: Vec<&'static Platform>,
    /// `target/dist`.
    pub(super) out: PathBuf,
    /// Whether what is not committed may be packaged, to try it.
    pub(super) allows_dirty: bool,
}

impl Build<'_> {
    /// A folder of the output, without those files of an earlier run that end so.
    pub(super) fn cleared(&self, folder: &str, extension: &str) -> Result<PathBuf> {
        let folder = self.out.join(folder);
        fs::create_dir_all(&folder)?;
        for old in self.made(&folder, extension)? {
            fs::remove_file(old)?;
        }
        Ok(folder)
    }

    /// Makes an empty folder.
    pub(super) fn empty(&self, folder: &Path) -> Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
    }

    /// The files in a folder that end so, sorted.
    pub(super) fn made(&self, folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
        let mut made = Vec::new();
        for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|found| found == extension) {
                made.push(path);
            }
        }
        made.sort();
        Ok(made)
    }

    /// Checks an archive's files against the rules of its kind, and that none names a folder of
    /// this machine. Their names are compared without the first `folders` of them.
    pub(super) fn check(&self, archive: &Path, rules: &Rules, folders: usize) -> Result<()> {
        let members = members(archive)?;
        let mut faults = rules.faults(members.iter().map(|member| below(member, folders)));
        faults.extend(traces(&members, &self.origin.secrets()));
        if faults.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = faults.iter().map(|fault| format!("  {fault}")).collect();
        bail!("{} must not be shipped:\n{}", archive.display(), lines.join("\n"))
    }
}

/// A member's path without the first folders of it.
pub(super) fn below(member: &Member, folders: usize) -> &str {
    member.path.splitn(folders + 1, '/').last().unwrap_or_default()
}
