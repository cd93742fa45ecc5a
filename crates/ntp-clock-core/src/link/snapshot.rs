//! What is known of a difference: at one moment, and around it.

use super::centre;
use super::oscillator::Rates;
use crate::time::{LocalTime, Span};

/// By how much one counter is ahead of another at one moment, as far as that is known.
///
/// Truth is certainly from `lower` to `upper`; a side for which nothing speaks is `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Difference {
    /// It is at least this.
    pub lower: Option<Span>,
    /// It is at most this.
    pub upper: Option<Span>,
    /// The best guess; `None` without both sides.
    pub estimate: Option<Span>,
    /// One standard deviation of the guess.
    pub est_error: Option<Span>,
}

impl Difference {
    /// The width of the interval; `None` where it has no end on one side.
    #[must_use]
    pub fn width(&self) -> Option<Span> {
        Some(self.upper? - self.lower?)
    }

    pub(super) fn new(zero: Span, lower: f64, upper: f64, estimate: f64, est_error: f64) -> Self {
        let below = |ns: f64| zero + Span::from_nanos(libm::floor(ns) as i64);
        let above = |ns: f64| zero + Span::from_nanos_f64_ceil(ns);
        let known = estimate.is_finite() && lower.is_finite() && upper.is_finite();
        Difference {
            lower: lower.is_finite().then(|| below(lower)),
            upper: upper.is_finite().then(|| above(upper)),
            estimate: known.then(|| below(estimate.max(lower).min(upper))),
            est_error: known.then(|| Span::from_nanos_f64_ceil(est_error)),
        }
    }
}

/// What a link knows of one moment: plain data that can be kept, sent and asked later.
///
/// `b` less `a` is the difference from which the others are counted, so that doubles hold them.
/// Around the moment the interval widens at the rates that were possible; more than ten minutes
/// away it widens further, because oscillators move.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LinkSnapshot {
    /// A's counter at the moment.
    pub a: LocalTime,
    /// B's counter near the moment.
    pub b: LocalTime,
    /// B less A less (`b` less `a`) is at least this many nanoseconds; minus infinity where nothing
    /// says so.
    pub lower_ns: f64,
    /// It is at most this many nanoseconds; infinity where nothing says so.
    pub upper_ns: f64,
    /// The best guess, nanoseconds; not a number without both sides.
    pub estimate_ns: f64,
    /// One standard deviation of the guess, nanoseconds.
    pub est_error_ns: f64,
    /// B gains at least so much on A, by the axis half-way between them.
    pub rate_low: f64,
    /// B gains at most so much on A.
    pub rate_high: f64,
    /// The least round trip of the exchanges in use, without the time for which the request was
    /// held, nanoseconds; infinity without one.
    pub round_trip_ns: f64,
}

impl LinkSnapshot {
    /// B less A when A's counter reads this.
    #[must_use]
    pub fn at_a(&self, a: LocalTime) -> Difference {
        let since = nanos(a - self.a);
        // The axis is half-way between both counters: A's reading and half the difference.
        self.solved(|difference| since + difference / 2.0)
    }

    /// B less A when B's counter reads this.
    #[must_use]
    pub fn at_b(&self, b: LocalTime) -> Difference {
        let since = nanos(b - self.b);
        self.solved(|difference| since - difference / 2.0)
    }

    /// The same of A and B exchanged.
    #[must_use]
    pub fn mirrored(&self) -> LinkSnapshot {
        LinkSnapshot {
            a: self.b,
            b: self.a,
            lower_ns: -self.upper_ns,
            upper_ns: -self.lower_ns,
            estimate_ns: -self.estimate_ns,
            rate_low: -self.rate_high,
            rate_high: -self.rate_low,
            ..*self
        }
    }

    /// Whether the numbers can be those of a link, for what came from elsewhere.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let sides = self.lower_ns <= self.upper_ns
            && self.lower_ns < f64::INFINITY
            && self.upper_ns > f64::NEG_INFINITY;
        let rates = self.rate_low <= self.rate_high
            && self.rate_low >= -RATE_LIMIT
            && self.rate_high <= RATE_LIMIT;
        let guess = self.estimate_ns.is_nan()
            || (self.lower_ns <= self.estimate_ns && self.estimate_ns <= self.upper_ns);
        sides && rates && guess && self.est_error_ns >= 0.0 && self.round_trip_ns >= 0.0
    }

    /// The interval where the place on the axis depends on the difference itself.
    fn solved(&self, place: impl Fn(f64) -> f64) -> Difference {
        let rates = Rates { low: self.rate_low, high: self.rate_high };
        let most = |m: f64| self.upper_ns + furthest(m, rates);
        let least = |m: f64| self.lower_ns - furthest(m, rates.mirrored());
        let upper = fixed_point(self.upper_ns, &place, most);
        let lower = fixed_point(self.lower_ns, &place, least);
        let middle = (self.rate_low + self.rate_high) / 2.0;
        let guess = |m: f64| self.estimate_ns + m * middle;
        let estimate = fixed_point(self.estimate_ns, &place, guess);
        let moved = (upper - lower) - (self.upper_ns - self.lower_ns);
        let est_error = self.est_error_ns + moved.max(0.0) * SHARE;
        Difference::new(self.b - self.a, lower, upper, estimate, est_error)
    }
}

/// How much a difference can have grown at most, so far from where it is known.
fn furthest(m: f64, rates: Rates) -> f64 {
    m * if m < 0.0 { rates.low } else { rates.high } + centre::risen(m.abs())
}

/// The difference that a bound leaves at a place which half of the difference itself moves: the
/// bound moves by a few parts in a thousand of that, so few steps find it.
pub(super) fn fixed_point(
    first: f64,
    place: impl Fn(f64) -> f64,
    bound: impl Fn(f64) -> f64,
) -> f64 {
    if !first.is_finite() {
        return first;
    }
    (0..STEPS).fold(first, |difference, _| bound(place(difference)))
}

pub(super) fn nanos(span: Span) -> f64 {
    span.as_nanos() as f64
}

/// One standard deviation, as a share of an interval's width.
pub(super) const SHARE: f64 = 0.25;
const STEPS: usize = 4;
/// No two counters differ in rate by more: a quarter.
const RATE_LIMIT: f64 = 0.25;
