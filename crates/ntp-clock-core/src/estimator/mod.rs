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

    /// The same on a counter whose rate the operating system may turn by so many parts per million.
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
    fn anew(&self) -> Self {
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
        *self = Estimator { rates, prior, path, ..self.anew() };
    }

    /// The local counter may be another one: offset and frequency are void.
    pub fn forget(&mut self) {
        *self = self.anew();
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
        let mut anew = self.anew();
        for suspect in fresh.iter() {
            let Some((window, fit)) = anew.with(*suspect) else { return Verdict::Contradiction };
            (anew.window, anew.fit) = (window, Some(fit));
        }
        *self = anew;
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
/// One sample that does not fit is an outlier; so many in a row are a change.
const SUSPECTS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::RATE_MAX;
    use crate::exchange::ServerReply;
    use crate::exchange::tests::reply_at;
    use crate::mapping::tests::mapping;
    use std::format;

    const UNIX_NS: i64 = 1_800_000_000_000_000_000;
    const SECOND_NS: i64 = 1_000_000_000;

    fn at(ns: i64) -> LocalTime {
        LocalTime::from_nanos(ns)
    }

    /// A moment's exchange at 5 s: truth is within these of a minute ahead of the counter.
    fn sample(lower_ns: i64, upper_ns: i64) -> Sample {
        let offset = |ns: i64| Span::from_nanos(60 * SECOND_NS + ns);
        Sample {
            t1: at(5 * SECOND_NS),
            t4: at(5 * SECOND_NS),
            upper: offset(upper_ns),
            lower: offset(lower_ns),
            mid: at(5 * SECOND_NS),
            offset: offset(0),
            delay: Span::ZERO,
        }
    }

    /// Knows one sample, with a centre at its offset, a rate of 2 ppm of at most 10 and the
    /// variances 4e6 and 1e-12.
    fn of_one(lower_ns: i64, upper_ns: i64) -> Estimator {
        let sample = sample(lower_ns, upper_ns);
        let mut estimator = Estimator::new(Span::from_nanos(60));
        estimator.window.push(sample, Rates::UNKNOWN);
        let known = Rates { low: -10e-6, high: 10e-6 };
        let bounds = Bounds::new(&estimator.window, known, 0.0, 2e-6).expect("possible");
        let variance = [4e6, 0.0, 1e-12];
        let mapping = Mapping { anchor: sample.mid, rate: 2e-6, variance, ..mapping() };
        estimator.fit = Some(Fit { track: Track::resume(&sample, &mapping), bounds });
        estimator
    }

    fn outside(lower_ns: i64, upper_ns: i64) -> Option<(f64, f64, f64)> {
        let estimator = of_one(lower_ns, upper_ns);
        let fit = estimator.fit.as_ref().expect("known");
        fit.outside(&estimator.window).map(|o| (o.by_ns, o.nearest, o.half_width_ns))
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * b.abs()
    }

    /// Sent then, ten milliseconds there and back; the server is so far ahead, and may be wrong by
    /// half a second.
    fn vague(sent_ns: i64, ahead_ns: i64) -> Exchange {
        exchange(sent_ns, ahead_ns, Span::from_millis(500))
    }

    fn exchange(sent_ns: i64, ahead_ns: i64, root_dispersion: Span) -> Exchange {
        let arrived = UNIX_NS + sent_ns + 5_000_000 + ahead_ns;
        let reply = ServerReply { root_dispersion, ..reply_at(arrived, arrived) };
        Exchange::new(at(sent_ns), reply, at(sent_ns + 10_000_000)).expect("possible")
    }

    #[test]
    fn an_estimate_is_the_line_at_its_moment_with_its_distance_from_the_bound() {
        let estimate = of_one(-3_000, 5_000).estimate(at(6 * SECOND_NS)).expect("known");
        // A second later 2 us of rate are in the centre and in both lines, and 12 us of growth
        // around these. To each distance the counter's 60 ns and the dropped fraction.
        let centre = UnixTime::from_nanos(66 * SECOND_NS + 2_000);
        assert_eq!((estimate.at, estimate.centre), (at(6 * SECOND_NS), centre));
        assert!(near(estimate.upper_ns, 5_000.0 + 12_000.0 + 61.0), "{estimate:?}");
        assert!(near(estimate.lower_ns, 3_000.0 + 12_000.0 + 61.0), "{estimate:?}");
        assert!(near(estimate.rate, 2e-6) && near(estimate.growth, 12e-6));
    }

    #[test]
    fn its_variance_is_a_parabola_with_the_counters_own_and_the_oscillators_walk() {
        let estimate = of_one(-3_000, 5_000).estimate(at(6 * SECOND_NS)).expect("known");
        // 4e6 + 1e-12 (1e9)² and 60² / 12; 2 x 1e-12 x 1e9; the mean strength of the walk for 100 s.
        assert!(near(estimate.variance[0], 4e6 + 1e6 + 300.0), "{estimate:?}");
        assert!(near(estimate.variance[1], 2e-3), "{estimate:?}");
        assert!(near(estimate.variance[2], 1e-12 + 3.769_661_4e-14), "{estimate:?}");
        // 2,400 s later the oscillator may have moved it by 4.95 ms, two fifths of it typically.
        let late = of_one(-3_000, 5_000).estimate(at(2_405 * SECOND_NS)).expect("known");
        let (dt, moved) = (2.4e12, 0.4 * 4.95e6);
        assert!(near(late.variance[0], 4e6 + 1e-12 * dt * dt + 300.0 + moved * moved), "{late:?}");
        assert!(near(late.growth, 17.5e-6));
    }

    #[test]
    fn a_covariance_of_offset_and_rate_counts_twice_in_the_distance() {
        let mut estimator = Estimator::new(Span::ZERO);
        for sent_s in [0, 300] {
            assert_eq!(estimator.add(&vague(sent_s * SECOND_NS, 0)), Verdict::Accepted);
        }
        let line = estimator.fit.as_ref().expect("fed").track.line();
        let [v0, v1, v2] = line.variance;
        let estimate = estimator.estimate(line.at + Span::from_secs(100)).expect("fed");
        assert!(v1 > 0.0 && near(estimate.variance[0], v0 + 2e11 * v1 + 1e22 * v2));
        assert!(near(estimate.variance[1], 2.0 * v1 + 2e11 * v2));
    }

    #[test]
    fn a_centre_is_outside_by_its_distance_from_the_nearest_possible_truth() {
        assert_eq!(outside(-500, -100), Some((100.0, -100.0, 200.0)));
        assert_eq!(outside(100, 400), Some((100.0, 100.0, 150.0)));
        assert_eq!((outside(-5, 5), outside(0, 5), outside(-5, 0)), (None, None, None));
        // Corrected to half of 600: both variances are 4e6.
        let estimator = of_one(-500, -100);
        let mut fit = estimator.fit.clone().expect("known");
        fit.track = fit.track.corrected(600.0, 12e6_f64.sqrt());
        let by_ns = fit.outside(&estimator.window).map(|outside| outside.by_ns);
        assert!(by_ns.is_some_and(|by_ns| near(by_ns, 300.0 + 100.0)), "{by_ns:?}");
    }

    #[test]
    fn a_counters_coarseness_is_between_nothing_and_a_second() {
        let resolution = |span: Span| Estimator::new(span).resolution;
        assert_eq!(resolution(Span::from_nanos(-1)), Span::ZERO);
        assert_eq!(resolution(Span::from_secs(5)), Span::from_secs(1));
    }

    #[test]
    fn a_steered_counter_may_have_rates_beyond_any_oscillators() {
        let estimator = Estimator::new(Span::from_nanos(7)).steered(50);
        assert!(near(estimator.steering, 50e-6) && estimator.resolution == Span::from_nanos(7));
        let beyond = RATE_MAX + 50e-6;
        assert!(near(estimator.rates.high, beyond) && near(estimator.rates.low, -beyond));
        let fresh = estimator.anew();
        assert_eq!((fresh.steering, fresh.rates), (estimator.steering, estimator.rates));
        assert_eq!(fresh.resolution, Span::from_nanos(7));
    }

    #[test]
    fn a_mapping_that_is_gone_on_from_is_a_sample_with_its_rate_and_its_bound() {
        let mapping = mapping();
        let estimator = Estimator::new(Span::ZERO).steered(50).resume(&mapping);
        assert_eq!(estimator.rates, Rates::of_mapping(&mapping));
        assert_eq!(estimator.min_delay(), Some(Span::from_nanos(3_000)));
        assert!(near(estimator.steering, 50e-6));
        let estimate = estimator.estimate(mapping.anchor).expect("known");
        assert_eq!((estimate.centre, estimate.rate), (mapping.centre, mapping.rate));
        assert!(near(estimate.upper_ns, 1_001.0) && near(estimate.lower_ns, 2_001.0));
    }

    #[test]
    fn after_a_sleep_the_rate_is_known_less_well_and_the_offset_not_at_all() {
        let mut estimator = Estimator::new(Span::from_nanos(7)).steered(50);
        for sent_s in [0, 300] {
            estimator.add(&exchange(sent_s * SECOND_NS, sent_s * 3_000, Span::ZERO));
        }
        let Fit { track, bounds } = estimator.fit.clone().expect("fed");
        estimator.forget_offset();
        assert!(estimator.fit.is_none() && estimator.estimate(at(0)).is_none());
        assert!(estimator.min_delay().is_none());
        assert_eq!(estimator.rates, bounds.rates.after_sleep().within(estimator.any_rates()));
        assert!(estimator.rates.high < estimator.any_rates().high);
        // A sleep's cooling is 1 ppm, mostly.
        assert!(near(estimator.prior.mean, track.line().rate) && estimator.prior.mean > 1e-6);
        assert!(near(estimator.prior.variance, track.line().variance[2] + 1e-12));
        assert_eq!(format!("{:?}", estimator.path), format!("{:?}", track.path()));
        assert!(near(estimator.steering, 50e-6) && estimator.resolution == Span::from_nanos(7));
        // Nothing is lost by another one.
        let once = format!("{estimator:?}");
        estimator.forget_offset();
        assert_eq!(format!("{estimator:?}"), once);
    }

    #[test]
    fn a_jump_within_the_bound_restarts_the_estimate_once() {
        let mut estimator = Estimator::new(Span::ZERO);
        let mut add =
            |sent_ms: i64, ahead_ns: i64| estimator.add(&vague(sent_ms * 1_000_000, ahead_ns));
        for round in 0..4 {
            for request in 0..4 {
                assert_eq!(add(round * 300_000 + request * 50, 0), Verdict::Accepted);
            }
        }
        assert_eq!(add(1_200_000, 50_000_000), Verdict::Restarted);
        assert_eq!(add(1_200_050, 50_000_000), Verdict::Accepted);
        // Known already, so nothing new.
        assert_eq!(add(1_200_050, 50_000_000), Verdict::Accepted);
    }

    #[test]
    fn on_a_known_path_a_round_that_leads_out_of_the_bound_is_doubted() {
        let mut estimator = Estimator::new(Span::ZERO);
        for round in 0..13 {
            estimator.add(&exchange(round * 300 * SECOND_NS, 0, Span::ZERO));
        }
        // Truth can be some 9 ms ahead at most: a jump of 7.5 is followed, one of 10 is not.
        let sent_ns = 13 * 300 * SECOND_NS;
        let at_ns = sent_ns + 5_000_000;
        let centre_after = |jump_ns: i64| {
            let mut estimator = estimator.clone();
            estimator.add(&exchange(sent_ns, jump_ns, Span::ZERO));
            let estimate = estimator.estimate(at(at_ns)).expect("fed");
            estimate.centre - UnixTime::from_nanos(UNIX_NS + at_ns)
        };
        let followed = centre_after(7_500_000) - Span::from_micros(7_500);
        assert!(followed.abs() < Span::from_micros(10));
        assert!(centre_after(10_000_000) < Span::from_millis(4));
    }

    #[test]
    fn another_counter_leaves_nothing_of_what_was_learnt() {
        let mut estimator = Estimator::new(Span::from_nanos(7)).steered(50);
        let fresh = format!("{estimator:?}");
        for round in 0..3 {
            estimator.add(&exchange(round * 300 * SECOND_NS, 0, Span::ZERO));
        }
        assert_eq!(estimator.known_since(), Some(at(0)));
        estimator.forget();
        assert_eq!((format!("{estimator:?}"), estimator.known_since()), (fresh, None));
    }

    #[test]
    fn contradictions_count_once_each_and_the_third_is_a_new_beginning() {
        let mut estimator = Estimator::new(Span::ZERO);
        estimator.add(&vague(0, 0));
        let lie = |sent_ms: i64| vague(sent_ms * 1_000_000, 60 * SECOND_NS);
        assert_eq!(estimator.add(&lie(1_000)), Verdict::Contradiction);
        assert_eq!(estimator.add(&lie(1_000)), Verdict::Contradiction);
        assert_eq!(estimator.add(&lie(1_050)), Verdict::Contradiction);
        assert_eq!(estimator.add(&lie(1_050)), Verdict::Contradiction);
        assert_eq!(estimator.add(&lie(1_100)), Verdict::Broken);
        let estimate = estimator.estimate(at(1_110_000_000)).expect("fresh");
        let off = estimate.centre - UnixTime::from_nanos(UNIX_NS + 1_110_000_000 + 60 * SECOND_NS);
        assert!(off.abs() < Span::from_micros(1), "{off:?}");
    }

    #[test]
    fn one_that_agrees_forgets_those_that_did_not() {
        let mut estimator = Estimator::new(Span::ZERO);
        estimator.add(&vague(0, 0));
        for sent_ms in [1_000, 1_300, 1_600, 1_900] {
            let lie = vague(sent_ms * 1_000_000, 60 * SECOND_NS);
            assert_eq!(estimator.add(&lie), Verdict::Contradiction);
            assert_eq!(estimator.add(&vague((sent_ms + 50) * 1_000_000, 0)), Verdict::Accepted);
        }
    }
}
