//! What the samples certainly say: earliest and latest truth, and the rates that they allow.

use super::sample::{Sample, nanos};
use super::window::{Limit, Window};
use super::{RATE_MAX, STEP, WANDER, WANDER_MAX};
use crate::mapping::{Mapping, past_growth};
use crate::time::{LocalTime, Span};

/// Rates that are possible, of true time by the counter, less one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Rates {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Rates {
    pub(super) const ANY: Rates = Rates { low: -RATE_MAX, high: RATE_MAX };

    pub(super) fn of_mapping(mapping: &Mapping) -> Rates {
        Rates { low: mapping.rate, high: mapping.rate }.widened(past_growth(mapping.growth))
    }

    /// Least and most that true time can gain on the counter within a span, nanoseconds.
    pub(super) fn drift(&self, span: Span) -> (f64, f64) {
        let ns = nanos(span);
        let (a, b) = (self.low * ns, self.high * ns);
        (a.min(b), a.max(b))
    }

    /// Leaves the mean rates that two limits allow between them.
    pub(super) fn narrow(&mut self, earlier: &Limit, later: &Limit) {
        let (most_ns, least_ns) = (nanos(later.t1 - earlier.t4), nanos(later.t4 - earlier.t1));
        if most_ns >= 1.0 && least_ns >= 1.0 {
            self.high = self.high.min(nanos(later.upper - earlier.lower) / most_ns);
            self.low = self.low.max(nanos(later.lower - earlier.upper) / least_ns);
        }
    }

    fn widened(self, by: f64) -> Rates {
        Rates { low: self.low - by, high: self.high + by }
    }

    fn within(self, other: Rates) -> Rates {
        Rates { low: self.low.max(other.low), high: self.high.min(other.high) }
    }

    fn or(self, other: Rates) -> Rates {
        Rates { low: self.low.min(other.low), high: self.high.max(other.high) }
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
    /// What rates there may have been within the window.
    pub(super) rates: Rates,
    past_growth: f64,
    pub(super) growth: f64,
    lower_ns: f64,
    upper_ns: f64,
}

impl Bounds {
    /// For a line of this rate, give or take its deviation; `None` where no rate or no time satisfies all samples.
    pub(super) fn new(
        window: &Window,
        known: Rates,
        steering: f64,
        (rate, deviation): (f64, f64),
    ) -> Option<Bounds> {
        let newest = window.limits().last()?;
        // An oscillator that has moved may move as much again.
        let wander = (WANDER + window.unrest()).min(WANDER_MAX);
        let steady = window.steady_rates().widened(steering);
        let certain = window.mean_rates().widened(wander + steering).within(known);
        let about = Rates { low: rate, high: rate }.widened(RATE_SIGMAS * deviation + STEP);
        let future = certain.within(steady.or(about));
        let rates = certain.within(steady.or(about).widened(window.unrest()));
        let furthest = |rates: Rates| (rates.high - rate).max(rate - rates.low);
        let mut bounds = Bounds {
            newest: newest.t4,
            offset: newest.upper,
            rate,
            rates,
            past_growth: furthest(rates),
            growth: furthest(future),
            lower_ns: 0.0,
            upper_ns: 0.0,
        };
        (bounds.lower_ns, bounds.upper_ns) = bounds.intersect(window, newest.t4);
        (rates.low <= rates.high && bounds.lower_ns <= bounds.upper_ns).then_some(bounds)
    }

    /// Earliest and latest truth at a moment, in nanoseconds of offset above `self.offset`.
    pub(super) fn at(&self, window: &Window, at: LocalTime) -> (f64, f64) {
        if at >= self.newest {
            let since = nanos(at - self.newest);
            let (drift, widening) = (self.rate * since, self.growth * since);
            return (self.lower_ns + drift - widening, self.upper_ns + drift + widening);
        }
        self.intersect(window, at)
    }

    fn intersect(&self, window: &Window, at: LocalTime) -> (f64, f64) {
        let (mut lower, mut upper) = (f64::NEG_INFINITY, f64::INFINITY);
        for limit in window.limits() {
            let since = nanos(at - limit.t4);
            let line = nanos(limit.lower - self.offset) + self.rate * since;
            lower = lower.max(line - self.past_growth * since.abs());
            let since = nanos(at - limit.t1);
            let line = nanos(limit.upper - self.offset) + self.rate * since;
            upper = upper.min(line + self.past_growth * since.abs());
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

const RATE_SIGMAS: f64 = 3.0;
/// The furthest that a sleep may move an oscillator's rate.
const COOLING: f64 = 15e-6;
