//! What relays bear: requests a second over a few busy connections, and the error that thousands of
//! open ones add. All contenders in turn in each round, so that a disturbance meets them alike.

mod client;
mod held;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use client::{Client, Target};
use held::Memory;

#[derive(clap::Args)]
pub(crate) struct RelayArgs {
    /// A contender: NAME=http://HOST:PORT/PATH or NAME=ws://...
    #[arg(long = "target", required = true)]
    targets: Vec<Target>,
    /// The process behind a contender, for its memory: NAME=PID
    #[arg(long = "pid", value_parser = pid)]
    pids: Vec<(String, u32)>,
    /// Rounds of load; each gives one sample of every contender
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Length of each sample
    #[arg(long, default_value_t = 1_500)]
    millis: u64,
    /// Busy connections, each with one request under way
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// This many open WebSockets of each relay; may be given again
    #[arg(long = "hold")]
    holds: Vec<usize>,
    /// For how long they are held
    #[arg(long, default_value_t = 8)]
    hold_secs: u64,
    /// Requests a second over all of the held ones
    #[arg(long, default_value_t = 200.0)]
    hold_rate: f64,
    /// Of the moments at which they ask
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What the contenders did in one round.
#[derive(Serialize)]
struct Load<'a> {
    kind: &'static str,
    target: &'a str,
    over: &'static str,
    requests_per_s: Vec<f64>,
}

fn pid(text: &str) -> Result<(String, u32)> {
    let (name, pid) = text.split_once('=').context("write NAME=PID")?;
    Ok((name.to_owned(), pid.parse()?))
}

pub(crate) fn run(args: &RelayArgs) -> Result<()> {
    Runtime::new()?.block_on(async {
        for target in &args.targets {
            ready(target).await.with_context(|| target.name.clone())?;
        }
        // What was freed is not given back: later would be too late to ask.
        let memory: BTreeMap<_, _> =
            args.pids.iter().map(|(name, pid)| (name.as_str(), Memory::of(*pid))).collect();
        load(args).await?;
        for hold in &args.holds {
            for target in args.targets.iter().filter(|target| target.is_websocket()) {
                let memory = memory.get(target.name.as_str()).and_then(Option::as_ref);
                let length = Duration::from_secs(args.hold_secs);
                let held = held::measure(target, *hold, length, args.hold_rate, args.seed, memory);
                println!("{}", serde_json::to_string(&held.await?)?);
                // Until the sockets of this one are gone, too.
                sleep(Duration::from_secs(1)).await;
            }
        }
        Ok(())
    })
}

/// Waits until a contender answers, and with a time if it is a relay.
async fn ready(target: &Target) -> Result<()> {
    let limit = Instant::now() + READY;
    loop {
        let tried = async { Client::connect(target).await?.ask().await };
        match timeout(Duration::from_secs(2), tried).await {
            Ok(Ok(_)) => return Ok(()),
            _ if Instant::now() < limit => sleep(Duration::from_millis(100)).await,
            Ok(Err(error)) => return Err(error.context("it was not ready in time")),
            Err(_) => anyhow::bail!("it gave no answer in time"),
        }
    }
}

async fn load(args: &RelayArgs) -> Result<()> {
    let mut samples = vec![Vec::new(); args.targets.len()];
    let length = Duration::from_millis(args.millis);
    // The first round only warms up.
    for round in 0..=args.rounds {
        for (target, samples) in args.targets.iter().zip(&mut samples) {
            let rate = sample(target, args.connections, length).await?;
            if round > 0 {
                samples.push(rate);
            }
        }
    }
    for (target, requests_per_s) in args.targets.iter().zip(samples) {
        let over = if target.is_websocket() { "websocket" } else { "http" };
        let load = Load { kind: "load", target: &target.name, over, requests_per_s };
        println!("{}", serde_json::to_string(&load)?);
    }
    Ok(())
}

/// Requests a second, answered.
async fn sample(target: &Target, connections: usize, length: Duration) -> Result<f64> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(Client::connect(target).await?);
    }
    let begun = Instant::now();
    let mut busy = JoinSet::new();
    for mut client in clients {
        busy.spawn(async move {
            let mut answered = 0_u32;
            while begun.elapsed() < length {
                client.ask().await?;
                answered += 1;
            }
            anyhow::Ok(answered)
        });
    }
    let mut answered = 0;
    while let Some(done) = busy.join_next().await {
        answered += done??;
    }
    ensure!(answered > 0, "{} answered nothing", target.name);
    Ok(f64::from(answered) / begun.elapsed().as_secs_f64())
}

const READY: Duration = Duration::from_secs(20);
