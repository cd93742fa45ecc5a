//! The `delay-proxy` command: [`ProxyArgs`] and nothing else.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use ntp_test_server::cli::{ProxyArgs, prepare_process};

#[derive(Parser)]
#[command(name = "delay-proxy", version)]
struct Cli {
    #[command(flatten)]
    args: ProxyArgs,
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
