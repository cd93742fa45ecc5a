//! How wide an interval may be at most: what the exchanges themselves leave, and a little more.

use ntp_clock_core::LinkStamps;

/// The exchanges of a link that can still be the ones that leave least.
#[derive(Clone, Debug, Default)]
pub(super) struct Least {
    /// Since when there is evidence, by A's counter, nanoseconds.
    since_ns: Option<i64>,
    /// Middle (by A's counter) and round trip without the time held, nanoseconds: each is newer and
    /// has a longer round trip than the one before it.
    exchanges: Vec<(i64, i64)>,
    round_trip_ns: i64,
    /// Middle of the newest exchange.
    newest_ns: i64,
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
    /// A's counter stood there when evidence came.
    pub(super) fn begin(&mut self, a_ns: i64) {
        self.since_ns.get_or_insert(a_ns);
    }

    pub(super) fn exchange(&mut self, stamps: &LinkStamps) {
        let (t1, t4) = (stamps.sent_a.as_nanos(), stamps.received_a.as_nanos());
        let held = (stamps.sent_b - stamps.received_b).as_nanos();
        let (middle, round_trip) = (t1 + (t4 - t1) / 2, t4 - t1 - held);
        let first = self.exchanges.is_empty();
        self.round_trip_ns = if first { round_trip } else { self.round_trip_ns.min(round_trip) };
        if self.exchanges.iter().any(|(m, r)| *m >= middle && *r <= round_trip) {
            return;
        }
        self.exchanges.retain(|(m, r)| *m > middle || *r < round_trip);
        let place = self.exchanges.partition_point(|(m, _)| *m < middle);
        self.exchanges.insert(place, (middle, round_trip));
    }

    /// The full width that the aim allows when A's counter reads this, without what resolutions
    /// add; `None` before the first exchange.
    ///
    /// The rate is learnt between the first evidence and the newest exchange. A counter that is
    /// steered may have been turned one way then, and the other since.
    pub(super) fn allowed_ns(&self, a_ns: i64, before: Before) -> Option<f64> {
        let learnt_in_ns = (self.newest_ns - self.since_ns?).max(1) as f64;
        let learnt = 2.0 * self.round_trip_ns as f64 / learnt_in_ns + RATE_KNOWN;
        let rate = (learnt + 4.0 * before.steering).min(before.rates);
        let width = |(middle, round_trip): &(i64, i64)| {
            *round_trip as f64 + rate * (a_ns - middle).abs() as f64
        };
        let least = self.exchanges.iter().map(width).reduce(f64::min)?;
        Some(FACTOR * least)
    }
}

const FACTOR: f64 = 1.3;
const RATE_KNOWN: f64 = 20e-6;

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
        assert_eq!(least.allowed_ns(0, before), None);
        least.begin(0);
        for (t1_s, round_trip_s) in [(0.0, 0.010), (10.0, 0.040), (20.0, 0.030)] {
            least.exchange(&stamps(t1_s, round_trip_s));
        }
        // 20 ms / 20 s are 1,000 ppm, and 20 more.
        let allowed_ms = least.allowed_ns(100_000_000_000, before).unwrap() / 1e6;
        let first = 10.0 + 1.020 * (100.0 - 0.005);
        assert!((allowed_ms - FACTOR * first).abs() < 0.01, "{allowed_ms}");
        // The second one is slower and older than the third.
        assert_eq!(least.exchanges.len(), 2);
    }
}
