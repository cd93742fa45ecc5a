//! What the rate of a counter may do.

pub(super) use crate::drift::Rates;
use crate::drift::{BANDS, RATE_MAX};

/// What a counter's rate may do: it is within 500 ppm of nominal, and its system may steer it.
///
/// ```
/// use ntp_clock_core::Oscillator;
/// // CLOCK_MONOTONIC_RAW, and `performance.now()` of a browser on Linux.
/// let (device, page) = (Oscillator::FREE, Oscillator::steered(500.0));
/// assert!(device.steering_ppm() < page.steering_ppm());
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Oscillator {
    /// How far steering may take its rate from the oscillator's, either way.
    steering: f64,
}

impl Oscillator {
    /// A counter that nobody steers: within 500 ppm of nominal.
    pub const FREE: Oscillator = Oscillator { steering: 0.0 };

    /// A counter that its system steers by up to this many parts per million, either way: what
    /// `performance.now()` reads, or CLOCK_MONOTONIC. Less than 0 or NaN is 0; 100,000 is the most.
    #[must_use]
    pub const fn steered(ppm: f64) -> Self {
        let ppm = if ppm > 0.0 { ppm } else { 0.0 };
        let ppm = if ppm < STEERING_PPM_MAX { ppm } else { STEERING_PPM_MAX };
        Oscillator { steering: ppm * 1e-6 }
    }

    /// How hard it is steered at most, parts per million.
    #[must_use]
    pub const fn steering_ppm(&self) -> f64 {
        self.steering * 1e6
    }

    /// The furthest that its rate by true time can be from one.
    #[must_use]
    pub fn rate_max(&self) -> f64 {
        RATE_MAX + self.steering
    }
}

impl Rates {
    /// Those of the same difference with its sign changed.
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
        let most = 2.0 * RATE_MAX * self.axis() + SPARE;
        Rates { low: -most, high: most }
    }

    /// What the rate can be at all.
    pub(super) fn any(&self) -> Rates {
        self.centre().widened(self.steering())
    }

    /// The furthest that the rate can be from its centre within the n-th span of [`BANDS`]: half
    /// the band of either oscillator, and all that steering can do.
    pub(super) fn reach(&self, n: usize) -> f64 {
        self.axis() * BANDS[n].1 + self.steering()
    }

    /// How far steering can take the rate, either way.
    pub(super) fn steering(&self) -> f64 {
        self.axis() * (self.a.steering + self.b.steering)
    }

    /// How much greater a rate can be by the axis half-way between the counters than by true time:
    /// the axis runs slow where both counters do.
    fn axis(&self) -> f64 {
        (1.0 + AXIS_SPARE) / (1.0 - (self.a.rate_max() + self.b.rate_max()) / 2.0)
    }
}

/// For what oscillators do beyond the spans of their bands.
const AXIS_SPARE: f64 = 1e-4;
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
    fn a_counter_that_is_steered_hard_alone_makes_rates_greater_by_the_axis_between_the_two() {
        for ppm in [500.0, 2_000.0, 100_000.0] {
            let pair = Pair::new(Oscillator::FREE, Oscillator::steered(ppm));
            // The free one as fast, the other one as slow as they can be, and the other way round.
            let (free, steered) = (RATE_MAX, RATE_MAX + ppm * 1e-6);
            for (a, b) in [(free, -steered), (-free, steered)] {
                let rate = (b - a) / (1.0 + (a + b) / 2.0);
                assert!(pair.any().low <= rate && rate <= pair.any().high, "{ppm} {rate}");
            }
        }
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
