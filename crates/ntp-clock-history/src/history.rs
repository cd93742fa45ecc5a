//! The samples that are kept, and what they say of a time.

use alloc::vec::Vec;

use crate::date::remembered;
use crate::kept::{Kept, Samples};
use crate::limits::Limits;
use crate::piece::{Piece, Range, joined};
use crate::sample::{Dated, Moment, Sample, Traced, Window};

/// A bounded history of the SDK's clock beside a counter.
#[derive(Clone, Debug)]
pub struct History {
    limits: Limits,
    samples: Samples,
}

impl History {
    /// A history without samples.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let limits = Limits { samples: limits.samples.max(LEAST_SAMPLES), ..limits };
        History { limits, samples: Samples::default() }
    }

    /// Whether the last sample is too old to stand for this moment of the counter.
    #[must_use]
    pub fn is_due(&self, counter_ns: i64) -> bool {
        self.samples.last().is_none_or(|last| {
            let age_ns = counter_ns.saturating_sub(last.sample.counter_ns);
            !(0..self.limits.due_ns).contains(&age_ns)
        })
    }

    /// Takes a sample. One that is older than the last, as a thread may bring that was held up, is
    /// left out; so is one whose numbers make no sense.
    ///
    /// A counter that was not there before may begin at any number: its samples are later than all
    /// others.
    pub fn sample(&mut self, sample: Sample) {
        if sample.width_ns < 0 || sample.resolution_ns < 1 || self.samples.is_late(&sample) {
            return;
        }
        self.samples.push(sample, None);
        self.samples.drop_before(sample.counter_ns.saturating_sub(self.limits.reach_ns));
        if self.samples.len() > self.limits.samples {
            self.thin();
        }
    }

    /// How many samples are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// The moment of the counter from which on it can trace, nanoseconds; `None` without samples.
    #[must_use]
    pub fn oldest_ns(&self) -> Option<i64> {
        Some(self.oldest()?.counter_ns)
    }

    /// The moment from which on it can trace; `None` without samples.
    #[must_use]
    pub fn oldest(&self) -> Option<Moment> {
        let Sample { counter_ns, counter, .. } = self.samples.oldest()?.sample;
        Some(Moment { counter_ns, counter })
    }

    /// Whether the history has no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.len() == 0
    }

    /// The moments of the counter at which the SDK's clock can have shown `system_ns`, rounded down
    /// to a multiple of `resolution_ns`.
    ///
    /// `None` where it did not show that between the first and the last sample. Take a sample
    /// before you ask for times of just now.
    ///
    /// What is assumed: between two samples the clock is steered by up to 600 ppm and stepped at most
    /// once, or runs fast or slowly at one rate, or the machine sleeps once.
    ///
    /// The time it takes does not grow with the times that are asked for: of 4,096 samples about 130
    /// places are looked at.
    #[must_use]
    pub fn trace(&self, system_ns: i64, resolution_ns: i64, window: Window) -> Option<Traced> {
        let last_ns = system_ns.checked_add(resolution_ns.max(1) - 1)?;
        let mut found: Option<Range> = None;
        let mut ambiguous = false;
        for piece in self.samples.that_showed(system_ns, last_ns) {
            let Some(range) = piece.moments(system_ns, last_ns) else { continue };
            let Some(range) = self.clipped(range, window) else { continue };
            found = Some(match found {
                None => range,
                Some(other) => {
                    ambiguous |= are_apart(other.1, range.0);
                    joined(other, range)
                }
            });
        }
        found.map(|(earliest, latest)| Traced { earliest, latest, ambiguous })
    }

    /// The moment when the counter read `counter_ns`, for those who know that: one that lies in the
    /// course of a sleep, which stops the counter, can be before or after it. A counter that began
    /// lower is meant where one did.
    ///
    /// `None` before the first sample and after the last.
    #[must_use]
    pub fn moment(&self, counter_ns: i64) -> Option<Traced> {
        let (before, after) = self.samples.around(counter_ns);
        let latest = after?;
        let earliest = before.or_else(|| after.filter(|after| after.counter_ns == counter_ns))?;
        let moment = |sample: &Sample| Moment { counter_ns, counter: sample.counter };
        Some(Traced { earliest: moment(earliest), latest: moment(latest), ambiguous: false })
    }

    /// True time of a traced moment: by `at`, the synchronised clock's answer for a reading of the
    /// counter, or by the readings that came with samples.
    ///
    /// `at` is asked only for moments of the counter that the last sample is of.
    ///
    /// Two times that the SDK's clock showed in an undisturbed part of the history keep their order,
    /// as long as `at`, or the readings, do so: in one epoch.
    #[must_use]
    pub fn date(&self, traced: Traced, at: impl Fn(i64) -> Option<Dated>) -> Option<Dated> {
        let present = self.samples.last()?.sample.counter;
        let known = |moment: Moment| {
            let clock = if moment.counter == present { at(moment.counter_ns) } else { None };
            clock.or_else(|| remembered(self.samples.known_around(moment), moment, &self.limits))
        };
        let first = known(traced.earliest)?;
        let last = if traced.latest == traced.earliest { first } else { known(traced.latest)? };
        Some(first.until(last))
    }

    /// What of a range is inside the window.
    fn clipped(&self, (mut from, mut to): Range, window: Window) -> Option<Range> {
        if window == Window::default() {
            return Some((from, to));
        }
        let earlier = [from, to].map(|moment| self.samples.is_of_earlier_line(moment));
        if let Some(least) = window.not_before_ns.filter(|&least| least > i64::MIN) {
            if earlier[1] {
                return None;
            }
            let counter = if earlier[0] { to.counter } else { from.counter };
            let counter_ns = if earlier[0] { least } else { from.counter_ns.max(least) };
            from = Moment { counter_ns, counter };
        }
        if let (Some(most), false) = (window.not_after_ns, earlier[1]) {
            to.counter_ns = to.counter_ns.min(most);
        }
        (from.counter != to.counter || from.counter_ns <= to.counter_ns).then_some((from, to))
    }

    /// Makes one piece of each two in the older half between which nothing happened; drops the
    /// oldest where that is not enough.
    fn thin(&mut self) {
        let all: Vec<Kept> = self.samples.take();
        let older = all.len() / 2;
        let mut index = 0;
        while let Some(kept) = all.get(index) {
            let (middle, next) = (all.get(index + 1), all.get(index + 2));
            self.samples.push(kept.sample, kept.departure_ns);
            if let (Some(middle), Some(next), true) = (middle, next, index + 2 < older)
                && let Some(departure_ns) = merged(kept, middle, next)
            {
                self.samples.push(next.sample, Some(departure_ns));
                index += 3;
                continue;
            }
            index += 1;
        }
        while self.samples.len() > self.limits.samples * 9 / 10 {
            self.samples.drop_oldest();
        }
    }
}

/// How far the clock can have been from a straight line between the first and the last of three
/// samples, if there is one.
fn merged(first: &Kept, middle: &Kept, last: &Kept) -> Option<i64> {
    let (a, b, c) = (first.sample, middle.sample, last.sample);
    let before = Piece { from: &a, to: &b, departure_ns: middle.departure_ns };
    let after = Piece { from: &b, to: &c, departure_ns: last.departure_ns };
    let whole = Piece { from: &a, to: &c, departure_ns: None };
    // Where the synchronised time becomes known, or another, the reading is worth its sample.
    let epochs = [a, b, c].map(|sample| sample.reading.map(|reading| reading.epoch));
    let same = epochs[0] == epochs[1] && epochs[1] == epochs[2];
    if !(same && before.is_straight() && after.is_straight() && whole.is_straight()) {
        return None;
    }
    let aside = whole.on_line(b.system_ns).saturating_sub(b.counter_ns).saturating_abs();
    Some(before.departure_ns().max(after.departure_ns()).saturating_add(aside))
}

/// Whether the clock showed something else between two moments at which it showed the same.
fn are_apart(earlier: Moment, later: Moment) -> bool {
    earlier.counter != later.counter
        || later.counter_ns > earlier.counter_ns.saturating_add(APART_NS)
}

const LEAST_SAMPLES: usize = 16;
/// Ranges of neighbouring pieces touch; those of two showings of a time do not.
const APART_NS: i64 = 1_000_000;
