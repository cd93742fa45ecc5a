//! `cargo xtask consistency`: commit wait in four processes, optimised, with whatever arguments it
//! is given.

use anyhow::Result;
use clap::Args;

use crate::command::cargo;

/// Passed on as they are; none is a million transactions with commit wait.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct ConsistencyArgs {
    /// --transactions, --control, --threads, --seed; --help has more
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs it; gives whether no stamp was out of order with the wait, and some were without it.
pub(crate) fn run(args: &ConsistencyArgs) -> Result<bool> {
    let package = ["--package", "ntp-clock-consistency", "--"];
    let mut command = cargo(&["run", "--quiet", "--release"]);
    Ok(command.args(package).args(&args.arguments).status()?.success())
}
