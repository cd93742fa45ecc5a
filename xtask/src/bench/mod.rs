//! `cargo xtask bench`: what a reading costs, and how wrong a fresh clock is on bad networks.

mod js;
mod machine;
mod network;
mod peers;
mod readings;
mod relay;
mod stats;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command::{Job, cargo};
use crate::project::Project;

/// Measures the clock beside its peers; tables go to the terminal and to target/bench.
///
/// Without options: what a reading takes in Rust and in Python, each as a ratio to its reference in
/// the same run, and what importing takes. Other work on the machine disturbs: the table says how
/// much of it there was.
#[derive(clap::Args, Debug)]
pub(crate) struct BenchArgs {
    /// Fresh starts on bad networks instead: error, time to the first reading, true bounds
    #[arg(long)]
    network: bool,
    /// What a reading takes in Node instead
    #[arg(long, conflicts_with = "network")]
    js: bool,
    /// What it takes to put 1,000 stamps of 64 clocks in order instead
    #[arg(long, conflicts_with_all = ["network", "js"])]
    order: bool,
    /// What relays bear instead: requests a second, and open WebSockets
    #[arg(long, conflicts_with_all = ["network", "js", "order"])]
    relay: bool,
    /// With --relay: the number of open WebSockets of each relay; may be given again
    #[arg(long = "hold", requires = "relay", default_values_t = [1_000, 5_000])]
    holds: Vec<u32>,
    /// With --network: fresh starts of each client on each network
    #[arg(long, default_value_t = 40, requires = "network")]
    starts: u32,
    /// With --network: how many starts run at the same time
    #[arg(long, default_value_t = 4, requires = "network")]
    parallel: u32,
    /// With --network: only these networks (lan, wan, mobile, asymmetric, uplink, loss)
    #[arg(long = "profile", requires = "network")]
    profiles: Vec<String>,
    /// With --network: first seed of the delays and losses
    #[arg(long, default_value_t = 1, requires = "network")]
    seed: u64,
}

/// Measures; gives whether every aim was met.
pub(crate) fn run(args: &BenchArgs) -> Result<bool> {
    let project = Project::here();
    let (name, title) = if args.network {
        ("network", "Fresh starts on bad networks")
    } else if args.js {
        ("js", "What a reading costs in JavaScript")
    } else if args.order {
        ("order", "What it takes to put stamps in order")
    } else if args.relay {
        ("relay", "What relays bear")
    } else {
        ("readings", "What a reading costs")
    };
    let job = Job::start(&project, &format!("bench {name}"))?;
    let mut build = cargo(&["build", "--release", "--package", "ntp-test-server"]);
    if !args.js {
        build.args(["--package", "ntp-clock-bench"]);
    }
    if args.relay {
        build.args(["--package", "ntp-clock-cli"]);
    }
    job.must(&mut build)?;
    let before = machine::load();
    let Tables { text, raw, met } = match (args.network, args.js, args.relay) {
        (true, ..) => network::tables(&job, args)?,
        (_, true, _) => js::tables(&job)?,
        (.., true) => relay::tables(&job, args)?,
        _ if args.order => readings::order(&job)?,
        _ => readings::tables(&job)?,
    };
    let machine = machine::described(before.as_deref());
    job.finish();
    let text = format!("## {title}\n\n{machine}\n\n{text}");
    println!("{text}");
    let dir = project.target("bench");
    fs::create_dir_all(&dir)?;
    let write = |extension: &str, content: &str| -> Result<PathBuf> {
        let path = dir.join(format!("{name}.{extension}"));
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    let table = write("md", &text)?;
    let json = serde_json::json!({ "machine": machine, "measured": raw });
    let samples = write("json", &serde_json::to_string(&json)?)?;
    println!("written to {}, samples to {}", project.shown(&table), project.shown(&samples));
    Ok(met)
}

/// What was measured.
struct Tables {
    text: String,
    raw: Vec<Value>,
    /// Whether every aim was met.
    met: bool,
}

/// JSON objects, one a line.
fn json_lines(text: &str) -> Result<Vec<Value>> {
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
        .collect()
}
