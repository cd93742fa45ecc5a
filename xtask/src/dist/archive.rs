//! Archives: made so that equal contents are equal bytes, and read whatever kind they are of.

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::{Compression, GzBuilder, read::GzDecoder};

/// A file in an archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Member {
    /// Its path in the archive, with slashes.
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
    pub(super) executable: bool,
    /// Where it is another name of a file beside it: that file's name.
    pub(super) link_to: Option<String>,
}

impl Member {
    pub(super) fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Member { path: path.into(), bytes: bytes.into(), executable: false, link_to: None }
    }

    /// A file of this machine, as `path`.
    pub(super) fn of(path: impl Into<String>, file: &Path) -> Result<Self> {
        let bytes = fs::read(file).with_context(|| format!("{}", file.display()))?;
        Ok(Member::new(path, bytes))
    }

    /// Another name of a file beside it.
    pub(super) fn link(path: impl Into<String>, to: impl Into<String>) -> Self {
        Member { link_to: Some(to.into()), ..Member::new(path, []) }
    }

    pub(super) fn executable(self) -> Self {
        Member { executable: true, ..self }
    }
}

/// Writes a `.tar.gz` of these files, sorted, all of the time `epoch_s` and of nobody.
pub(super) fn write_tar_gz(to: &Path, mut members: Vec<Member>, epoch_s: u64) -> Result<()> {
    members.sort_by(|a, b| a.path.cmp(&b.path));
    let file = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    // Without a name and a time of its own.
    let gzip = GzBuilder::new().operating_system(UNIX).write(file, Compression::best());
    let mut tar = tar::Builder::new(gzip);
    for member in &members {
        let mut header = tar::Header::new_ustar();
        header.set_size(member.bytes.len() as u64);
        header.set_mtime(epoch_s);
        header.set_mode(if member.executable { 0o755 } else { 0o644 });
        match &member.link_to {
            Some(to) => {
                header.set_entry_type(tar::EntryType::Symlink);
                tar.append_link(&mut header, &member.path, to)
            }
            None => tar.append_data(&mut header, &member.path, member.bytes.as_slice()),
        }
        .with_context(|| member.path.clone())?;
    }
    tar.into_inner()?.finish()?;
    Ok(())
}

/// All files of an archive, sorted: a wheel, or one of tar's that gzip compressed.
pub(super) fn members(archive: &Path) -> Result<Vec<Member>> {
    let bytes = fs::read(archive).with_context(|| format!("{}", archive.display()))?;
    let mut members = match archive.extension().and_then(|extension| extension.to_str()) {
        Some("whl" | "zip") => of_zip(bytes),
        Some("gz" | "tgz" | "crate") => of_tar_gz(&bytes),
        _ => bail!("{} is no archive", archive.display()),
    }
    .with_context(|| format!("{}", archive.display()))?;
    members.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(members)
}

fn of_zip(bytes: Vec<u8>) -> Result<Vec<Member>> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes))?;
    let mut members = Vec::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index)?;
        if file.is_dir() {
            continue;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        members.push(Member::new(file.name()?, bytes));
    }
    Ok(members)
}

fn of_tar_gz(bytes: &[u8]) -> Result<Vec<Member>> {
    let mut tar = tar::Archive::new(GzDecoder::new(bytes));
    let mut members = Vec::new();
    for entry in tar.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if !kind.is_file() && !kind.is_symlink() {
            continue;
        }
        let link_to = entry.link_name()?.map(|to| to.to_string_lossy().into_owned());
        let path = entry.path()?.to_string_lossy().replace('\\', "/");
        let executable = entry.header().mode()? & 0o111 != 0;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        members.push(Member { path, bytes, executable, link_to });
    }
    Ok(members)
}

/// In gzip's header.
const UNIX: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_files_are_equal_archives_whatever_their_order() {
        let folder = std::env::temp_dir().join(format!("xtask-archive-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (a, b) = (Member::new("x/a", "1").executable(), Member::link("x/b", "a"));
        let (one, other) = (folder.join("one.tar.gz"), folder.join("other.tar.gz"));
        write_tar_gz(&one, vec![a.clone(), b.clone()], 1_700_000_000).unwrap();
        write_tar_gz(&other, vec![b.clone(), a.clone()], 1_700_000_000).unwrap();
        assert_eq!(fs::read(&one).unwrap(), fs::read(&other).unwrap());
        assert_eq!(members(&one).unwrap(), [a, b]);
        fs::remove_dir_all(folder).unwrap();
    }
}
