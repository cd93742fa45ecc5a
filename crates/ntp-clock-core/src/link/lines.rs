//! What certainly bounds a difference from above, at the moments at which it is known: a bounded
//! number of lines. The bounds from below are those of the difference with its sign changed.

use super::oscillator::Rates;

/// At `m` on the axis the difference was at most this.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Line {
    pub(super) m: f64,
    pub(super) most: f64,
    /// Of the exchange that it is a half of; infinite for a message.
    pub(super) round_trip: f64,
}

impl Line {
    /// What it leaves possible at another moment.
    #[inline]
    pub(super) fn carried(&self, m: f64, rates: Rates) -> f64 {
        let since = m - self.m;
        // Forwards the difference grows by the highest rate at most, backwards by the lowest.
        self.most + since * if since < 0.0 { rates.low } else { rates.high }
    }

    /// Whether it says nothing that the other does not say, whatever the rate.
    fn is_implied_by(&self, other: &Line, rates: Rates) -> bool {
        other.carried(self.m, rates) <= self.most
    }
}

/// Lines in the order of their moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    count: usize,
    lines: [Line; LINES],
}

impl Lines {
    pub(super) const EMPTY: Lines =
        Lines { count: 0, lines: [Line { m: 0.0, most: 0.0, round_trip: 0.0 }; LINES] };

    #[inline]
    pub(super) fn as_slice(&self) -> &[Line] {
        &self.lines[..self.count]
    }

    /// Adds a line; false where it says nothing new. What it makes idle goes, and where there are
    /// too many, that one of two neighbours in time which bounds less.
    pub(super) fn add(&mut self, line: Line, rates: Rates) -> bool {
        if self.as_slice().iter().any(|known| line.is_implied_by(known, rates)) {
            return false;
        }
        self.retain(|known| !known.is_implied_by(&line, rates));
        if self.count == LINES {
            self.thin(line.m.max(self.lines[LINES - 1].m), rates);
        }
        let place = self.as_slice().partition_point(|known| known.m < line.m);
        self.lines.copy_within(place..self.count, place + 1);
        self.lines[place] = line;
        self.count += 1;
        true
    }

    /// Moves the zeros of the axis and of the difference.
    pub(super) fn shift(&mut self, m: f64, difference: f64) {
        for line in &mut self.lines[..self.count] {
            line.m -= m;
            line.most -= difference;
        }
    }

    /// Drops what is older, but for the newest: an old bound is better than none.
    pub(super) fn forget_before(&mut self, m: f64) {
        let newest = self.as_slice().last().copied();
        self.retain(|line| line.m >= m || Some(*line) == newest);
    }

    fn retain(&mut self, keep: impl Fn(&Line) -> bool) {
        let mut kept = 0;
        for index in 0..self.count {
            if keep(&self.lines[index]) {
                self.lines[kept] = self.lines[index];
                kept += 1;
            }
        }
        self.count = kept;
    }

    /// Of the two neighbours that are nearest for their age, the looser one goes: so what is kept
    /// lies at distances that grow with the age, and a flood thins itself out.
    fn thin(&mut self, newest: f64, rates: Rates) {
        let mut nearest = (f64::INFINITY, 0);
        for (index, pair) in self.as_slice().windows(2).enumerate() {
            let gap = (pair[1].m - pair[0].m) / (newest - pair[0].m + YOUNG_NS);
            if gap < nearest.0 {
                nearest = (gap, index);
            }
        }
        let (older, newer) = (self.lines[nearest.1], self.lines[nearest.1 + 1]);
        let rate = (rates.low + rates.high) / 2.0;
        let older_is_tighter = older.most + rate * (newer.m - older.m) < newer.most;
        let goes = nearest.1 + usize::from(older_is_tighter);
        self.lines.copy_within(goes + 1..self.count, goes);
        self.count -= 1;
    }
}

pub(super) const LINES: usize = 32;
/// Of sums of doubles of this size: bounds that cross by no more do not contradict one another.
pub(super) const ROUNDING_NS: f64 = 2.0;
/// Distances are not finer than these for what is younger.
const YOUNG_NS: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Rates = Rates { low: -1e-3, high: 1e-3 };

    fn line(m_s: f64, most: f64) -> Line {
        Line { m: m_s * 1e9, most, round_trip: f64::INFINITY }
    }

    #[test]
    fn a_line_widens_with_the_distance_in_both_directions() {
        let rates = Rates { low: 1e-6, high: 3e-6 };
        assert_eq!(line(10.0, 5.0).carried(11e9, rates), 3_005.0);
        assert_eq!(line(10.0, 5.0).carried(9e9, rates), -995.0);
    }

    #[test]
    fn what_another_line_says_already_is_not_kept() {
        let mut lines = Lines::EMPTY;
        assert!(lines.add(line(1.0, 0.0), ANY));
        // Carried over a second the first one leaves 1 ms.
        assert!(!lines.add(line(2.0, 1.1e6), ANY));
        assert!(lines.add(line(2.0, 0.9e6), ANY));
        // And this one says more than both.
        assert!(lines.add(line(1.5, -2e6), ANY));
        assert_eq!(lines.as_slice(), [line(1.5, -2e6)]);
    }

    #[test]
    fn lines_are_in_the_order_of_their_moments_in_whatever_order_they_come() {
        let mut lines = Lines::EMPTY;
        for m in [3.0, 1.0, 2.0] {
            assert!(lines.add(line(m, m), ANY));
        }
        let moments: Vec<f64> = lines.as_slice().iter().map(|line| line.m / 1e9).collect();
        assert_eq!(moments, [1.0, 2.0, 3.0]);
        lines.forget_before(2e9);
        lines.shift(1e9, 1.0);
        assert_eq!(lines.as_slice(), [line(1.0, 1.0), line(2.0, 2.0)]);
    }

    #[test]
    fn a_flood_does_not_push_out_a_good_old_line() {
        let mut lines = Lines::EMPTY;
        assert!(lines.add(line(0.0, -1e6), ANY));
        for n in 0..20_000 {
            // Each a little lower than the one before.
            let m = 600.0 + f64::from(n) * 1e-3;
            assert!(lines.add(line(m, 1e8 - f64::from(n)), ANY));
        }
        assert_eq!(lines.as_slice().first(), Some(&line(0.0, -1e6)));
        assert_eq!(lines.as_slice().len(), LINES);
    }

    #[test]
    fn of_two_neighbours_the_looser_one_goes() {
        for (first, second, left) in [(-10.0, 0.0, 0.0), (0.0, -10.0, 1.0)] {
            let mut lines = Lines::EMPTY;
            // Two that are as near as no others for their age, and as many as there is room for.
            assert!(lines.add(line(0.0, first), ANY) && lines.add(line(1.0, second), ANY));
            for n in 2..=LINES {
                assert!(lines.add(line(100.0 * n as f64, 0.0), ANY));
            }
            assert_eq!(lines.as_slice().len(), LINES);
            assert_eq!(lines.as_slice()[0].m, left * 1e9);
        }
    }

    extern crate std;
    use std::vec::Vec;
}
