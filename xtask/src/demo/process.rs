//! The demo's programs: each in a process group of its own, and none outlives us.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::project::Project;
use crate::python::Venv;

/// A Python program of the demo. It runs under `tools/demo_child.py`, which ends it in good order
/// when its standard input closes: that is how we stop it, and what happens however we end.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// A command that runs Python with these arguments, and ends with its standard input.
    pub(super) fn command(project: &Project, venv: &Venv, args: &[&str]) -> Command {
        let mut command = venv.program();
        command.arg(project.path("tools/demo_child.py")).args(args);
        command
    }

    /// Starts it; what it says goes to `.work/logs/demo-<name>.log`.
    pub(super) fn start(
        project: &Project,
        name: &'static str,
        command: &mut Command,
    ) -> Result<Self> {
        let log = project.work(format!("logs/demo-{name}.log"));
        let out = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let err = out.try_clone()?;
        command.stdin(Stdio::piped()).stdout(out).stderr(err);
        Self::spawn(name, command, log)
    }

    /// Starts it, with our standard output.
    pub(super) fn start_here(name: &'static str, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped());
        Self::spawn(name, command, PathBuf::new())
    }

    fn spawn(name: &'static str, command: &mut Command, log: PathBuf) -> Result<Self> {
        // Ctrl-C is for us alone: we end them one after another.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let child = command.spawn().with_context(|| format!("cannot start the {name}"))?;
        Ok(Process { name, child, log })
    }

    /// Fails where it has ended by itself.
    pub(super) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                bail!("the {} ended, {status}:\n{}", self.name, tail(&self.log))
            }
        }
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// What it has said.
    pub(super) fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to end, and sees to it that it does.
    pub(super) fn stop(&mut self) {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(20)),
                _ => return,
            }
        }
        // There is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The last lines of a log.
fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Longer than the programs' own, after which they end themselves.
const GRACE: Duration = Duration::from_secs(12);
