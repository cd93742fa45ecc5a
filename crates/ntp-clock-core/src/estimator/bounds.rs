//! What the samples certainly say: earliest and latest truth, and the rates that they allow.

use super::sample::{Sample, Window, nanos};
use super::{RATE_MAX, WANDER, WINDOW};
use crate::mapping::Mapping;
use crate::time::{LocalTime, Span};

/// Rates that are possible apart from the samples in the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Rates {
    pub(super) const ANY: Rates = Rates { low: -RATE_MAX, high: RATE_MAX };

    pub(super) fn of_mapping(mapping: &Mapping) -> Rates {
        Rates { low: mapping.rate - mapping.growth, high: mapping.rate + mapping.growth }
    }

    /// What is left of them after a sleep, in which the machine has cooled down.
    pub(super) fn after_sleep(self) -> Rates {
        Rates {
            low: (self.low - COOLING).max(-RATE_MAX),
            high: (self.high + COOLING).min(RATE_MAX),
        }
    }
}

/// The bound at the newest sample, and how it grows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    newest: LocalTime,
    /// Zero of the offset axis.
    pub(super) offset: Span,
    pub(super) rate: f64,
    pub(super) rates: Rates,
    pub(super) growth: f64,
    lower_ns: f64,
    upper_ns: f64,
}

impl Bounds {
    /// For a line of this rate; `None` where no rate or no time satisfies all samples.
    pub(super) fn new(samples: &Window<WINDOW>, known: Rates, rate: f64) -> Option<Bounds> {
        let newest = samples.last()?;
        let rates = possible_rates(samples, known);
        let mut bounds = Bounds {
            newest: newest.t4,
            offset: newest.offset,
            rate,
            rates,
            growth: (rates.high - rate).max(rate - rates.low),
            lower_ns: 0.0,
            upper_ns: 0.0,
        };
        (bounds.lower_ns, bounds.upper_ns) = bounds.intersect(samples, newest.t4);
        (rates.low <= rates.high && bounds.lower_ns <= bounds.upper_ns).then_some(bounds)
    }

    /// Earliest and latest truth at a moment, in nanoseconds of offset above `self.offset`.
    pub(super) fn at(&self, samples: &Window<WINDOW>, at: LocalTime) -> (f64, f64) {
        if at >= self.newest {
            let since = nanos(at - self.newest);
            let (drift, widening) = (self.rate * since, self.growth * since);
            return (self.lower_ns + drift - widening, self.upper_ns + drift + widening);
        }
        self.intersect(samples, at)
    }

    fn intersect(&self, samples: &Window<WINDOW>, at: LocalTime) -> (f64, f64) {
        let (mut lower, mut upper) = (f64::NEG_INFINITY, f64::INFINITY);
        for sample in samples.iter() {
            let since = nanos(at - sample.t4);
            let line = nanos(sample.lower - self.offset) + self.rate * since;
            lower = lower.max(line - self.growth * since.abs());
            let since = nanos(at - sample.t1);
            let line = nanos(sample.upper - self.offset) + self.rate * since;
            upper = upper.min(line + self.growth * since.abs());
        }
        (lower, upper)
    }

    /// Whether the sample and the bound cannot both be true.
    pub(super) fn contradicts(&self, sample: &Sample) -> bool {
        let widened = |at: LocalTime| {
            let since = nanos(at - self.newest);
            (self.rate * since, self.growth * since.abs())
        };
        let (drift, widening) = widened(sample.t1);
        let earliest = self.lower_ns + drift - widening;
        let (drift, widening) = widened(sample.t4);
        let latest = self.upper_ns + drift + widening;
        nanos(sample.upper - self.offset) < earliest || nanos(sample.lower - self.offset) > latest
    }
}

/// The rates that every pair of samples allows, widened by the wander allowance.
fn possible_rates(samples: &Window<WINDOW>, known: Rates) -> Rates {
    let Rates { mut low, mut high } = known;
    for (index, later) in samples.iter().enumerate() {
        for earlier in samples.iter().take(index) {
            let most = nanos(later.upper - earlier.lower) / nanos(later.t1 - earlier.t4).max(1.0);
            let least = nanos(later.lower - earlier.upper) / nanos(later.t4 - earlier.t1).max(1.0);
            if later.t1 > earlier.t4 {
                high = high.min(most + WANDER);
                low = low.max(least - WANDER);
            }
        }
    }
    Rates { low, high }
}

/// The furthest that a sleep may move an oscillator's rate.
const COOLING: f64 = 15e-6;
