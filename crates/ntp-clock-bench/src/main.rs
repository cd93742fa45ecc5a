//! Measures the clock and its peers. `cargo xtask bench` builds and runs this, and makes tables of
//! the raw samples that it prints as JSON, one object a line.

#![forbid(unsafe_code)]

mod counters;
mod network;
mod order;
mod profile;
mod readings;
mod relay;

use anyhow::Result;
use clap::Parser;

/// Prints raw samples as JSON lines
#[derive(Parser)]
enum Cli {
    /// How long a reading takes, beside other clocks
    Readings(readings::ReadingsArgs),
    /// A clock on the processor's counter beside one on the system's: an hour for real
    Counters(counters::CountersArgs),
    /// How wrong a freshly started clock is on bad networks, beside other clients
    Network(network::NetworkArgs),
    /// What it takes to put stamps of many clocks in order, beside all shortest paths
    Order(order::OrderArgs),
    /// What relays bear, beside a web server's file
    Relay(relay::RelayArgs),
}

fn main() -> Result<()> {
    match Cli::parse() {
        Cli::Readings(args) => readings::run(&args),
        Cli::Counters(args) => counters::run(&args),
        Cli::Network(args) => network::run(&args),
        Cli::Order(args) => order::run(&args),
        Cli::Relay(args) => relay::run(&args),
    }
}
