//! What the rate of a counter may do.

use crate::drift::{BANDS, RATE_MAX};

/// What a counter's rate may do: how far it can be from nominal, and how hard its system steers it.
///
/// ```
/// use ntp_clock_core::Oscillator;
/// // CLOCK_MONOTONIC_RAW, and `performance.now()` of a browser on Linux.
/// let (device, page) = (Oscillator::FREE, Oscillator::steered(500.0));
/// assert!(device.steering_ppm() < page.steering_ppm());
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Oscillator {
    /// The counter's rate by true time, less one, without steering.
    low: f64,
    high: f64,
    /// How far steering may take it from there, either way.
    steering: f64,
}

impl Oscillator {
    /// A counter that nobody steers: within 500 ppm of nominal.
    pub const FREE: Oscillator = Oscillator { low: -RATE_MAX, high: RATE_MAX, steering: 0.0 };

    /// A counter that its system steers by up to so many parts per million, either way: what
    /// `performance.now()` reads, or CLOCK_MONOTONIC. Less than 0 or NaN is 0; 100,000 is the most.
    #[must_use]
    pub const fn steered(ppm: f64) -> Self {
        let ppm = if ppm > 0.0 { ppm } else { 0.0 };
        let ppm = if ppm < STEERING_PPM_MAX { ppm } else { STEERING_PPM_MAX };
        Oscillator { steering: ppm * 1e-6, ..Oscillator::FREE }
    }

    /// The same counter where its rate by true time is known to lie in an interval, in parts per
    /// million: for one's own synchronised counter. Limits that exclude one another, or are wider
    /// than what is possible, are ignored.
    #[must_use]
    pub fn within_ppm(self, low: f64, high: f64) -> Self {
        let (low, high) = (self.low.max(low * 1e-6), self.high.min(high * 1e-6));
        if low <= high { Oscillator { low, high, ..self } } else { self }
    }

    /// How hard it is steered at most, parts per million.
    #[must_use]
    pub const fn steering_ppm(&self) -> f64 {
        self.steering * 1e6
    }

    /// The furthest that its rate by true time can be from one.
    #[must_use]
    pub fn rate_max(&self) -> f64 {
        self.high.max(-self.low) + self.steering
    }
}

/// Rates that are possible of one counter by another, less one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Rates {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Rates {
    pub(super) fn around(centre: Rates, by: f64) -> Rates {
        Rates { low: centre.low - by, high: centre.high + by }
    }

    pub(super) fn within(self, other: Rates) -> Rates {
        Rates { low: self.low.max(other.low), high: self.high.min(other.high) }
    }

    pub(super) fn mirrored(self) -> Rates {
        Rates { low: -self.high, high: -self.low }
    }
}

/// Two counters: what the rate of their difference may do, by the axis half-way between them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Pair {
    a: Oscillator,
    b: Oscillator,
}

impl Pair {
    pub(super) const fn new(a: Oscillator, b: Oscillator) -> Self {
        Pair { a, b }
    }

    /// What the centre of the rates can be: they are within half a band and steering of it.
    pub(super) fn centre(&self) -> Rates {
        let (low, high) = (self.b.low - self.a.high, self.b.high - self.a.low);
        Rates { low: low * AXIS - SPARE, high: high * AXIS + SPARE }
    }

    /// What the rate can be at all.
    pub(super) fn any(&self) -> Rates {
        Rates::around(self.centre(), self.steering())
    }

    /// The furthest that the rate can be from its centre within the n-th span of [`BANDS`]: half
    /// the band of either oscillator, and all that steering can do.
    pub(super) fn reach(&self, n: usize) -> f64 {
        AXIS * BANDS[n].1 + self.steering()
    }

    /// How far steering can take the rate, either way.
    pub(super) fn steering(&self) -> f64 {
        AXIS * (self.a.steering + self.b.steering)
    }
}

/// Rates are by the axis half-way between two counters, which itself runs at up to 0.6 ‰ less than
/// true time, and where both are steered hard at a tenth.
const AXIS: f64 = 1.0 + 6e-4;
/// For rounding.
const SPARE: f64 = 1e-12;
const STEERING_PPM_MAX: f64 = 100_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_free_counters_may_differ_by_twice_what_each_may_be_off() {
        let any = Pair::new(Oscillator::FREE, Oscillator::FREE).any();
        assert!(any.high > 1_000e-6 && any.high < 1_002e-6);
        assert_eq!(any, any.mirrored());
    }

    #[test]
    fn a_rate_that_is_known_leaves_less() {
        let known = Oscillator::FREE.within_ppm(10.0, 30.0);
        let any = Pair::new(known, Oscillator::FREE).any();
        assert!(any.high < 492e-6 && any.low > -532e-6);
        assert!((known.rate_max() - 30e-6).abs() < 1e-18);
        // Nothing is left of these, and these say nothing.
        assert_eq!(Oscillator::FREE.within_ppm(600.0, 700.0), Oscillator::FREE);
        assert_eq!(Oscillator::FREE.within_ppm(f64::NAN, f64::NAN), Oscillator::FREE);
    }

    #[test]
    fn steering_is_within_what_can_be() {
        assert_eq!(Oscillator::steered(f64::NAN), Oscillator::FREE);
        assert_eq!(Oscillator::steered(-1.0), Oscillator::FREE);
        assert!((Oscillator::steered(1e9).steering_ppm() - 100_000.0).abs() < 1e-6);
        let pair = Pair::new(Oscillator::steered(500.0), Oscillator::steered(50.0));
        assert!(pair.reach(0) > 554e-6 && pair.any().high > 1_550e-6);
    }
}
