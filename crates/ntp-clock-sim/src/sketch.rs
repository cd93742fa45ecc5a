//! Quantiles of millions of lengths of time in a few kilobytes.

/// A histogram with 64 buckets to the octave: quantiles within 0.8 %, mergeable, and the same
/// whatever the order of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    buckets: Vec<u64>,
    count: u64,
    max: f64,
}

impl Default for Sketch {
    fn default() -> Self {
        Sketch { buckets: Vec::new(), count: 0, max: 0.0 }
    }
}

impl Sketch {
    /// Adds a length in nanoseconds; its sign does not count.
    pub fn add(&mut self, ns: f64) {
        let ns = ns.abs();
        let place = place_of(ns);
        if self.buckets.len() <= place {
            self.buckets.resize(place + 1, 0);
        }
        self.buckets[place] += 1;
        self.count += 1;
        self.max = self.max.max(ns);
    }

    /// Adds all values of another.
    pub fn merge(&mut self, other: &Sketch) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// The value that this share of all values does not exceed, in nanoseconds; NaN without any.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        if self.count == 0 {
            return f64::NAN;
        }
        let rank = (share * self.count as f64) as u64;
        let mut seen = 0;
        for (place, n) in self.buckets.iter().enumerate() {
            seen += n;
            if seen > rank {
                return middle_of(place).min(self.max);
            }
        }
        self.max
    }

    /// The largest value, exact.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.max
    }

    /// How many values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// A double's exponent and the first bits of its fraction are a logarithm with straight pieces.
fn place_of(ns: f64) -> usize {
    let ns = ns.clamp(1.0, MOST_NS);
    ((ns.to_bits() >> DROPPED_BITS) - FIRST) as usize
}

fn middle_of(place: usize) -> f64 {
    let bits = (place as u64 + FIRST) << DROPPED_BITS;
    f64::from_bits(bits + (1 << (DROPPED_BITS - 1)))
}

/// 46 of the 52 bits of the fraction: 6 remain, 64 buckets to the octave.
const DROPPED_BITS: u32 = 46;
const FIRST: u64 = 1.0_f64.to_bits() >> DROPPED_BITS;
/// Three hours: beyond it nobody cares how much.
const MOST_NS: f64 = 1e13;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_hundredth() {
        let mut sketch = Sketch::default();
        for i in 1..=100_000 {
            sketch.add(f64::from(i) * 10.0);
        }
        for share in [0.01, 0.5, 0.95, 0.99] {
            let ratio = sketch.quantile(share) / (share * 1e6);
            assert!((ratio - 1.0).abs() < 0.01, "{share}: {ratio}");
        }
        assert_eq!(sketch.max(), 1e6);
        let mut twice = sketch.clone();
        twice.merge(&sketch);
        assert_eq!(twice.quantile(0.5), sketch.quantile(0.5));
        assert_eq!(twice.count(), 200_000);
    }

    #[test]
    fn nothing_and_extremes_are_answered() {
        let mut sketch = Sketch::default();
        assert!(sketch.quantile(0.5).is_nan());
        sketch.add(0.0);
        assert_eq!(sketch.quantile(0.5), 0.0);
        sketch.add(-1e300);
        assert_eq!(sketch.max(), 1e300);
    }
}
