//! `cargo xtask sim`: the simulator, optimised, with whatever arguments it is given.

use anyhow::Result;
use clap::Args;

use crate::command::cargo;

/// Passed on as they are; none is a swarm over all worlds.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct SimArgs {
    /// swarm, run, compare (or --compare), fleet (or --fleet N), plots, worlds; --help has more
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs it; gives whether every promise was kept.
pub(crate) fn run(args: &SimArgs) -> Result<bool> {
    let mut command = cargo(&["run", "--quiet", "--release", "--package", "ntp-clock-sim", "--"]);
    Ok(command.args(&args.arguments).status()?.success())
}
