//! Where things are in this checkout.

use std::path::{Path, PathBuf};

/// The checkout and the places in it where xtask leaves what it makes.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    root: PathBuf,
    target: PathBuf,
}

impl Project {
    /// The checkout that this xtask was built from.
    pub(crate) fn here() -> Self {
        let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = xtask.parent().unwrap_or(xtask).to_owned();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir),
            None => root.join("target"),
        };
        Project { root, target }
    }

    /// A path relative to the checkout's root.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// A path in cargo's target directory.
    pub(crate) fn target(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.target.join(relative)
    }

    /// A built program of this workspace; `relative` as in `debug/ntp-test-server`.
    pub(crate) fn program(&self, relative: &str) -> PathBuf {
        self.target(format!("{relative}{}", std::env::consts::EXE_SUFFIX))
    }

    /// What is neither source nor cargo's: the virtual environment, logs, caches.
    pub(crate) fn work(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(".work").join(relative)
    }

    /// A path as people want to read it: relative to the root.
    pub(crate) fn shown<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}
