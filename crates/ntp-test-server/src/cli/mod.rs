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
mod error;
mod process;
mod proxy;

pub use args::ServerArgs;
pub use error::CliError;
pub use process::prepare_process;
pub use proxy::ProxyArgs;

use std::io::{self, Write};
use std::{fs, thread};

use crate::script::Script;
use crate::server::TestServer;

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
