//! From exchanges to an estimate of offset and frequency, with a hard bound and a probable error.
//!
//! # The bound
//! The server received after we sent and sent before we received. So with `E` the server's own
//! error, truth at our T1 was no later than `T2 + E`, and truth at our T4 no earlier than
//! `T3 - E`, whatever the asymmetry of the path. Each sample gives one upper and one lower line;
//! propagated to now at the estimated rate they widen by `D` for each unit of age, and truth is
//! inside their intersection. `D` is the most that the real rate can differ from ours. Pairs of
//! rounds bound the mean rate between them by their lines alone, so that nobody on the way can
//! move it: an asymmetry that is constant is not assumed. The rate now is within [`RATE_MAX`] of
//! nominal, and
//! - within [`STEP`], and more where the pair spans more, of each mean until now (`crate::drift`);
//! - within [`WANDER`] of every mean, be there a move that was seen or none: a path that moves the
//!   other way hides one.
//!
//! With the distance it grows as `crate::drift` has it, forwards and backwards alike.
//!
//! # The centre
//! Three steps, a file each:
//! - `path` (with `ratio` and `envelope`): a round's exchanges are put together. How an offset's
//!   error follows from the delay in excess of the smallest is learnt from exchanges of the same
//!   burst, between which the clock has not moved: a slope (queueing in one direction shifts the
//!   offset by half of it) and a scatter. A path that stays longer is another path, whose unknown
//!   asymmetry is estimated instead of being taken for time.
//! - `filter` (each of them a `kalman`): a bank of Kalman filters follows offset and rate, one filter
//!   for each strength of the oscillator's restlessness and one for a jump; how well each foresaw
//!   the rounds decides how much it counts. Mean and spread of the mixture are the estimate and its
//!   variance.
//! - `track`: holds the two together, with the round under way taken provisionally.

mod bounds;
mod envelope;
mod filter;
mod kalman;
mod limit;
mod path;
mod rates;
mod ratio;
mod ring;
mod sample;
mod track;
mod window;

use crate::drift::{STEP, TYPICAL, rise};
use crate::exchange::Exchange;
use crate::mapping::Mapping;
use crate::time::{LocalTime, Span, UnixTime};
use bounds::Bounds;
use path::Path;
use rates::Rates;
use ring::Ring;
use sample::{Sample, nanos};
use track::{RatePrior, Track};
use window::Window;

pub(crate) use window::ROUND_GAP;

/// Holds a bounded window of exchanges; the only part that knows how estimates are made.
#[derive(Clone, Debug)]
pub struct Estimator {
    /// What the counter's own reading adds to every timestamp.
    resolution: Span,
    /// By how much the operating system may turn the counter's rate.
    steering: f64,
    window: Window,
    /// Samples that contradict the estimate, until they are several.
    suspects: Ring<Sample, SUSPECTS>,
    rates: Rates,
    prior: RatePrior,
    path: Path,
    fit: Option<Fit>,
}

#[derive(Clone, Debug)]
struct Fit {
    track: Track,
    bounds: Bounds,
}

impl Fit {
    /// How far the centre is outside of where truth certainly is; `None` where it is inside.
    fn outside(&self, window: &Window) -> Option<Outside> {
        let line = self.track.line();
        let zero_shift = nanos(line.zero - self.bounds.offset);
        let (lower, upper) = self.bounds.at(window, line.at);
        let (lower, upper) = (lower - zero_shift, upper - zero_shift);
        let nearest = line.offset_ns.max(lower).min(upper);
        let by_ns = (nearest - line.offset_ns).abs();
        (by_ns > 0.0).then_some(Outside { by_ns, nearest, half_width_ns: (upper - lower) / 2.0 })
    }
}

/// How a centre is where truth cannot be.
struct Outside {
    by_ns: f64,
    nearest: f64,
    half_width_ns: f64,
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
    /// How fast both grow with the distance from `at`, forwards and backwards: for the ten minutes
    /// in which an oscillator moves by no more than a step, further from then on (see
    /// [`Mapping`](crate::Mapping)).
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
            steering: 0.0,
            window: Window::new(),
            suspects: Ring::new(),
            rates: Rates::ANY,
            prior: RatePrior::UNKNOWN,
            path: Path::new(),
            fit: None,
        }
    }

    /// The same on a counter whose rate the operating system may turn by this many parts per
    /// million.
    #[must_use]
    pub fn steered(self, ppm: u16) -> Self {
        let steering = f64::from(ppm) * 1e-6;
        Estimator { steering, rates: Rates::ANY.widened(steering), ..self }
    }

    /// The rates of any counter of this kind.
    fn any_rates(&self) -> Rates {
        Rates::ANY.widened(self.steering)
    }

    /// The same, beginning from a mapping that another one made, as a forked child does.
    #[must_use]
    pub fn resume(self, mapping: &Mapping) -> Self {
        let sample = Sample::from_mapping(mapping);
        let window = Window::starting_from(&sample);
        let rates = Rates::of_mapping(mapping);
        let fit = Bounds::new(&window, rates, self.steering, mapping.rate)
            .map(|bounds| Fit { track: Track::resume(&sample, mapping), bounds });
        Estimator { window, rates, fit, ..self }
    }

    /// One that knows nothing, on the same counter.
    fn restarted(&self) -> Self {
        Estimator {
            steering: self.steering,
            rates: self.any_rates(),
            ..Estimator::new(self.resolution)
        }
    }

    /// Takes one exchange into account; one that is known already changes nothing.
    pub fn add(&mut self, exchange: &Exchange) -> Verdict {
        let sample = Sample::new(exchange, self.resolution);
        if self.window.has_seen(&sample) {
            return Verdict::Accepted;
        }
        if self.fit.as_ref().is_some_and(|fit| fit.bounds.contradicts(&sample)) {
            return self.suspect(sample);
        }
        let Some((window, fit)) = self.with(sample) else { return self.suspect(sample) };
        let jumped = |fit: &Fit| fit.track.line().jumped;
        let verdict = if jumped(&fit) && !self.fit.as_ref().is_some_and(jumped) {
            Verdict::Restarted
        } else {
            Verdict::Accepted
        };
        self.suspects = Ring::new();
        (self.window, self.fit) = (window, Some(fit));
        verdict
    }

    /// Window and fit with a sample more, unless they contradict each other.
    fn with(&self, sample: Sample) -> Option<(Window, Fit)> {
        let mut window = self.window.clone();
        let fresh = window.begins_round(&sample);
        let (track, possible) = match &self.fit {
            Some(fit) => (fit.track.clone(), fit.bounds.rates),
            None => (Track::new(&sample, self.prior, self.path), self.any_rates()),
        };
        window.push(sample, possible);
        let doubting = |doubt_ns| {
            let track = track.with_round(&window, fresh, nanos(self.resolution), doubt_ns)?;
            self.bounded(&window, track)
        };
        let believed = doubting(0.0)?;
        let Some(outside) = believed.outside(&window) else { return Some((window, believed)) };
        // Once the path is known, it is mostly this round that misleads ...
        let doubt_ns = if track.path().is_known() { DOUBTED * outside.by_ns } else { 0.0 };
        let doubted = doubting(doubt_ns)?;
        let Some(outside) = doubted.outside(&window) else { return Some((window, doubted)) };
        // ... otherwise what was taken for the bias of a path before it was time.
        let corrected = doubted.track.corrected(outside.nearest, outside.half_width_ns);
        let corrected = self.bounded(&window, corrected)?;
        Some((window, corrected))
    }

    fn bounded(&self, window: &Window, track: Track) -> Option<Fit> {
        let known = if window.forgot() { self.any_rates() } else { self.rates };
        let bounds = Bounds::new(window, known, self.steering, track.line().rate)?;
        Some(Fit { track, bounds })
    }

    /// The estimate at a moment, or `None` before the first exchange.
    #[must_use]
    pub fn estimate(&self, at: LocalTime) -> Option<Estimate> {
        let Fit { track, bounds } = self.fit.as_ref()?;
        let line = track.line();
        let dt = nanos(at - line.at);
        let shift = line.offset_ns + line.rate * dt;
        let whole = shift as i64;
        let zero_shift = nanos(line.zero - bounds.offset);
        let (lower, upper) = bounds.at(&self.window, at);
        let (lower, upper) = (lower - zero_shift, upper - zero_shift);
        let [v0, v1, v2] = line.variance;
        let own = self.resolution.as_nanos() as f64;
        let walk = line.restlessness * WALK_NS;
        // Of what the oscillator has done since the last exchange, for one that was long ago.
        let moved = TYPICAL * rise(dt.max(0.0));
        Some(Estimate {
            at,
            centre: UnixTime::from_nanos(at.as_nanos()) + line.zero + Span::from_nanos(whole),
            rate: line.rate,
            // The fraction dropped by `whole` is under 1 ns.
            upper_ns: upper - shift + own + 1.0,
            lower_ns: shift - lower + own + 1.0,
            growth: bounds.growth_at(at),
            variance: [
                v0 + (2.0 * v1 + v2 * dt) * dt + own * own / 12.0 + moved * moved,
                2.0 * (v1 + v2 * dt),
                v2 + walk,
            ],
        })
    }

    /// The smallest delay in the window.
    #[must_use]
    pub fn min_delay(&self) -> Option<Span> {
        self.window.limits().map(|limit| limit.delay).min()
    }

    /// The first moment of which an exchange in use says something.
    #[must_use]
    pub fn known_since(&self) -> Option<LocalTime> {
        self.window.limits().map(|limit| limit.t1.min(limit.t4)).min()
    }

    /// The local counter lost an unknown length of time (suspend): every offset is void, the
    /// frequency is not.
    pub fn forget_offset(&mut self) {
        let (rates, prior, path) = match &self.fit {
            None => (self.rates, self.prior, self.path),
            Some(fit) => {
                let line = fit.track.line();
                let variance = line.variance[2] + COOLING_SIGMA * COOLING_SIGMA;
                let prior = RatePrior { mean: line.rate, variance };
                (fit.bounds.rates.after_sleep().within(self.any_rates()), prior, fit.track.path())
            }
        };
        *self = Estimator { rates, prior, path, ..self.restarted() };
    }

    /// The local counter may be another one: offset and frequency are void.
    pub fn forget(&mut self) {
        *self = self.restarted();
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
        let fresh = self.suspects.clone();
        let mut rebuilt = self.restarted();
        for suspect in fresh.iter() {
            let Some((window, fit)) = rebuilt.with(*suspect) else { return Verdict::Contradiction };
            (rebuilt.window, rebuilt.fit) = (window, Some(fit));
        }
        *self = rebuilt;
        Verdict::Broken
    }
}

/// What a sleep does to an oscillator's rate, mostly.
const COOLING_SIGMA: f64 = 1e-6;
/// How much a round is doubted, standard deviations for each nanosecond that it would put the
/// centre outside.
const DOUBTED: f64 = 16.0;
/// Half of a poll interval times two thirds: makes of a cubic a quadratic that is right there.
const WALK_NS: f64 = 1e11;
/// A counter coarser than this is no clock.
const RESOLUTION_MAX: Span = Span::from_secs(1);
/// One sample that does not fit is an outlier; this many in a row are a change.
const SUSPECTS: usize = 3;

#[cfg(test)]
mod tests;
