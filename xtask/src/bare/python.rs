//! Wheels and the command in roots of Debian: what pip chooses of all wheels, and the first reading.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Bare;
use super::reading::{PYTHON, Reading};
use super::report::Row;
use super::root::{NEWCOMER, Processor, Root, check_bare, lack};
use crate::command::{answer, answer_of};

/// A release of Debian, and what else it needs than its smallest system.
#[derive(Clone, Copy, Debug)]
pub(super) struct Release {
    suite: &'static str,
    processor: Processor,
    packages: &'static str,
}

/// The oldest that mirrors still have, and the oldest glibc with it. Node needs the other two.
pub(super) const OLDEST: Release = Release {
    suite: "bullseye",
    processor: Processor::Amd64,
    packages: "python3-venv,libatomic1,libstdc++6",
};
/// That which the CPythons that somebody else has built are tried in, and that gives musl.
pub(super) const MIDDLE: Release = Release {
    suite: "bookworm",
    processor: Processor::Amd64,
    packages: "python3-venv,musl,busybox-static",
};
/// That which has the newest of all.
pub(super) const NEWEST: Release =
    Release { suite: "sid", processor: Processor::Amd64, packages: "python3-venv" };
pub(super) const ARM64: Release =
    Release { suite: "bookworm", processor: Processor::Arm64, packages: "python3-venv" };

impl Release {
    /// Its root, made unless it is there.
    pub(super) fn root(self, bare: &Bare) -> Result<Root> {
        let Release { suite, processor, packages } = self;
        Root::debian(&bare.job, &bare.mirror, suite, processor, packages)
    }

    const fn emulated(self) -> &'static str {
        match self.processor {
            Processor::Amd64 => "",
            Processor::Arm64 => ", arm64 under qemu",
        }
    }
}

/// Tries the wheel with every CPython of a release, and the command.
pub(super) fn release(bare: &Bare, release: Release) -> Vec<Row> {
    let shown = format!("Debian {}{}", release.suite, release.emulated());
    if let Some(lack) = lack(release.processor) {
        return vec![Row::not_tried(shown, "wheel and command", lack)];
    }
    try_release(bare, release, &shown)
        .unwrap_or_else(|error| vec![Row::of(shown, "wheel and command", Err(error))])
}

fn try_release(bare: &Bare, release: Release, shown: &str) -> Result<Vec<Row>> {
    let root = release.root(bare)?;
    check_bare(&root)?;
    if release.suite == NEWEST.suite {
        install_other_pythons(bare, &root)?;
    }
    let shown = format!("{shown} ({})", root.libc(&bare.job)?);
    let mut rows = Vec::new();
    for python in root.pythons()? {
        rows.push(Row::of(&shown, "wheel", wheel(bare, &root, &python)));
    }
    rows.push(command(bare, &root, release.processor, &shown));
    Ok(rows)
}

/// Those beside the default one, of a release that has several.
fn install_other_pythons(bare: &Bare, root: &Root) -> Result<()> {
    // A mirror that stands still is as good.
    let update = ["-qq", "-o", "Acquire::Check-Valid-Until=false", "update"];
    root.answer(&bare.job, "apt-get", &update)?;
    let names = ["search", "--names-only", r"^python3\.[0-9]+-venv$"];
    let found = root.answer(&bare.job, "apt-cache", &names)?;
    let mut install = vec!["-qq", "--no-install-recommends", "install"];
    install.extend(found.lines().filter_map(|line| line.split(' ').next()));
    root.answer(&bare.job, "apt-get", &install)?;
    Ok(())
}

/// Tries the CPythons that pyenv has on this machine and no release of Debian.
pub(super) fn from_pyenv(bare: &Bare) -> Vec<Row> {
    let shown = "Debian bookworm, CPython 3.10 and 3.12";
    if let Some(lack) = lack(Processor::Amd64) {
        return vec![Row::not_tried(shown, "wheel", lack)];
    }
    let found = pyenv_prefixes();
    if found.is_empty() {
        let why = "Debian has neither now; pyenv install 3.10 3.12 brings them";
        return vec![Row::not_tried(shown, "wheel", why)];
    }
    let root = MIDDLE.root(bare);
    let tried = |prefix: &PathBuf| {
        let trial = root.as_ref().map_err(|error| anyhow::anyhow!("{error:#}")).and_then(|root| {
            let python = prefix.join("bin/python3");
            wheel(bare, &root.with_guest(prefix), &python.to_string_lossy())
        });
        Row::of("Debian bookworm, built by pyenv", "wheel", trial)
    };
    found.iter().map(tried).collect()
}

fn pyenv_prefixes() -> Vec<PathBuf> {
    let Some(versions) = answer("pyenv", &["root"]).map(|root| Path::new(&root).join("versions"))
    else {
        return Vec::new();
    };
    let mut prefixes = Vec::new();
    for minor in ["3.10", "3.12"] {
        let newest = answer("pyenv", &["latest", minor]);
        prefixes.extend(newest.map(|version| versions.join(version)).filter(|dir| dir.is_dir()));
    }
    prefixes
}

/// Installs the wheel as a newcomer would, of all that there are, and reads.
pub(super) fn wheel(bare: &Bare, root: &Root, python: &str) -> Result<(Duration, Reading)> {
    let folder = root.newcomer()?;
    bare.packages.copy_wheels(&folder.join("packages"))?;
    std::fs::write(folder.join("first.py"), PYTHON)?;
    let began = Instant::now();
    let run = |program: &str, args: &[&str]| bare.job.must(&mut root.command(program, args));
    run(python, &["-m", "venv", "env"])?;
    run("env/bin/pip", &PIP_INSTALL)?;
    let installed = began.elapsed();
    let mut first = root.command("env/bin/python", &["first.py"]);
    let reading = Reading::take(&bare.job, bare.asking(&mut first))?;
    // What pip has installed the command for as well.
    Reading::take(&bare.job, bare.asking(&mut root.command("env/bin/ntp-clock", &NOW)))?;
    Ok((installed, reading))
}

/// The static program.
pub(super) fn command(bare: &Bare, root: &Root, processor: Processor, shown: &str) -> Row {
    let name = match processor {
        Processor::Amd64 => "x86_64",
        Processor::Arm64 => "aarch64",
    };
    let Some(archive) = bare.packages.program(name) else {
        let why = format!("there is none for {name}: cargo xtask dist --only programs");
        return Row::not_tried(shown, COMMAND, why);
    };
    Row::of(shown, COMMAND, run_command(bare, root, archive))
}

fn run_command(bare: &Bare, root: &Root, archive: &Path) -> Result<(Duration, Reading)> {
    let folder = root.newcomer()?;
    let began = Instant::now();
    unpack(bare, archive, &folder)?;
    let installed = began.elapsed();
    let program = format!("{NEWCOMER}/bin/ntp-clock");
    let reading = Reading::take(&bare.job, bare.asking(&mut root.command(&program, &NOW)))?;
    let version = answer_of(&bare.job, &mut root.command(&program, &["--version"]))?;
    Ok((installed, Reading { version: version.trim().to_owned(), ..reading }))
}

/// Unpacks an archive without its outermost folder.
pub(super) fn unpack(bare: &Bare, archive: &Path, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut tar = Command::new("tar");
    tar.arg("xf").arg(archive).args(["--strip-components=1", "--directory"]).arg(folder);
    bare.job.must(&mut tar).with_context(|| format!("cannot unpack {}", archive.display()))
}

const COMMAND: &str = "command";
pub(super) const PIP_INSTALL: [&str; 5] =
    ["install", "--no-index", "--find-links", "packages", "portacode"];
const NOW: [&str; 3] = ["now", "--format", "json"];
