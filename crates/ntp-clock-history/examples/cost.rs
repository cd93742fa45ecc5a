//! What it costs to trace and date a time in a full history: `cargo run --release -p
//! ntp-clock-history --example cost`.

use std::hint::black_box;
use std::time::Instant;

use ntp_clock_history::{Dated, History, Limits, Sample, Window};

const SPANS: i64 = 100_000;

fn main() {
    let (steady, stepped) = (|_| 0, |second| if second % 20 < 10 { 0 } else { 2_000_000_000 });
    measure("steady clock", steady);
    measure("clock stepped back by 2 s every 20 s", stepped);
}

fn measure(name: &str, back_ns: impl Fn(i64) -> i64) {
    let mut history = History::new(Limits::default());
    let samples = 4_096;
    for count in 0..samples {
        let counter_ns = count * 50_000_000;
        let time_ns = 1_900_000_000_000_000_000 + counter_ns;
        let reading = Dated { time_ns, max_error_ns: 1_000_000, est_error_ns: 100_000, epoch: 1 };
        history.sample(Sample {
            counter_ns,
            width_ns: 300,
            system_ns: counter_ns - back_ns(count / 20),
            resolution_ns: 1,
            counter: 1,
            reading: (count > 200).then_some(reading),
        });
    }
    let whole_ns = (history.len() as i64 - 1) * 50_000_000;
    let begin = Instant::now();
    for span in 0..SPANS {
        let system_ns = whole_ns / SPANS * span;
        let traced = history.trace(black_box(system_ns), 1, Window::default());
        if let Some(traced) = black_box(traced) {
            black_box(history.date(traced, |_| None));
        }
    }
    let each_ns = begin.elapsed().as_nanos() / SPANS as u128;
    println!("{name}: {each_ns} ns for each of {SPANS} times, {} samples", history.len());
}
