//! The packages that are tried: of a folder, as `cargo xtask dist` leaves them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Packages {
    wheels: Vec<PathBuf>,
    tarballs: Vec<PathBuf>,
    programs: Vec<PathBuf>,
}

impl Packages {
    /// All packages in a folder and in those in it.
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let mut packages = Packages::default();
        packages.collect(folder).with_context(|| {
            format!("cannot read {}: `cargo xtask dist` makes packages", folder.display())
        })?;
        Ok(packages)
    }

    /// Puts copies of all wheels into a folder: pip chooses the one that fits.
    pub(super) fn copy_wheels(&self, folder: &Path) -> Result<()> {
        if self.wheels.is_empty() {
            bail!("there is no wheel: cargo xtask dist --only wheels");
        }
        copy(&self.wheels, folder)
    }

    /// Whether there is a wheel of such a name.
    pub(super) fn has_wheel(&self, fits: impl Fn(&str) -> bool) -> bool {
        self.wheels.iter().any(|wheel| fits(name_of(wheel)))
    }

    /// The tarball for npm.
    pub(super) fn npm(&self) -> Result<&Path> {
        let found = self.tarballs.first().context("there is no npm tarball")?;
        Ok(found)
    }

    /// The command for a processor, `x86_64` or `aarch64`, of Linux.
    pub(super) fn program(&self, processor: &str) -> Option<&Path> {
        let fits = |name: &str| name.contains(processor) && name.contains("linux");
        self.programs.iter().find(|path| fits(name_of(path))).map(PathBuf::as_path)
    }

    fn collect(&mut self, folder: &Path) -> Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            entries.push(entry?.path());
        }
        entries.sort();
        for path in entries {
            if path.is_dir() {
                self.collect(&path)?;
            } else if let Some(kind) = self.kind(name_of(&path)) {
                kind.push(path);
            }
        }
        Ok(())
    }

    fn kind(&mut self, name: &str) -> Option<&mut Vec<PathBuf>> {
        if name.ends_with(".whl") {
            Some(&mut self.wheels)
        } else if name.ends_with(".tgz") {
            Some(&mut self.tarballs)
        } else if name.starts_with("ntp-clock-") && name.ends_with(".tar.gz") {
            Some(&mut self.programs)
        } else {
            None
        }
    }
}

fn copy(files: &[PathBuf], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for file in files {
        let copied = folder.join(file.file_name().unwrap_or_default());
        fs::copy(file, copied).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(())
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_of_a_release_is_known_by_its_name() {
        let folder = std::env::temp_dir().join(format!("xtask-bare-{}", std::process::id()));
        let names = [
            "wheels/portacode-2.0.0-cp39-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            "python/portacode-2.0.0.tar.gz",
            "npm/portacode-ntp-clock-2.0.0.tgz",
            "programs/ntp-clock-2.0.0-aarch64-unknown-linux-musl.tar.gz",
            "programs/ntp-clock-2.0.0-x86_64-pc-windows-gnu.tar.gz",
            "programs/ntp-clock-2.0.0-x86_64-unknown-linux-musl.tar.gz",
            "SHA256SUMS",
        ];
        for name in names {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let packages = Packages::of(&folder).unwrap();
        assert!(packages.has_wheel(|name| name.ends_with("manylinux_2_17_x86_64.whl")));
        assert_eq!(packages.npm().unwrap(), folder.join(names[2]));
        assert_eq!(packages.program("aarch64").unwrap(), folder.join(names[3]));
        assert_eq!(packages.program("x86_64").unwrap(), folder.join(names[5]));
        fs::remove_dir_all(&folder).unwrap();
        let error = Packages::of(&folder).unwrap_err().to_string();
        assert!(error.contains("cargo xtask dist"), "{error}");
    }
}
