//! What one does with this repository: `cargo xtask test`, `demo`, `bench`, `bare`, `js`, `c-library`,
//! `dist`, `sim`, `consistency`, `host-clock`, `fuzz`, `miri` and `mutants`.

#![forbid(unsafe_code)]

mod bare;
mod bench;
mod c_library;
mod command;
mod consistency;
mod demo;
mod dist;
mod fuzz;
mod host_clock;
mod js;
#[cfg(test)]
mod messages;
mod miri;
mod mutants;
mod project;
mod python;
mod server;
mod sim;
#[cfg(test)]
mod status;
mod structure;
mod tally;
mod test;
mod usage;
#[cfg(test)]
mod words;

use std::process::ExitCode;

use clap::Parser;

/// Tests and demonstrations; all they make stays in target/ and .work/ of this checkout.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Cli {
    /// Set everything up and run all tests, lints and documentation checks
    Test(test::TestArgs),
    /// Start the whole system with wrong system clocks: server, devices, dashboard, traces
    Demo(demo::DemoArgs),
    /// Measure what a reading costs or, with --network, how wrong a fresh clock is
    Bench(bench::BenchArgs),
    /// Build the JavaScript module from js/ and the core
    Js(js::JsArgs),
    /// Build libntp_clock and lay it out as it is installed: header, libraries, pkg-config
    CLibrary(c_library::CLibraryArgs),
    /// Build and check all that a release consists of, into target/dist
    Dist(dist::DistArgs),
    /// Simulate worlds in which the truth is known: many seeds, comparisons, fleets, plots
    Sim(sim::SimArgs),
    /// Commit a million transactions in four processes by commit wait, and check their order
    Consistency(consistency::ConsistencyArgs),
    /// Share one clock by many processes while those that write it are killed, stopped and forked
    HostClock(host_clock::HostClockArgs),
    /// Search for input that breaks a promise, for a minute a target
    Fuzz(fuzz::FuzzArgs),
    /// Install a release's packages on systems without compiler or Rust, and time the first reading
    Bare(bare::BareArgs),
    /// Check the lock-free code for undefined behaviour
    Miri,
    /// Change the core in many places and count what its own tests notice
    Mutants(mutants::MutantsArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse() {
        Cli::Test(args) => test::run(&args),
        Cli::Demo(args) => demo::run(&args),
        Cli::Bench(args) => bench::run(&args),
        Cli::Js(args) => js::run(&args),
        Cli::CLibrary(args) => c_library::run(&args),
        Cli::Dist(args) => dist::run(&args),
        Cli::Sim(args) => sim::run(&args),
        Cli::Consistency(args) => consistency::run(&args),
        Cli::HostClock(args) => host_clock::run(&args),
        Cli::Fuzz(args) => fuzz::run(&args),
        Cli::Bare(args) => bare::run(&args),
        Cli::Miri => miri::run(),
        Cli::Mutants(args) => mutants::run(&args),
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
