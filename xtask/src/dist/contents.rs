//! What a package may contain: its files, by a list of what is meant to be in it, and no trace of the
//! machine that built it.

use std::fmt;

use super::archive::Member;

/// A kind of package, with what belongs into it.
#[derive(Debug)]
pub(super) struct Rules {
    /// Each of these patterns has to fit a file.
    required: &'static [&'static str],
    /// Each file has to fit one of these, or one of those above.
    allowed: &'static [&'static str],
}

impl Rules {
    /// What is wrong with a list of files.
    pub(super) fn faults<'a>(&self, files: impl IntoIterator<Item = &'a str>) -> Vec<Fault> {
        let files: Vec<&str> = files.into_iter().collect();
        let missing = self
            .required
            .iter()
            .filter(|pattern| !files.iter().any(|file| fits(pattern, file)))
            .map(|pattern| Fault::Missing((*pattern).to_owned()));
        let known = |file: &str| {
            let mut patterns = self.required.iter().chain(self.allowed);
            patterns.any(|pattern| fits(pattern, file))
        };
        let strangers = files
            .iter()
            .filter(|file| !known(file) || NEVER.iter().any(|pattern| fits(pattern, file)))
            .map(|file| Fault::Stranger((*file).to_owned()));
        missing.chain(strangers).collect()
    }
}

/// Which files contain which of the `secrets`.
pub(super) fn traces(members: &[Member], secrets: &[Vec<u8>]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for member in members {
        for secret in secrets {
            if let Some(at) = memchr::memmem::find(&member.bytes, secret) {
                let end = member.bytes.len().min(at + SHOWN_BYTES);
                let shown: String = String::from_utf8_lossy(&member.bytes[at..end])
                    .chars()
                    .take_while(|c| !c.is_control())
                    .collect();
                faults.push(Fault::Trace { file: member.path.clone(), shown });
            }
        }
    }
    faults
}

/// Why a package must not be given away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// No file fits what is required.
    Missing(String),
    /// A file that is not meant to be in it.
    Stranger(String),
    /// A file that names a folder of the machine that built it.
    Trace { file: String, shown: String },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Missing(pattern) => write!(f, "no file fits {pattern}"),
            Fault::Stranger(file) => write!(f, "{file} does not belong into it"),
            Fault::Trace { file, shown } => {
                write!(f, "{file} names a folder of this machine: {shown}")
            }
        }
    }
}

/// Whether a path fits a pattern: `*` stands for a name's characters, `**` for slashes too.
fn fits(pattern: &str, path: &str) -> bool {
    let Some(star) = pattern.find('*') else { return pattern == path };
    let (before, rest) = pattern.split_at(star);
    let Some(tail) = path.strip_prefix(before) else { return false };
    let deep = rest.starts_with("**");
    let after = rest.trim_start_matches('*');
    let ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
    ends.take_while(|at| deep || !tail[..*at].contains('/')).any(|at| fits(after, &tail[at..]))
}

/// What belongs into no package at all.
const NEVER: &[&str] = &[
    "**__pycache__**",
    "**.pyc",
    "**node_modules/**",
    "**target/**",
    "**.work/**",
    "**.env",
    "**.log",
    "**.orig.rs",
    "**.sqlite3",
    "**.DS_Store",
];

/// A crate, as `cargo package --list` names its files.
pub(super) const CRATE: Rules = Rules {
    required: &[
        ".cargo_vcs_info.json",
        "Cargo.lock",
        "Cargo.toml",
        "Cargo.toml.orig",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "src/lib.rs",
    ],
    allowed: &["src/**.rs", "examples/*.rs", "include/*.h"],
};

/// The npm package.
pub(super) const NPM: Rules = Rules {
    required: &[
        "README.md",
        "package.json",
        "dist/LICENSE-APACHE",
        "dist/LICENSE-MIT",
        "dist/ntp-clock.js",
        "dist/ntp-clock.d.ts",
        "dist/order.js",
        "dist/order.d.ts",
        "dist/otel.js",
        "dist/otel.d.ts",
        "dist/register.js",
        "dist/register.d.ts",
    ],
    allowed: &[],
};

/// Python's source package, without the folder that all its files are in.
pub(super) const SDIST: Rules = Rules {
    required: &[
        "PKG-INFO",
        "pyproject.toml",
        "portacode/DESCRIPTION.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "Cargo.toml",
        "Cargo.lock",
        "portacode/__init__.py",
        "portacode/py.typed",
        "portacode/_native.pyi",
        "portacode/static/js/utils/ntp-clock.js",
        "crates/ntp-clock-core/src/lib.rs",
        "crates/ntp-clock-python/src/lib.rs",
    ],
    allowed: &[
        "portacode/**.py",
        "portacode/README.md",
        "portacode/static/css/*.css",
        "portacode/static/js/*.html",
        "portacode/static/js/utils/*.js",
        "portacode/static/js/utils/*.d.ts",
        "crates/*/Cargo.toml",
        "crates/*/README.md",
        "crates/*/LICENSE-*",
        "crates/*/src/**.rs",
        "crates/*/examples/*.rs",
    ],
};

/// A wheel.
pub(super) const WHEEL: Rules = Rules {
    required: &[
        "portacode/__init__.py",
        "portacode/py.typed",
        "portacode/_native.pyi",
        "portacode/_native.*",
        "portacode/static/js/utils/ntp-clock.js",
        "portacode-*.dist-info/METADATA",
        "portacode-*.dist-info/RECORD",
        "portacode-*.dist-info/WHEEL",
        "portacode-*.dist-info/entry_points.txt",
        "portacode-*.dist-info/licenses/LICENSE-APACHE",
        "portacode-*.dist-info/licenses/LICENSE-MIT",
    ],
    allowed: &[
        "portacode/**.py",
        "portacode/static/css/*.css",
        "portacode/static/js/*.html",
        "portacode/static/js/utils/*.js",
        "portacode/static/js/utils/*.d.ts",
        "portacode-*.dist-info/sboms/*.json",
    ],
};

/// The command's archive, without the folder that all its files are in.
pub(super) const PROGRAM: Rules = Rules {
    required: &[
        "bin/ntp-clock*",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "share/man/man1/ntp-clock.1",
        "share/man/man1/ntp-clock-*.1",
        "share/bash-completion/completions/ntp-clock",
        "share/zsh/site-functions/_ntp-clock",
        "share/fish/vendor_completions.d/ntp-clock.fish",
    ],
    allowed: &[],
};

/// The C library's archive, without the folder that all its files are in.
pub(super) const C_LIBRARY: Rules = Rules {
    required: &[
        "include/ntp_clock.h",
        "lib/libntp_clock*.a",
        "lib/pkgconfig/ntp-clock.pc",
        "share/doc/ntp-clock/LICENSE-APACHE",
        "share/doc/ntp-clock/LICENSE-MIT",
    ],
    allowed: &["lib/libntp_clock.so*", "lib/libntp_clock*.dylib", "bin/ntp_clock_c.dll"],
};

const SHOWN_BYTES: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_a_name_and_two_for_folders_too() {
        assert!(fits("src/**.rs", "src/a/b.rs") && fits("src/**.rs", "src/b.rs"));
        assert!(fits("crates/*/src/**.rs", "crates/x/src/y/z.rs"));
        assert!(fits("**__pycache__**", "a/__pycache__/b.pyc"));
        assert!(fits("bin/x*", "bin/x") && fits("bin/x*", "bin/x.exe"));
        assert!(!fits("examples/*.rs", "examples/a/b.rs"));
        assert!(!fits("src/**.rs", "src/a.rs.orig") && !fits("README.md", "a/README.md"));
    }

    #[test]
    fn a_file_that_is_not_meant_to_be_in_a_package_is_named() {
        let rules = Rules { required: &["README.md"], allowed: &["src/**.py"] };
        let files = ["src/a.py", "src/__pycache__/a.py", "tests/a.py"];
        let stranger = |path: &str| Fault::Stranger(path.to_owned());
        assert_eq!(
            rules.faults(files),
            [
                Fault::Missing("README.md".to_owned()),
                stranger("src/__pycache__/a.py"),
                stranger("tests/a.py")
            ]
        );
        assert_eq!(rules.faults(["README.md", "src/a.py"]), []);
    }

    #[test]
    fn a_folder_of_the_building_machine_is_found_in_a_file() {
        let members = [
            Member::new("clean", "/ntp-clock/src/lib.rs"),
            Member::new("dirty", "\0panicked at /home/me/ntp-clock/src/lib.rs\0more"),
        ];
        let faults = traces(&members, &[b"/home/me".to_vec()]);
        let shown = "/home/me/ntp-clock/src/lib.rs".to_owned();
        assert_eq!(faults, [Fault::Trace { file: "dirty".to_owned(), shown }]);
    }
}
