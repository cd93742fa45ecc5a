//! The same bytes wherever the same commit is built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::answer;
use crate::project::Project;

/// What a build must not show, and the text in packages instead of it.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// The time of the commit, Unix seconds.
    epoch_s: u64,
    /// Folders of this machine, each with its name in packages.
    names: Vec<(PathBuf, &'static str)>,
    target_dir: PathBuf,
}

impl Origin {
    /// Of the checkout's last commit, or of `SOURCE_DATE_EPOCH` where there is none.
    pub(super) fn of(project: &Project) -> Result<Self> {
        let root = project.path("");
        let cargo_home = cargo_home().context("there is neither CARGO_HOME nor a home")?;
        let sysroot = answer("rustc", &["--print", "sysroot"]).context("rustc does not run")?;
        let names = vec![
            (root.clone(), "/ntp-clock"),
            (cargo_home, "/cargo"),
            // Where the component rust-src is installed, the compiler finds std there.
            (Path::new(&sysroot).join("lib/rustlib/src/rust"), "/rustc/std"),
        ];
        let given = env::var("SOURCE_DATE_EPOCH").ok();
        let root_text = root.to_string_lossy();
        let of_commit = || answer("git", &["-C", &root_text, "log", "-1", "--format=%ct"]);
        let epoch = given.or_else(of_commit).context(
            "there is no commit to take the time from: set SOURCE_DATE_EPOCH to Unix seconds",
        )?;
        let epoch_s = epoch.parse().with_context(|| format!("SOURCE_DATE_EPOCH is {epoch:?}"))?;
        Ok(Origin { epoch_s, names, target_dir: project.target("dist-build") })
    }

    /// Unix seconds.
    pub(super) fn epoch_s(&self) -> u64 {
        self.epoch_s
    }

    /// Where cargo leaves what becomes part of packages: apart, for it is built with other flags.
    pub(super) fn target_dir(&self) -> &Path {
        &self.target_dir
    }

    /// Makes a command build the same bytes in every folder.
    pub(super) fn apply(&self, command: &mut Command) {
        // rustc takes the last that fits.
        let flags: Vec<String> = self
            .names
            .iter()
            .map(|(folder, name)| format!("--remap-path-prefix={}={name}", plain(folder)))
            .collect();
        let c_flags: Vec<String> = self
            .names
            .iter()
            .map(|(folder, name)| format!("-ffile-prefix-map={}={name}", plain(folder)))
            .collect();
        command
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env_remove("RUSTFLAGS")
            .env("CFLAGS", c_flags.join(" "))
            .env("SOURCE_DATE_EPOCH", self.epoch_s.to_string())
            .env("CARGO_TARGET_DIR", &self.target_dir)
            .env("CARGO_INCREMENTAL", "0")
            // Part of the module's documentation in Python's caches, and of file orders in C.
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC");
    }

    /// What no package may contain: folders of this machine.
    pub(super) fn secrets(&self) -> Vec<Vec<u8>> {
        let mut folders: Vec<String> = self.names.iter().map(|(folder, _)| plain(folder)).collect();
        folders.push(plain(&self.target_dir));
        // Alone, a name such as /root is found in others.
        folders.extend(env::home_dir().map(|home| format!("{}/", plain(&home))));
        folders.retain(|folder| folder.len() > 1);
        folders.into_iter().map(String::into_bytes).collect()
    }
}

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")))
}

/// Without the slash that `join("")` leaves.
fn plain(folder: &Path) -> String {
    folder.to_string_lossy().trim_end_matches(['/', '\\']).to_owned()
}
