//! The `ntp-clock` command: [`ntp_clock_cli::main_from`] and nothing else.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ntp_clock_cli::main_from(std::env::args_os()))
}
