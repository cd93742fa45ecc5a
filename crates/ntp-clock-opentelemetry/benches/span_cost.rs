//! What a span costs the thread that makes it, and what it costs in all, with our processor and
//! without: `cargo bench --package ntp-clock-opentelemetry`, with the number of pairs behind `--`.
//!
//! Both are measured in turn, a block of spans each, and compared pair by pair, so that what the
//! machine does besides meets both.

use std::time::{Duration, Instant};
use std::{env, thread};

use ntp_clock::Clock;
use ntp_test_server::TestServer;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData, SpanExporter};

/// Fewer than make the SDK export, so that its thread rests while the block is made.
const BLOCK: u32 = 500;

fn main() {
    let pairs = env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1_000);
    let server = TestServer::builder().spawn().expect("loopback");
    let name = server.addr().to_string().parse().expect("an address");
    let clock = Clock::builder().server(name).build().expect("valid");
    assert!(clock.wait_synced(Duration::from_secs(10)), "not synchronised");
    let timekeeper = ntp_clock_opentelemetry::install(&clock);
    let bare = SdkTracerProvider::builder().with_batch_exporter(Discarded).build();
    let processor = timekeeper.span_processor(Discarded);
    let ours = SdkTracerProvider::builder().with_span_processor(processor).build();
    println!("{pairs} pairs of blocks of {BLOCK} spans; load: {}", load());
    for (what, attributes) in [("a bare span", 0), ("four attributes and an event", 4)] {
        let mut rows = Vec::new();
        for pair in 0..pairs + 20 {
            let mut times = [(0.0, 0.0); 2];
            let order = if pair % 2 == 0 { [0, 1] } else { [1, 0] };
            for which in order {
                times[which] = block([&bare, &ours][which], attributes);
            }
            // The first ones warm up.
            if pair >= 20 {
                rows.push(times);
            }
        }
        report(&format!("{what}, on the program's thread"), &rows, |times| times.0);
        report(&format!("{what}, with export"), &rows, |times| times.1);
    }
    println!("load: {}", load());
}

/// Nanoseconds a span: until the last has ended, and until all are exported.
fn block(provider: &SdkTracerProvider, attributes: usize) -> (f64, f64) {
    let tracer = provider.tracer("bench");
    let begun = Instant::now();
    for _ in 0..BLOCK {
        span(&tracer, attributes);
    }
    let made = begun.elapsed();
    provider.force_flush().expect("flushed");
    let nanos = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(BLOCK);
    let times = (nanos(made), nanos(begun.elapsed()));
    // The other's threads come to rest.
    thread::sleep(Duration::from_micros(200));
    times
}

fn span(tracer: &SdkTracer, attributes: usize) {
    let mut span = tracer.start("work");
    for (key, value) in ["a", "b", "c", "d"].into_iter().zip(0..).take(attributes) {
        span.set_attribute(KeyValue::new(key, value));
    }
    if attributes > 0 {
        span.add_event("met", Vec::new());
    }
    span.end();
}

fn report(what: &str, rows: &[[(f64, f64); 2]], of: impl Fn((f64, f64)) -> f64) {
    let column = |which: usize| sorted(rows.iter().map(|row| of(row[which])));
    let ratios: Vec<f64> = rows.iter().map(|row| of(row[1]) / of(row[0])).collect();
    let (low, high) = interval(&ratios);
    println!(
        "{what}: {:.0} ns bare, {:.0} ns ours, ratio {:.3} ({low:.3} to {high:.3})",
        median(&column(0)),
        median(&column(1)),
        median(&sorted(ratios.iter().copied())),
    );
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

/// 95 % of the medians of a thousand samples drawn of these, with replacement.
fn interval(ratios: &[f64]) -> (f64, f64) {
    let mut dice = fastrand::Rng::with_seed(1);
    let medians = sorted((0..1_000).map(|_| {
        let drawn = ratios.iter().map(|_| ratios[dice.usize(..ratios.len())]);
        median(&sorted(drawn))
    }));
    (medians[25], medians[974])
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_else(|_| "unknown".into()).trim().into()
}

#[derive(Debug)]
struct Discarded;

impl SpanExporter for Discarded {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        drop(batch);
        Ok(())
    }
}
