//! The samples that are kept, and what they say of a time.

use alloc::collections::VecDeque;

use crate::date::Remembered;
use crate::limits::Limits;
use crate::piece::{Piece, Range, joined};
use crate::sample::{Dated, Sample, Traced, Window};

/// A bounded history of the SDK's clock beside a counter.
#[derive(Clone, Debug)]
pub struct History {
    limits: Limits,
    samples: VecDeque<Kept>,
}

/// A sample, and how far the clock can have been from the straight line that leads to it from the
/// one before, where samples between the two were dropped.
#[derive(Clone, Copy, Debug)]
struct Kept {
    sample: Sample,
    departure_ns: Option<i64>,
}

impl History {
    /// A history without samples.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let limits = Limits { samples: limits.samples.max(LEAST_SAMPLES), ..limits };
        History { limits, samples: VecDeque::new() }
    }

    /// Whether the last sample is too old to stand for this moment of the counter.
    #[must_use]
    pub fn is_due(&self, counter_ns: i64) -> bool {
        self.samples.back().is_none_or(|last| {
            let age_ns = counter_ns.saturating_sub(last.sample.counter_ns);
            !(0..self.limits.due_ns).contains(&age_ns)
        })
    }

    /// Takes a sample. One that is older than the last, as a thread may bring that was held up, is
    /// left out; so is one whose numbers make no sense.
    pub fn sample(&mut self, sample: Sample) {
        if sample.width_ns < 0 || sample.resolution_ns < 1 {
            return;
        }
        if self.samples.back().is_some_and(|last| sample.counter_ns < last.sample.counter_ns) {
            return;
        }
        self.samples.push_back(Kept { sample, departure_ns: None });
        let horizon_ns = sample.counter_ns.saturating_sub(self.limits.reach_ns);
        while self.samples.get(1).is_some_and(|kept| kept.sample.counter_ns < horizon_ns) {
            self.samples.pop_front();
        }
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
        Some(self.samples.front()?.sample.counter_ns)
    }

    /// Whether the history has no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The moments of the counter at which the SDK's clock can have shown `system_ns`, rounded down
    /// to a multiple of `resolution_ns`.
    ///
    /// `None` where it did not show that between the first and the last sample. Take a sample
    /// before you ask for times of just now.
    ///
    /// What is assumed: between two samples the clock is steered by up to 600 ppm and stepped at most
    /// once, or runs fast or slowly at one rate, or the machine sleeps once.
    #[must_use]
    pub fn trace(&self, system_ns: i64, resolution_ns: i64, window: Window) -> Option<Traced> {
        let last_ns = system_ns.checked_add(resolution_ns.max(1) - 1)?;
        let mut found: Option<Range> = None;
        let mut ambiguous = false;
        for piece in self.pieces() {
            let Some(range) = piece.moments(system_ns, last_ns) else { continue };
            let Some(range) = clipped(range, window) else { continue };
            found = Some(match found {
                None => range,
                Some(other) => {
                    ambiguous |= range.0.counter_ns > other.1.counter_ns.saturating_add(APART_NS);
                    joined(other, range)
                }
            });
        }
        found.map(|(earliest, latest)| Traced { earliest, latest, ambiguous })
    }

    /// True time of a traced moment: by `at`, the synchronised clock's answer for a reading of the
    /// counter, or by the readings that came with samples.
    ///
    /// `at` is asked only for moments of the counter that the last sample is of.
    #[must_use]
    pub fn date(&self, traced: Traced, at: impl Fn(i64) -> Option<Dated>) -> Option<Dated> {
        let present = self.samples.back()?.sample.counter;
        let known = |moment: crate::Moment| {
            let clock = if moment.counter == present { at(moment.counter_ns) } else { None };
            let samples = self.samples.iter().map(|kept| &kept.sample);
            clock.or_else(|| Remembered::nearest(samples, moment)?.at(moment, &self.limits))
        };
        let first = known(traced.earliest)?;
        let last = if traced.latest == traced.earliest { first } else { known(traced.latest)? };
        Some(first.until(last))
    }

    fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.samples.iter().zip(self.samples.iter().skip(1)).map(|(from, to)| Piece {
            from: &from.sample,
            to: &to.sample,
            departure_ns: to.departure_ns,
        })
    }

    /// Makes one piece of each two in the older half between which nothing happened; drops the
    /// oldest where that is not enough.
    fn thin(&mut self) {
        let all: alloc::vec::Vec<Kept> = self.samples.drain(..).collect();
        let older = all.len() / 2;
        let mut index = 0;
        while let Some(kept) = all.get(index) {
            let (middle, next) = (all.get(index + 1), all.get(index + 2));
            self.samples.push_back(*kept);
            if let (Some(middle), Some(next), true) = (middle, next, index + 2 < older)
                && let Some(merged) = merged(kept, middle, next)
            {
                self.samples.push_back(merged);
                index += 3;
                continue;
            }
            index += 1;
        }
        while self.samples.len() > self.limits.samples * 9 / 10 {
            self.samples.pop_front();
        }
    }
}

/// The last of three samples, joined to the first by one straight line.
fn merged(first: &Kept, middle: &Kept, last: &Kept) -> Option<Kept> {
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
    let departure_ns = before.departure_ns().max(after.departure_ns()).saturating_add(aside);
    Some(Kept { sample: c, departure_ns: Some(departure_ns) })
}

/// What of a range is inside the window.
fn clipped((mut from, mut to): Range, window: Window) -> Option<Range> {
    if let Some(least) = window.not_before_ns {
        from.counter_ns = from.counter_ns.max(least);
    }
    if let Some(most) = window.not_after_ns {
        to.counter_ns = to.counter_ns.min(most);
    }
    (from.counter_ns <= to.counter_ns).then_some((from, to))
}

const LEAST_SAMPLES: usize = 16;
/// Ranges of neighbouring pieces touch; those of two showings of a time do not.
const APART_NS: i64 = 1_000_000;
