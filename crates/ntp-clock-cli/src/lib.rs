//! The `ntp-clock` command, as a library so that the Python package can offer it too.
//!
//! [`main_from`] is the whole of it: arguments in, exit status out.

#![forbid(unsafe_code)]

mod args;
mod display;
mod duration;
mod failure;
mod now;
mod nts;
mod output;
mod query;
mod record;
#[cfg(feature = "relay")]
mod relay;
mod replay;
mod server;
mod shell;
mod status;
mod stop;
mod sync;
mod watch;

use std::ffi::OsString;
use std::io::Write;

use clap::Parser;
use ntp_test_server::cli::{CliError, prepare_process};

use args::{Cli, Command};
use failure::Failure;

/// Runs the command with these arguments, the program's own name first, and gives its exit status.
///
/// Never panics over a closed pipe, and never ends the process itself.
pub fn main_from<T: Into<OsString> + Clone>(args: impl IntoIterator<Item = T>) -> u8 {
    prepare_process();
    let done = match Cli::try_parse_from(args) {
        Ok(cli) => run(&cli),
        // Help comes here too, and goes to standard output.
        Err(error) => match error.print().and_then(|()| std::io::stdout().flush()) {
            Ok(()) => return u8::try_from(error.exit_code()).unwrap_or(failure::USAGE),
            Err(error) => Err(Failure::output(output::STANDARD_OUTPUT, error)),
        },
    };
    match done {
        Ok(()) => 0,
        Err(failure) => {
            if let Some(message) = failure.message() {
                let _ = writeln!(std::io::stderr(), "error: {message}");
            }
            failure.exit_code()
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let clock = || cli.source.builder(None);
    match &cli.command {
        Command::Now(args) => now::run(args, clock()?),
        Command::Query(args) => query::run(args, cli.source.builder(args.host.as_ref())?),
        Command::Status(args) => status::run(args, clock()?),
        Command::Watch(args) => watch::run(args, clock()?),
        Command::Record(args) => record::run(args, clock()?),
        #[cfg(feature = "relay")]
        Command::Relay(args) => relay::run(args, clock()?),
        #[cfg(not(feature = "relay"))]
        Command::Relay(_) => Err(Failure::Failed(args::NO_RELAY.to_owned())),
        Command::Replay(args) => replay::run(args),
        Command::TestServer(args) => args.run().map_err(|error| match error {
            CliError::Io(error) => Failure::output("standard input or output", error),
            other if other.exit_code() == failure::USAGE => Failure::Usage(other.to_string()),
            other => Failure::Failed(other.to_string()),
        }),
        Command::Completions { shell } => shell::completions(*shell),
        Command::Man { command } => shell::man(command.as_deref()),
    }
}
