//! The virtual environment in `.work/venv`, and what is installed into it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::command::{Job, answer};
use crate::project::Project;

/// The oldest Python that the package supports.
const FLOOR: (u32, u32) = (3, 9);

/// Checks that there is a Python to make an environment with; the error names the line that
/// installs what is missing.
pub(crate) fn check() -> Result<()> {
    let python = system_python();
    let shown = python.to_string_lossy();
    let probe = "import sys; print(*sys.version_info[:2])";
    let Some(version) = answer(&python, &["-c", probe]) else {
        bail!("{shown} (3.9 or newer) is missing: apt-get install python3 python3-venv");
    };
    let mut numbers = version.split(' ').filter_map(|number| number.parse().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < FLOOR {
        let (major, minor) = version;
        bail!("{shown} is Python {major}.{minor}, and 3.9 is the oldest supported: set PYTHON");
    }
    if answer(&python, &["-c", "import venv, ensurepip"]).is_none() {
        bail!("{shown} has no module venv or ensurepip: apt-get install python3-venv");
    }
    Ok(())
}

/// The virtual environment.
#[derive(Clone, Debug)]
pub(crate) struct Venv {
    dir: PathBuf,
}

impl Venv {
    /// Where the environment is, or will be once it is set up.
    pub(crate) fn of(project: &Project) -> Self {
        Venv { dir: project.work("venv") }
    }

    /// Another environment, in a directory of its own.
    pub(crate) fn at(dir: PathBuf) -> Self {
        Venv { dir }
    }

    /// Makes the environment, unless it is there already with the same requirements and the same
    /// Python.
    pub(crate) fn set_up(job: &Job) -> Result<Self> {
        let project = job.project();
        let pyproject = read(project, "pyproject.toml")?;
        let groups = section(&pyproject, "[dependency-groups]");
        let constraints = read(project, CONSTRAINTS)?;
        let constrained = ["--constraint", CONSTRAINTS];
        Venv::of(project).made(job, &format!("{groups}\n{constraints}"), |pip| {
            // Older ones know nothing of groups.
            job.must(pip().args(constrained).args(["--upgrade", "pip>=25.1"]))?;
            job.must(pip().args(constrained).args(["--group", "test"]).args(TOOLS))
        })
    }

    /// An environment of its own in `.work`, with what a file of requirements lists.
    pub(crate) fn with(job: &Job, name: &str, requirements: &str) -> Result<Self> {
        let venv = Venv::at(job.project().work(name));
        let required = read(job.project(), requirements)?;
        venv.made(job, &required, |pip| job.must(pip().args(["--requirement", requirements])))
    }

    /// This environment, once what `fill` installs by `pip install` is in it; it is kept for as long
    /// as `required` and the Python stay the same.
    fn made<F>(self, job: &Job, required: &str, fill: F) -> Result<Self>
    where
        F: FnOnce(&dyn Fn() -> Command) -> Result<()>,
    {
        let python = system_python();
        let version = answer(&python, &["-VV"]).unwrap_or_default();
        let stamp = format!("{version}\n{required}");
        let stamp_path = self.dir.join("xtask.stamp");
        let made = fs::read_to_string(&stamp_path).is_ok_and(|made| made == stamp);
        if made && answer(self.python(), &["-c", ""]).is_some() {
            job.note("the environment is as required")?;
            return Ok(self);
        }
        job.must(Command::new(&python).args(["-m", "venv", "--clear"]).arg(&self.dir))?;
        let install = || {
            let mut pip = self.module("pip");
            pip.args(["install", "--no-input"]);
            pip
        };
        fill(&install)?;
        fs::write(&stamp_path, stamp).context("cannot write the environment's stamp")?;
        Ok(self)
    }

    /// Its interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        let relative = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
        self.dir.join(relative)
    }

    /// `python -m NAME`, as if the environment were activated; caches stay in `.work`.
    pub(crate) fn module(&self, name: &str) -> Command {
        let mut command = self.program();
        command.args(["-m", name]);
        command
    }

    /// A program that a package brought, in the same way.
    pub(crate) fn tool(&self, name: &str) -> Command {
        let python = self.python();
        let scripts = python.parent().unwrap_or(&self.dir);
        self.activated(Command::new(scripts.join(format!("{name}{}", env::consts::EXE_SUFFIX))))
    }

    /// `python`, in the same way.
    pub(crate) fn program(&self) -> Command {
        self.activated(Command::new(self.python()))
    }

    fn activated(&self, mut command: Command) -> Command {
        let work = self.dir.parent().unwrap_or(&self.dir);
        let scripts = self.python().parent().map(Path::to_owned).unwrap_or_default();
        let paths = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([scripts].into_iter().chain(env::split_paths(&paths)));
        command
            .env("VIRTUAL_ENV", &self.dir)
            .env("PATH", path.unwrap_or(paths))
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("MYPY_CACHE_DIR", work.join("mypy"))
            .env("RUFF_CACHE_DIR", work.join("ruff"))
            .env_remove("PYTHONPATH")
            .env_remove("PYTHONHOME");
        command
    }

    /// A maturin command. Most of what the module depends on is what Rust's tests are built with,
    /// and compiled once for both.
    pub(crate) fn maturin(&self, project: &Project, args: &[&str]) -> Command {
        let mut command = self.module("maturin");
        command.args(args).env("CARGO_TARGET_DIR", project.target(""));
        command.env("CARGO_TERM_COLOR", "never");
        command
    }

    /// A library to preload that makes a program's system clock wrong, if one works here: the one
    /// in the PyPI package, else the system's.
    pub(crate) fn faketime_library(&self) -> Option<PathBuf> {
        let find = "import importlib.util as u; print(u.find_spec('libfaketime').origin)";
        let packaged = answer(self.python(), &["-c", find])
            .and_then(|origin| Some(Path::new(&origin).parent()?.join(PACKAGED_LIBRARY)));
        let arch = env::consts::ARCH;
        let debian = PathBuf::from(format!("/usr/lib/{arch}-linux-gnu/faketime/libfaketime.so.1"));
        packaged.into_iter().chain([debian]).find(|library| self.fakes(library))
    }

    fn fakes(&self, library: &Path) -> bool {
        let mut command = Command::new(self.python());
        // With some versions every sleep is an error.
        command.args(["-c", "import time; time.sleep(0.001); print(int(time.time()))"]);
        fake_clock(&mut command, library, "+3600s");
        let Ok(output) = command.output() else { return false };
        let faked = String::from_utf8_lossy(&output.stdout).trim().parse().map(Duration::from_secs);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        faked.is_ok_and(|faked| faked > now + Duration::from_secs(3000))
    }
}

/// Makes the program's system clock wrong by `offset`, such as "+1.7s", or "-2.2s x1.0001" for one
/// that is fast as well, and no other clock.
pub(crate) fn fake_clock(command: &mut Command, library: &Path, offset: &str) {
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME", offset)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        // Else threads wait for the interpreter for seconds instead of milliseconds.
        .env("FAKETIME_FORCE_MONOTONIC_FIX", "0")
        .env("FAKETIME_DISABLE_SHM", "1")
        // Its mending of timed waits, which glibc no longer needs, lets threads wait for seconds.
        .env("FAKETIME_FORCE_MONOTONIC_FIX", "0");
}

fn read(project: &Project, path: &str) -> Result<String> {
    fs::read_to_string(project.path(path)).with_context(|| path.to_owned())
}

/// `python3`, or what the environment variable `PYTHON` names.
pub(crate) fn system_python() -> OsString {
    env::var_os("PYTHON")
        .unwrap_or_else(|| if cfg!(windows) { "python".into() } else { "python3".into() })
}

/// A section of a TOML file, heading included, up to the next one.
pub(crate) fn section<'a>(toml: &'a str, heading: &str) -> &'a str {
    let start = toml.find(heading).unwrap_or(toml.len());
    let rest = &toml[start..];
    rest.find("\n[").map_or(rest, |end| &rest[..end])
}

/// What we need besides the package's group "test", and the versions of all of it.
const TOOLS: [&str; 1] = ["maturin"];
pub(crate) const CONSTRAINTS: &str = "xtask/constraints.txt";
const PACKAGED_LIBRARY: &str = "vendor/libfaketime/src/libfaketime.so.1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_where_the_next_one_begins() {
        let toml = "[a]\nx = 1\n\n[b]\ny = [\n    2,\n]\n\n[c]\n";
        assert_eq!(section(toml, "[b]"), "[b]\ny = [\n    2,\n]\n");
        assert_eq!(section(toml, "[c]"), "[c]\n");
        assert_eq!(section(toml, "[d]"), "");
    }
}
