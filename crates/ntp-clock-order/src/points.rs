//! How far one clock can have come at most when another reads something, from single facts.

use crate::reason::Why;

/// "When the one reads `at`, the other reads at most `most`."
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Point {
    pub(crate) at: i64,
    pub(crate) most: i64,
    pub(crate) why: Why,
}

/// How fast one clock can run by another, less one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Rates {
    least: f64,
    most: f64,
}

impl Rates {
    /// Of a clock within `other` of true time's rate by one within `one`.
    pub(crate) fn between(one: f64, other: f64) -> Self {
        let least = (1.0 - other) / (1.0 + one) - 1.0;
        let most = (1.0 + other) / (1.0 - one) - 1.0;
        // For what rounding takes.
        Rates { least: least * SPARE, most: most * SPARE }
    }

    /// Of a link's B by its A, where these are what B gains by the axis half-way between them.
    pub(crate) fn of_link(low: f64, high: f64) -> Self {
        let by_a = |rate: f64| rate / (1.0 - rate / 2.0);
        let (least, most) = (by_a(low), by_a(high));
        Rates { least: least - least.abs() * TRIFLE, most: most + most.abs() * TRIFLE }
    }
}

/// All such facts of two clocks that say something which no other says, in order.
#[derive(Debug)]
pub(crate) struct Points {
    points: Vec<Point>,
    rates: Rates,
}

impl Points {
    /// Of many, those that count.
    pub(crate) fn new(mut all: Vec<Point>, rates: Rates) -> Self {
        all.sort_unstable_by_key(|point| (point.at, point.most));
        let mut points: Vec<Point> = Vec::with_capacity(all.len());
        // A point says nothing new where its neighbour, carried there, says as much. All are
        // carried alike, so that no other than the neighbour can say more.
        for point in all {
            if let Some(last) = points.last()
                && carried(last, point.at, rates).is_some_and(|most| most <= point.most)
            {
                continue;
            }
            while let Some(last) = points.last()
                && carried(&point, last.at, rates).is_some_and(|most| most <= last.most)
            {
                points.pop();
            }
            points.push(point);
        }
        points.shrink_to_fit();
        Points { points, rates }
    }

    /// The most that the other clock can read when the first one reads this.
    #[inline]
    pub(crate) fn most_at(&self, x: i64) -> Option<(i64, Why)> {
        let next = self.points.partition_point(|point| point.at <= x);
        let before = next.checked_sub(1).and_then(|place| self.points.get(place));
        let limits = |point: &Point| Some((carried(point, x, self.rates)?, point.why));
        match (before.and_then(limits), self.points.get(next).and_then(limits)) {
            (Some(one), Some(other)) => Some(if other.0 < one.0 { other } else { one }),
            (one, other) => one.or(other),
        }
    }
}

/// What a point says of another reading; none beyond what a counter can read.
#[inline]
pub(crate) fn carried(point: &Point, x: i64, rates: Rates) -> Option<i64> {
    let since = x.checked_sub(point.at)?;
    let rate = if since > 0 { rates.most } else { rates.least };
    // Rounded up, for a bound must not lose its fraction.
    let gained = ceil(since as f64 * rate);
    point.most.checked_add(since)?.checked_add(gained)
}

/// Rounded up; the library's takes three times as long where a processor is not asked for its own.
#[inline]
pub(crate) fn ceil(number: f64) -> i64 {
    let whole = number as i64;
    whole.saturating_add(i64::from(number > whole as f64))
}

const TRIFLE: f64 = 1e-12;
const SPARE: f64 = 1.0 + TRIFLE;

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: i64, most: i64, why: u32) -> Point {
        Point { at, most, why: Why::Cause(why) }
    }

    #[test]
    fn the_tightest_point_is_found_among_all() {
        let mut rng = fastrand::Rng::with_seed(13);
        let rates = Rates::between(500e-6, 1_000e-6);
        for _ in 0..200 {
            let all: Vec<_> = (0..rng.u32(1..30))
                .map(|why| point(rng.i64(0..1_000_000_000), rng.i64(-1_000_000..1_000_000), why))
                .map(|p| Point { most: p.at + p.most, ..p })
                .collect();
            let points = Points::new(all.clone(), rates);
            for _ in 0..50 {
                let x = rng.i64(-500_000_000..1_500_000_000);
                let least = all.iter().filter_map(|p| carried(p, x, rates)).min();
                assert_eq!(points.most_at(x).map(|(most, _)| most), least);
            }
        }
    }

    #[test]
    fn a_point_is_carried_at_the_rate_that_bounds_from_above() {
        let rates = Rates::between(500e-6, 500e-6);
        let p = point(1_000_000, 5_000_000, 0);
        assert_eq!(carried(&p, 1_000_000, rates), Some(5_000_000));
        // 1,000 ppm and a trifle more of a second.
        assert_eq!(carried(&p, 1_001_000_000, rates), Some(1_006_000_501));
        assert_eq!(carried(&p, -999_000_000, rates), Some(5_000_000 - 1_000_000_000 + 999_501));
    }

    #[test]
    fn rounding_up_is_that_of_the_library() {
        let mut rng = fastrand::Rng::with_seed(13);
        let some = (0..10_000).map(|_| (rng.f64() - 0.5) * 2_f64.powi(rng.i32(0..70)));
        for number in some.chain([0.0, -0.0, 0.5, -0.5, 1.0, -1.0, f64::INFINITY, f64::NAN]) {
            assert_eq!(ceil(number), number.ceil() as i64, "{number}");
        }
    }

    #[test]
    fn a_point_beyond_all_counters_says_nothing() {
        let rates = Rates::between(0.1, 0.1);
        assert_eq!(carried(&point(i64::MIN, i64::MAX, 0), i64::MAX, rates), None);
        assert_eq!(carried(&point(i64::MAX, i64::MIN, 0), i64::MIN, rates), None);
    }
}
