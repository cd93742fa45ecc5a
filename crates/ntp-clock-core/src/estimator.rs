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

use crate::exchange::Exchange;
use crate::mapping::Mapping;
use crate::time::{LocalTime, Span, UnixTime};

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
    /// It contradicts the estimate and was set aside.
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
    /// An estimator that knows nothing. `resolution` is the coarseness of the local counter.
    #[must_use]
    pub fn new(resolution: Span) -> Self {
        Estimator {
            resolution,
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
        estimator.prior = RatePrior {
            mean: mapping.rate,
            variance: mapping.variance[2].max(RATE_FLOOR * RATE_FLOOR),
            low: mapping.rate - mapping.growth,
            high: mapping.rate + mapping.growth,
        };
        estimator.samples.push(Sample::from_mapping(mapping));
        estimator.refit();
        estimator
    }

    /// Takes one exchange into account.
    pub fn add(&mut self, exchange: &Exchange) -> Verdict {
        let sample = Sample::new(exchange, self.resolution);
        let Some(fit) = &self.fit else {
            self.samples.push(sample);
            self.refit();
            return Verdict::Accepted;
        };
        if fit.contradicts(&sample) {
            return self.suspect(sample);
        }
        self.suspects.clear();
        let stray = fit.is_stray(&sample);
        self.samples.push(sample);
        self.strays = if stray { self.strays + 1 } else { 0 };
        if self.strays >= SUSPECTS {
            self.strays = 0;
            self.samples.keep_last(SUSPECTS);
            self.prior = self.prior.after(self.fit.as_ref());
            self.refit();
            return Verdict::Restarted;
        }
        if self.refit() { Verdict::Accepted } else { self.break_with_the_past() }
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
        self.prior = self.prior.after(self.fit.as_ref());
        self.forget_samples();
    }

    fn forget_samples(&mut self) {
        self.samples.clear();
        self.suspects.clear();
        self.strays = 0;
        self.fit = None;
    }

    fn suspect(&mut self, sample: Sample) -> Verdict {
        self.suspects.push(sample);
        if self.suspects.len() < SUSPECTS {
            return Verdict::Contradiction;
        }
        self.break_with_the_past()
    }

    /// The assumptions behind the bound do not hold for all samples: keep only the latest.
    fn break_with_the_past(&mut self) -> Verdict {
        let mut fresh = Window::<WINDOW>::new();
        for sample in self.suspects.iter() {
            fresh.push(*sample);
        }
        if fresh.len() == 0 {
            self.samples.keep_last(1);
            fresh = self.samples.clone();
        }
        self.forget_samples();
        self.prior = RatePrior::UNKNOWN;
        self.samples = fresh;
        if !self.refit() {
            // The suspects contradict one another as well: the newest alone always agrees.
            self.samples.keep_last(1);
            self.refit();
        }
        Verdict::Broken
    }

    /// Recomputes everything from the window. False where no rate or no time satisfies all
    /// samples; the fit is then unusable.
    fn refit(&mut self) -> bool {
        let Some(fit) = Fit::new(&self.samples, &self.prior) else { return false };
        let newest = fit.newest;
        let (lower, upper) = fit.bounds_at(&self.samples, newest);
        let consistent = lower <= upper;
        self.fit = Some(fit);
        consistent
    }
}

/// An exchange as the estimator sees it. Offsets are true less local time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    t1: LocalTime,
    t4: LocalTime,
    /// Truth less local time at T1 is at most this.
    upper: Span,
    /// Truth less local time at T4 is at least this.
    lower: Span,
    /// The middle between T1 and T4, where `offset` is most probable.
    mid: LocalTime,
    offset: Span,
    /// Round trip, never negative.
    delay: Span,
}

impl Sample {
    fn new(exchange: &Exchange, resolution: Span) -> Self {
        let (t1, t4) = (exchange.sent_at(), exchange.received_at());
        let reply = exchange.reply();
        let error = reply.max_error() + resolution;
        let forth = offset(reply.receive_time, t1);
        let back = offset(reply.transmit_time, t4);
        Sample {
            t1,
            t4,
            upper: forth + error,
            lower: back - error,
            mid: t1 + half(t4 - t1),
            offset: back + half(forth - back),
            delay: exchange.delay().max(Span::ZERO),
        }
    }

    fn from_mapping(mapping: &Mapping) -> Self {
        let centre = offset(mapping.centre, mapping.anchor);
        let upper = Span::from_nanos_f64_ceil(mapping.upper_ns);
        let lower = Span::from_nanos_f64_ceil(mapping.lower_ns);
        Sample {
            t1: mapping.anchor,
            t4: mapping.anchor,
            upper: centre + upper,
            lower: centre - lower,
            mid: mapping.anchor,
            offset: centre,
            delay: (upper + lower).max(Span::ZERO),
        }
    }
}

/// What is known of the oscillator's rate apart from the samples in the window.
#[derive(Clone, Copy, Debug)]
struct RatePrior {
    mean: f64,
    variance: f64,
    low: f64,
    high: f64,
}

impl RatePrior {
    /// Any oscillator within its allowance; most are within 50 ppm.
    const UNKNOWN: RatePrior =
        RatePrior { mean: 0.0, variance: 50e-6 * 50e-6, low: -RATE_MAX, high: RATE_MAX };

    /// What a fit leaves behind for the time when its offsets are void.
    fn after(self, fit: Option<&Fit>) -> RatePrior {
        let Some(fit) = fit else { return self };
        RatePrior {
            mean: fit.rate,
            variance: fit.variance[2].max(RATE_FLOOR * RATE_FLOOR),
            low: fit.rate_low,
            high: fit.rate_high,
        }
    }
}

/// The regression line and everything derived from it.
#[derive(Clone, Debug)]
struct Fit {
    /// Zero of the time axis: the newest sample's middle.
    anchor: LocalTime,
    /// When the newest sample arrived.
    newest: LocalTime,
    /// Zero of the offset axis: the newest sample's offset.
    offset: Span,
    /// The line at the anchor, nanoseconds above `offset`.
    shift_ns: f64,
    rate: f64,
    variance: [f64; 3],
    /// Rates that all samples allow, the wander allowance included.
    rate_low: f64,
    rate_high: f64,
    growth: f64,
    /// For telling strays: smallest delay and typical noise of a sample without excess delay.
    delay_min: Span,
    noise_ns: f64,
    /// The intersection at `newest`, relative to `offset`.
    lower_ns: f64,
    upper_ns: f64,
}

impl Fit {
    fn new(samples: &Window<WINDOW>, prior: &RatePrior) -> Option<Fit> {
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

        // Normal equations of y = shift + rate * x, with the prior as one more observation of rate.
        let (mut s, mut sx, mut sy) = (0.0, 0.0, 0.0);
        let (mut sxx, mut sxy) = (1.0 / prior.variance, prior.mean / prior.variance);
        for sample in samples.iter() {
            let weight = 1.0 / variance_of(sample);
            let x = nanos(sample.mid - anchor);
            let y = nanos(sample.offset - offset);
            s += weight;
            sx += weight * x;
            sy += weight * y;
            sxx += weight * x * x;
            sxy += weight * x * y;
        }
        let det = s * sxx - sx * sx;
        let shift_ns = (sxx * sy - sx * sxy) / det;
        let rate = ((s * sxy - sx * sy) / det).clamp(-RATE_MAX, RATE_MAX);
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
        let variance = [
            scale * sxx / det,
            -2.0 * scale * sx / det,
            scale * s / det + WANDER_SIGMA * WANDER_SIGMA,
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
        if rate_low > rate_high {
            // No rate satisfies all samples: say so through an empty intersection.
            (fit.lower_ns, fit.upper_ns) = (f64::INFINITY, f64::NEG_INFINITY);
        } else {
            (fit.lower_ns, fit.upper_ns) = fit.intersect(samples, newest.t4);
        }
        Some(fit)
    }

    /// Earliest and latest truth at a moment, in nanoseconds of offset above `self.offset`.
    fn bounds_at(&self, samples: &Window<WINDOW>, at: LocalTime) -> (f64, f64) {
        if at >= self.newest || self.lower_ns > self.upper_ns {
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
    fn contradicts(&self, sample: &Sample) -> bool {
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
    fn is_stray(&self, sample: &Sample) -> bool {
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

/// A ring of the newest `N` samples, oldest first.
#[derive(Clone, Debug)]
struct Window<const N: usize> {
    ring: [Option<Sample>; N],
    start: usize,
    len: usize,
}

impl<const N: usize> Window<N> {
    fn new() -> Self {
        Window { ring: [None; N], start: 0, len: 0 }
    }

    fn len(&self) -> usize {
        self.len
    }

    fn push(&mut self, sample: Sample) {
        let slot = (self.start + self.len) % N;
        if let Some(place) = self.ring.get_mut(slot) {
            *place = Some(sample);
        }
        if self.len < N {
            self.len += 1;
        } else {
            self.start = (self.start + 1) % N;
        }
    }

    fn keep_last(&mut self, count: usize) {
        let dropped = self.len.saturating_sub(count);
        self.start = (self.start + dropped) % N;
        self.len -= dropped;
    }

    fn clear(&mut self) {
        self.keep_last(0);
    }

    fn iter(&self) -> impl Iterator<Item = &Sample> {
        (0..self.len).filter_map(|i| self.ring.get((self.start + i) % N)?.as_ref())
    }

    fn last(&self) -> Option<&Sample> {
        self.ring.get((self.start + self.len.checked_sub(1)?) % N)?.as_ref()
    }
}

/// True less local time: the one place where the two scales meet.
fn offset(true_time: UnixTime, local: LocalTime) -> Span {
    Span::from_nanos(true_time.as_nanos()) - Span::from_nanos(local.as_nanos())
}

fn half(span: Span) -> Span {
    Span::from_nanos(span.as_nanos() >> 1)
}

fn nanos(span: Span) -> f64 {
    span.as_nanos() as f64
}

/// No oscillator that we serve is further from nominal than this (RFC 5905's frequency tolerance
/// for a disciplined clock is 15 ppm; crystals are sold within 100 ppm).
pub(crate) const RATE_MAX: f64 = 500e-6;
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
const STRAY_SIGMAS: f64 = 8.0;
const WINDOW: usize = 64;
/// One sample that does not fit is an outlier; so many in a row are a change.
const SUSPECTS: usize = 3;
