//! What the samples certainly say: earliest and latest truth, and how that widens.

use super::rates::Rates;
use super::sample::{Sample, nanos};
use super::window::Window;
use super::{WANDER, WANDER_MAX};
use crate::drift;
use crate::time::{LocalTime, Span};

/// The bound at the newest sample, and how it grows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    newest: LocalTime,
    /// Zero of the offset axis.
    pub(super) offset: Span,
    pub(super) rate: f64,
    /// What rates there may have been within the window.
    pub(super) rates: Rates,
    /// The furthest of them from `rate`.
    growth: f64,
    lower_ns: f64,
    upper_ns: f64,
}

impl Bounds {
    /// For a line of this rate; `None` where no rate or no time satisfies all samples. `known` are
    /// the rates that other evidence leaves possible.
    pub(super) fn new(window: &Window, known: Rates, steering: f64, rate: f64) -> Option<Bounds> {
        let newest = window.limits().last()?;
        // An oscillator that has moved may move as much again.
        let wander = (WANDER + window.unrest()).min(WANDER_MAX);
        // A rate that was learnt while the counter was steered one way may be steered the other.
        let steered = 2.0 * steering;
        let rates = window
            .mean_rates()
            .widened(wander + steered)
            .within(window.recent_rates().widened(steered))
            .within(known);
        let mut bounds = Bounds {
            newest: newest.t4,
            offset: newest.upper,
            rate,
            rates,
            growth: rates.furthest_from(rate),
            lower_ns: 0.0,
            upper_ns: 0.0,
        };
        (bounds.lower_ns, bounds.upper_ns) = bounds.intersect(window, newest.t4);
        (!rates.is_empty() && bounds.lower_ns <= bounds.upper_ns).then_some(bounds)
    }

    /// Earliest and latest truth at a moment, in nanoseconds of offset above `self.offset`.
    pub(super) fn at(&self, window: &Window, at: LocalTime) -> (f64, f64) {
        if at >= self.newest {
            let since = nanos(at - self.newest);
            return (self.earliest(self.lower_ns, since), self.latest(self.upper_ns, since));
        }
        self.intersect(window, at)
    }

    /// How fast the bound grows at a moment.
    pub(super) fn growth_at(&self, at: LocalTime) -> f64 {
        drift::growth_at(self.growth, nanos(at - self.newest).max(0.0))
    }

    /// Whether the sample and the bound cannot both be true.
    pub(super) fn contradicts(&self, sample: &Sample) -> bool {
        let earliest = self.earliest(self.lower_ns, nanos(sample.t1 - self.newest));
        let latest = self.latest(self.upper_ns, nanos(sample.t4 - self.newest));
        nanos(sample.upper - self.offset) < earliest || nanos(sample.lower - self.offset) > latest
    }

    fn intersect(&self, window: &Window, at: LocalTime) -> (f64, f64) {
        let (mut lower, mut upper) = (f64::NEG_INFINITY, f64::INFINITY);
        for limit in window.limits() {
            let known = nanos(limit.lower - self.offset);
            lower = lower.max(self.earliest(known, nanos(at - limit.t4)));
            let known = nanos(limit.upper - self.offset);
            upper = upper.min(self.latest(known, nanos(at - limit.t1)));
        }
        (lower, upper)
    }

    /// The least that an offset can be which was at least `known_ns` so long ago (or will be).
    fn earliest(&self, known_ns: f64, since_ns: f64) -> f64 {
        known_ns + self.rate * since_ns - drift::widening(self.growth, since_ns.abs())
    }

    /// The most that an offset can be which was at most `known_ns` so long ago (or will be).
    fn latest(&self, known_ns: f64, since_ns: f64) -> f64 {
        known_ns + self.rate * since_ns + drift::widening(self.growth, since_ns.abs())
    }
}
