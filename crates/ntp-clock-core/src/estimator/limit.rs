//! What a sample, or a round of them, certainly says.

use super::rates::Rates;
use super::sample::{Sample, nanos};
use crate::time::{LocalTime, Span};

/// What one round certainly says. Its two sides may come from different exchanges.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Limit {
    pub(super) t1: LocalTime,
    /// Truth less local time at `t1` is at most this.
    pub(super) upper: Span,
    pub(super) t4: LocalTime,
    /// Truth less local time at `t4` is at least this.
    pub(super) lower: Span,
    /// The smallest round trip.
    pub(super) delay: Span,
}

impl Limit {
    pub(super) fn of_sample(sample: &Sample) -> Self {
        Limit {
            t1: sample.t1,
            upper: sample.upper,
            t4: sample.t4,
            lower: sample.lower,
            delay: sample.delay,
        }
    }

    /// The tighter side of each of two, the second the later; `rates` are possible between them.
    pub(super) fn joined(&self, later: &Limit, rates: Rates) -> Limit {
        let mut joined = *later;
        let (_, drift) = rates.drift(later.t1 - self.t1);
        // Of differences: a double holds an offset since 1970 to 256 ns only.
        if nanos(self.upper - later.upper) + drift < 0.0 {
            (joined.t1, joined.upper) = (self.t1, self.upper);
        }
        let (drift, _) = rates.drift(later.t4 - self.t4);
        if nanos(self.lower - later.lower) + drift > 0.0 {
            (joined.t4, joined.lower) = (self.t4, self.lower);
        }
        joined.delay = self.delay.min(later.delay);
        joined
    }

    /// The mean rates that are possible from this one to a later one, by their lines alone; any
    /// where they overlap.
    pub(super) fn mean_rates_until(&self, later: &Limit) -> Rates {
        let (most_ns, least_ns) = (nanos(later.t1 - self.t4), nanos(later.t4 - self.t1));
        if most_ns < 1.0 || least_ns < 1.0 {
            return Rates::UNKNOWN;
        }
        Rates {
            low: nanos(later.lower - self.upper) / least_ns,
            high: nanos(later.upper - self.lower) / most_ns,
        }
    }

    pub(super) fn latest(&self) -> LocalTime {
        self.t1.max(self.t4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At `at_s`, truth less local time in [`lower_ns`, `upper_ns`] over a round trip of 1 ms.
    fn limit(at_s: i64, lower_ns: i64, upper_ns: i64) -> Limit {
        let t1 = LocalTime::from_nanos(at_s * 1_000_000_000);
        Limit {
            t1,
            upper: Span::from_nanos(upper_ns),
            t4: t1 + Span::from_millis(1),
            lower: Span::from_nanos(lower_ns),
            delay: Span::from_millis(1),
        }
    }

    /// Worked by hand: from [-100, 100] ns to [900, 1,300] ns within 1,000 s; the lines lie 1 ms
    /// further apart for the least rate (T1 to T4) and 1 ms nearer for the greatest.
    #[test]
    fn two_limits_bound_the_mean_rate_between_them() {
        let rates = limit(0, -100, 100).mean_rates_until(&limit(1_000, 900, 1_300));
        assert_eq!(rates.low, 800.0 / 1_000.001e9);
        assert_eq!(rates.high, 1_400.0 / 999.999e9);
    }

    #[test]
    fn limits_that_overlap_say_nothing_about_a_rate() {
        let one = limit(5, 0, 10);
        let rates = one.mean_rates_until(&Limit { t1: one.t1 + Span::from_micros(10), ..one });
        assert_eq!(rates, Rates::UNKNOWN);
    }

    #[test]
    fn joining_keeps_of_each_side_what_is_tighter_where_the_later_one_is() {
        let rates = Rates { low: -1e-6, high: 1e-6 };
        let (early, late) = (limit(0, 0, 500), limit(1, -2_000, 2_000));
        // A drift of 1,000 ns leaves both sides of the early one tighter.
        let joined = early.joined(&late, rates);
        assert_eq!((joined.t1, joined.upper), (early.t1, early.upper));
        assert_eq!((joined.t4, joined.lower), (early.t4, early.lower));
        // Over 3 s it would have moved by more than it is tighter.
        let late = limit(3, -2_000, 2_000);
        let joined = early.joined(&late, rates);
        assert_eq!((joined.t1, joined.upper), (late.t1, late.upper));
        assert_eq!((joined.t4, joined.lower), (late.t4, late.lower));
        assert_eq!(joined.latest(), late.t4);
    }

    #[test]
    fn of_two_that_are_as_tight_the_later_one_is_kept() {
        // Half a nanosecond a second: sides that differ by just that over 2 s.
        let rates = Rates { low: -0.5e-9, high: 0.5e-9 };
        let (early, late) = (limit(0, 0, 100), limit(2, -1, 101));
        assert_eq!(early.joined(&late, rates).t1, late.t1);
        assert_eq!(early.joined(&late, rates).t4, late.t4);
    }

    #[test]
    fn rates_are_means_over_a_nanosecond_at_least() {
        let nanos = |ns: i64| LocalTime::from_nanos(ns);
        let (one, error) = (limit(0, 0, 10), Span::ZERO);
        let early = Limit { t1: nanos(0), t4: nanos(5), upper: error, lower: error, ..one };
        let late = |t1: i64, t4: i64| Limit { t1: nanos(t1), t4: nanos(t4), ..early };
        assert_eq!(early.mean_rates_until(&late(6, 1)), Rates { low: 0.0, high: 0.0 });
        assert_eq!(early.mean_rates_until(&late(5, 9)), Rates::UNKNOWN);
        assert_eq!(early.mean_rates_until(&late(6, 0)), Rates::UNKNOWN);
        assert_eq!(early.mean_rates_until(&late(6, -1)), Rates::UNKNOWN);
    }
}
