//! The project's own NTP server as a child process.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::project::Project;

/// A running test server. It ends with us, however we end: its standard input is a pipe of ours.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Kept open, for it has more to say than its address.
    _output: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    /// Starts the honest server on a free port of the loopback address; `profile` as in
    /// `target/<profile>`.
    pub(crate) fn start(project: &Project, profile: &str) -> Result<Self> {
        let program = project.program(&format!("{profile}/ntp-test-server"));
        let mut child = Command::new(&program)
            .arg("--stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", project.shown(&program)))?;
        let stdout = child.stdout.take().context("no pipe to the test server")?;
        let mut output = BufReader::new(stdout);
        let mut line = String::new();
        output.read_line(&mut line)?;
        match line.trim().strip_prefix("listening on ") {
            Some(address) => Ok(Server { address: address.to_owned(), child, _output: output }),
            None => bail!("the test server said {line:?} instead of its address"),
        }
    }

    /// `host:port`, as `PORTACODE_NTP_SERVER` takes it.
    pub(crate) fn address(&self) -> &str {
        &self.address
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
