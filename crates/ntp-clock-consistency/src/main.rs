//! External consistency (Corbett et al., "Spanner", OSDI 2012, section 1), tried: four processes
//! commit transactions in parallel, each with the clock of its own path, and a checker holds their
//! stamps against the one counter that the processes really have.
//!
//! A transaction's stamp is the latest that true time can be; where it then waits until that has
//! certainly passed, no transaction that begins after it was over has an earlier stamp. Without the
//! wait some have: the paths are asymmetric in opposite directions, so the clocks differ.

#![forbid(unsafe_code)]

mod checker;
mod scene;
mod worker;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use checker::Found;
use scene::{Run, Scene};

/// Commits transactions in four processes with commit wait, then without, and checks their stamps.
#[derive(Parser)]
#[command(name = "cargo xtask consistency")]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    args: TryArgs,
}

#[derive(Subcommand)]
enum Part {
    /// One of the processes
    #[command(hide = true)]
    Worker(worker::WorkerArgs),
}

#[derive(Args)]
struct TryArgs {
    /// Transactions with commit wait, in all processes together
    #[arg(long, default_value_t = 1_000_000)]
    transactions: u64,
    /// Transactions without it
    #[arg(long, default_value_t = 100_000)]
    control: u64,
    /// Transactions at a time in each process
    #[arg(long, default_value_t = 128)]
    threads: usize,
    /// Seed of delays and pauses
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.part {
        Some(Part::Worker(args)) => worker::run(args).map(|()| true),
        None => run(&cli.args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Gives whether commit wait kept the order and its absence did not.
fn run(args: &TryArgs) -> Result<bool> {
    println!("seed {}", args.seed);
    let scene = Scene::start(args.seed)?;
    let waited = scene.run(&Run { transactions: args.transactions, waits: true, ..args.run() })?;
    let found = checker::check(waited.transactions());
    println!("\nwith commit wait\n{waited}\n{found}");
    let control = scene.run(&Run { transactions: args.control, waits: false, ..args.run() })?;
    let missed = checker::check(control.transactions());
    println!("\nwithout it\n{control}\n{missed}");
    let kept = found.violations == 0 && found.transactions == args.transactions;
    Ok(kept && noticed(&missed, args.control))
}

/// A checker that finds nothing where there must be something is none.
fn noticed(missed: &Found, transactions: u64) -> bool {
    missed.transactions == transactions && missed.violations > 0
}

impl TryArgs {
    fn run(&self) -> Run {
        Run { transactions: 0, waits: true, threads: self.threads, seed: self.seed }
    }
}
