//! Randomness that is the same in every run with the same seed.

/// SplitMix64.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..=most`.
    pub(crate) fn up_to(&mut self, most: i64) -> i64 {
        (self.bits() % (most.max(0) as u64 + 1)) as i64
    }

    pub(crate) fn one_in_thousand(&mut self, times: u32) -> bool {
        self.bits() % 1_000 < u64::from(times)
    }
}
