//! From exchanges to an estimate of offset and frequency, with a hard bound and a probable error.
//!
//! # The bound
//! The server received after we sent and sent before we received. So with `E` the server's own
//! error, truth at our T1 was no later than `T2 + E`, and truth at our T4 no earlier than
//! `T3 - E`, whatever the asymmetry of the path. Each sample gives one upper and one lower line;
//! propagated to now at the estimated rate they widen by `D` for each unit of age, and truth is
//! inside their intersection. `D` is the most that the real rate can differ from ours: the pairs
//! of samples bound the mean rate between them, and the rate at any one moment is assumed to be
//! within [`WANDER`] of such a mean, and within [`RATE_MAX`] of nominal.
//!
//! # The centre
//! Weighted least squares of offset on time over a bounded window, with a prior on the frequency
//! so that the first burst does not extrapolate its own noise. An exchange's weight falls with its
//! delay in excess of the smallest (half of which may be error) and with its age (the oscillator
//! wanders). The residuals scale the errors that come out.

mod fit;
mod sample;

use crate::exchange::Exchange;
use crate::mapping::Mapping;
use crate::time::{LocalTime, Span, UnixTime};
use fit::{Fit, RatePrior};
use sample::{Sample, Window};

/// Holds a bounded window of exchanges; the only part that knows how estimates are made.
#[derive(Clone, Debug)]
pub struct Estimator {
    /// What the counter's own reading adds to every timestamp.
    resolution: Span,
    samples: Window<WINDOW>,
    /// Samples that contradict the estimate, until they are several.
    suspects: Window<SUSPECTS>,
    /// Samples in a row that lie where only a move of the clock or the server explains them.
    strays: usize,
    prior: RatePrior,
    fit: Option<Fit>,
}

/// What became of an exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is part of the estimate.
    Accepted,
    /// It contradicts the estimate (or others that do) and was set aside.
    Contradiction,
    /// It was the last of several that agree with each other but not with the estimate: offset and
    /// frequency start afresh from them, within the old bound.
    Restarted,
    /// As [`Verdict::Restarted`], but the old bound was broken: the server proved wrong.
    Broken,
}

/// Offset and frequency at one moment, with their errors. Nanoseconds relative to `centre`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// The moment.
    pub at: LocalTime,
    /// The most probable true time then.
    pub centre: UnixTime,
    /// d(true)/d(local) - 1.
    pub rate: f64,
    /// The latest that truth can be, less the centre.
    pub upper_ns: f64,
    /// The centre less the earliest that truth can be.
    pub lower_ns: f64,
    /// How fast both grow with the distance from `at`.
    pub growth: f64,
    /// Variance of the centre: constant (ns²), linear (ns) and quadratic (1) in the distance.
    pub variance: [f64; 3],
}

impl Estimator {
    /// An estimator that knows nothing. `resolution` is the coarseness of the local counter,
    /// from nothing to a second.
    #[must_use]
    pub fn new(resolution: Span) -> Self {
        Estimator {
            resolution: resolution.clamp(Span::ZERO, RESOLUTION_MAX),
            samples: Window::new(),
            suspects: Window::new(),
            strays: 0,
            prior: RatePrior::UNKNOWN,
            fit: None,
        }
    }

    /// An estimator that begins from a mapping that another one made, as a forked child does.
    #[must_use]
    pub fn resume(resolution: Span, mapping: &Mapping) -> Self {
        let mut estimator = Estimator::new(resolution);
        estimator.prior = RatePrior::of_mapping(mapping);
        estimator.samples.push(Sample::from_mapping(mapping));
        estimator.fit = Fit::new(&estimator.samples, &estimator.prior);
        estimator
    }

    /// Takes one exchange into account; one that is known already changes nothing.
    pub fn add(&mut self, exchange: &Exchange) -> Verdict {
        let sample = Sample::new(exchange, self.resolution);
        if self.samples.contains(&sample) {
            return Verdict::Accepted;
        }
        let stray = match &self.fit {
            None => false,
            Some(fit) if fit.contradicts(&sample) => return self.suspect(sample),
            Some(fit) => fit.is_stray(&sample),
        };
        let mut samples = self.samples.clone();
        // A prior from before the window speaks of a time that the wander allowance, which holds
        // for as long as a window, does not reach.
        let prior = if samples.is_full() { RatePrior::UNKNOWN } else { self.prior };
        samples.push(sample);
        let Some(fit) = Fit::new(&samples, &prior) else { return self.suspect(sample) };
        self.suspects = Window::new();
        self.strays = if stray { self.strays + 1 } else { 0 };
        if self.strays >= SUSPECTS {
            let mut newest = samples.clone();
            newest.keep_last(SUSPECTS);
            let prior = RatePrior::after(&fit);
            if let Some(fit) = Fit::new(&newest, &prior) {
                self.begin_with(newest, prior, fit);
                return Verdict::Restarted;
            }
        }
        (self.samples, self.prior, self.fit) = (samples, prior, Some(fit));
        Verdict::Accepted
    }

    /// The estimate at a moment, or `None` before the first exchange.
    #[must_use]
    pub fn estimate(&self, at: LocalTime) -> Option<Estimate> {
        let fit = self.fit.as_ref()?;
        let since = at - fit.anchor;
        let dt = since.as_nanos() as f64;
        let shift = fit.shift_ns + fit.rate * dt;
        let whole = shift as i64;
        let (lower, upper) = fit.bounds_at(&self.samples, at);
        let [v0, v1, v2] = fit.variance;
        let own = self.resolution.as_nanos() as f64;
        Some(Estimate {
            at,
            centre: UnixTime::from_nanos(at.as_nanos()) + fit.offset + Span::from_nanos(whole),
            rate: fit.rate,
            // The fraction dropped by `whole` is under 1 ns.
            upper_ns: upper - shift + own + 1.0,
            lower_ns: shift - lower + own + 1.0,
            growth: fit.growth,
            variance: [v0 + (v1 + v2 * dt) * dt, v1 + 2.0 * v2 * dt, v2],
        })
    }

    /// The smallest delay in the window.
    #[must_use]
    pub fn min_delay(&self) -> Option<Span> {
        self.samples.iter().map(|s| s.delay).min()
    }

    /// The local counter lost an unknown length of time (suspend): every offset is void, the
    /// frequency is not.
    pub fn forget_offset(&mut self) {
        let prior = self.fit.as_ref().map_or(self.prior, RatePrior::after);
        *self = Estimator { prior, ..Estimator::new(self.resolution) };
    }

    /// Sets a sample aside that contradicts the estimate, unless it is the last of several that
    /// do and that agree with one another: then the assumptions behind the bound did not hold,
    /// and they are the new beginning.
    fn suspect(&mut self, sample: Sample) -> Verdict {
        if self.suspects.contains(&sample) {
            return Verdict::Contradiction;
        }
        self.suspects.push(sample);
        if !self.suspects.is_full() {
            return Verdict::Contradiction;
        }
        let mut fresh = Window::new();
        for suspect in self.suspects.iter() {
            fresh.push(*suspect);
        }
        let Some(fit) = Fit::new(&fresh, &RatePrior::UNKNOWN) else {
            return Verdict::Contradiction;
        };
        self.begin_with(fresh, RatePrior::UNKNOWN, fit);
        Verdict::Broken
    }

    fn begin_with(&mut self, samples: Window<WINDOW>, prior: RatePrior, fit: Fit) {
        *self = Estimator { samples, prior, fit: Some(fit), ..Estimator::new(self.resolution) };
    }
}

/// No oscillator that we serve is further from nominal than this (RFC 5905's frequency tolerance
/// for a disciplined clock is 15 ppm; crystals are sold within 100 ppm).
/// Of the counter's frequency, that is: of true time by the counter it is a trifle more.
pub(crate) const RATE_MAX: f64 = 500e-6 / (1.0 - 500e-6);
/// The furthest that the rate at one moment may be from its mean between any two samples of the
/// window: PHI of RFC 5905, which also covers a thermal step of several ppm.
pub(crate) const WANDER: f64 = 15e-6;
/// How far the rate typically wanders while a sample ages; only weights and sigmas depend on it.
const WANDER_SIGMA: f64 = 0.1e-6;
/// No frequency is known better than this.
const RATE_FLOOR: f64 = 0.1e-6;
/// Timestamping noise of the best of samples.
const SAMPLE_NOISE_NS: f64 = 1_000.0;
/// Residuals smaller than foreseen shrink the errors to a half, no further.
const SCALE_MIN: f64 = 0.25;
/// A counter coarser than this is no clock.
const RESOLUTION_MAX: Span = Span::from_secs(1);
const STRAY_SIGMAS: f64 = 8.0;
const WINDOW: usize = 64;
/// One sample that does not fit is an outlier; so many in a row are a change.
const SUSPECTS: usize = 3;
