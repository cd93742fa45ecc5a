//! What it costs to take an exchange into account.

use std::time::{Duration, Instant};

use ntp_clock_core::{Estimator, Exchange, LogEntry, Replay, Span};

use crate::outcome::{Options, Record};
use crate::run::run;
use crate::world::{Family, Setup};

/// Times of all exchanges, one by one, sorted.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// The estimator by itself.
    pub estimator: Vec<Duration>,
    /// Estimator, discipline and mapping: all that an exchange passes but the engine's checks.
    pub replay: Vec<Duration>,
}

/// Takes the exchanges of days in all worlds.
#[must_use]
pub fn cost(seeds: u64) -> Cost {
    let mut cost = Cost::default();
    for family in Family::ALL {
        for seed in 1..=seeds {
            let setup = Setup::draw(*family, seed);
            let options = Options { record: true, ..Options::default() };
            let record = run(&setup, &mut [], options).record;
            let resolution = Span::from_nanos(setup.oscillator.resolution_ns);
            cost.take(&record, resolution);
        }
    }
    cost.estimator.sort_unstable();
    cost.replay.sort_unstable();
    cost
}

impl Cost {
    fn take(&mut self, record: &[Record], resolution: Span) {
        let mut estimator = Estimator::new(resolution);
        let mut replay = Replay::new(resolution);
        for entry in record.iter().filter_map(|record| match record {
            Record::Entry(entry) => Some(entry),
            Record::Read { .. } => None,
        }) {
            let began = Instant::now();
            replay.entry(entry);
            let took = began.elapsed();
            match entry {
                LogEntry::Exchange { exchange, .. } => {
                    self.replay.push(took);
                    self.estimator.push(timed(&mut estimator, exchange));
                }
                LogEntry::Suspend { .. } => estimator.forget_offset(),
                LogEntry::CounterChanged { .. } => estimator.forget(),
                _ => {}
            }
        }
    }
}

fn timed(estimator: &mut Estimator, exchange: &Exchange) -> Duration {
    let began = Instant::now();
    let _ = std::hint::black_box(estimator.add(exchange));
    began.elapsed()
}
