//! The oscillator followed: a bank of Kalman filters that differ in how restless they take the
//! oscillator to be.
//!
//! Each filter's state is (offset, rate, bias of the path in use against the one before). What the
//! crystal does between two rounds is a random walk of its rate; how strong it is differs between
//! worlds by factors of a thousand and, when the machine warms up, from one hour to the next. So
//! several strengths run side by side, and one filter more that allows a jump of the offset; each
//! round's innovation says how well each foresaw it (interacting multiple models, Blom and
//! Bar-Shalom 1988). The answer is their mixture, mean and spread.

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
    /// Offset (ns), rate, bias (ns).
    state: [f64; 3],
    covariance: [[f64; 3]; 3],
}

impl Bank {
    /// Knows the offset to be zero and the rate to be `rate`, each with this variance.
    pub(super) fn new(rate: f64, rate_variance: f64, offset_variance: f64) -> Self {
        let mut covariance = [[0.0; 3]; 3];
        covariance[0][0] = offset_variance;
        covariance[1][1] = rate_variance;
        let model = Model { probability: 0.0, state: [0.0, rate, 0.0], covariance };
        Bank {
            models: core::array::from_fn(|i| Model { probability: PRIOR[i], ..model }),
            noise: 1.0,
        }
    }

    /// The path's delay has changed by so much: at most half of that is its bias against the one
    /// before.
    pub(super) fn path_changed(&mut self, by_ns: f64) {
        for model in &mut self.models {
            model.covariance[2][2] += by_ns * by_ns / 4.0;
        }
    }

    /// The path has become shorter by `drop_ns`. A shorter path can be less asymmetric, so it is
    /// what biases are counted from now on, and the offset moves to what it says.
    pub(super) fn path_shortened(&mut self, drop_ns: f64) {
        self.path_restored();
        for model in &mut self.models {
            model.covariance[0][0] += drop_ns * drop_ns / 4.0;
        }
    }

    /// The path is the one again that all biases are counted from.
    pub(super) fn path_restored(&mut self) {
        for model in &mut self.models {
            model.state[2] = 0.0;
            for i in 0..3 {
                model.covariance[2][i] = 0.0;
                model.covariance[i][2] = 0.0;
            }
        }
    }

    /// The offset now is this, with this variance, whatever the path.
    pub(super) fn told(&mut self, offset_ns: f64, variance: f64) {
        for model in &mut self.models {
            model.update([1.0, 0.0, 0.0], offset_ns, variance);
        }
    }

    /// The mixture so much later (or earlier).
    fn mixture_at(&self, dt_ns: f64) -> Mixture {
        let mut moved = *self;
        for (model, strength) in moved.models.iter_mut().zip(RESTLESSNESS) {
            model.predict(dt_ns, strength);
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
            model.predict(m.dt_ns, RESTLESSNESS[i]);
            if i == JUMP {
                model.covariance[0][0] += m.jump_ns * m.jump_ns;
                // What jumps twice in a row has a wrong rate.
                model.covariance[1][1] += jumped * RATE_UNKNOWN * RATE_UNKNOWN;
            }
            logs[i] = model.update([1.0, 0.0, 1.0], m.offset_ns, path + m.detour);
        }
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for (model, log) in next.models.iter_mut().zip(logs) {
            model.probability *= libm::exp(log - most).max(1e-30);
            sum += model.probability;
        }
        for model in &mut next.models {
            model.probability = (model.probability / sum).max(1e-9);
        }
        // The innovation is the oscillator's as well as the path's, so only a small one tells of
        // the path.
        let foreseen = mixed.mixture_at(m.dt_ns);
        let expected = foreseen.measured_variance + path + m.detour;
        let innovation = m.offset_ns - foreseen.measured_ns;
        let ratio = innovation * innovation / expected;
        let weight = NOISE_SHARE * path / expected;
        next.noise *= 1.0 + weight * (ratio.min(4.0) - 1.0);
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
                for (sum, part) in state.iter_mut().zip(source.state) {
                    *sum += *w * part;
                }
            }
            let mut covariance = [[0.0; 3]; 3];
            for (w, source) in weights.iter().zip(&self.models) {
                let d: [f64; 3] = core::array::from_fn(|i| source.state[i] - state[i]);
                for i in 0..3 {
                    for j in 0..3 {
                        covariance[i][j] += w * (source.covariance[i][j] + d[i] * d[j]);
                    }
                }
            }
            *target = Model { probability: sum, state, covariance };
        }
        mixed
    }

    pub(super) fn mixture(&self) -> Mixture {
        let (mut offset, mut rate, mut restlessness) = (0.0, 0.0, 0.0);
        let total: f64 = self.models.iter().map(|m| m.probability).sum();
        for (model, strength) in self.models.iter().zip(RESTLESSNESS) {
            let p = model.probability / total;
            offset += p * model.state[0];
            rate += p * model.state[1];
            restlessness += p * strength;
        }
        let mut variance = [0.0; 3];
        for model in &self.models {
            let p = model.probability / total;
            let (a, b) = (model.state[0] - offset, model.state[1] - rate);
            variance[0] += p * (model.covariance[0][0] + a * a);
            variance[1] += p * (model.covariance[0][1] + a * b);
            variance[2] += p * (model.covariance[1][1] + b * b);
        }
        let (mut measured_ns, mut measured_variance) = (0.0, 0.0);
        for model in &self.models {
            measured_ns += model.probability / total * (model.state[0] + model.state[2]);
        }
        for model in &self.models {
            let c = &model.covariance;
            let d = model.state[0] + model.state[2] - measured_ns;
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

impl Model {
    fn predict(&mut self, dt: f64, strength: f64) {
        let [offset, rate, bias] = self.state;
        self.state = [offset + rate * dt, rate, bias];
        let p = self.covariance;
        let size = if dt < 0.0 { -dt } else { dt };
        let p00 = p[0][0] + 2.0 * dt * p[0][1] + dt * dt * p[1][1];
        let p01 = p[0][1] + dt * p[1][1];
        let p02 = p[0][2] + dt * p[1][2];
        let walk = strength * size;
        self.covariance = [
            [p00 + walk * dt * dt / 3.0 + PHASE_NOISE * size, p01 + walk * dt / 2.0, p02],
            [p01 + walk * dt / 2.0, p[1][1] + walk, p[1][2]],
            [p02, p[1][2], p[2][2]],
        ];
    }

    /// Takes a measurement of the sum of the state's parts, so weighed; gives the logarithm of its
    /// likelihood.
    fn update(&mut self, parts: [f64; 3], measured: f64, variance: f64) -> f64 {
        let p = self.covariance;
        let sum = |row: [f64; 3]| row[0] * parts[0] + row[1] * parts[1] + row[2] * parts[2];
        let h = p.map(sum);
        let s = sum(h) + variance;
        let innovation = measured - sum(self.state);
        for i in 0..3 {
            let gain = h[i] / s;
            self.state[i] += gain * innovation;
            for j in 0..3 {
                self.covariance[i][j] = p[i][j] - gain * h[j];
            }
        }
        -0.5 * (innovation * innovation / s + libm::log(s))
    }
}

/// Standard deviation of a rate of which nothing is known.
pub(super) const RATE_UNKNOWN: f64 = 100e-6;
/// Three standard deviations, squared.
const CONSISTENT: f64 = 9.0;
const NOISE_SHARE: f64 = 0.1;
const NOISE_MIN: f64 = 0.1;
const MODELS: usize = 7;
const JUMP: usize = 6;
/// Variance of the rate's random walk per nanosecond.
const RESTLESSNESS: [f64; MODELS] = [
    per_root_second(2e-11),
    per_root_second(1e-10),
    per_root_second(5e-10),
    per_root_second(3e-9),
    per_root_second(2e-8),
    per_root_second(2e-7),
    per_root_second(2e-10),
];
const PRIOR: [f64; MODELS] = [0.25, 0.35, 0.25, 0.1, 0.04, 0.009, 0.001];
const STAY: f64 = 0.98;
const SWITCH: f64 = 0.02;
/// White frequency noise: 1 ns in the root of a second.
const PHASE_NOISE: f64 = 1e-9;

const fn per_root_second(sigma: f64) -> f64 {
    sigma * sigma / 1e9
}
