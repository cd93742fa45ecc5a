//! The regression line through a window of samples, and what it and they say of the truth.

use super::sample::{Sample, Window, nanos};
use super::{
    RATE_FLOOR, RATE_MAX, SAMPLE_NOISE_NS, SCALE_MIN, STRAY_SIGMAS, WANDER, WANDER_SIGMA, WINDOW,
};
use crate::mapping::Mapping;
use crate::time::{LocalTime, Span};

/// What is known of the oscillator's rate apart from the samples in the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct RatePrior {
    mean: f64,
    variance: f64,
    low: f64,
    high: f64,
}

impl RatePrior {
    /// Any oscillator within its allowance; most are within 50 ppm.
    pub(super) const UNKNOWN: RatePrior =
        RatePrior { mean: 0.0, variance: 50e-6 * 50e-6, low: -RATE_MAX, high: RATE_MAX };

    pub(super) fn of_mapping(mapping: &Mapping) -> RatePrior {
        let [.., variance] = mapping.variance;
        RatePrior {
            mean: mapping.rate,
            variance: variance.max(RATE_FLOOR * RATE_FLOOR),
            low: mapping.rate - mapping.growth,
            high: mapping.rate + mapping.growth,
        }
    }

    /// What a fit leaves behind for the time when its samples are gone. Their allowance for
    /// wander does not reach so far, so another one is added.
    pub(super) fn after(fit: &Fit) -> RatePrior {
        let [.., variance] = fit.variance;
        RatePrior {
            mean: fit.rate,
            variance: variance.max(RATE_FLOOR * RATE_FLOOR),
            low: (fit.rate_low - WANDER).max(-RATE_MAX),
            high: (fit.rate_high + WANDER).min(RATE_MAX),
        }
    }
}

/// The regression line and everything derived from it.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    /// Zero of the time axis: the newest sample's middle.
    pub(super) anchor: LocalTime,
    /// When the newest sample arrived.
    newest: LocalTime,
    /// Zero of the offset axis: the newest sample's offset.
    pub(super) offset: Span,
    /// The line at the anchor, nanoseconds above `offset`.
    pub(super) shift_ns: f64,
    pub(super) rate: f64,
    pub(super) variance: [f64; 3],
    /// Rates that all samples allow, the wander allowance included.
    rate_low: f64,
    rate_high: f64,
    pub(super) growth: f64,
    /// For telling strays: smallest delay and typical noise of a sample without excess delay.
    delay_min: Span,
    noise_ns: f64,
    /// The intersection at `newest`, relative to `offset`.
    lower_ns: f64,
    upper_ns: f64,
}

impl Fit {
    /// `None` where no rate or no time satisfies all samples, or none is there.
    pub(super) fn new(samples: &Window<WINDOW>, prior: &RatePrior) -> Option<Fit> {
        let newest = samples.last()?;
        let (anchor, offset) = (newest.mid, newest.offset);
        let delay_min = samples.iter().map(|s| s.delay).min()?;
        let count = samples.len() as f64;
        let excess_sum: f64 = samples.iter().map(|s| nanos(s.delay - delay_min)).sum();
        // A sample with the smallest delay may still be off by a share of it while samples are few.
        let floor =
            SAMPLE_NOISE_NS.max(excess_sum / count / 20.0).max(nanos(delay_min) / (8.0 * count));
        let variance_of = |s: &Sample| {
            let excess = nanos(s.delay - delay_min) / 2.0;
            let aging = WANDER_SIGMA * nanos(anchor - s.mid);
            floor * floor + excess * excess + aging * aging
        };

        // Least squares of y = shift + rate * x about the weighted means (taken about zero, the
        // sums would cancel), with the prior as one more observation of the rate.
        let (mut weight, mut x_mean, mut y_mean) = (0.0, 0.0, 0.0);
        for sample in samples.iter() {
            let w = 1.0 / variance_of(sample);
            weight += w;
            x_mean += (nanos(sample.mid - anchor) - x_mean) * (w / weight);
            y_mean += (nanos(sample.offset - offset) - y_mean) * (w / weight);
        }
        let (mut xx, mut xy) = (1.0 / prior.variance, prior.mean / prior.variance);
        for sample in samples.iter() {
            let w = 1.0 / variance_of(sample);
            let x = nanos(sample.mid - anchor) - x_mean;
            xx += w * x * x;
            xy += w * x * (nanos(sample.offset - offset) - y_mean);
        }
        let rate = (xy / xx).clamp(-RATE_MAX, RATE_MAX);
        let shift_ns = y_mean - rate * x_mean;
        if !shift_ns.is_finite() || !rate.is_finite() {
            return None;
        }

        // Residuals larger than the weights foresee mean that the errors are, too.
        let chi2: f64 = samples
            .iter()
            .map(|sample| {
                let residual =
                    nanos(sample.offset - offset) - shift_ns - rate * nanos(sample.mid - anchor);
                residual * residual / variance_of(sample)
            })
            .sum();
        let scale = (chi2 / (count - 2.0).max(1.0)).max(SCALE_MIN);
        let rate_variance = scale / xx;
        let variance = [
            scale / weight + x_mean * x_mean * rate_variance,
            -2.0 * x_mean * rate_variance,
            rate_variance + WANDER_SIGMA * WANDER_SIGMA,
        ];

        let (rate_low, rate_high) = rate_limits(samples, prior);
        let mut fit = Fit {
            anchor,
            newest: newest.t4,
            offset,
            shift_ns,
            rate,
            variance,
            rate_low,
            rate_high,
            growth: (rate_high - rate).max(rate - rate_low),
            delay_min,
            noise_ns: libm::sqrt(scale) * floor,
            lower_ns: 0.0,
            upper_ns: 0.0,
        };
        (fit.lower_ns, fit.upper_ns) = fit.intersect(samples, newest.t4);
        (rate_low <= rate_high && fit.lower_ns <= fit.upper_ns).then_some(fit)
    }

    /// Earliest and latest truth at a moment, in nanoseconds of offset above `self.offset`.
    pub(super) fn bounds_at(&self, samples: &Window<WINDOW>, at: LocalTime) -> (f64, f64) {
        if at >= self.newest {
            let since = nanos(at - self.newest);
            let (drift, widening) = (self.rate * since, self.growth * since);
            return (self.lower_ns + drift - widening, self.upper_ns + drift + widening);
        }
        self.intersect(samples, at)
    }

    fn intersect(&self, samples: &Window<WINDOW>, at: LocalTime) -> (f64, f64) {
        let (mut lower, mut upper) = (f64::NEG_INFINITY, f64::INFINITY);
        for sample in samples.iter() {
            let since = nanos(at - sample.t4);
            let line = nanos(sample.lower - self.offset) + self.rate * since;
            lower = lower.max(line - self.growth * since.abs());
            let since = nanos(at - sample.t1);
            let line = nanos(sample.upper - self.offset) + self.rate * since;
            upper = upper.min(line + self.growth * since.abs());
        }
        (lower, upper)
    }

    /// Whether the sample and the bound cannot both be true.
    pub(super) fn contradicts(&self, sample: &Sample) -> bool {
        let widened = |at: LocalTime| {
            let since = nanos(at - self.newest);
            (self.rate * since, self.growth * since.abs())
        };
        let (drift, widening) = widened(sample.t1);
        let earliest = self.lower_ns + drift - widening;
        let (drift, widening) = widened(sample.t4);
        let latest = self.upper_ns + drift + widening;
        nanos(sample.upper - self.offset) < earliest || nanos(sample.lower - self.offset) > latest
    }

    /// Whether the sample lies further from the line than its delay and the noise explain.
    pub(super) fn is_stray(&self, sample: &Sample) -> bool {
        let dt = nanos(sample.mid - self.anchor);
        let predicted = self.shift_ns + self.rate * dt;
        let [v0, v1, v2] = self.variance;
        let variance = v0 + (v1 + v2 * dt) * dt + self.noise_ns * self.noise_ns;
        let excess = nanos(sample.delay - self.delay_min).max(0.0) / 2.0;
        let distance = (nanos(sample.offset - self.offset) - predicted).abs();
        distance > excess + STRAY_SIGMAS * libm::sqrt(variance.max(0.0))
    }
}

/// The rates that every pair of samples allows, widened by the wander allowance, within the prior.
fn rate_limits(samples: &Window<WINDOW>, prior: &RatePrior) -> (f64, f64) {
    let (mut low, mut high) = (prior.low, prior.high);
    for (index, later) in samples.iter().enumerate() {
        for earlier in samples.iter().take(index) {
            let most = nanos(later.upper - earlier.lower) / nanos(later.t1 - earlier.t4).max(1.0);
            let least = nanos(later.lower - earlier.upper) / nanos(later.t4 - earlier.t1).max(1.0);
            if later.t1 > earlier.t4 {
                high = high.min(most + WANDER);
                low = low.max(least - WANDER);
            }
        }
    }
    (low, high)
}
