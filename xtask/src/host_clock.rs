//! `cargo xtask host-clock`: processes that share one clock, while those that write it are killed,
//! stopped and forked.

use anyhow::Result;
use clap::Args;

use crate::command::cargo;

/// What the tests do for seconds with few processes.
#[derive(Args)]
pub(crate) struct HostClockArgs {
    /// For how long writers are disturbed
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// How many processes share the clock
    #[arg(long, default_value_t = 64)]
    processes: u32,
    /// Has the same writers disturbed in the same ways
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs it; gives whether no reading was backwards or outside its bound, and no process without one
/// for over two seconds.
pub(crate) fn run(args: &HostClockArgs) -> Result<bool> {
    let test = ["test", "--quiet", "--package", "ntp-clock", "--test", "process", "--", "host::"];
    let mut command = cargo(&test);
    command.env("NTP_CLOCK_HOST_MINUTES", args.minutes.to_string());
    command.env("NTP_CLOCK_HOST_PROCESSES", args.processes.to_string());
    if let Some(seed) = args.seed {
        command.env("NTP_CLOCK_HOST_SEED", seed.to_string());
    }
    Ok(command.status()?.success())
}
