//! One of the processes: its clock, and transactions on many threads.
//!
//! It says `ready` with its counter's name, waits for a line, commits, and tells all its
//! transactions and how its clock was.

use std::io::{BufWriter, Write, stdin, stdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, scope, sleep};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Args;
use fastrand::Rng;
use ntp_clock::{Clock, Server};

use crate::checker::Transaction;

#[derive(Args)]
pub(crate) struct WorkerArgs {
    #[arg(long)]
    server: Server,
    #[arg(long)]
    transactions: u64,
    #[arg(long)]
    threads: usize,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    without_wait: bool,
}

/// What a thread has to tell.
#[derive(Default)]
struct Done {
    transactions: Vec<Transaction>,
    /// The clock's error bound and how far it really was off, at each stamp, microseconds.
    errors_us: Vec<(i64, i64)>,
}

pub(crate) fn run(args: &WorkerArgs) -> Result<()> {
    let clock = Clock::builder()
        .server(args.server.clone())
        // As often as a clock may ask: errors are to change while transactions wait.
        .poll_interval(Duration::from_secs(1))
        .build()?;
    if !clock.wait_synced(PATIENCE) {
        bail!("not synchronised with {}: {:?}", args.server, clock.status().last_error);
    }
    println!("ready {}", clock.counter_id());
    stdin().read_line(&mut String::new())?;
    let left = AtomicU64::new(args.transactions);
    let done = scope(|scope| {
        let threads: Vec<_> = (0..args.threads)
            .map(|thread| {
                let dice = Rng::with_seed(args.seed.wrapping_add(thread as u64));
                let commit_all = || commit_while(&clock, &left, dice, !args.without_wait);
                Builder::new().stack_size(STACK).spawn_scoped(scope, commit_all)
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread?.join().ok().context("a thread panicked")?)
            .collect::<Result<Vec<Done>>>()
    })?;
    tell(&done, &clock)
}

fn commit_while(clock: &Clock, left: &AtomicU64, mut dice: Rng, waits: bool) -> Result<Done> {
    let mut done = Done::default();
    let take = |left: u64| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
        let began_ns = clock.local_now().as_nanos();
        let reading = clock.now().context("the clock lost its time")?;
        let truth_us = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as i64;
        let stamp = reading.latest();
        if waits {
            clock.wait_until_past(stamp, PATIENCE)?;
        }
        let ended_ns = clock.local_now().as_nanos();
        done.transactions.push(Transaction { began_ns, ended_ns, stamp_ns: stamp.as_nanos() });
        let off_us = reading.time().as_nanos() / 1_000 - truth_us;
        done.errors_us.push((reading.max_error().as_nanos() / 1_000, off_us));
        // The client thinks about its next one.
        sleep(Duration::from_micros(dice.u64(0..THINKS_US)));
    }
    Ok(done)
}

fn tell(done: &[Done], clock: &Clock) -> Result<()> {
    let mut out = BufWriter::new(stdout().lock());
    for t in done.iter().flat_map(|done| &done.transactions) {
        writeln!(out, "t {} {} {}", t.began_ns, t.ended_ns, t.stamp_ns)?;
    }
    for (max_error_us, off_us) in done.iter().flat_map(|done| &done.errors_us) {
        writeln!(out, "e {max_error_us} {off_us}")?;
    }
    let status = clock.status();
    writeln!(out, "replies {}", status.believed)?;
    out.flush().context("nobody listens")
}

/// A process on a busy machine may be held up for long.
const PATIENCE: Duration = Duration::from_secs(60);
const THINKS_US: u64 = 4_000;
const STACK: usize = 256 * 1024;
