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
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * b.abs()
    }

    fn model(probability: f64, state: [f64; 3], covariance: [[f64; 3]; 3]) -> Model {
        Model { probability, filter: Kalman { state, covariance } }
    }

    fn diagonal(a: f64, b: f64, c: f64) -> [[f64; 3]; 3] {
        [[a, 0.0, 0.0], [0.0, b, 0.0], [0.0, 0.0, c]]
    }

    /// Two models of which something is known; the others are impossible.
    fn two() -> Bank {
        let nothing = model(0.0, [0.0; 3], [[0.0; 3]; 3]);
        let mut models = [nothing; MODELS];
        models[1] =
            model(0.5, [8.0, 2.0, 4.0], [[4.0, 1.0, 2.0], [1.0, 9.0, 3.0], [2.0, 3.0, 5.0]]);
        models[JUMP] = model(1.5, [0.0, -2.0, 0.0], diagonal(8.0, 1.0, 1.0));
        Bank { models, noise: 1.0 }
    }

    /// All models alike, apart from how probable they are.
    fn alike(state: [f64; 3], covariance: [[f64; 3]; 3], noise: f64) -> Bank {
        Bank { models: PRIOR.map(|probability| model(probability, state, covariance)), noise }
    }

    fn measurement(offset_ns: f64, dt_ns: f64) -> Measurement {
        Measurement { dt_ns, offset_ns, variance: 16.0, detour: 4.0, jump_ns: 4.0 }
    }

    #[test]
    fn a_new_bank_knows_what_it_was_given_and_mixes_the_strengths_by_their_prior() {
        let mixture = Bank::new(3e-6, 4e-12, 9.0).mixture();
        assert_eq!((mixture.offset_ns, mixture.variance[1]), (0.0, 0.0));
        assert!(near(mixture.rate, 3e-6) && near(mixture.variance[2], 4e-12));
        assert!(near(mixture.variance[0], 9.0) && near(mixture.measured_variance, 9.0));
        assert!(near(mixture.jumped, 0.001));
        // Squares of 2e-11 to 2e-7 a root second and of 2e-10, by prior: 3.7696614e-16 a second.
        assert!(near(mixture.restlessness, 3.769_661_4e-25), "{}", mixture.restlessness);
    }

    #[test]
    fn a_mixture_has_the_mean_and_the_spread_of_its_models_worked_by_hand() {
        let mixture = two().mixture();
        // Shares 1/4 and 3/4; means 2, -1 and, with the biases, (8 + 4)/4 = 3.
        assert!(near(mixture.offset_ns, 2.0) && near(mixture.rate, -1.0));
        assert!(near(mixture.measured_ns, 3.0) && near(mixture.jumped, 0.75));
        // (4 + 6²)/4 + 3 (8 + 2²)/4; (1 + 6 x 3)/4 + 3 (0 + 2)/4; (9 + 3²)/4 + 3 (1 + 1)/4.
        assert!(near(mixture.variance[0], 19.0), "{mixture:?}");
        assert!(near(mixture.variance[1], 6.25), "{mixture:?}");
        assert!(near(mixture.variance[2], 6.0), "{mixture:?}");
        // (4 + 2 x 2 + 5 + 9²)/4 + 3 (8 + 1 + 3²)/4.
        assert!(near(mixture.measured_variance, 37.0), "{mixture:?}");
        assert!(near(mixture.restlessness, (1e-20 / 4.0 + 4e-20 * 0.75) / 1e9), "{mixture:?}");
    }

    #[test]
    fn any_model_may_take_over_from_any_other_and_a_jump_does_not_stay() {
        let mixed = two().mix();
        // To model 1: 0.98 x 0.5 from itself and 0.02 x 0.35 x 1.5 from the jump.
        let (own, jump) = (0.49, 0.0105);
        let Model { probability, filter } = mixed.models[1];
        assert!(near(probability, own + jump), "{probability}");
        let (u, v) = (own / (own + jump), jump / (own + jump));
        assert!(near(filter.state[0], 8.0 * u) && near(filter.state[1], 2.0 * u - 2.0 * v));
        assert!(near(filter.state[2], 4.0 * u));
        // Two points at a distance d from each other spread by u v d².
        assert!(near(filter.covariance[0][0], 4.0 * u + 8.0 * v + 64.0 * u * v), "{filter:?}");
        assert!(near(filter.covariance[0][1], u + 32.0 * u * v), "{filter:?}");
        assert!(near(filter.covariance[1][2], 3.0 * u + 16.0 * u * v), "{filter:?}");
        // To the quietest model, as to the jump, by its prior alone.
        for (to, prior) in [(0, 0.25), (JUMP, 0.001)] {
            let Model { probability, filter } = mixed.models[to];
            assert!(near(probability, 0.02 * prior * 2.0), "{to}: {probability}");
            assert!(near(filter.state[0], 2.0) && near(filter.covariance[0][0], 19.0), "{to}");
        }
    }

    #[test]
    fn a_round_moves_each_model_by_its_gain_and_its_probability_by_how_well_it_foresaw_it() {
        let next = alike([0.0; 3], diagonal(4.0, 0.0, 0.0), 0.5).step(&measurement(8.0, 0.0));
        // R = 16 x 0.5 + 4 = 12: s = 16 and a gain of 1/4; the jump has 4 + 4² = 20, s = 32, 5/8.
        for model in &next.models[..JUMP] {
            assert!(near(model.filter.state[0], 2.0) && near(model.filter.covariance[0][0], 3.0));
        }
        let jump = next.models[JUMP];
        assert!(near(jump.filter.state[0], 5.0) && near(jump.filter.covariance[0][0], 7.5));
        // ln L is -(64/16 + ln 16)/2 and -(64/32 + ln 32)/2: the jump's L is e / sqrt 2 larger.
        let larger = core::f64::consts::E / core::f64::consts::SQRT_2;
        // Before it, model 3 of prior 0.1 had 0.098 and 0.02 x 0.1 x 0.9; the jump 0.02 x 0.001.
        let odds = jump.probability / next.models[3].probability;
        assert!(near(odds, 2e-5 * larger / (0.098 + 0.0018)), "{odds}");
        let sum: f64 = next.models.iter().map(|model| model.probability).sum();
        assert!(near(sum, 1.0), "{sum}");
    }

    #[test]
    fn what_jumps_twice_in_a_row_has_a_wrong_rate() {
        let next = alike([0.0; 3], diagonal(4.0, 0.0, 0.0), 1.0).step(&measurement(0.0, 0.0));
        // 100 ppm squared, by the probability of 0.001 that it had just jumped.
        assert!(near(next.models[JUMP].filter.covariance[1][1], 1e-11));
        assert_eq!(next.models[0].filter.covariance[1][1], 0.0);
    }

    #[test]
    fn a_round_is_weighed_where_the_rate_has_brought_the_offset_by_then() {
        let bank = alike([10.0, 2.0, 0.0], diagonal(4.0, 0.0, 0.0), 1.0);
        let next = bank.step(&measurement(16.0, 3.0));
        let mixture = next.mixture();
        assert!(near(mixture.offset_ns, 16.0) && near(mixture.rate, 2.0), "{mixture:?}");
        // Nor is there an innovation: of the 4 + 16 + 4 expected 16 are the path's.
        assert!(near(next.noise, 1.0 - 0.1 * 16.0 / 24.0), "{}", next.noise);
    }

    #[test]
    fn the_paths_noise_follows_the_innovations_as_far_as_they_are_the_paths() {
        let noise = |noise: f64, offset_ns: f64| {
            alike([0.0; 3], diagonal(4.0, 0.0, 0.0), noise).step(&measurement(offset_ns, 0.0)).noise
        };
        // Of the 4 + 8 + 4 expected 8 are the path's: a tenth of a half for each unit over 1.
        assert!(near(noise(0.5, 0.0), 0.5 * 0.95));
        assert!(near(noise(0.5, 4.0), 0.5), "an innovation as expected says nothing");
        assert!(near(noise(0.5, 32f64.sqrt()), 0.5 * 1.05));
        // Where it is the oscillator's, it is no more than 4 expected ones.
        assert!(near(noise(0.5, 8.0), 0.5 * 1.15) && near(noise(0.5, 1e6), 0.5 * 1.15));
        assert_eq!((noise(1.0, 1e6), noise(0.1, 0.0)), (1.0, 0.1));
    }

    #[test]
    fn a_measurement_is_foreseen_within_three_deviations_of_the_line_by_then() {
        let mut bank = alike([10.0, 2.0, 7.0], diagonal(5.0, 0.0, 100.0), 0.5);
        let foresaw =
            |bank: &Bank, off: f64| bank.foresaw(&measurement(10.0 + 2.0 * 5.0 + off, 5.0));
        // 5 + 16 + 4 are 5²; the bias does not count.
        for (off, foreseen) in [(14.9, true), (-14.9, true), (15.1, false), (-15.1, false)] {
            assert_eq!(foresaw(&bank, off), foreseen, "{off}");
        }
        // Three deviations themselves are not.
        let mut only = two();
        only.models[JUMP].probability = 0.0;
        only.models[1] = model(1.0, [10.0, 0.0, 0.0], diagonal(5.0, 0.0, 0.0));
        assert!(!only.foresaw(&measurement(25.0, 0.0)) && only.foresaw(&measurement(24.9, 0.0)));
        bank.correct(20.0, 1e-9);
        assert!(foresaw(&bank, 10.0 - 13.0) && !foresaw(&bank, 10.0 + 13.5));
    }

    #[test]
    fn half_of_a_paths_change_is_its_bias_at_most() {
        let mut bank = two();
        bank.path_changed(10.0);
        assert_eq!(bank.models[1].filter.covariance[2], [2.0, 3.0, 5.0 + 25.0]);
        assert_eq!(bank.models[JUMP].filter.covariance, diagonal(8.0, 1.0, 26.0));
    }

    #[test]
    fn back_on_the_first_path_there_is_no_bias_and_on_a_shorter_one_the_offset_is_in_doubt() {
        let mut restored = two();
        restored.path_restored();
        let filter = restored.models[1].filter;
        assert_eq!(filter.state, [8.0, 2.0, 0.0]);
        assert_eq!(filter.covariance, [[4.0, 1.0, 0.0], [1.0, 9.0, 0.0], [0.0; 3]]);
        let mut shortened = two();
        shortened.path_shortened(10.0);
        let filter = shortened.models[1].filter;
        assert_eq!(filter.state, [8.0, 2.0, 0.0]);
        assert_eq!(filter.covariance, [[29.0, 1.0, 0.0], [1.0, 9.0, 0.0], [0.0; 3]]);
    }

    #[test]
    fn a_correction_of_the_offset_holds_whatever_the_bias() {
        let mut bank = alike([0.0, 0.0, 50.0], diagonal(4.0, 0.0, 9.0), 1.0);
        bank.correct(8.0, 4.0);
        let mixture = bank.mixture();
        assert!(near(mixture.offset_ns, 4.0) && near(mixture.variance[0], 2.0), "{mixture:?}");
        assert!(near(mixture.measured_ns, 54.0), "{mixture:?}");
    }

    #[test]
    fn a_round_that_no_model_can_explain_leaves_numbers_behind() {
        let absurd = measurement(1e150, 0.0);
        let once = alike([0.0; 3], diagonal(1.0, 0.0, 0.0), 1.0).step(&absurd);
        assert!(once.mixture().jumped > 0.9, "{once:?}");
        let twice = once.step(&absurd);
        assert!(twice.models.iter().all(|model| model.probability >= PROBABILITY_MIN));
        assert!(near(twice.mixture().offset_ns, 1e150), "{twice:?}");
    }
}
