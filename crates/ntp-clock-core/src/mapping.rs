//! From the local counter to true time: the published mapping and the readings it gives.
//!
//! A reading is `centre(t) + left(t)`. The centre is a straight line through the estimate. What is
//! `left` is the part of the last correction still to be slewed: it shrinks to zero at the slew
//! rate, so a reading moves smoothly from where the previous mapping stood to the new centre.
//! Both lines of the error bound are carried relative to the centre and grow with the distance
//! from the anchor, forwards and backwards, as [`crate::drift`] has it.

use crate::drift;
use crate::time::{LocalTime, Span, UnixTime};

/// One straight line from local to true time with its errors: plain data, all of it 64-bit words.
///
/// Obtained from [`crate::SyncEngine::mapping`]; a copy can be read from anywhere, for instance
/// by a trace exporter that knows nothing of sockets and threads.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Mapping {
    /// Where on the counter the line is anchored.
    pub(crate) anchor: LocalTime,
    /// The centre at the anchor.
    pub(crate) centre: UnixTime,
    /// How much faster true time runs than the counter: d(true)/d(local) - 1.
    pub(crate) rate: f64,
    /// Reading less centre at the anchor, nanoseconds.
    pub(crate) left_ns: f64,
    /// How fast `left_ns` shrinks, nanoseconds per nanosecond, positive.
    pub(crate) slew_rate: f64,
    /// The latest that truth can be at the anchor, less the centre, nanoseconds.
    pub(crate) upper_ns: f64,
    /// The centre less the earliest that truth can be at the anchor, nanoseconds.
    pub(crate) lower_ns: f64,
    /// How fast both grow with the distance from the anchor, at first; see [`drift::widening`].
    pub(crate) growth: f64,
    /// Variance of the centre: constant (ns²), linear (ns) and quadratic (1) in the distance.
    pub(crate) variance: [f64; 3],
    /// Before this the counter may have lost time.
    pub(crate) valid_from: LocalTime,
    /// After this nothing is said.
    pub(crate) valid_until: LocalTime,
    /// From here on truth may be a second off: a leap second is near, or may have happened.
    pub(crate) leap_at: LocalTime,
    /// Changes whenever readings may start earlier.
    pub(crate) epoch: u64,
}

impl Mapping {
    /// How many 64-bit words a mapping takes.
    pub const WORDS: usize = 15;

    /// A line through one reading, for clocks that are set by hand: rate and errors stay what they
    /// are, and it holds for ever.
    #[must_use]
    pub fn through(reading: &Reading, at: LocalTime) -> Self {
        let max_error = (reading.max_error.as_nanos().saturating_sub(ROUNDING_NS)) as f64;
        Mapping {
            anchor: at,
            centre: reading.time,
            rate: 0.0,
            left_ns: 0.0,
            slew_rate: 0.0,
            upper_ns: max_error,
            lower_ns: max_error,
            growth: 0.0,
            variance: [reading.variance_ns2, 0.0, 0.0],
            valid_from: LocalTime::MIN,
            valid_until: LocalTime::MAX,
            leap_at: LocalTime::MAX,
            epoch: reading.epoch,
        }
    }

    /// The reading at a moment of the local counter, or `None` outside the time for which this
    /// mapping speaks.
    ///
    /// Earlier moments than the anchor are answered too: the error grows with the distance.
    #[inline]
    #[must_use]
    pub fn read(&self, at: LocalTime) -> Option<Reading> {
        if at < self.valid_from || at > self.valid_until {
            return None;
        }
        Some(self.extrapolate(at))
    }

    /// The reading wherever it is asked for; its bound is only a promise where [`Mapping::read`]
    /// answers.
    #[inline]
    pub(crate) fn extrapolate(&self, at: LocalTime) -> Reading {
        let since = at - self.anchor;
        let dt = since.as_nanos() as f64;
        let distance = if dt < 0.0 { -dt } else { dt };
        let left = self.left_at(distance);
        let widening = drift::widening(self.growth, distance);
        let above = self.upper_ns + widening - left;
        let below = self.lower_ns + widening + left;
        let mut max_error = if above > below { above } else { below };
        if at >= self.leap_at {
            max_error += LEAP_SECOND_NS;
        }
        let [v0, v1, v2] = self.variance;
        let moved = drift::TYPICAL * (widening - self.growth * distance);
        Reading {
            // Rounds towards the centre, by less than a nanosecond, and never makes a later
            // moment read earlier: the correction falls by less than one while `since` gains one
            // (added first, so that this is true also where the scale ends).
            time: self.centre + (since + Span::from_nanos((self.rate * dt + left) as i64)),
            max_error: Span::from_nanos((max_error as i64).saturating_add(ROUNDING_NS)),
            variance_ns2: v0 + (v1 + v2 * dt) * dt + left * left + moved * moved,
            epoch: self.epoch,
        }
    }

    /// Whether the mapping is one that an engine may go on from: it speaks of some time, its
    /// numbers are numbers, and its rates those of a counter that counts time at all.
    pub(crate) fn is_sound(&self) -> bool {
        let [v0, v1, v2] = self.variance;
        let numbers =
            [self.rate, self.left_ns, self.upper_ns, self.lower_ns, self.growth, v0, v1, v2];
        self.valid_from <= self.valid_until
            && numbers.into_iter().all(f64::is_finite)
            && self.rate.abs() < RATES_BELOW
            && (0.0..RATES_BELOW).contains(&self.growth)
            && (0.0..RATES_BELOW).contains(&self.slew_rate)
            && self.upper_ns + self.lower_ns >= 0.0
    }

    /// What is still to be slewed at this distance from the anchor. Backwards it shrinks as well,
    /// which keeps earlier moments in order and close to the centre.
    #[inline]
    fn left_at(&self, distance_ns: f64) -> f64 {
        let done = self.slew_rate * distance_ns;
        if self.left_ns > 0.0 {
            if self.left_ns > done { self.left_ns - done } else { 0.0 }
        } else if -self.left_ns > done {
            self.left_ns + done
        } else {
            0.0
        }
    }

    /// How much faster true time runs than the counter, in parts per million.
    #[must_use]
    pub fn rate_ppm(&self) -> f64 {
        self.rate * 1e6
    }

    /// The moment from which the errors grow: when the mapping was made.
    #[must_use]
    pub const fn anchor(&self) -> LocalTime {
        self.anchor
    }

    /// The epoch of every reading that this mapping gives.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The last moment for which this mapping speaks.
    #[must_use]
    pub const fn valid_until(&self) -> LocalTime {
        self.valid_until
    }

    /// The mapping as words, for atomic slots and shared memory. The order is part of the layout.
    #[must_use]
    pub fn to_words(&self) -> [u64; Mapping::WORDS] {
        [
            self.anchor.as_nanos() as u64,
            self.centre.as_nanos() as u64,
            self.rate.to_bits(),
            self.left_ns.to_bits(),
            self.slew_rate.to_bits(),
            self.upper_ns.to_bits(),
            self.lower_ns.to_bits(),
            self.growth.to_bits(),
            self.variance[0].to_bits(),
            self.variance[1].to_bits(),
            self.variance[2].to_bits(),
            self.valid_from.as_nanos() as u64,
            self.valid_until.as_nanos() as u64,
            self.leap_at.as_nanos() as u64,
            self.epoch,
        ]
    }

    /// The inverse of [`Mapping::to_words`].
    #[inline]
    #[must_use]
    pub const fn from_words(words: [u64; Mapping::WORDS]) -> Self {
        let [
            anchor,
            centre,
            rate,
            left,
            slew,
            upper,
            lower,
            growth,
            v0,
            v1,
            v2,
            from,
            until,
            leap,
            epoch,
        ] = words;
        Mapping {
            anchor: LocalTime::from_nanos(anchor as i64),
            centre: UnixTime::from_nanos(centre as i64),
            rate: f64::from_bits(rate),
            left_ns: f64::from_bits(left),
            slew_rate: f64::from_bits(slew),
            upper_ns: f64::from_bits(upper),
            lower_ns: f64::from_bits(lower),
            growth: f64::from_bits(growth),
            variance: [f64::from_bits(v0), f64::from_bits(v1), f64::from_bits(v2)],
            valid_from: LocalTime::from_nanos(from as i64),
            valid_until: LocalTime::from_nanos(until as i64),
            leap_at: LocalTime::from_nanos(leap as i64),
            epoch,
        }
    }

    /// The same, with no reading after `at`.
    #[must_use]
    pub fn ended(self, at: LocalTime) -> Self {
        Mapping { valid_until: self.valid_until.min(at), ..self }
    }

    /// A mapping that never gives a reading, and tells the epoch of the next ones and the first
    /// moment of the counter that they speak of.
    pub(crate) fn of_epoch(epoch: u64, counter_whole_since: LocalTime) -> Self {
        // Not from the beginning of time, which is when it ends.
        let valid_from = counter_whole_since.max(LocalTime::MIN + Span::from_nanos(1));
        Mapping { epoch, valid_from, ..Mapping::from_words(Mapping::UNSYNCHRONISED) }
    }

    /// Words that read as "not synchronised" at every moment.
    pub const UNSYNCHRONISED: [u64; Mapping::WORDS] = {
        let mut words = [0; Mapping::WORDS];
        words[11] = i64::MAX as u64; // valid from
        words[12] = i64::MIN as u64; // valid until
        words
    };
}

/// What the time is, how far that can be from the truth, and how far it probably is.
///
/// True time is certainly within `time() ± max_error()`, given a truthful server and a counter
/// within its stated allowances. `est_error()` is one standard deviation.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reading {
    time: UnixTime,
    max_error: Span,
    variance_ns2: f64,
    epoch: u64,
}

impl Reading {
    /// A reading made by hand, for tests and for times that came from elsewhere with their errors.
    ///
    /// Negative errors become zero.
    #[must_use]
    pub fn new(time: UnixTime, max_error: Span, est_error: Span, epoch: u64) -> Self {
        let est = est_error.as_nanos().max(0) as f64;
        let max_error = if max_error < Span::ZERO { Span::ZERO } else { max_error };
        Reading { time, max_error, variance_ns2: est * est, epoch }
    }

    /// The estimate of true time.
    #[inline]
    #[must_use]
    pub const fn time(&self) -> UnixTime {
        self.time
    }

    /// Hard bound on the distance of [`Reading::time`] from the truth.
    #[inline]
    #[must_use]
    pub const fn max_error(&self) -> Span {
        self.max_error
    }

    /// One standard deviation of the estimate, the slew still to be done included; never more
    /// than the hard bound.
    #[must_use]
    pub fn est_error(&self) -> Span {
        let sigma = Span::from_nanos_f64_ceil(libm::sqrt(self.variance_ns2.max(0.0)));
        sigma.min(self.max_error)
    }

    /// Readings of one epoch never decrease; between epochs they may.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The earliest that the truth can be.
    #[must_use]
    pub fn earliest(&self) -> UnixTime {
        self.time - self.max_error
    }

    /// The latest that the truth can be.
    #[must_use]
    pub fn latest(&self) -> UnixTime {
        self.time + self.max_error
    }

    /// Whether this time had certainly passed at the moment of the reading: TrueTime's `after`.
    #[must_use]
    pub fn is_past(&self, time: UnixTime) -> bool {
        time < self.earliest()
    }

    /// Whether this time had certainly not come at the moment of the reading: TrueTime's `before`.
    #[must_use]
    pub fn is_future(&self, time: UnixTime) -> bool {
        self.latest() < time
    }

    /// How long it takes until this time has certainly passed, if the error stays as it is; `None`
    /// where it has. Look again then: errors change.
    ///
    /// ```
    /// use ntp_clock_core::{Reading, Span, UnixTime};
    /// let reading = Reading::new(UnixTime::from_nanos(100), Span::from_nanos(9), Span::ZERO, 1);
    /// assert_eq!(reading.until_past(reading.latest()), Some(Span::from_nanos(2 * 9 + 1)));
    /// assert_eq!(reading.until_past(UnixTime::from_nanos(90)), None);
    /// ```
    #[must_use]
    pub fn until_past(&self, time: UnixTime) -> Option<Span> {
        (!self.is_past(time)).then(|| (time - self.earliest()) + Span::from_nanos(1))
    }

    /// Whether this moment certainly came before the other, wherever each was read.
    ///
    /// ```
    /// use ntp_clock_core::{Reading, Span, UnixTime};
    /// let error = Span::from_millis(2);
    /// let a = Reading::new(UnixTime::from_nanos(0), error, error, 1);
    /// let b = Reading::new(UnixTime::from_nanos(5_000_000), error, error, 1);
    /// assert!(a.definitely_before(&b) && b.definitely_after(&a));
    /// assert!(!b.definitely_before(&a));
    /// ```
    #[must_use]
    pub fn definitely_before(&self, other: &Reading) -> bool {
        self.latest() < other.earliest()
    }

    /// Whether this moment certainly came after the other.
    #[must_use]
    pub fn definitely_after(&self, other: &Reading) -> bool {
        other.definitely_before(self)
    }

    /// The same reading with so much more error, for a moment that is itself uncertain.
    #[must_use]
    pub fn widened(self, by: Span) -> Reading {
        let by = by.abs();
        let ns = by.as_nanos() as f64;
        Reading {
            max_error: self.max_error + by,
            variance_ns2: self.variance_ns2 + ns * ns,
            ..self
        }
    }

    /// The same reading with a time that is no earlier than `floor`, for keeping order among
    /// concurrent readers; the error grows by as much as the time was moved.
    #[must_use]
    pub fn no_earlier_than(self, floor: UnixTime) -> Reading {
        if self.time >= floor {
            return self;
        }
        Reading { time: floor, ..self.widened(floor - self.time) }
    }
}

/// Beyond any oscillator and any slew.
const RATES_BELOW: f64 = 0.5;
const LEAP_SECOND_NS: f64 = 1e9;
/// Truncation of the time (1) and of the bound (1).
const ROUNDING_NS: i64 = 2;

#[cfg(test)]
pub(crate) mod tests;
