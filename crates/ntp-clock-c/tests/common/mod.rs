//! What the tests share: the library as it is installed, and other languages' compilers.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The library as others have it: include/, lib/, lib/pkgconfig/.
pub struct Library(PathBuf);

/// `NTP_CLOCK_C_LIBRARY` names it where it is made already, as by `cargo xtask test`.
pub fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let made = std::env::var_os("NTP_CLOCK_C_LIBRARY").map(PathBuf::from);
        Library(made.unwrap_or_else(|| {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-library");
            let test = std::env::current_exe().expect("a file");
            let args = ["run", "--quiet", "--package", "xtask", "--", "c-library", "--into"];
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(args).arg(&folder).arg("--built").arg(test.parent().expect("deps"));
            output(&mut cargo);
            folder
        }))
    })
}

impl Library {
    pub fn include(&self) -> PathBuf {
        self.0.join("include")
    }

    pub fn lib(&self) -> PathBuf {
        self.0.join("lib")
    }

    /// The file that programs link with.
    pub fn shared(&self) -> PathBuf {
        let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        self.lib().join(format!("{prefix}ntp_clock{suffix}"))
    }

    pub fn pkg_config_path(&self) -> PathBuf {
        self.lib().join("pkgconfig")
    }
}

/// The functions that a header declares.
pub fn functions(header: &str) -> BTreeSet<&str> {
    header
        .lines()
        .filter(|line| !line.starts_with([' ', '#', '/']))
        .filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next())
        .collect()
}

/// A program by its name; `None`, said aloud, where this machine has none.
pub fn tool(name: &'static str, package: &str) -> Option<&'static str> {
    if Command::new(name).arg("--version").output().is_ok() {
        return Some(name);
    }
    // Written past the capture, so that the program that counts skips sees it.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {name} is missing: apt-get install {package}");
    None
}

/// What a command that succeeds prints.
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out
}
