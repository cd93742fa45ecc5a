//! Carries moments of the kernel's raw counter over to the processor's, which a clock uses.
//!
//! Both count without steering, and the kernel makes the one of the other, so the one is a straight
//! line of the other. Two comparisons give the line; what either may be off by is in the error of
//! what is carried over. A comparison is one reading of the raw counter between two of the
//! processor's.

use ntp_clock_core::{LocalTime, Span};

use crate::moment::Beside;

/// Both counters at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RawPair {
    local: LocalTime,
    raw: Span,
    /// What `local` may be off by.
    error: Span,
}

impl From<Beside<Span>> for RawPair {
    fn from(beside: Beside<Span>) -> Self {
        RawPair { local: beside.middle(), raw: beside.other, error: beside.width + RESOLUTION }
    }
}

impl RawPair {
    /// How far the processor's counter is ahead of the kernel's.
    pub(crate) fn ahead(self) -> Span {
        self.local - (LocalTime::from_nanos(0) + self.raw)
    }
}

/// The first comparison and the last one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bridge {
    first: RawPair,
    last: RawPair,
}

impl Bridge {
    pub(crate) fn begin(pair: RawPair) -> Self {
        Bridge { first: pair, last: pair }
    }

    /// With a new comparison, or `None` where that contradicts the earlier ones: the counters ran
    /// apart by more than the stated errors.
    pub(crate) fn renewed(self, now: RawPair) -> Option<Self> {
        let (expected, error) = self.local_at(now.raw);
        let apart = (now.local - expected).abs();
        if apart > error + now.error + SLACK {
            return None;
        }
        // One that was interrupted would only make what is carried over less certain.
        Some(if now.error <= TIGHT { Bridge { last: now, ..self } } else { self })
    }

    pub(crate) fn last(&self) -> RawPair {
        self.last
    }

    /// Whether both run alike but for what a nominal rate may be off by, as far as is known.
    pub(crate) fn is_nominal(&self) -> bool {
        let (rate, uncertainty) = self.rate();
        rate.abs() - uncertainty <= NOMINAL
    }

    /// A moment of the raw counter on the processor's, and how far that may be off.
    pub(crate) fn local_at(&self, raw: Span) -> (LocalTime, Span) {
        let (rate, uncertainty) = self.rate();
        let since = raw - self.last.raw;
        let moved = Span::from_nanos((since.as_nanos() as f64 * rate) as i64);
        let error = Span::from_nanos((since.abs().as_nanos() as f64 * uncertainty) as i64);
        (self.last.local + since + moved, self.last.error + error + RESOLUTION)
    }

    /// How much faster than the raw counter the processor's runs, and how far that may be off.
    fn rate(&self) -> (f64, f64) {
        let raw = self.last.raw - self.first.raw;
        if raw < SHORTEST {
            return (0.0, RATE_MAX);
        }
        let apart = (self.last.local - self.first.local) - raw;
        let error = self.first.error + self.last.error;
        let of_raw = |span: Span| span.as_nanos() as f64 / raw.as_nanos() as f64;
        (of_raw(apart), of_raw(error).min(RATE_MAX))
    }
}

/// What is between two processors' counters does not matter here.
const SLACK: Span = Span::from_micros(1);
const TIGHT: Span = Span::from_micros(1);
/// Both are reported in whole nanoseconds.
const RESOLUTION: Span = Span::from_nanos(2);
/// The rate is nominal until then.
const SHORTEST: Span = Span::from_millis(10);
/// What is taken from the 500 ppm that a clock allows to a counter.
const NOMINAL: f64 = 100e-6;
/// The kernel's own rate and ours are of one number, which was looked at before it was used.
const RATE_MAX: f64 = 500e-6;

#[cfg(test)]
mod tests {
    use super::*;

    /// What the counters show after this many nanoseconds, where the comparison is off by so much.
    fn pair(nanos: i64, ppm: f64, off: i64) -> RawPair {
        let raw = nanos + (nanos as f64 * ppm * 1e-6) as i64;
        let local = LocalTime::from_nanos(7_000_000_000 + nanos + off);
        RawPair { local, raw: Span::from_nanos(raw), error: Span::from_nanos(30) }
    }

    #[test]
    fn what_is_carried_over_is_within_its_error_between_comparisons_and_outside() {
        for ppm in [0.0, 1.7, -250.0] {
            let mut bridge = Bridge::begin(pair(0, ppm, 30));
            for seconds in [0, 1, 2, 60, 3_600, 86_400] {
                let now =
                    pair(seconds * 1_000_000_000, ppm, if seconds % 2 == 0 { 28 } else { -28 });
                bridge = bridge.renewed(now).expect("they run alike");
                for at in [-10, 0, 1, 30, 90_000] {
                    let truth = pair(at * 1_000_000_000, ppm, 0);
                    let (local, error) = bridge.local_at(truth.raw);
                    let off = (local - truth.local).abs();
                    assert!(
                        off <= error,
                        "{ppm} ppm, {at} s after {seconds} s: {off:?}, {error:?}"
                    );
                }
            }
            let (_, error) = bridge.local_at(pair(86_401_000_000_000, ppm, 0).raw);
            assert!(error <= Span::from_nanos(40), "{error:?} a second after a day");
        }
    }

    #[test]
    fn a_nominal_rate_that_is_too_far_off_shows_once_some_time_has_passed() {
        for (ppm, nominal) in
            [(0.0, true), (99.0, true), (-99.0, true), (110.0, false), (-400.0, false)]
        {
            let young = Bridge::begin(pair(0, ppm, 0));
            assert!(young.is_nominal(), "nobody knows yet");
            let bridge = young.renewed(pair(500_000_000, ppm, 0)).expect("they run alike");
            assert_eq!(bridge.is_nominal(), nominal, "{ppm} ppm");
        }
    }

    #[test]
    fn counters_that_run_apart_by_more_than_the_stated_error_are_found_out() {
        let seconds = |s: i64| s * 1_000_000_000;
        let bridge = Bridge::begin(pair(0, 0.0, 0)).renewed(pair(seconds(1), 0.0, 0)).unwrap();
        assert!(bridge.renewed(pair(seconds(2), 0.0, 60)).is_some());
        for off in [2_000, -2_000, 1_000_000, seconds(-7), seconds(100)] {
            assert!(bridge.renewed(pair(seconds(2), 0.0, off)).is_none(), "{off} ns");
        }
    }
}
