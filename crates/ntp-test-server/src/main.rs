//! The `ntp-test-server` command: [`ServerArgs`] and nothing else.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use ntp_test_server::cli::{ServerArgs, prepare_process};

#[derive(Parser)]
#[command(name = "ntp-test-server", version)]
struct Cli {
    #[command(flatten)]
    args: ServerArgs,
}

fn main() -> ExitCode {
    prepare_process();
    match Cli::parse().args.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
