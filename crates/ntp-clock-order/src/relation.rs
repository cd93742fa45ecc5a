//! What is said of two stamps.

use ntp_clock_core::{Oscillator, Span};

use crate::points::ceil;
use crate::reason::Reason;

/// What can be said of the order of two stamps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// The first one certainly came first.
    Before,
    /// The first one certainly came last.
    After,
    /// Both orders are possible.
    CannotTell,
}

/// What makes an order certain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum By {
    /// Clocks, links and readings, without the causes.
    Clock,
    /// Only the causes as well: a message is sent before it is received.
    Cause,
}

/// How two stamps stand to one another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relation {
    /// Their order.
    pub verdict: Verdict,
    /// What makes it certain; `None` where it is not.
    pub by: Option<By>,
    /// From the first one to the second at least this much true time passed (it is negative where
    /// the second may have been first); `None` where nothing says so.
    pub lower: Option<Span>,
    /// At most this much.
    pub upper: Option<Span>,
    /// The best guess, within these limits; `None` where one of them is missing.
    pub estimate: Option<Span>,
    /// One standard deviation of the guess.
    pub est_error: Option<Span>,
    /// What the verdict rests on, each once; where the order is not certain, the limits. Without
    /// limits it is what excludes one another, though nothing is wrong at either moment by itself.
    pub rests_on: Vec<Reason>,
}

/// The least and the most that something can be, nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) lower: Option<i64>,
    pub(crate) upper: Option<i64>,
}

impl Limits {
    /// How far `reading` is from somewhere in an interval.
    pub(crate) fn since((low, high): (Option<i64>, Option<i64>), reading: i64) -> Self {
        Limits {
            lower: high.and_then(|high| reading.checked_sub(high)),
            upper: low.and_then(|low| reading.checked_sub(low)),
        }
    }

    /// The other way round.
    pub(crate) fn reversed(self) -> Self {
        let negative = |limit: Option<i64>| limit.and_then(i64::checked_neg);
        Limits { lower: negative(self.upper), upper: negative(self.lower) }
    }

    /// From a moment in one interval to a moment in another.
    pub(crate) fn between(
        (low, high): (Option<i64>, Option<i64>),
        (later_low, later_high): (Option<i64>, Option<i64>),
    ) -> Self {
        let apart = |one: Option<i64>, other: Option<i64>| other?.checked_sub(one?);
        Limits { lower: apart(high, later_low), upper: apart(low, later_high) }
    }

    /// True time, where these are of a counter.
    pub(crate) fn in_true_time(self, oscillator: &Oscillator) -> Self {
        let rate = oscillator.rate_max();
        // A counter that is fast shows more than passed, and a slow one less.
        let (least, most) = (rate / (1.0 + rate) * SPARE, rate / (1.0 - rate) * SPARE);
        let lower = |limit: i64| {
            let rate = if limit < 0 { most } else { least };
            limit.checked_sub(share(limit, rate))
        };
        let upper = |limit: i64| {
            let rate = if limit < 0 { least } else { most };
            limit.checked_add(share(limit, rate))
        };
        Limits { lower: self.lower.and_then(lower), upper: self.upper.and_then(upper) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!((self.lower, self.upper), (Some(lower), Some(upper)) if lower > upper)
    }
}

/// So much of a length without its sign, rounded up.
fn share(length: i64, rate: f64) -> i64 {
    ceil((length as f64 * rate).abs())
}

/// For what rounding takes.
const SPARE: f64 = 1.0 + 1e-12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_a_counter_is_within_its_rate_of_a_true_second() {
        let second = Limits { lower: Some(1_000_000_000), upper: Some(1_000_000_000) };
        let line = second.in_true_time(&Oscillator::FREE);
        // 500 ppm and what a trifle more of a fast counter's second is.
        assert!((-500_300..=-499_700).contains(&(line.lower.unwrap() - 1_000_000_000)));
        assert!((500_200..=500_800).contains(&(line.upper.unwrap() - 1_000_000_000)));
        assert_eq!(second.reversed().in_true_time(&Oscillator::FREE), line.reversed());
    }

    #[test]
    fn limits_beyond_all_numbers_are_none() {
        let all = (Some(i64::MIN), Some(i64::MAX));
        assert_eq!(Limits::since(all, i64::MIN), Limits { lower: None, upper: Some(0) });
        let most = Limits { lower: Some(i64::MIN), upper: Some(i64::MAX) };
        assert_eq!(most.reversed(), Limits { lower: Some(-i64::MAX), upper: None });
        assert_eq!(most.in_true_time(&Oscillator::FREE), Limits::default());
        assert_eq!(Limits::between(all, all), Limits::default());
    }
}
