//! How far truth can leave a line that is carried at a rate: the one place that says what an
//! oscillator may do.
//!
//! A bound on truth less counter, known at one moment, is carried to another at the rate `r` and
//! widened by the most that the oscillator's own rate can have differed from `r` in between. Two
//! things are in that:
//!
//! - `growth`: the furthest that the rate can be from `r` around the known moment. It holds for
//!   [`QUIET_NS`], the time in which the oscillator moves by no more than
//!   [`STEP`], which is a part of `growth`.
//! - From then on the rate may have gone on moving: by 11 ppm more within an hour, which makes the
//!   15 ppm that are allowed in all, RFC 5905's PHI. A mean rate of `growth + 11 ppm` is never left
//!   again, however long the line is carried.
//!
//! The allowance covers the worst oscillator that is promised to be survived: steps of 3 ppm that
//! follow one another a quarter of an hour apart, all in one direction, 15 ppm in all. With the
//! distance `d` in minutes, such steps have moved the phase by 3 (d - 0) + 3 (d - 15) + ... ppm
//! min: 135 at 30, 270 at 45, 450 at 60, 675 at 75 minutes. The allowance has 157, 293, 470 and
//! 686. A day's swing of 7 ppm either way stays far inside.
//!
//! Time runs alike in both directions here: what the rate may do after a moment it may have done
//! before it. So the same widening serves readings of now, of the past, holdover, and old lines of
//! the window.

/// How far truth can be from a line of this growth at a distance from where the line is known,
/// nanoseconds. `distance_ns` is not negative.
#[inline]
pub(crate) fn widening(growth: f64, distance_ns: f64) -> f64 {
    let steady = growth * distance_ns;
    if distance_ns > QUIET_NS && growth > 0.0 { steady + rise(distance_ns) } else { steady }
}

/// What of the widening is due to the oscillator's having moved since, nanoseconds: nothing within
/// [`QUIET_NS`].
#[inline]
pub(crate) fn rise(distance_ns: f64) -> f64 {
    let late = distance_ns - QUIET_NS;
    if late <= 0.0 {
        0.0
    } else if late < RISING_NS {
        RISE * late * late / (2.0 * RISING_NS)
    } else {
        RISE * (late - RISING_NS / 2.0)
    }
}

/// How fast the widening grows at a distance: what the growth of a line has become that is known
/// again there.
pub(crate) fn growth_at(growth: f64, distance_ns: f64) -> f64 {
    let late = distance_ns - QUIET_NS;
    if late <= 0.0 || growth <= 0.0 { growth } else { growth + RISE * (late / RISING_NS).min(1.0) }
}

/// The furthest that the mean rate over any distance can be from the line's.
pub(crate) fn mean_rate_at(growth: f64, distance_ns: f64) -> f64 {
    if distance_ns > QUIET_NS && growth > 0.0 { growth + RISE } else { growth }
}

/// The furthest that the rate at the end of a span, or soon after it, can be from its mean over the
/// span: the widening of a line known at the end, carried back over all of it.
pub(crate) fn from_mean(step: f64, span_ns: f64) -> f64 {
    step + rise(span_ns) / span_ns.max(1.0)
}

/// Rates that are possible, of one time by another, less one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Rates {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Rates {
    pub(crate) fn widened(self, by: f64) -> Rates {
        Rates { low: self.low - by, high: self.high + by }
    }

    pub(crate) fn within(self, other: Rates) -> Rates {
        Rates { low: self.low.max(other.low), high: self.high.min(other.high) }
    }
}

/// No oscillator that we serve is further from nominal than this (RFC 5905's frequency tolerance
/// for a disciplined clock is 15 ppm; crystals are sold within 100 ppm).
/// Of the counter's frequency, that is: of true time by the counter it is a trifle more.
pub(crate) const RATE_MAX: f64 = 500e-6 / (1.0 - 500e-6);
/// How far a rate that is known may be from what it is within [`QUIET_NS`]: a step
/// of 3 ppm at once, or a ramp of 4 ppm within minutes.
pub(crate) const STEP: f64 = 4e-6;
/// The furthest that the rate at one moment may be from its mean between any two others within two
/// days: all that an oscillator moves.
pub(crate) const WANDER: f64 = STEP + RISE;
/// One standard deviation of what an oscillator does, as a share of what it may do.
pub(crate) const TYPICAL: f64 = 0.4;
/// For so long an oscillator moves by no more than a step.
pub(crate) const QUIET_NS: f64 = 600e9;
/// After that it moves further, for so long ...
const RISING_NS: f64 = 3_600e9;
/// ... by so much.
pub(crate) const RISE: f64 = 11e-6;
/// Within a span of the first number (nanoseconds) all rates of an oscillator lie in a band of the
/// second one's width. Ten minutes have one step, or one ramp of a machine that warms up; 25
/// minutes can have two steps, a quarter of an hour apart; and all that an oscillator moves, RFC
/// 5905's PHI, is never exceeded: two days are enough for a machine that was off for a night.
pub(crate) const BANDS: [(f64, f64); 3] =
    [(QUIET_NS, STEP), (1_500e9, 7e-6), (2.0 * 86_400e9, WANDER)];

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_NS: f64 = 60e9;

    #[test]
    fn a_line_widens_by_its_growth_alone_while_the_oscillator_is_quiet() {
        assert_eq!(widening(4e-6, 300e9), 1.2e6);
        assert_eq!(widening(4e-6, QUIET_NS), 2.4e6);
        assert_eq!(growth_at(4e-6, QUIET_NS), 4e-6);
        assert_eq!(mean_rate_at(4e-6, QUIET_NS), 4e-6);
    }

    #[test]
    fn a_counter_that_is_500_ppm_fast_is_as_far_off_as_any() {
        // Of true time by the counter: 0.0005 / 0.9995.
        assert!((RATE_MAX - 500.250_125e-6).abs() < 1e-12);
    }

    #[test]
    fn a_line_that_does_not_grow_never_does() {
        assert_eq!(widening(0.0, 1e18), 0.0);
        assert_eq!(growth_at(0.0, 1e18), 0.0);
        assert_eq!(mean_rate_at(0.0, 1e18), 0.0);
    }

    /// Worked by hand: half an hour after the quiet time the rate has risen by 5.5 ppm, a mean of
    /// 2.75 over 1,800 s; after the hour by 11, a mean of 5.5 over 3,600 s.
    #[test]
    fn the_rate_rises_by_eleven_ppm_within_an_hour_and_no_further() {
        let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
        close(rise(QUIET_NS + 1_800e9), 2.75e-6 * 1_800e9);
        close(rise(QUIET_NS + 3_600e9), 5.5e-6 * 3_600e9);
        close(rise(QUIET_NS + 7_200e9), 5.5e-6 * 3_600e9 + 11e-6 * 3_600e9);
        close(growth_at(4e-6, QUIET_NS + 1_800e9), 9.5e-6);
        close(growth_at(4e-6, 1e18), 15e-6);
        close(from_mean(4e-6, QUIET_NS + 1_800e9), 4e-6 + 2.75e-6 * 1_800.0 / 2_400.0);
    }

    /// Steps of 3 ppm from the known moment on, the closest that are allowed, 15 ppm in all.
    #[test]
    fn the_widening_covers_five_steps_of_3_ppm_a_quarter_of_an_hour_apart() {
        for tenth in 0..20_000 {
            let at_ns = f64::from(tenth) * MINUTE_NS / 10.0;
            let stepped = |k: i32| (at_ns - f64::from(k) * 15.0 * MINUTE_NS).max(0.0);
            let moved: f64 = (0..5).map(|k| 3e-6 * stepped(k)).sum();
            assert!(moved <= widening(4e-6, at_ns), "{tenth}");
        }
    }

    #[test]
    fn no_mean_rate_exceeds_what_is_said_of_it() {
        for minutes in 1..10_000 {
            let at_ns = f64::from(minutes) * MINUTE_NS;
            assert!(widening(4e-6, at_ns) <= mean_rate_at(4e-6, at_ns) * at_ns);
        }
    }
}
