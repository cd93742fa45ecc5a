//! The best guess of the difference, inside what is certain.
//!
//! The interval has to allow for whatever the rate may do; where one side was last heard of ten
//! seconds ago, that moves its middle by more than any path is likely to be asymmetric, above all
//! where a counter may be steered. So the guess carries all lines at the rate that was probably
//! the one, and lets them age only as fast as oscillators mostly do.

use super::centre;
use super::lines::Lines;
use super::snapshot::SHARE;
use super::{Evidence, Link};

impl Link {
    /// The guess at a moment and its standard deviation, where the difference is certainly from
    /// `lower` to `upper`; not a number without both sides.
    pub(super) fn guess(
        &self,
        m: f64,
        evidence: Evidence,
        (lower, upper): (f64, f64),
    ) -> (f64, f64) {
        if !(lower.is_finite() && upper.is_finite()) {
            return (f64::NAN, 0.0);
        }
        let (rate, ageing) = self.probable_rate(evidence);
        let sources = evidence.sources();
        let high = tightest(&self.most[..sources], m, rate, ageing);
        let low = -tightest(&self.least[..sources], m, -rate, ageing);
        // Nobody knows which way of the fastest round trip took longer.
        let estimate = ((low + high) / 2.0).max(lower).min(upper);
        (estimate, ((high - low).abs() * SHARE).min((upper - lower) * SHARE))
    }

    /// The rate that was probably the one, and how fast what it says ages.
    fn probable_rate(&self, evidence: Evidence) -> (f64, f64) {
        let parts = evidence.parts().iter();
        let spans = parts.flat_map(|part| &self.centres[*part as usize]);
        let means = spans.map(|centre| centre.mean(&self.pair));
        let (middle, half) = means.fold(centre::middle(self.pair.centre()), |least, next| {
            if next.1 < least.1 { next } else { least }
        });
        // Of two crystals it is small, as long as little is known.
        let known = CRYSTALS * CRYSTALS / (CRYSTALS * CRYSTALS + half * half);
        let rate = (middle * known).max(middle - half).min(middle + half);
        let doubt = half * libm::sqrt(known);
        let steered = STEERED * self.pair.steering();
        (rate, doubt * DOUBT + steered)
    }
}

/// What the tightest says of the lines that are near a moment. Others, carried at a rate that is a
/// little off, could seem to be tighter the further they are.
fn tightest(lines: &[Lines], m: f64, rate: f64, ageing: f64) -> f64 {
    let all = || lines.iter().flat_map(Lines::as_slice);
    let nearest = all().map(|line| (m - line.m).abs()).fold(f64::INFINITY, f64::min);
    let near = all().filter(|line| (m - line.m).abs() <= 2.0 * nearest + NEAR_NS);
    let carried = near.map(|line| {
        let since = m - line.m;
        line.most + rate * since + ageing * since.abs()
    });
    carried.fold(f64::INFINITY, f64::min)
}

/// A dozen exchanges, one in ten seconds.
const NEAR_NS: f64 = 120e9;
/// Of what the rate may be off, one standard deviation.
const DOUBT: f64 = 0.3;
/// How far apart the rates of two crystals mostly are.
const CRYSTALS: f64 = 100e-6;
/// Of what steering may do, what it mostly does.
const STEERED: f64 = 0.02;
