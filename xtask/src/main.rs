//! What one does with this repository: `cargo xtask test` and `cargo xtask demo`.

#![forbid(unsafe_code)]

mod command;
mod demo;
mod project;
mod python;
mod readme;
mod server;
mod tally;
mod test;

use std::process::ExitCode;

use clap::Parser;

/// Tests and demonstrations; all they make stays in target/ and .work/ of this checkout.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Cli {
    /// Set everything up and run all tests, lints and documentation checks
    Test(test::TestArgs),
    /// Show a Rust and a Python program with wrong system clocks agree on the time
    Demo(demo::DemoArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse() {
        Cli::Test(args) => test::run(&args),
        Cli::Demo(args) => demo::run(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
