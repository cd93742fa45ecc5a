//! How wide an interval may be at most: what the exchanges themselves leave, and a little more.

use std::collections::VecDeque;

use ntp_clock_core::LinkStamps;

/// The exchanges of a link, as far as they set what is allowed.
#[derive(Clone, Debug, Default)]
pub(super) struct Least {
    /// Those that can still be the ones that leave least: each is newer and has a longer round trip
    /// than the one before it.
    best: Vec<Seen>,
    /// Those of the last two hours.
    recent: VecDeque<Seen>,
}

/// An exchange, by A's counter, nanoseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Seen {
    middle: i64,
    /// Without the time held.
    round_trip: i64,
    /// How well it and an earlier one tell the relative rate: the width of what they leave.
    rates: f64,
}

/// What is known of two counters before anything passed between them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Before {
    /// How wide the interval of their relative rate is.
    pub(super) rates: f64,
    /// How far steering can take it, either way.
    pub(super) steering: f64,
}

impl Least {
    pub(super) fn exchange(&mut self, stamps: &LinkStamps) {
        let (t1, t4) = (stamps.sent_a.as_nanos(), stamps.received_a.as_nanos());
        let held = (stamps.sent_b - stamps.received_b).as_nanos();
        let (middle, round_trip) = (t1 + (t4 - t1) / 2, t4 - t1 - held);
        while self.recent.front().is_some_and(|seen| seen.middle < middle - KEPT_NS) {
            self.recent.pop_front();
        }
        let mut seen = Seen { middle, round_trip, rates: f64::INFINITY };
        let rates = self.recent.iter().map(|earlier| earlier.rates_until(&seen));
        seen.rates = rates.fold(f64::INFINITY, f64::min);
        self.recent.push_back(seen);
        self.best.retain(|seen| seen.middle > middle || seen.round_trip < round_trip);
        if self.best.last().is_none_or(|last| last.middle < middle) {
            self.best.push(seen);
        }
    }

    /// The full width that is aimed at when A's counter reads this, without what resolutions add;
    /// `None` before the first exchange.
    ///
    /// The rate is known by the round trips of two exchanges over the time between them, and 20 ppm.
    /// A counter that is steered may have been turned one way then, and the other since.
    pub(super) fn aim_ns(&self, a_ns: i64, before: Before) -> Option<f64> {
        let learnt = self.recent.iter().map(|seen| seen.rates).reduce(f64::min)?;
        let rate = (learnt + AIM + 4.0 * before.steering).min(before.rates);
        let least = self.best.iter().map(|seen| seen.leaves(a_ns, rate)).reduce(f64::min)?;
        Some(FACTOR * least)
    }

    /// The same where the best exchanges are long ago, or the path was better then. A rate that was
    /// learnt within some time holds for as long as oscillators keep to their band.
    pub(super) fn allowed_ns(&self, a_ns: i64, before: Before) -> f64 {
        let rates = BANDS.map(|(length_ns, moved)| {
            let within: Vec<&Seen> =
                self.recent.iter().filter(|seen| seen.middle >= a_ns - length_ns).collect();
            (length_ns, learnt(&within) + moved + 4.0 * before.steering)
        });
        let width = |seen: &Seen| {
            let age_ns = a_ns - seen.middle;
            let known = rates.iter().filter(|(length_ns, _)| age_ns <= *length_ns);
            let rate = known.map(|(_, rate)| *rate).fold(before.rates, f64::min);
            seen.leaves(a_ns, rate)
        };
        FACTOR * self.best.iter().map(width).fold(f64::INFINITY, f64::min)
    }
}

impl Seen {
    /// The width of what two exchanges leave of the rate.
    fn rates_until(&self, later: &Seen) -> f64 {
        let round_trips = (self.round_trip + later.round_trip) as f64;
        round_trips / (later.middle - self.middle).abs().max(1) as f64
    }

    fn leaves(&self, a_ns: i64, rate: f64) -> f64 {
        self.round_trip as f64 + rate * (a_ns - self.middle).abs() as f64
    }
}

/// The rate by the two exchanges that tell most.
fn learnt(seen: &[&Seen]) -> f64 {
    let pairs = seen.iter().enumerate().flat_map(|(place, earlier)| {
        seen[place + 1..].iter().map(|later| earlier.rates_until(later))
    });
    pairs.fold(f64::INFINITY, f64::min)
}

const FACTOR: f64 = 1.3;
const AIM: f64 = 20e-6;
/// Rates are learnt from what is not older, nanoseconds.
const KEPT_NS: i64 = 7_200_000_000_000;
/// For how long after the best exchanges a rate is known how well, besides what they tell: how far
/// two oscillators can have moved apart, from one end of what is possible to the other. The times
/// are shorter than those for which oscillators keep to a band, for a link's spans begin with
/// older exchanges. The last one is for silences.
const BANDS: [(i64, f64); 4] = [
    (120_000_000_000, 20e-6),
    (1_200_000_000_000, 36e-6),
    (5_760_000_000_000, 80e-6),
    (86_400_000_000_000, 100e-6),
];

#[cfg(test)]
mod tests {
    use ntp_clock_core::LocalTime;

    use super::*;

    fn stamps(t1_s: f64, round_trip_s: f64) -> LinkStamps {
        let ns = |s: f64| LocalTime::from_nanos((s * 1e9) as i64);
        let middle = t1_s + round_trip_s / 2.0;
        LinkStamps {
            sent_a: ns(t1_s),
            received_b: ns(middle),
            sent_b: ns(middle),
            received_a: ns(t1_s + round_trip_s),
        }
    }

    #[test]
    fn the_exchange_that_leaves_least_sets_what_is_allowed() {
        let mut least = Least::default();
        let before = Before { rates: 2_000e-6, steering: 0.0 };
        assert_eq!(least.aim_ns(0, before), None);
        for (t1_s, round_trip_s) in [(0.0, 0.010), (10.0, 0.040), (20.0, 0.030)] {
            least.exchange(&stamps(t1_s, round_trip_s));
        }
        // 40 ms of round trips in 20 s are 2,000 ppm, as nobody knows better.
        let allowed_ms = least.aim_ns(21_000_000_000, before).unwrap() / 1e6;
        assert!((allowed_ms - FACTOR * (30.0 + 2.0 * 0.985)).abs() < 0.01, "{allowed_ms}");
        least.exchange(&stamps(110.0, 0.010));
        // 20 ms in 110 s are 182 ppm, and 20 more.
        let allowed_ms = least.aim_ns(210_000_000_000, before).unwrap() / 1e6;
        let first = 10.0 + 0.2018 * 99.995;
        assert!((allowed_ms - FACTOR * first).abs() < 0.01, "{allowed_ms}");
        // All others are slower and older.
        assert_eq!(least.best.len(), 1);
    }
}
