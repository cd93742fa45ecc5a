//! The command line, to be run by the binary or embedded in another clap command.
//!
//! ```
//! use clap::Parser;
//! use ntp_test_server::cli::ServerArgs;
//!
//! #[derive(Parser)]
//! enum Cli {
//!     /// Run an NTP server with faults
//!     TestServer(ServerArgs),
//! }
//! let Cli::TestServer(args) = Cli::parse_from(["tool", "test-server", "--offset", "+1h"]);
//! // args.run() would serve until the process is killed.
//! # let _ = args;
//! ```

mod args;
mod control;
mod process;
mod proxy;

pub use args::ServerArgs;
pub use process::prepare_process;
pub use proxy::ProxyArgs;

use std::io::{self, Write};
use std::path::PathBuf;
use std::{fs, thread};

use crate::error::{Error, ScriptError};
use crate::script::Script;
use crate::server::TestServer;

/// Why the command ended before its time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The script cannot be read.
    #[error("cannot read the script {}: {source}", path.display())]
    ReadScript {
        /// The script's path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The script is malformed.
    #[error("script {}: {source}", path.display())]
    Script {
        /// The script's path.
        path: PathBuf,
        /// The line and the reason.
        source: ScriptError,
    },
    /// The server could not start.
    #[error(transparent)]
    Server(#[from] Error),
    /// Standard input could not be read, or standard output not be written.
    #[error("standard input or output: {0}")]
    Io(#[from] io::Error),
}

impl CliError {
    /// The exit status that goes with it: 2 where the caller's input was wrong, as for a wrong
    /// option, else 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            CliError::ReadScript { .. } | CliError::Script { .. } => 2,
            CliError::Server(_) | CliError::Io(_) => 1,
        }
    }
}

impl ServerArgs {
    /// Serves until the process is killed or, with `--stdin`, until standard input ends.
    ///
    /// Prints `listening on ADDRESS:PORT` as soon as requests are answered, then `seed N`.
    ///
    /// # Errors
    /// [`CliError`] if the script is malformed, the address cannot be had, or standard input or
    /// output fails.
    pub fn run(&self) -> Result<(), CliError> {
        let server = TestServer::builder()
            .bind(self.listen)
            .seed(self.seed.unwrap_or_else(|| fastrand::u64(..)))
            .behaviour(|b| self.apply(b))
            .script(self.load_script()?)
            .spawn()?;
        let mut out = io::stdout();
        writeln!(out, "listening on {}\nseed {}", server.addr(), server.seed())?;
        out.flush()?;
        if self.stdin {
            return Ok(control::obey(&server, io::stdin().lock(), out)?);
        }
        loop {
            thread::park();
        }
    }

    fn load_script(&self) -> Result<Script, CliError> {
        let Some(path) = self.script.clone() else { return Ok(Script::new()) };
        match fs::read_to_string(&path) {
            Ok(text) => text.parse().map_err(|source| CliError::Script { path, source }),
            Err(source) => Err(CliError::ReadScript { path, source }),
        }
    }
}
