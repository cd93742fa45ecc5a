//! How an offset's error follows from the delay in excess of the smallest: a slope and a scatter,
//! learnt from pairs of exchanges of one burst.

/// A mean and a mean square with fading memory, of offset error per excess delay.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Ratio {
    weight: f64,
    mean: f64,
    square: f64,
}

impl Ratio {
    pub(super) const UNKNOWN: Ratio = Ratio { weight: 0.0, mean: 0.0, square: 0.0 };

    /// Another round: what was learnt before it counts less.
    pub(super) fn fade(&mut self) {
        self.weight *= FORGETTING;
    }

    pub(super) fn add(&mut self, ratio: f64, weight: f64) {
        self.weight += weight;
        let share = weight / self.weight;
        self.mean += (ratio - self.mean) * share;
        self.square += (ratio * ratio - self.square) * share;
    }

    /// Offset error per excess delay: +0.5 where all queueing is on the way to the server.
    ///
    /// The mean, drawn to zero by [`SLOPE_WEIGHT`] pairs' weight of no slope: the best linear guess
    /// where slopes differ from path to path as pairs on one path do. Ratios that agree count at
    /// once: then all queueing is in one direction.
    pub(super) fn slope(&self) -> f64 {
        let left = (self.square - self.mean * self.mean).max(0.0);
        let n = self.weight;
        let disagreement = (left * n / SCATTER + 1.0) / (n + 1.0);
        (self.mean * n / (n + SLOPE_WEIGHT * disagreement)).clamp(-0.5, 0.5)
    }

    /// Variance of what the slope does not explain, per excess delay squared.
    pub(super) fn scatter(&self) -> f64 {
        let s = self.slope();
        let left = (self.square - 2.0 * s * self.mean + s * s).max(0.0);
        let n = self.weight;
        ((left * n + SCATTER * SCATTER_WEIGHT) / (n + SCATTER_WEIGHT)).clamp(SCATTER_MIN, 0.25)
    }

    /// Variance of the slope itself.
    pub(super) fn doubt(&self) -> f64 {
        self.scatter() / (self.weight + SLOPE_WEIGHT)
    }
}

/// What a round keeps of those before it: a memory of 1 / (1 - 0.93) = 14 rounds, somewhat more than
/// an hour at the usual interval, in which queues change with the time of day.
const FORGETTING: f64 = 0.93;
/// What is assumed of the scatter before anything is known: queues both ways that are exponential
/// and alike. Then `(u - v) / 2 (u + v)` is uniform within a half, of variance 1/12 ...
const SCATTER: f64 = 0.08;
/// ... with the weight of the three pairs of half a burst.
const SCATTER_WEIGHT: f64 = 3.0;
/// Ratios never agree to better than 3 %: the fastest exchange has waited a little, too.
const SCATTER_MIN: f64 = 0.001;
/// Pairs' weight of no slope, where pairs scatter as [`SCATTER`] has it. 1 would be right for slopes
/// that are drawn with that scatter themselves; most paths have none. With 1 the error is 1 % larger,
/// with 4 it is 7 % larger after the second round and 1 % smaller from then on.
const SLOPE_WEIGHT: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * b.abs()
    }

    fn of(pairs: &[(f64, f64)]) -> Ratio {
        let mut ratio = Ratio::UNKNOWN;
        for (value, weight) in pairs {
            ratio.add(*value, *weight);
        }
        ratio
    }

    #[test]
    fn mean_and_mean_square_are_weighed_and_fade_with_each_round() {
        // (2 x 0.5 - 6 x 0.25) / 8 and (2 x 0.25 + 6 x 0.0625) / 8.
        let mut ratio = of(&[(0.5, 2.0), (-0.25, 6.0)]);
        assert_eq!(ratio, Ratio { weight: 8.0, mean: -0.0625, square: 0.109_375 });
        ratio.fade();
        assert_eq!(ratio, Ratio { weight: 8.0 * 0.93, mean: -0.0625, square: 0.109_375 });
    }

    #[test]
    fn a_slope_of_which_nothing_is_known_is_zero_and_its_scatter_that_of_two_queues() {
        let ratio = Ratio::UNKNOWN;
        assert_eq!(ratio.slope(), 0.0);
        assert!(near(ratio.scatter(), 0.08) && near(ratio.doubt(), 0.04));
    }

    #[test]
    fn a_slope_is_believed_by_how_well_the_ratios_agree() {
        // Four pairs at 0.25: they agree, so 0.25 x 4 / (4 + 2 / 5).
        assert!(near(of(&[(0.25, 4.0)]).slope(), 1.0 / 4.4));
        // 0.5 and 0 have the same mean and leave 0.0625: (0.0625 x 4 / 0.08 + 1) / 5 = 0.825.
        assert!(near(of(&[(0.5, 2.0), (0.0, 2.0)]).slope(), 1.0 / 5.65));
    }

    #[test]
    fn the_scatter_is_what_the_slope_leaves_over() {
        // Slope s = 1 / 5.65 of a mean of 0.25 and a mean square of 0.125.
        let s: f64 = 1.0 / 5.65;
        let left = 0.125 - 2.0 * s * 0.25 + s * s;
        let ratio = of(&[(0.5, 2.0), (0.0, 2.0)]);
        assert!(near(ratio.scatter(), (left * 4.0 + 0.24) / 7.0));
        assert!(near(ratio.doubt(), (left * 4.0 + 0.24) / 42.0));
    }

    #[test]
    fn no_queue_explains_a_slope_beyond_a_half_nor_a_scatter_beyond_that_of_one_way_or_the_other() {
        assert_eq!(of(&[(0.9, 100.0)]).slope(), 0.5);
        assert_eq!(of(&[(-0.9, 100.0)]).slope(), -0.5);
        assert_eq!(of(&[(1.0, 50.0), (-1.0, 50.0)]).scatter(), 0.25);
        assert_eq!(of(&[(0.5, 1e9)]).scatter(), 0.001);
    }
}
