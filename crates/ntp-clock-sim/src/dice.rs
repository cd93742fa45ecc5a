//! Chance: streams of randomness derived from one seed, and the distributions drawn from them.

/// One stream of randomness. Each part of a world has its own, so that an engine that sends one
/// packet more does not change the weather.
#[derive(Clone, Debug)]
pub struct Dice {
    rng: fastrand::Rng,
    spare: Option<f64>,
}

impl Dice {
    /// The stream of this name out of a seed.
    #[must_use]
    pub fn new(seed: u64, stream: &str) -> Self {
        let name = stream.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Dice { rng: fastrand::Rng::with_seed(scramble(seed ^ scramble(name))), spare: None }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.rng.u64(..)
    }

    /// Random bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill(&mut bytes);
        bytes
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        unit(self.bits())
    }

    /// Uniform between two numbers.
    pub fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Between two positive numbers, each order of magnitude as probable as any other.
    pub fn magnitude(&mut self, low: f64, high: f64) -> f64 {
        low * libm::exp(libm::log(high / low) * self.unit())
    }

    /// A whole number from `low` to `high`, both included.
    pub fn count(&mut self, low: u64, high: u64) -> u64 {
        low + self.bits() % (high - low + 1)
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// 1 or -1.
    pub fn sign(&mut self) -> f64 {
        if self.bits() >> 63 == 0 { 1.0 } else { -1.0 }
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        if mean <= 0.0 {
            return 0.0;
        }
        -mean * libm::log(1.0 - self.unit())
    }

    /// Pareto (Lomax) of this scale and shape, cut off at `cap`: the smaller the shape, the
    /// heavier the tail.
    pub fn pareto(&mut self, scale: f64, shape: f64, cap: f64) -> f64 {
        let heavy = scale * (libm::pow(1.0 - self.unit(), -1.0 / shape) - 1.0);
        heavy.min(cap)
    }

    /// Standard normal (Marsaglia's polar method).
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (u, v) = (self.within(-1.0, 1.0), self.within(-1.0, 1.0));
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                let factor = libm::sqrt(-2.0 * libm::log(s) / s);
                self.spare = Some(v * factor);
                return u * factor;
            }
        }
    }

    /// Zero mean, unit variance and all but normal, for noise that is summed up many thousand
    /// times: four uniform numbers out of one word.
    pub fn noise(&mut self) -> f64 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|i| (bits >> (16 * i)) & 0xffff).sum();
        // Each part has mean 32767.5 and variance (2^32 - 1) / 12.
        (sum as f64 - 4.0 * 32_767.5) / 37_837.226_541
    }

    /// `n` moments between two, in order.
    pub fn moments(&mut self, n: u64, from_ns: i64, to_ns: i64) -> Vec<i64> {
        let span = (to_ns - from_ns).max(0) as f64;
        let mut moments: Vec<i64> = (0..n).map(|_| from_ns + (span * self.unit()) as i64).collect();
        moments.sort_unstable();
        moments
    }
}

/// Uniform in [0, 1), the same for the same key and place: noise that can be asked for at any
/// time and in any order.
pub(crate) fn unit_at(key: u64, place: i64) -> f64 {
    unit(scramble(key ^ scramble(place as u64)))
}

/// A bijection that spreads every input bit over the whole word (SplitMix64).
pub(crate) fn scramble(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn unit(bits: u64) -> f64 {
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    (bits >> 11) as f64 * STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments_of(draw: impl FnMut() -> f64) -> (f64, f64) {
        let values: Vec<f64> = std::iter::repeat_with(draw).take(20_000).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (mean, values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n)
    }

    #[test]
    fn distributions_have_their_mean_and_variance() {
        let mut dice = Dice::new(1, "test");
        let (mean, variance) = moments_of(|| dice.normal());
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05);
        let (mean, variance) = moments_of(|| dice.noise());
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05);
        let (mean, variance) = moments_of(|| dice.exponential(3.0));
        assert!((mean - 3.0).abs() < 0.1 && (variance - 9.0).abs() < 1.0);
        let (mean, _) = moments_of(|| dice.pareto(1.0, 3.0, 1e9));
        assert!((mean - 0.5).abs() < 0.05, "a Lomax mean is scale / (shape - 1): {mean}");
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let draw = |seed, stream| Dice::new(seed, stream).bits();
        assert_eq!(draw(1, "path"), draw(1, "path"));
        assert_ne!(draw(1, "path"), draw(1, "server"));
        assert_ne!(draw(1, "path"), draw(2, "path"));
    }
}
