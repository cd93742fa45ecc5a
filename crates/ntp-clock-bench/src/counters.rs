//! A clock on the processor's counter beside one on the system's, of the same server: whether they
//! differ by no more than they say, and whether moments are carried over as truly as stated.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ntp_clock::{Clock, CounterChoice, Reading, Span, UnixTime};
use ntp_test_server::TestServer;
use serde::Serialize;

#[derive(clap::Args)]
pub(crate) struct CountersArgs {
    /// For how long, minutes
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Pause between two comparisons, milliseconds
    #[arg(long, default_value_t = 20)]
    pause_ms: u64,
    /// Pause between two rounds of either clock, seconds
    #[arg(long, default_value_t = 16)]
    poll_s: u64,
}

/// What was found.
#[derive(Serialize)]
struct Outcome {
    counters: [&'static str; 2],
    minutes: f64,
    comparisons: u64,
    /// No reading of one of them, or another epoch.
    gaps: u64,
    /// Differences of more than both bounds.
    beyond_bounds: u64,
    /// Differences of more than one, two and three times both probable errors.
    beyond_1_2_3_sigma: [u64; 3],
    /// Moments of the kernel's counter that were carried over by more than the stated error.
    carried_beyond: u64,
    difference_us: Spread,
    bound_us: Spread,
    est_error_us: Spread,
    carried_error_ns: Spread,
}

#[derive(Serialize)]
struct Spread {
    median: f64,
    p99: f64,
    max: f64,
}

impl Spread {
    fn of(spans: &mut [Span], unit_ns: f64) -> Result<Self> {
        ensure!(!spans.is_empty(), "there was nothing to compare");
        spans.sort();
        let at = |share: f64| {
            let index = ((spans.len() - 1) as f64 * share).round() as usize;
            spans[index].as_nanos() as f64 / unit_ns
        };
        Ok(Spread { median: at(0.5), p99: at(0.99), max: at(1.0) })
    }
}

/// Readings of both clocks, one right after the other.
struct Look {
    before: Reading,
    other: Reading,
    after: Reading,
}

impl Look {
    fn of(one: &Clock, other: &Clock) -> Option<Self> {
        let (before, other, after) = (one.now()?, other.now()?, one.now()?);
        (before.epoch() == 1 && other.epoch() == 1).then_some(Look { before, other, after })
    }

    /// How far the other's reading is outside the two of the first, or how far it may be at least
    /// where it is inside: not at all.
    fn difference(&self) -> Span {
        (self.before.time() - self.other.time()).max(self.other.time() - self.after.time())
    }
}

pub(crate) fn run(args: &CountersArgs) -> Result<()> {
    let server = TestServer::builder().spawn()?;
    let clock = |choice| {
        let builder = Clock::builder().server(server.addr().to_string().parse()?);
        let clock =
            builder.poll_interval(Duration::from_secs(args.poll_s)).counter(choice).build()?;
        ensure!(clock.wait_synced(Duration::from_secs(10)), "no reply from the test server");
        anyhow::Ok(clock)
    };
    let (processor, system) = (clock(CounterChoice::Processor)?, clock(CounterChoice::System)?);
    let counters = [processor.status().counter, system.status().counter];
    ensure!(
        counters[0] != counters[1],
        "the processor's counter is not in use here: {}",
        processor.status().counter_reason.unwrap_or("unknown")
    );

    let begun = Instant::now();
    let (mut differences, mut bounds, mut est, mut carried) = (vec![], vec![], vec![], vec![]);
    let (mut gaps, mut beyond_bounds, mut beyond, mut carried_beyond) = (0, 0, [0; 3], 0);
    while begun.elapsed().as_secs_f64() < args.minutes * 60.0 {
        thread::sleep(Duration::from_millis(args.pause_ms));
        let Some(look) = Look::of(&processor, &system) else {
            gaps += 1;
            continue;
        };
        let difference = look.difference().max(Span::ZERO);
        let bound = look.before.max_error() + look.other.max_error();
        let est_ns = |reading: &Reading| reading.est_error().as_nanos() as f64;
        let sigma = Span::from_nanos(est_ns(&look.before).hypot(est_ns(&look.other)) as i64);
        beyond_bounds += u64::from(difference > bound);
        for (times, count) in (1..).zip(&mut beyond) {
            *count += u64::from(difference.as_nanos() > times * sigma.as_nanos());
        }
        differences.push(difference);
        bounds.push(bound);
        est.push(sigma);
        let (error, off) = carry_over(&processor).context("no moment could be carried over")?;
        carried_beyond += u64::from(off > error);
        carried.push(error);
    }
    let outcome = Outcome {
        counters,
        minutes: begun.elapsed().as_secs_f64() / 60.0,
        comparisons: differences.len() as u64,
        gaps,
        beyond_bounds,
        beyond_1_2_3_sigma: beyond,
        carried_beyond,
        difference_us: Spread::of(&mut differences, 1_000.0)?,
        bound_us: Spread::of(&mut bounds, 1_000.0)?,
        est_error_us: Spread::of(&mut est, 1_000.0)?,
        carried_error_ns: Spread::of(&mut carried, 1.0)?,
    };
    println!("{}", serde_json::to_string(&outcome)?);
    ensure!(beyond_bounds == 0, "the clocks differed by more than both bounds");
    ensure!(carried_beyond == 0, "moments were carried over by more than the stated error");
    ensure!(processor.status().counter == counters[0], "the processor's counter was given up");
    Ok(())
}

/// A moment of the kernel's counter dated by the clock on the processor's: what the carrying over
/// adds to the bound, and how far outside of two moments around it the date is.
fn carry_over(clock: &Clock) -> Option<(Span, Span)> {
    let before = clock.local_now();
    let raw = raw_now();
    let after = clock.local_now();
    let (before, raw, after) = (clock.at(before)?, clock.at_raw(raw)?, clock.at(after)?);
    let outside = |earlier: UnixTime, later: UnixTime| (earlier - later).max(Span::ZERO);
    let off = outside(before.time(), raw.time()).max(outside(raw.time(), after.time()));
    Some((raw.max_error() - before.max_error(), off))
}

#[cfg(target_os = "linux")]
fn raw_now() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_MONOTONIC_RAW).map_or(Duration::ZERO, Duration::from)
}

#[cfg(not(target_os = "linux"))]
fn raw_now() -> Duration {
    Duration::ZERO
}
