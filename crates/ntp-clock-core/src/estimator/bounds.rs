//! What the samples certainly say: earliest and latest truth, and how that widens.

use super::rates::Rates;
use super::sample::{Sample, nanos};
use super::window::Window;
use crate::drift;
use crate::drift::WANDER;
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
        // A rate that was learnt while the counter was steered one way may be steered the other.
        let steered = 2.0 * steering;
        let rates = window
            .mean_rates()
            .widened(WANDER + steered)
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    fn at(ns: i64) -> LocalTime {
        LocalTime::from_nanos(ns)
    }

    /// Sent and received then; truth less local time is within this above a minute.
    fn sample(t1_ns: i64, t4_ns: i64, lower_ns: i64, upper_ns: i64) -> Sample {
        let offset = |ns: i64| Span::from_nanos(60 * SECOND_NS + ns);
        Sample {
            t1: at(t1_ns),
            t4: at(t4_ns),
            upper: offset(upper_ns),
            lower: offset(lower_ns),
            mid: at(t1_ns),
            offset: offset(0),
            delay: Span::from_nanos(t4_ns - t1_ns),
        }
    }

    fn near((a, b): (f64, f64), (x, y): (f64, f64)) -> bool {
        (a - x).abs() < 1e-3 && (b - y).abs() < 1e-3
    }

    /// One sample, a second long: [-50, 50] us; rates of up to 10 ppm, of which 2 are believed, so
    /// that the real one is at most 12 from it.
    fn of_one() -> (Window, Bounds) {
        let mut window = Window::new();
        window.push(sample(0, SECOND_NS, -50_000, 50_000), Rates::UNKNOWN);
        let known = Rates { low: -10e-6, high: 10e-6 };
        let bounds = Bounds::new(&window, known, 0.0, 2e-6).expect("possible");
        (window, bounds)
    }

    /// Three rounds, each known within 150 us: nothing has moved at 0 and 300 s, and then, at the
    /// last moment, by as much as this.
    fn of_three(last_s: i64, offset_ns: i64, steering: f64) -> Rates {
        let mut window = Window::new();
        for (at_s, offset) in [(0, 0), (300, 0), (last_s, offset_ns)] {
            let at_ns = at_s * SECOND_NS;
            let round = sample(at_ns, at_ns, offset - 150_000, offset + 150_000);
            window.push(round, Rates::UNKNOWN);
        }
        Bounds::new(&window, Rates::ANY, steering, 5e-6).expect("possible").rates
    }

    #[test]
    fn the_bound_follows_the_rate_and_widens_by_the_growth_on_both_sides() {
        let (window, bounds) = of_one();
        // Above the upper line: it is a second old at T4, 2 us of rate and 12 of growth.
        let newest = at(SECOND_NS);
        assert!(near(bounds.at(&window, newest), (-100_000.0, 14_000.0)));
        let later = newest + Span::from_secs(1);
        assert!(near(bounds.at(&window, later), (-100_000.0 + 2e3 - 12e3, 14_000.0 + 2e3 + 12e3)));
    }

    #[test]
    fn moments_before_the_newest_sample_have_their_own_bound() {
        let (window, bounds) = of_one();
        // At T1 the upper line is not old at all; the lower one is carried back by a second.
        assert!(near(bounds.at(&window, at(0)), (-100_000.0 - 2e3 - 12e3, 0.0)));
    }

    #[test]
    fn the_bound_grows_further_once_the_oscillator_may_have_moved() {
        let (window, bounds) = of_one();
        // 2,400 s later: 2 ppm, 12 ppm, and 2.75 ppm of half an hour.
        let later = at(SECOND_NS) + Span::from_secs(2_400);
        let (drift, growth, rise) = (4.8e6, 28.8e6, 4.95e6);
        let expected = (-1e5 + drift - growth - rise, 14_000.0 + drift + growth + rise);
        assert!(near(bounds.at(&window, later), expected));
        assert!((bounds.growth_at(later) - 17.5e-6).abs() < 1e-15);
        assert!((bounds.growth_at(at(-SECOND_NS * 9_000)) - 12e-6).abs() < 1e-15);
    }

    #[test]
    fn of_several_samples_the_tightest_lines_count() {
        let mut window = Window::new();
        for (lower, upper) in [(-50_000, 20_000), (-30_000, 60_000), (-40_000, 40_000)] {
            window.push(sample(0, 0, lower, upper), Rates::UNKNOWN);
        }
        let bounds = Bounds::new(&window, Rates::ANY, 0.0, 0.0).expect("possible");
        // Above the last one's upper end.
        assert!(near(bounds.at(&window, at(0)), (-70_000.0, -20_000.0)));
    }

    #[test]
    fn a_sample_contradicts_where_no_truth_is_left_at_its_moments() {
        let (_, bounds) = of_one();
        // A second later truth is at least 60 us below the centre, at T4 two seconds later at most
        // 92 us above it.
        let next = |lower: i64, upper: i64| {
            bounds.contradicts(&sample(2 * SECOND_NS, 3 * SECOND_NS, lower, upper))
        };
        assert!(next(-90_000, -60_010) && !next(-90_000, -59_990));
        assert!(next(92_010, 200_000) && !next(91_990, 200_000));
        // To touch is not to contradict.
        let mut window = Window::new();
        window.push(sample(0, 0, 10, 20), Rates::UNKNOWN);
        let bounds =
            Bounds::new(&window, Rates { low: 0.0, high: 0.0 }, 0.0, 0.0).expect("possible");
        let next = |lower: i64, upper: i64| bounds.contradicts(&sample(9, 9, lower, upper));
        assert!(!next(0, 10) && next(0, 9) && !next(20, 30) && next(21, 30));
    }

    #[test]
    fn no_time_and_no_rate_leave_no_bound() {
        let bounds = |samples: &[(i64, i64)], known: Rates| {
            let mut window = Window::new();
            for (lower, upper) in samples {
                window.push(sample(0, 0, *lower, *upper), Rates::UNKNOWN);
            }
            Bounds::new(&window, known, 0.0, 0.0)
        };
        assert!(bounds(&[(0, 10), (11, 20)], Rates::ANY).is_none());
        assert!(bounds(&[(0, 10), (10, 20)], Rates::ANY).is_some(), "one moment is some time");
        assert!(bounds(&[(0, 10)], Rates { low: 1e-6, high: -1e-6 }).is_none());
        assert!(bounds(&[], Rates::ANY).is_none());
    }

    #[test]
    fn the_rate_is_near_its_means_until_now_and_within_15_ppm_of_any() {
        let ppm = |rates: Rates, low: f64, high: f64| {
            (rates.low * 1e6 - low).abs() < 1e-6 && (rates.high * 1e6 - high).abs() < 1e-6
        };
        // The mean rates are 0 give or take 1 ppm, 6 +- 1 and 3 +- 0.5. Now it is within 4 ppm of
        // the latter two, so 1 to 7.5. That it is 6 ppm from the first does not rule it out: such a
        // move may be hidden by a path that moves the other way.
        let steps = |steering: f64| of_three(600, 1_800_000, steering);
        assert!(ppm(steps(0.0), 1.0, 7.5));
        // What was steered 1 ppm one way may be steered 1 ppm the other: 2 ppm more on all sides.
        assert!(ppm(steps(1e-6), -1.0, 9.5));
        // It is never allowed to be further than 15 ppm from the first mean of 1: over 25 minutes
        // 13 +- 0.2 and 4.825 ppm more or less would reach 16.2.
        assert!(ppm(of_three(1_800, 19_500_000, 0.0), 7.975, 16.0));
    }
}
