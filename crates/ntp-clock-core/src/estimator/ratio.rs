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
/// What is assumed of the scatter before anything is known, and with how many pairs' weight:
/// exponential queueing in both directions.
const SCATTER: f64 = 0.08;
const SCATTER_WEIGHT: f64 = 3.0;
const SCATTER_MIN: f64 = 0.001;
const SLOPE_WEIGHT: f64 = 2.0;
