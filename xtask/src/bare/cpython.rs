//! CPythons that no root of Debian has, built from Debian's source: one for musl, and one without the
//! global interpreter lock.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Bare;
use super::python::{MIDDLE, NEWEST, PIP_INSTALL, unpack, wheel};
use super::report::Row;
use super::root::{NEWCOMER, Processor, Root, check_bare, lack};
use crate::command::answer;

/// Tries the wheel, and the command, in a root that has musl and no glibc.
pub(super) fn musl(bare: &Bare) -> Vec<Row> {
    let shown = "musl 1.2 without glibc";
    let tools = ["musl-gcc", "make"];
    if let Some(lack) = lack(Processor::Amd64).or_else(|| missing(&tools, "musl-tools make")) {
        return vec![Row::not_tried(shown, "wheel and command", lack)];
    }
    let root = match musl_root(bare) {
        Ok(root) => root,
        Err(error) => return vec![Row::of(shown, "wheel and command", Err(error))],
    };
    let command = super::python::command(bare, &root, Processor::Amd64, shown);
    let python = format!("{MUSL_PREFIX}/bin/python3");
    vec![Row::of(shown, "wheel", wheel(bare, &root, &python)), command]
}

/// Tries the wheels with a CPython that has no global interpreter lock: one of the stable ABI is not
/// for it.
pub(super) fn free_threaded(bare: &Bare) -> Vec<Row> {
    let shown = "Debian sid, CPython without the GIL";
    if let Some(lack) = lack(Processor::Amd64).or_else(|| missing(&["cc", "make"], "gcc make")) {
        return vec![Row::not_tried(shown, "wheel", lack)];
    }
    let tried = || -> Result<Row> {
        let root = free_threaded_root(bare)?;
        let python = format!("{FREE_PREFIX}/bin/python3");
        if bare.packages.has_wheel(|name| name.contains(FREE_TAG)) {
            return Ok(Row::of(shown, "wheel", wheel(bare, &root, &python)));
        }
        let said = refusal(bare, &root, &python)?;
        Ok(Row::refused(shown, "wheel of the stable ABI", said))
    };
    vec![tried().unwrap_or_else(|error| Row::of(shown, "wheel", Err(error)))]
}

/// What pip says where none of the wheels fits.
fn refusal(bare: &Bare, root: &Root, python: &str) -> Result<String> {
    bare.packages.copy_wheels(&root.newcomer()?.join("packages"))?;
    bare.job.must(&mut root.command(python, &["-m", "venv", "env"]))?;
    let output = root.command("env/bin/pip", &PIP_INSTALL).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    bare.job.note(&said)?;
    let reason = said.lines().find(|line| line.contains("No matching distribution"));
    match reason {
        Some(reason) if !output.status.success() => Ok(reason.to_owned()),
        _ => bail!("pip did not refuse what is not for this CPython: {said}"),
    }
}

fn free_threaded_root(bare: &Bare) -> Result<Root> {
    let root = NEWEST.root(bare)?;
    check_bare(&root)?;
    if !root.path(FREE_PREFIX).join("bin/python3").exists() {
        let source = Source::of(bare, "python3.13")?;
        source.build(bare, "cpython-free", &["--disable-gil"], &[], FREE_PREFIX, &root)?;
    }
    Ok(root)
}

/// A root with musl, busybox and a CPython, and nothing else.
fn musl_root(bare: &Bare) -> Result<Root> {
    let project = bare.job.project();
    let root = Root::at(project, "musl", Processor::Amd64);
    if root.path(MUSL_PREFIX).join("bin/python3").exists() {
        return Ok(root);
    }
    root.clear()?;
    let debian = MIDDLE.root(bare)?;
    for folder in ["bin", "lib", "tmp", "root", "etc"] {
        fs::create_dir_all(root.path(folder))?;
    }
    // Debian's loader is the C library.
    let library = debian.path("usr/lib/x86_64-linux-musl/libc.so");
    fs::copy(&library, root.path("lib/ld-musl-x86_64.so.1"))
        .with_context(|| format!("no musl in {}", library.display()))?;
    fs::copy(debian.path("bin/busybox"), root.path("bin/busybox"))?;
    for name in ["sh", "env", "ls", "cat"] {
        symlink("busybox", root.path("bin").join(name))?;
    }
    let zlib = Source::of(bare, "zlib")?;
    let prefix = project.work("bare/build/musl");
    let compiler = musl_compiler(&prefix)?;
    // What pip unpacks wheels with.
    let mut configure = Command::new("./configure");
    configure.arg("--static").arg(format!("--prefix={}", prefix.display()));
    zlib.run(bare, configure.env("CC", "musl-gcc").env("CFLAGS", "-O2 -fPIC"))?;
    zlib.run(bare, Command::new("make").args(["-j2", "libz.a"]))?;
    zlib.run(bare, Command::new("make").arg("install"))?;
    let variables = [
        ("CC", compiler.display().to_string()),
        // Else it finds this machine's libraries, which are for glibc.
        ("PKG_CONFIG", "false".to_owned()),
        ("ZLIB_CFLAGS", format!("-I{}/include", prefix.display())),
        ("ZLIB_LIBS", format!("{}/lib/libz.a", prefix.display())),
    ];
    let python = Source::of(bare, "python3.13")?;
    python.build(bare, "cpython-musl", &[], &variables, MUSL_PREFIX, &root)?;
    Ok(root)
}

/// `musl-gcc`, which gives the name of glibc's system where it is asked for its own.
fn musl_compiler(prefix: &Path) -> Result<PathBuf> {
    let path = prefix.join("musl-cc");
    fs::create_dir_all(prefix)?;
    fs::write(&path, MUSL_CC)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Unpacked source of a package of Debian.
#[derive(Debug)]
struct Source(PathBuf);

impl Source {
    /// Fetches it by the package manager of a root, unless it is there.
    fn of(bare: &Bare, package: &str) -> Result<Self> {
        let folder = bare.job.project().work("bare/source").join(package);
        if folder.join("configure").exists() {
            return Ok(Source(folder));
        }
        let root = MIDDLE.root(bare)?;
        let list = format!("deb-src {} {SOURCES_OF} main\n", bare.mirror);
        fs::write(root.path("etc/apt/sources.list.d/source.list"), list)?;
        root.answer(&bare.job, "apt-get", &["-qq", "update"])?;
        root.answer(&bare.job, "apt-get", &["-qq", "source", "--download-only", package])?;
        for entry in fs::read_dir(root.path(NEWCOMER))? {
            let file = entry?.path();
            if file.to_string_lossy().contains(".orig.tar") {
                unpack(bare, &file, &folder)?;
                return Ok(Source(folder));
            }
        }
        bail!("apt-get brought no source of {package}")
    }

    /// Runs a command in it.
    fn run(&self, bare: &Bare, command: &mut Command) -> Result<()> {
        let mut there = Command::new("env");
        there.arg("-C").arg(&self.0).arg(command.get_program()).args(command.get_args());
        there.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        bare.job.must(&mut there)
    }

    /// Builds a CPython beside it and installs it into a root.
    fn build(
        &self,
        bare: &Bare,
        name: &str,
        options: &[&str],
        variables: &[(&str, String)],
        prefix: &str,
        root: &Root,
    ) -> Result<()> {
        let folder = bare.job.project().work("bare/build").join(name);
        super::root::remove(&folder)?;
        fs::create_dir_all(&folder)?;
        let there = |program: &Path| {
            let mut command = Command::new("env");
            command.arg("-C").arg(&folder).arg(program);
            command
        };
        let mut configure = there(&self.0.join("configure"));
        configure.arg("-q").arg(format!("--prefix={prefix}")).args(options);
        configure.args(["--with-ensurepip=no", "--disable-test-modules"]);
        bare.job.must(configure.envs(variables.iter().map(|(key, value)| (key, value))))?;
        bare.job.must(there(Path::new("make")).args(["-s", "-j2"]))?;
        let destination = format!("DESTDIR={}", root.path("").display());
        bare.job.must(there(Path::new("make")).args(["-s", "install", &destination]))?;
        super::root::remove(&folder)
    }
}

/// What is missing of these programs, and the packages that bring them.
fn missing(programs: &[&str], packages: &str) -> Option<String> {
    let lacks = programs.iter().find(|program| answer(program, &["--version"]).is_none())?;
    Some(format!("{lacks} is missing: apt-get install {packages}"))
}

const MUSL_PREFIX: &str = "/opt/python-musl";
const FREE_PREFIX: &str = "/opt/python-free";
/// In the name of a wheel that is for it.
const FREE_TAG: &str = "cp313t";
/// The release whose CPython is built: its source is sure to be there.
const SOURCES_OF: &str = "trixie";
const MUSL_CC: &str = r#"#!/bin/sh
[ "$1" = --print-multiarch ] && echo x86_64-linux-musl && exit
exec musl-gcc "$@"
"#;
