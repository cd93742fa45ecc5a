//! The project's own servers for tests and demonstrations, as child processes.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::project::Project;

/// A running NTP server or proxy. It ends with us, however we end: its standard input is a pipe of
/// ours.
#[derive(Debug)]
pub(crate) struct Server {
    program: &'static str,
    child: Child,
    /// Kept open, for it has more to say than its address.
    _output: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    /// Starts the honest NTP server on a free port of the loopback address; `profile` as in
    /// `target/<profile>`.
    pub(crate) fn start(project: &Project, profile: &str) -> Result<Self> {
        Self::time(project, profile, &[])
    }

    /// Starts the NTP server with these options of `ntp-test-server`.
    pub(crate) fn time(project: &Project, profile: &str, options: &[&str]) -> Result<Self> {
        Self::run(project, profile, "ntp-test-server", options)
    }

    /// Starts a TCP proxy with these options of `delay-proxy`.
    pub(crate) fn proxy(project: &Project, profile: &str, options: &[&str]) -> Result<Self> {
        Self::run(project, profile, "delay-proxy", options)
    }

    fn run(
        project: &Project,
        profile: &str,
        program: &'static str,
        options: &[&str],
    ) -> Result<Self> {
        let path = project.program(&format!("{profile}/{program}"));
        let mut command = Command::new(&path);
        command.arg("--stdin").args(options).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Ctrl-C is for us alone: it serves until those it serves have ended.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child =
            command.spawn().with_context(|| format!("cannot run {}", project.shown(&path)))?;
        let stdout = child.stdout.take().context("no pipe to the test server")?;
        let mut output = BufReader::new(stdout);
        let mut line = String::new();
        output.read_line(&mut line)?;
        match line.trim().strip_prefix("listening on ") {
            Some(address) => {
                Ok(Server { program, address: address.to_owned(), child, _output: output })
            }
            None => bail!("{program} said {line:?} instead of its address"),
        }
    }

    /// `host:port`, as `PORTACODE_NTP_SERVER` takes it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Fails where it has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended, {status}", self.program),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It may have ended by itself already, and there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
