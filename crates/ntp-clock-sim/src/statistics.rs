//! How well a clock does.

use ntp_clock_core::Span;

use crate::duration::SECOND_NS;
use crate::sketch::Sketch;

/// What was measured of one clock, in one run or in many.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Statistics {
    /// |reading - truth| once warm, nanoseconds.
    pub error: Sketch,
    /// `max_error` once warm, nanoseconds.
    pub bound: Sketch,
    /// |error| of each run's first reading.
    pub first: Sketch,
    /// |error| after each run's second round.
    pub second_round: Sketch,
    /// The largest error once warm of each run.
    pub worst: Sketch,
    /// Seed of the run with the largest of them.
    pub worst_seed: u64,
    /// Readings measured, warm or not.
    pub reads: u64,
    /// Moments without a reading.
    pub unreadable: u64,
    /// Readings with the truth outside their bound, where it had to be inside.
    pub misses: u64,
    /// Readings counted in `misses` or not.
    pub checked: u64,
    /// Warm readings within `est_error` of the truth.
    pub within_one: u64,
    /// Warm readings within twice `est_error` of the truth.
    pub within_two: u64,
    /// Readings of these ages, [`Statistics::AGES`].
    pub aged: [Aged; Statistics::AGES.len()],
    /// How long it took to notice that the counters had stopped where nobody said so, nanoseconds.
    pub blind: Sketch,
    /// Readings meanwhile with the truth outside their bound.
    pub blind_misses: u64,
    /// Requests sent.
    pub packets: u64,
    /// True time lived through, nanoseconds.
    pub lived_ns: i64,
}

/// Readings so long after the mapping was made, or of moments so long before.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Aged {
    /// |reading - truth|, nanoseconds.
    pub error: Sketch,
    /// `max_error`, nanoseconds.
    pub bound: Sketch,
    /// How many were within `est_error` of the truth, and within twice that.
    pub within: [u64; 2],
}

impl Aged {
    fn add(&mut self, error: Span, max_error: Span, est_error: Span) {
        let error = error.abs();
        self.error.add(error.as_nanos() as f64);
        self.bound.add(max_error.as_nanos() as f64);
        self.within[0] += u64::from(error <= est_error);
        self.within[1] += u64::from(error <= est_error.times(2));
    }

    fn merge(&mut self, other: &Aged) {
        self.error.merge(&other.error);
        self.bound.merge(&other.bound);
        for (mine, others) in self.within.iter_mut().zip(other.within) {
            *mine += others;
        }
    }
}

impl Statistics {
    /// Ages that are counted separately, hours; negative for moments before the mapping was made. Each
    /// stands for readings within a twentieth of it, and the first for the two minutes after it.
    pub const AGES: [f64; 9] = [0.0, 1.0, 6.0, 12.0, 24.0, -1.0, -2.0, -3.0, -6.0];

    /// Counts a reading of this age, where it is one that is counted separately.
    pub(crate) fn aged(&mut self, age: Span, error: Span, max_error: Span, est_error: Span) {
        let hours = age.as_secs_f64() / 3_600.0;
        let near = |of: f64| {
            if of == 0.0 { (0.0..0.03).contains(&hours) } else { (hours / of - 1.0).abs() < 0.05 }
        };
        if let Some(place) = Self::AGES.into_iter().position(near) {
            self.aged[place].add(error, max_error, est_error);
        }
    }

    /// Counts one reading; the world is warm when errors say something about the estimate.
    pub(crate) fn read(
        &mut self,
        (error, max_error, est_error): (Span, Span, Span),
        warm: bool,
        checked: bool,
    ) {
        let error = error.abs();
        self.reads += 1;
        if checked {
            self.checked += 1;
            self.misses += u64::from(error > max_error);
        }
        if warm {
            self.error.add(error.as_nanos() as f64);
            self.bound.add(max_error.as_nanos() as f64);
            self.within_one += u64::from(error <= est_error);
            self.within_two += u64::from(error <= est_error.times(2));
        }
    }

    /// A run is over.
    pub(crate) fn close(&mut self, seed: u64, lived_ns: i64, packets: u64) {
        self.worst.add(self.error.max());
        self.worst_seed = seed;
        self.lived_ns = lived_ns;
        self.packets = packets;
    }

    /// Adds what was measured in other runs.
    pub fn merge(&mut self, other: &Statistics) {
        if self.worst.count() == 0 || other.worst.max() > self.worst.max() {
            self.worst_seed = other.worst_seed;
        }
        self.error.merge(&other.error);
        self.bound.merge(&other.bound);
        self.first.merge(&other.first);
        self.second_round.merge(&other.second_round);
        self.worst.merge(&other.worst);
        for (mine, others) in self.aged.iter_mut().zip(&other.aged) {
            mine.merge(others);
        }
        self.blind.merge(&other.blind);
        self.blind_misses += other.blind_misses;
        self.reads += other.reads;
        self.unreadable += other.unreadable;
        self.misses += other.misses;
        self.checked += other.checked;
        self.within_one += other.within_one;
        self.within_two += other.within_two;
        self.packets += other.packets;
        self.lived_ns += other.lived_ns;
    }

    /// Share of warm readings within `est_error` of the truth, 0 to 1.
    #[must_use]
    pub fn share_within_one(&self) -> f64 {
        self.within_one as f64 / self.error.count() as f64
    }

    /// Share of warm readings within twice `est_error` of the truth, 0 to 1.
    #[must_use]
    pub fn share_within_two(&self) -> f64 {
        self.within_two as f64 / self.error.count() as f64
    }

    /// Requests in a day.
    #[must_use]
    pub fn packets_per_day(&self) -> f64 {
        self.packets as f64 / (self.lived_ns as f64 / (86_400.0 * SECOND_NS as f64))
    }

    /// Share of moments with a reading, 0 to 1.
    #[must_use]
    pub fn availability(&self) -> f64 {
        self.reads as f64 / (self.reads + self.unreadable) as f64
    }
}

/// Errors count as steady from here on, true nanoseconds since the world's beginning.
pub(crate) const WARM_NS: i64 = 3_600 * SECOND_NS;
