//! Rates that are possible, of true time by the counter.

use super::sample::nanos;
pub(super) use crate::drift::Rates;
use crate::drift::{RATE_MAX, RISE};
use crate::mapping::Mapping;
use crate::time::Span;

impl Rates {
    /// Those of any oscillator that is not steered.
    pub(super) const ANY: Rates = Rates { low: -RATE_MAX, high: RATE_MAX };

    /// Of which nothing is known.
    pub(super) const UNKNOWN: Rates = Rates { low: f64::NEG_INFINITY, high: f64::INFINITY };

    /// Those that a mapping leaves possible for as long as a window reaches.
    pub(super) fn of_mapping(mapping: &Mapping) -> Rates {
        Rates { low: mapping.rate, high: mapping.rate }.widened(mapping.growth + RISE)
    }

    /// Least and most that true time can gain on the counter within a span, nanoseconds.
    pub(super) fn drift(&self, span: Span) -> (f64, f64) {
        let ns = nanos(span);
        let (a, b) = (self.low * ns, self.high * ns);
        (a.min(b), a.max(b))
    }

    /// The distance of a rate from the furthest of them.
    pub(super) fn furthest_from(&self, rate: f64) -> f64 {
        (self.high - rate).max(rate - self.low)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.low > self.high
    }

    /// What is left of them after a sleep, in which the machine has cooled down.
    pub(super) fn after_sleep(self) -> Rates {
        self.widened(COOLING)
    }
}

/// The furthest that a sleep may move an oscillator's rate: all that it may move awake, and the
/// cooling of a machine that stands still.
const COOLING: f64 = 20e-6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backward_span_has_its_least_drift_where_the_rate_is_highest() {
        let rates = Rates { low: -2e-6, high: 3e-6 };
        assert_eq!(rates.drift(Span::from_secs(1)), (-2_000.0, 3_000.0));
        assert_eq!(rates.drift(Span::from_secs(-1)), (-3_000.0, 2_000.0));
    }

    #[test]
    fn the_furthest_rate_is_looked_for_on_both_sides() {
        let rates = Rates { low: -2e-6, high: 3e-6 };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-18, "{a} {b}");
        close(rates.furthest_from(0.0), 3e-6);
        close(rates.furthest_from(2e-6), 4e-6);
        // Also for a rate outside of them.
        close(rates.furthest_from(-5e-6), 8e-6);
    }

    #[test]
    fn rates_that_exclude_one_another_leave_none() {
        let (slow, fast) = (Rates { low: -2e-6, high: -1e-6 }, Rates { low: 1e-6, high: 2e-6 });
        assert!(slow.within(fast).is_empty());
        assert!(!slow.within(fast.widened(2e-6)).is_empty());
        assert!(!Rates { low: 1e-6, high: 1e-6 }.is_empty());
    }

    #[test]
    fn a_sleep_moves_rates_by_up_to_20_ppm_either_way() {
        let rates = Rates { low: -2e-6, high: 3e-6 }.after_sleep();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-18, "{a} {b}");
        close(rates.low, -22e-6);
        close(rates.high, 23e-6);
    }

    #[test]
    fn a_mapping_leaves_its_rate_possible_and_all_that_may_have_become_of_it() {
        let mapping = crate::mapping::tests::mapping();
        let rates = Rates::of_mapping(&mapping);
        // 20 ppm, give or take a growth of 15 and the 11 that it may rise by.
        assert!((rates.low + 6e-6).abs() < 1e-18 && (rates.high - 46e-6).abs() < 1e-18);
    }
}
