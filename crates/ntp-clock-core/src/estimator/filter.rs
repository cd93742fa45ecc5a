//! The oscillator followed: a bank of Kalman filters that differ in how restless they take the
//! oscillator to be.
//!
//! # The state
//! `x = (offset, rate, bias)`: truth less counter (ns), `d(true)/d(counter) - 1`, and how much more
//! the path in use shifts an offset than the path that biases are counted from (ns). Its belief is
//! normal, with mean `x` and covariance `P`.
//!
//! # From one round to the next
//! In `t` nanoseconds (of either sign) the offset gains `rate t`. The rate walks at random with
//! variance `q` for each nanosecond, and white frequency noise of density `w` adds to the offset:
//! the two-state clock model (C. Zucca, P. Tavella, "The clock model and its relationship with the
//! Allan and related variances", IEEE Transactions on UFFC 52 (2), 2005). A bias stays.
//!
//! ```text
//!     | 1 t 0 |          | q|t|t²/3 + w|t|   q|t|t/2   0 |
//! F = | 0 1 0 |      Q = |     q|t|t/2         q|t|    0 |      x <- F x,  P <- F P F' + Q
//!     | 0 0 1 |          |        0             0      0 |
//! ```
//!
//! # What a round says
//! One number: `z = offset + bias + error`. The error's variance `R` is what the path foresees,
//! times how much of that its measurements turn out to have (`noise`), and the square of what
//! ordinary ones do not explain (`detour`). What is certain by the bound measures the offset alone.
//!
//! ```text
//! H = (1 0 1), or (1 0 0)          h = P H',  s = H h + R,  v = z - H x
//! x <- x + h v / s,   P <- P - h h' / s,   ln L = -(v²/s + ln s) / 2
//! ```
//!
//! # Several at once
//! `q` differs between worlds by factors of millions and, when the machine warms up, from one hour
//! to the next. So six strengths run side by side, and one model more, `JUMP`, that allows a jump of
//! the offset: it adds to its `P` the square of what may have jumped unseen, and as a jump twice in a
//! row means a wrong rate, to the rate's variance that of an unknown rate, by the probability that it
//! had jumped before. They are mixed (interacting multiple models: H. A. P. Blom, Y. Bar-Shalom,
//! IEEE Transactions on Automatic Control 33 (8), 1988). With `m` the models' probabilities and
//! `p(i, j)` the probability that model j takes over from i,
//!
//! ```text
//! c_j = sum_i p(i, j) m_i                                 p(i, i) = STAY, but for the jump
//! x_j = sum_i p(i, j) m_i x_i / c_j                       p(i, j) = SWITCH PRIOR_j otherwise
//! P_j = sum_i p(i, j) m_i (P_i + (x_i - x_j)(x_i - x_j)') / c_j
//! m_j <- c_j L_j / sum_k c_k L_k                          after each has taken z
//! ```
//!
//! No oscillator jumps as a habit, so the jump has no `STAY`: a jump that was no more than likely
//! counts for a fiftieth in the next round, and only one that was certain leaves its state to all.
//! The answer is the mixture's mean and covariance.

use super::kalman::Kalman;

/// What one round says of the offset, at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measurement {
    /// Nanoseconds since the filter's anchor.
    pub(super) dt_ns: f64,
    /// Offset relative to the filter's zero, nanoseconds.
    pub(super) offset_ns: f64,
    /// Variance of its error, ns².
    pub(super) variance: f64,
    /// Variance besides, of which the ordinary ones say nothing, ns².
    pub(super) detour: f64,
    /// How far the offset may have jumped since the round before without having been found out.
    pub(super) jump_ns: f64,
}

/// The mixture of all filters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mixture {
    pub(super) offset_ns: f64,
    pub(super) rate: f64,
    /// Variance of offset, covariance of offset and rate, variance of rate.
    pub(super) variance: [f64; 3],
    /// Mean strength of the rate's random walk, variance per nanosecond.
    pub(super) restlessness: f64,
    /// Probability that the offset has just jumped.
    pub(super) jumped: f64,
    /// Offset and bias of the path together: what an exchange would measure, and its variance.
    measured_ns: f64,
    measured_variance: f64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Bank {
    models: [Model; MODELS],
    /// How much of the variance that the path foresees its measurements really have.
    noise: f64,
}

#[derive(Clone, Copy, Debug)]
struct Model {
    probability: f64,
    filter: Kalman,
}

impl Bank {
    /// Knows the offset to be zero and the rate to be `rate`, each with this variance.
    pub(super) fn new(rate: f64, rate_variance: f64, offset_variance: f64) -> Self {
        let mut covariance = [[0.0; 3]; 3];
        covariance[0][0] = offset_variance;
        covariance[1][1] = rate_variance;
        let filter = Kalman { state: [0.0, rate, 0.0], covariance };
        Bank { models: PRIOR.map(|probability| Model { probability, filter }), noise: 1.0 }
    }

    /// The path's delay has changed by so much: at most half of that is its bias against the one
    /// before.
    pub(super) fn path_changed(&mut self, by_ns: f64) {
        for model in &mut self.models {
            model.filter.covariance[2][2] += by_ns * by_ns / 4.0;
        }
    }

    /// The path has become shorter by `drop_ns`. A shorter path can be less asymmetric, so it is
    /// what biases are counted from now on, and the offset moves to what it says.
    pub(super) fn path_shortened(&mut self, drop_ns: f64) {
        self.path_restored();
        for model in &mut self.models {
            model.filter.covariance[0][0] += drop_ns * drop_ns / 4.0;
        }
    }

    /// The path is the one again that all biases are counted from.
    pub(super) fn path_restored(&mut self) {
        for model in &mut self.models {
            model.filter.state[2] = 0.0;
            for i in 0..3 {
                model.filter.covariance[2][i] = 0.0;
                model.filter.covariance[i][2] = 0.0;
            }
        }
    }

    /// The offset now is this, with this variance, whatever the path.
    pub(super) fn correct(&mut self, offset_ns: f64, variance: f64) {
        for model in &mut self.models {
            model.filter.update([1.0, 0.0, 0.0], offset_ns, variance);
        }
    }

    /// The mixture so much later (or earlier).
    fn mixture_at(&self, dt_ns: f64) -> Mixture {
        let mut moved = *self;
        for (model, strength) in moved.models.iter_mut().zip(RESTLESSNESS) {
            model.filter.predict(dt_ns, strength);
        }
        moved.mixture()
    }

    /// Whether the measurement is what a path without bias would give.
    pub(super) fn foresaw(&self, m: &Measurement) -> bool {
        let foreseen = self.mixture_at(m.dt_ns);
        let off = m.offset_ns - foreseen.offset_ns;
        off * off < CONSISTENT * (foreseen.variance[0] + m.variance + m.detour)
    }

    /// One round later.
    pub(super) fn step(&self, m: &Measurement) -> Bank {
        let jumped = self.models[JUMP].probability;
        let mixed = self.mix();
        let mut next = mixed;
        let path = m.variance * self.noise;
        let mut logs = [0.0; MODELS];
        for (i, model) in next.models.iter_mut().enumerate() {
            model.filter.predict(m.dt_ns, RESTLESSNESS[i]);
            if i == JUMP {
                model.filter.covariance[0][0] += m.jump_ns * m.jump_ns;
                // What jumps twice in a row has a wrong rate.
                model.filter.covariance[1][1] += jumped * RATE_UNKNOWN * RATE_UNKNOWN;
            }
            logs[i] = model.filter.update([1.0, 0.0, 1.0], m.offset_ns, path + m.detour);
        }
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for (model, log) in next.models.iter_mut().zip(logs) {
            model.probability *= libm::exp(log - most).max(LIKELIHOOD_MIN);
            sum += model.probability;
        }
        for model in &mut next.models {
            model.probability = (model.probability / sum).max(PROBABILITY_MIN);
        }
        // The innovation is the oscillator's as well as the path's, so only a small one tells of
        // the path.
        let foreseen = mixed.mixture_at(m.dt_ns);
        let expected = foreseen.measured_variance + path + m.detour;
        let innovation = m.offset_ns - foreseen.measured_ns;
        let ratio = innovation * innovation / expected;
        let weight = NOISE_SHARE * path / expected;
        next.noise *= 1.0 + weight * (ratio.min(RATIO_MAX) - 1.0);
        next.noise = next.noise.clamp(NOISE_MIN, 1.0);
        next
    }

    /// Any model may have taken over from any other since the round before.
    fn mix(&self) -> Bank {
        let mut mixed = *self;
        for (to, target) in mixed.models.iter_mut().enumerate() {
            let mut weights = [0.0; MODELS];
            let mut sum = 0.0;
            for (from, source) in self.models.iter().enumerate() {
                let stays = from == to && from != JUMP;
                let p = if stays { STAY } else { SWITCH * PRIOR[to] };
                weights[from] = p * source.probability;
                sum += weights[from];
            }
            let mut state = [0.0; 3];
            for (w, source) in weights.iter_mut().zip(&self.models) {
                *w /= sum;
                for (sum, part) in state.iter_mut().zip(source.filter.state) {
                    *sum += *w * part;
                }
            }
            let mut covariance = [[0.0; 3]; 3];
            for (w, source) in weights.iter().zip(&self.models) {
                let d: [f64; 3] = core::array::from_fn(|i| source.filter.state[i] - state[i]);
                for i in 0..3 {
                    for j in 0..3 {
                        covariance[i][j] += w * (source.filter.covariance[i][j] + d[i] * d[j]);
                    }
                }
            }
            *target = Model { probability: sum, filter: Kalman { state, covariance } };
        }
        mixed
    }

    pub(super) fn mixture(&self) -> Mixture {
        let (mut offset, mut rate, mut restlessness) = (0.0, 0.0, 0.0);
        let total: f64 = self.models.iter().map(|m| m.probability).sum();
        for (model, strength) in self.models.iter().zip(RESTLESSNESS) {
            let p = model.probability / total;
            offset += p * model.filter.state[0];
            rate += p * model.filter.state[1];
            restlessness += p * strength;
        }
        let mut variance = [0.0; 3];
        for model in &self.models {
            let p = model.probability / total;
            let (a, b) = (model.filter.state[0] - offset, model.filter.state[1] - rate);
            variance[0] += p * (model.filter.covariance[0][0] + a * a);
            variance[1] += p * (model.filter.covariance[0][1] + a * b);
            variance[2] += p * (model.filter.covariance[1][1] + b * b);
        }
        let (mut measured_ns, mut measured_variance) = (0.0, 0.0);
        for model in &self.models {
            measured_ns +=
                model.probability / total * (model.filter.state[0] + model.filter.state[2]);
        }
        for model in &self.models {
            let c = &model.filter.covariance;
            let d = model.filter.state[0] + model.filter.state[2] - measured_ns;
            measured_variance +=
                model.probability / total * (c[0][0] + 2.0 * c[0][2] + c[2][2] + d * d);
        }
        let jumped = self.models[JUMP].probability / total;
        Mixture {
            offset_ns: offset,
            rate,
            variance,
            restlessness,
            jumped,
            measured_ns,
            measured_variance,
        }
    }
}

/// Standard deviation of a rate of which nothing is known: crystals are sold within 100 ppm.
pub(super) const RATE_UNKNOWN: f64 = 100e-6;
/// Three standard deviations, squared.
const CONSISTENT: f64 = 9.0;
/// How far the path's noise goes towards an innovation that is all its own: a memory of ten rounds.
/// Twice that follows single rounds and costs 3 % of the error's median; half costs nothing.
const NOISE_SHARE: f64 = 0.1;
/// A path is no quieter than a third of what its delays scatter by, whatever a few rounds say.
const NOISE_MIN: f64 = 0.1;
/// An innovation counts as no more than two deviations: what is beyond is something else than
/// noise. At 1.4 deviations the noise would be taken too low, and the error be 3 to 4 % larger.
const RATIO_MAX: f64 = 4.0;
/// No round rules a model out: not in one round by its likelihood against the best one's, which
/// would otherwise underflow ...
const LIKELIHOOD_MIN: f64 = 1e-30;
/// ... nor in many by its probability, so that the jump or the wildest strength can win at once when
/// the others are ten deviations off.
const PROBABILITY_MIN: f64 = 1e-9;
const MODELS: usize = 7;
const JUMP: usize = 6;
/// Variance of the rate's random walk per nanosecond. Over a poll of 300 s the rate so moves by 0.3
/// ppb (a crystal in an oven) to 3.5 ppm (one that warms up), in factors of 5 to 10: half or twice
/// of all of them moves the error by 2 % at most. A jump comes to an oscillator that is quiet.
const RESTLESSNESS: [f64; MODELS] = [
    per_root_second(2e-11),
    per_root_second(1e-10),
    per_root_second(5e-10),
    per_root_second(3e-9),
    per_root_second(2e-8),
    per_root_second(2e-7),
    per_root_second(2e-10),
];
/// How often an oscillator of each kind is met, by judgement. If all were alike but the jump, the
/// error's median were 3 % and its p99 6 % larger.
const PRIOR: [f64; MODELS] = [0.25, 0.35, 0.25, 0.1, 0.04, 0.009, 0.001];
/// An oscillator changes its ways once in fifty rounds, or four hours, as rooms and loads do; once
/// in 25 or 100 would move the error by 1 %.
const STAY: f64 = 0.98;
const SWITCH: f64 = 0.02;

const fn per_root_second(sigma: f64) -> f64 {
    sigma * sigma / 1e9
}

#[cfg(test)]
mod tests;
