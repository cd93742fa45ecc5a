//! How long a reading takes: batches of calls, all contenders in turn in each round, so that a
//! disturbance of the machine meets them alike and falls out of the ratios.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use ntp_clock::{Clock, CounterChoice};
use ntp_test_server::TestServer;
use serde::Serialize;

#[derive(clap::Args)]
pub(crate) struct ReadingsArgs {
    /// Rounds; each gives one sample of every contender
    #[arg(long, default_value_t = 61)]
    rounds: usize,
    /// Calls in a batch, of each thread
    #[arg(long, default_value_t = 50_000)]
    calls: u32,
}

/// Samples of things that were measured together.
#[derive(Serialize)]
pub(crate) struct Group {
    pub(crate) group: String,
    pub(crate) reference: &'static str,
    /// What the clock that is measured counts with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) counter: Option<&'static str>,
    /// Nanoseconds a call, one sample a round.
    pub(crate) samples_ns: BTreeMap<&'static str, Vec<f64>>,
}

type Contender<'a> = (&'static str, &'a (dyn Fn() + Sync));

pub(crate) fn run(args: &ReadingsArgs) -> Result<()> {
    let server = TestServer::builder().spawn()?;
    let clock = |counter| {
        let builder = Clock::builder().server(server.addr().to_string().parse()?);
        let clock = builder.counter(counter).build()?;
        ensure!(clock.wait_synced(Duration::from_secs(5)), "no reply from the test server");
        anyhow::Ok(clock)
    };
    let (clock, by_system) = (clock(CounterChoice::Processor)?, clock(CounterChoice::System)?);
    let counter = Some(clock.status().counter);
    // The first round is over then, and the next one does not begin within these seconds.
    thread::sleep(Duration::from_secs(1));

    let guarded = Mutex::new(1_i64);
    let quanta = quanta::Clock::new();
    let contenders: [Contender; 8] = [
        (REFERENCE, &|| {
            black_box(bare_counter());
        }),
        ("Clock::now()", &|| {
            black_box(clock.now());
        }),
        ("Clock::local_now()", &|| {
            black_box(clock.local_now());
        }),
        ("Clock::now(), system's counter", &|| {
            black_box(by_system.now());
        }),
        ("offset behind a Mutex", &|| {
            let offset_ns = guarded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            black_box(bare_counter() + *offset_ns);
        }),
        ("quanta::Clock::now()", &|| {
            black_box(quanta.now());
        }),
        ("SystemTime::now()", &|| {
            black_box(SystemTime::now());
        }),
        ("Instant::now()", &|| {
            black_box(Instant::now());
        }),
    ];
    for threads in [1, 2, 8] {
        let group = Group {
            group: format!("Rust, {threads} thread{}", if threads == 1 { "" } else { "s" }),
            reference: REFERENCE,
            counter,
            samples_ns: measure(args, threads, &contenders),
        };
        println!("{}", serde_json::to_string(&group)?);
    }
    let reading = || {
        black_box(clock.now());
    };
    let group = Group {
        group: "Clock::now(), processor time".to_owned(),
        reference: "1 thread",
        counter,
        samples_ns: measure_processor_time(args, &reading),
    };
    println!("{}", serde_json::to_string(&group)?);
    ensure!(clock.now().is_some(), "the clock lost its time while it was measured");
    Ok(())
}

fn measure(
    args: &ReadingsArgs,
    threads: usize,
    contenders: &[Contender],
) -> BTreeMap<&'static str, Vec<f64>> {
    let mut samples: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for round in 0..args.rounds + WARM_UP {
        for step in 0..contenders.len() {
            // Another order each round: nobody always follows the same one.
            let (name, call) = contenders[(round + step) % contenders.len()];
            let ns = batch(threads, args.calls, call);
            if round >= WARM_UP {
                samples.entry(name).or_default().push(ns);
            }
        }
    }
    samples
}

/// Nanoseconds a call, all threads' calls counted.
fn batch(threads: usize, calls: u32, call: &(dyn Fn() + Sync)) -> f64 {
    if threads == 1 {
        return time(calls, call).as_nanos() as f64 / f64::from(calls);
    }
    let barrier = Barrier::new(threads);
    // From the first thread's start to the last one's end, as they saw it themselves: a thread that
    // only waits for them may be woken late.
    let spans: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let work = || {
            barrier.wait();
            let started = Instant::now();
            time(calls, call);
            (started, Instant::now())
        };
        let each: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        // A panic of a contender has been reported where it happened.
        each.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let started = spans.iter().map(|(started, _)| *started).min();
    let ended = spans.iter().map(|(_, ended)| *ended).max();
    let took = started.zip(ended).map_or(Duration::ZERO, |(started, ended)| ended - started);
    took.as_nanos() as f64 / (f64::from(calls) * threads as f64)
}

/// What a call takes of its thread's processor time, with one thread and with eight.
fn measure_processor_time(
    args: &ReadingsArgs,
    call: &(dyn Fn() + Sync),
) -> BTreeMap<&'static str, Vec<f64>> {
    let mut samples: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for round in 0..args.rounds + WARM_UP {
        for (name, threads) in [("1 thread", 1), ("8 threads", 8)] {
            let barrier = Barrier::new(threads);
            let work = || {
                barrier.wait();
                let before = thread_time();
                time(args.calls, call);
                thread_time() - before
            };
            let took: Duration = thread::scope(|scope| {
                let each: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
                each.into_iter().filter_map(|thread| thread.join().ok()).sum()
            });
            if round >= WARM_UP {
                let ns = took.as_nanos() as f64 / (f64::from(args.calls) * threads as f64);
                samples.entry(name).or_default().push(ns);
            }
        }
    }
    samples
}

/// The processor time that this thread has had.
#[cfg(target_os = "linux")]
fn thread_time() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Nothing tells it here: time that passed.
#[cfg(not(target_os = "linux"))]
fn thread_time() -> Duration {
    Duration::from_nanos(bare_counter() as u64)
}

fn time(calls: u32, call: &(dyn Fn() + Sync)) -> Duration {
    let started = Instant::now();
    for _ in 0..calls {
        call();
    }
    started.elapsed()
}

#[cfg(target_os = "linux")]
fn bare_counter() -> i64 {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_MONOTONIC_RAW)
        .map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

#[cfg(not(target_os = "linux"))]
fn bare_counter() -> i64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as i64
}

#[cfg(target_os = "linux")]
const REFERENCE: &str = "clock_gettime(CLOCK_MONOTONIC_RAW)";
#[cfg(not(target_os = "linux"))]
const REFERENCE: &str = "Instant";
const WARM_UP: usize = 3;
