//! Chance, and where it comes from: streams of randomness derived from one seed.

use std::fmt;
use std::str::FromStr;

use fastrand::Rng;

use crate::error::ParseError;

/// A probability, always within 0 to 1.
///
/// ```
/// use ntp_test_server::Probability;
/// assert_eq!("25%".parse(), Ok(Probability::new(0.25)));
/// assert_eq!(Probability::new(7.0), Probability::ALWAYS);
/// ```
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Default)]
pub struct Probability(f64);

impl Probability {
    /// 0.
    pub const NEVER: Probability = Probability(0.0);
    /// 1.
    pub const ALWAYS: Probability = Probability(1.0);

    /// The nearest probability to a number; NaN becomes 0.
    #[must_use]
    pub const fn new(number: f64) -> Self {
        if number.is_nan() { Probability::NEVER } else { Probability(number.clamp(0.0, 1.0)) }
    }

    /// The number, 0 to 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// Whether the event happens this time.
    pub(crate) fn happens(self, rng: &mut Rng) -> bool {
        // `f64` draws from [0, 1): 0 never happens and 1 always does.
        rng.f64() < self.0
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Probability {
    type Err = ParseError;

    /// Reads `0.25` or `25%`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (number, unit) = match text.strip_suffix('%') {
            Some(number) => (number, 100.0),
            None => (text, 1.0),
        };
        match number.parse::<f64>() {
            Ok(n) if (0.0..=unit).contains(&n) => Ok(Probability(n / unit)),
            _ => Err(ParseError::Probability(text.to_owned())),
        }
    }
}

/// What a stream of randomness is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    LossToServer,
    LossToClient,
    DelayToServer,
    DelayToClient,
    Duplicate,
    Reorder,
    Faults,
    ReplyBytes,
    BurstToServer,
    BurstToClient,
}

/// The stream for one purpose and one request (or, where there is no request, number 0).
pub(crate) fn stream(seed: u64, purpose: Purpose, request: u64) -> Rng {
    Rng::with_seed(mix(mix(mix(seed) ^ purpose as u64) ^ request))
}

/// The finaliser of SplitMix64: neighbouring inputs give unrelated outputs. Wyrand alone would
/// not do, because nearby seeds begin nearby in one and the same sequence.
fn mix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_never_happens_and_always_always_does() {
        let mut rng = stream(1, Purpose::Reorder, 0);
        for _ in 0..1000 {
            assert!(!Probability::NEVER.happens(&mut rng));
            assert!(Probability::ALWAYS.happens(&mut rng));
        }
    }

    #[test]
    fn the_first_draws_of_successive_requests_are_spread_evenly() {
        let p = Probability::new(0.3);
        let happened =
            (0..10_000).filter(|n| p.happens(&mut stream(5, Purpose::LossToServer, *n))).count();
        assert!((2_800..3_200).contains(&happened), "{happened} of 10000 at 30%");
    }

    #[test]
    fn streams_repeat_and_differ_by_seed_purpose_and_request() {
        let first = |seed, purpose, request| stream(seed, purpose, request).u64(..);
        let one = first(1, Purpose::Faults, 0);
        assert_eq!(one, first(1, Purpose::Faults, 0));
        assert_ne!(one, first(2, Purpose::Faults, 0));
        assert_ne!(one, first(1, Purpose::Reorder, 0));
        assert_ne!(one, first(1, Purpose::Faults, 1));
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for text in ["1.1", "-0.1", "101%", "half", "", "nan"] {
            assert!(text.parse::<Probability>().is_err(), "{text}");
        }
    }
}
