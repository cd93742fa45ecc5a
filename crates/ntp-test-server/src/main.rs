//! The `ntp-test-server` command: [`ServerArgs`] and nothing else.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use ntp_test_server::cli::ServerArgs;

#[derive(Parser)]
#[command(name = "ntp-test-server", version)]
struct Cli {
    #[command(flatten)]
    args: ServerArgs,
}

fn main() -> ExitCode {
    match Cli::parse().args.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
