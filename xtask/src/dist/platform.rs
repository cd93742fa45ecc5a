//! The systems that wheels and programs are built for.

use std::env::consts::{ARCH, OS};
use std::path::Path;

use crate::command::answer;

/// A system, and what is built for it here.
#[derive(Debug)]
pub(super) struct Platform {
    /// As rustup calls it.
    pub(super) target: &'static str,
    /// The tag of its wheel, as maturin's `--compatibility` takes it.
    pub(super) wheel: Option<&'static str>,
    /// Whether the command is built for it: on Linux it is static, and one does for every libc.
    pub(super) program: bool,
    /// Whether the C library is built for it.
    pub(super) c_library: bool,
    /// Where it is built.
    from: From,
}

/// Where a platform's packages can be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    /// Linux, where zig links.
    Linux,
    /// A machine of that system: its linker wants what only its maker gives.
    Itself(&'static str),
}

impl Platform {
    /// Those that can be built on this machine, of those that were asked for: all, if none was.
    pub(super) fn chosen(asked: &[String]) -> Vec<&'static Platform> {
        let here = PLATFORMS.iter().filter(|platform| platform.is_built_here());
        here.filter(|platform| asked.is_empty() || asked.iter().any(|name| name == platform.target))
            .collect()
    }

    /// Why it cannot be built on this machine, where it cannot.
    pub(super) fn elsewhere() -> impl Iterator<Item = String> {
        PLATFORMS.iter().filter(|platform| !platform.is_built_here()).map(|platform| {
            let target = platform.target;
            match platform.from {
                From::Linux => format!("{target} is built on Linux"),
                From::Itself("macos") => format!(
                    "{target} is built on macOS: the frameworks that it links are in Apple's SDK alone"
                ),
                From::Itself(system) => format!("{target} is built on {system}"),
            }
        })
    }

    /// The names of all, for the command line.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        PLATFORMS.iter().map(|platform| platform.target)
    }

    fn is_built_here(&self) -> bool {
        match self.from {
            From::Linux => OS == "linux",
            From::Itself(system) => OS == system,
        }
    }

    /// Whether zig links it.
    pub(super) fn by_zig(&self) -> bool {
        self.from == From::Linux
    }

    /// What cargo is asked to build for: with zig, for the oldest glibc that Rust supports.
    pub(super) fn asked_target(&self) -> String {
        let old = if self.by_zig() && self.target.ends_with("linux-gnu") { ".2.17" } else { "" };
        format!("{}{old}", self.target)
    }

    /// Whether its programs run on this machine.
    pub(super) fn runs_here(&self) -> bool {
        let system = if self.target.contains("windows") {
            "windows"
        } else if self.target.contains("apple") {
            "macos"
        } else {
            "linux"
        };
        system == OS && self.target.starts_with(ARCH)
    }

    /// What a program's file is called.
    pub(super) fn executable(&self, name: &str) -> String {
        if self.target.contains("windows") { format!("{name}.exe") } else { name.to_owned() }
    }

    /// The line that brings what the compiler needs, where it is missing.
    pub(super) fn missing(&self) -> Option<String> {
        let libdir = answer("rustc", &["--print", "target-libdir", "--target", self.target]);
        let there = libdir.is_some_and(|libdir| Path::new(&libdir).is_dir());
        (!there).then(|| format!("the target {0}: rustup target add {0}", self.target))
    }
}

const fn platform(target: &'static str, from: From) -> Platform {
    Platform { target, wheel: None, program: false, c_library: false, from }
}

impl Platform {
    const fn wheel(self, tag: &'static str) -> Self {
        Platform { wheel: Some(tag), ..self }
    }

    const fn c_library(self) -> Self {
        Platform { c_library: true, ..self }
    }

    const fn program(self) -> Self {
        Platform { program: true, ..self }
    }
}

const PLATFORMS: &[Platform] = &[
    platform("x86_64-unknown-linux-gnu", From::Linux).wheel("manylinux2014").c_library(),
    platform("x86_64-unknown-linux-musl", From::Linux).wheel("musllinux_1_2").program(),
    platform("aarch64-unknown-linux-gnu", From::Linux).wheel("manylinux2014").c_library(),
    platform("aarch64-unknown-linux-musl", From::Linux).wheel("musllinux_1_2").program(),
    platform("x86_64-pc-windows-gnu", From::Linux).wheel("pypi").program().c_library(),
    platform("aarch64-apple-darwin", From::Itself("macos")).wheel("pypi").program().c_library(),
    platform("x86_64-apple-darwin", From::Itself("macos")).wheel("pypi").program().c_library(),
];
