//! The checksums of all that is shipped, in the format of `sha256sum --check`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Writes `SHA256SUMS` of all files in a folder; gives them with their sizes.
pub(super) fn write(out: &Path) -> Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    gather(out, &mut files)?;
    let sums = out.join(FILE);
    files.retain(|file| *file != sums);
    files.sort();
    let (mut text, mut sizes) = (String::new(), Vec::new());
    for file in &files {
        let bytes = fs::read(file).with_context(|| format!("{}", file.display()))?;
        let name = file.strip_prefix(out)?.to_string_lossy().replace('\\', "/");
        for byte in Sha256::digest(&bytes) {
            write!(text, "{byte:02x}")?;
        }
        writeln!(text, "  {name}")?;
        sizes.push((name, bytes.len() as u64));
    }
    fs::write(&sums, text).with_context(|| format!("cannot write {}", sums.display()))?;
    Ok(sizes)
}

/// The files of a fresh build that have another sum, or none, in the sums of an earlier one, which
/// may be of more files.
pub(super) fn differences(earlier: &str, fresh: &str) -> Vec<String> {
    let known: Vec<&str> = earlier.lines().collect();
    let others = fresh.lines().filter(|line| !known.contains(line));
    others.filter_map(|line| Some(line.split_once("  ")?.1.to_owned())).collect()
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            gather(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

pub(super) const FILE: &str = "SHA256SUMS";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_two_builds_is_named() {
        assert_eq!(differences("1  a\n2  b\n3  c\n", "1  a\n9  b\n4  d\n"), ["b", "d"]);
        assert_eq!(differences("1  a\n3  c\n", "1  a\n"), Vec::<String>::new());
    }
}
