//! The time between two samples that follow one another.

use crate::sample::{Moment, Sample};

/// How far the SDK's clock may run from the counter's rate without having been stepped, parts per
/// million: the system steers by up to 500, and the counter's own error is not more than 100.
pub(crate) const STEERING_PPM: i64 = 600;

/// How long a clock that was set back can have gone on between a sample and a counter that begins
/// lower, nanoseconds: a few times the longest that programs are without a sample.
const BEYOND_NS: i64 = 5_000_000_000;

/// Two samples that follow one another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) from: &'a Sample,
    pub(crate) to: &'a Sample,
    /// How far the clock can have been from the straight line between the two, nanoseconds of the
    /// counter; `None` where samples between them were not dropped.
    pub(crate) departure_ns: Option<i64>,
}

/// A range of moments: from the first to the second.
pub(crate) type Range = (Moment, Moment);

/// A range of what the SDK's clock showed, nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) least_ns: i64,
    pub(crate) most_ns: i64,
}

impl Shown {
    pub(crate) fn touches(self, other: Shown) -> bool {
        self.least_ns <= other.most_ns && other.least_ns <= self.most_ns
    }

    /// All that is in either, and what is between them.
    pub(crate) fn and(self, other: Shown) -> Shown {
        let least_ns = self.least_ns.min(other.least_ns);
        Shown { least_ns, most_ns: self.most_ns.max(other.most_ns) }
    }
}

impl Piece<'_> {
    /// Whether nothing but steering happened to the clock in this time.
    pub(crate) fn is_straight(&self) -> bool {
        let counted = self.to.counter_ns.saturating_sub(self.from.counter_ns);
        let shown = self.to.system_ns.saturating_sub(self.from.system_ns);
        self.from.counter == self.to.counter
            && shown.saturating_sub(counted).saturating_abs()
                <= steered(counted).saturating_add(self.unsure_ns())
    }

    /// What the looks themselves leave open, nanoseconds.
    fn unsure_ns(&self) -> i64 {
        let ends = [self.from, self.to];
        let unsure = ends.map(|end| end.width_ns.saturating_add(end.resolution_ns));
        unsure[0].saturating_add(unsure[1])
    }

    /// How far the clock can have been from the straight line between the two samples, where it is
    /// straight: steered by the most to either side, and stepped by as little as looks the same.
    pub(crate) fn departure_ns(&self) -> i64 {
        let counted = self.to.counter_ns.saturating_sub(self.from.counter_ns);
        self.departure_ns
            .unwrap_or_else(|| steered(counted).saturating_add(self.unsure_ns()).saturating_mul(2))
    }

    /// What the straight line between the two samples says that the counter read, not clipped.
    pub(crate) fn on_line(&self, system_ns: i64) -> i64 {
        let shown = i128::from(self.to.system_ns) - i128::from(self.from.system_ns);
        let counted = i128::from(self.to.counter_ns) - i128::from(self.from.counter_ns);
        let since = i128::from(system_ns) - i128::from(self.from.system_ns);
        if shown <= 0 {
            return self.from.counter_ns;
        }
        let along = since * counted / shown;
        self.from.counter_ns.saturating_add(clamped(along))
    }

    /// The moments at which the clock can have shown a time from `first_ns` to `last_ns`.
    ///
    /// A step, a fast slew or a sleep may be anywhere in this time, also one that is too small to
    /// tell from steering. So the moment is before it, by the line from the first sample, or after
    /// it, by the line to the last, or, where the clock ran fast or slowly, between the two.
    pub(crate) fn moments(&self, first_ns: i64, last_ns: i64) -> Option<Range> {
        let asked = Shown { least_ns: first_ns, most_ns: last_ns };
        if !self.shown().touches(asked) {
            return None;
        }
        if self.begins_lower() {
            return self.moments_of_two(first_ns, last_ns);
        }
        let (begin, end) = (self.from.counter_ns, last_moment(self.to));
        if self.departure_ns.is_some() {
            let aside = self.aside_ns();
            let low = self.on_line(first_ns).saturating_sub(aside);
            let high = self.on_line(last_ns).saturating_add(aside);
            return (low <= end && high >= begin).then(|| self.within(low, high));
        }
        let within = self.ends().touches(asked);
        // Beyond the piece only a clock that ran on without a step can have shown it here.
        let is_here = |&(low, high): &(i64, i64)| within || (high >= begin && low <= end);
        let before = self.after_first(first_ns, last_ns).filter(is_here);
        let after = self.before_last(first_ns, last_ns).filter(is_here);
        match (before, after) {
            (None, None) => None,
            // A clock that only ran on showed what is beyond an end near that end. Without this, a
            // later time could be traced to an earlier range.
            (Some((low, _)), None) if self.is_straight() => Some(self.within(low, end)),
            (None, Some((_, high))) if self.is_straight() => Some(self.within(begin, high)),
            (Some((low, high)), None) => {
                let range = self.within(low, high);
                Some((range.0, Moment { counter: self.from.counter, ..range.1 }))
            }
            (None, Some((low, high))) => {
                let range = self.within(low, high);
                Some((Moment { counter: self.to.counter, ..range.0 }, range.1))
            }
            (Some(before), Some(after)) => {
                Some(self.within(before.0.min(after.0), before.1.max(after.1)))
            }
        }
    }

    /// The same where the second sample is of a counter that began after the first: what one reads
    /// says nothing of the other.
    fn moments_of_two(&self, first_ns: i64, last_ns: i64) -> Option<Range> {
        let of = |counter, (low, high)| {
            (Moment { counter_ns: low, counter }, Moment { counter_ns: high, counter })
        };
        let before = self.after_first(first_ns, last_ns).map(|side| of(self.from.counter, side));
        let after = self.before_last(first_ns, last_ns).map(|side| of(self.to.counter, side));
        match (before, after) {
            (Some(before), Some(after)) => Some(joined(before, after)),
            (before, after) => before.or(after),
        }
    }

    /// From one reading to another, as far as they are in this piece. The looks of two pieces at one
    /// sample take the same time, and that is of both: so a later piece never has an earlier range.
    fn within(&self, low: i64, high: i64) -> Range {
        let (begin, end) = (self.from.counter_ns, last_moment(self.to));
        let earliest_ns = low.min(self.to.counter_ns).max(begin);
        let latest_ns = high.max(last_moment(self.from)).min(end);
        let of_first = Moment { counter_ns: earliest_ns, counter: self.from.counter };
        (of_first, Moment { counter_ns: latest_ns, counter: self.to.counter })
    }

    /// Whether the second sample is of a counter that reads less than the first did.
    fn begins_lower(&self) -> bool {
        self.to.counter_ns < self.from.counter_ns
    }

    /// How far from the straight line the clock can have shown something here.
    fn aside_ns(&self) -> i64 {
        self.departure_ns.unwrap_or(0).saturating_add(self.unsure_ns())
    }

    /// What the clock showed at both ends.
    fn ends(&self) -> Shown {
        let most_ns = self.to.system_ns.saturating_add(self.to.resolution_ns);
        Shown { least_ns: self.from.system_ns, most_ns }
    }

    /// What the clock can have shown here; more rather than less.
    pub(crate) fn shown(&self) -> Shown {
        let (from, to) = (self.from, self.to);
        let Shown { least_ns, most_ns } = self.ends();
        if self.begins_lower() {
            // How long either counter ran in this time is not known; the clock went forward, or not
            // much was shown before it was set back.
            let beyond_ns = if least_ns <= most_ns { 0 } else { BEYOND_NS };
            return Shown {
                least_ns: least_ns.min(to.system_ns.saturating_sub(beyond_ns)),
                most_ns: most_ns.max(from.system_ns.saturating_add(beyond_ns)),
            };
        }
        // A clock that left the straight line did so by no more than this; one that was stepped ran
        // on before or after it for no longer than the piece. Twice that, for its rate may be off.
        let beyond_ns = if self.departure_ns.is_some() {
            self.aside_ns()
        } else {
            last_moment(to).saturating_sub(from.counter_ns).saturating_add(1)
        };
        let beyond_ns = beyond_ns.saturating_mul(2);
        let after_first = from.system_ns.saturating_add(from.resolution_ns);
        Shown {
            least_ns: least_ns.min(to.system_ns).saturating_sub(beyond_ns),
            most_ns: most_ns.max(after_first).saturating_add(beyond_ns),
        }
    }

    /// By the clock's going on from the first sample.
    fn after_first(&self, first_ns: i64, last_ns: i64) -> Option<(i64, i64)> {
        let from = self.from;
        let most = last_ns.checked_sub(from.system_ns)?;
        let least =
            first_ns.checked_sub(from.system_ns.checked_add(from.resolution_ns - 1)?)?.max(0);
        (most >= 0).then(|| {
            let low = from.counter_ns.saturating_add(least.saturating_sub(steered(least)));
            let high = from.counter_ns.saturating_add(from.width_ns);
            (low, high.saturating_add(most).saturating_add(steered(most)))
        })
    }

    /// By the clock's having come to the last sample.
    fn before_last(&self, first_ns: i64, last_ns: i64) -> Option<(i64, i64)> {
        let to = self.to;
        let shown = to.system_ns.checked_add(to.resolution_ns - 1)?;
        let most = shown.checked_sub(first_ns)?;
        let least = to.system_ns.checked_sub(last_ns)?.max(0);
        (most >= 0).then(|| {
            let low = to.counter_ns.saturating_sub(most).saturating_sub(steered(most));
            let high = to.counter_ns.saturating_add(to.width_ns);
            (low, high.saturating_sub(least.saturating_sub(steered(least))))
        })
    }
}

/// From the first moment of the earlier range to the last of the later one.
pub(crate) fn joined(before: Range, after: Range) -> Range {
    (before.0, after.1)
}

/// The last moment at which the clock can have shown what the look at it saw.
fn last_moment(sample: &Sample) -> i64 {
    sample.counter_ns.saturating_add(sample.width_ns)
}

/// The most that steering moves the clock in this time, nanoseconds, rounded up.
pub(crate) fn steered(elapsed_ns: i64) -> i64 {
    let moved = i128::from(elapsed_ns).abs() * i128::from(STEERING_PPM) / 1_000_000;
    clamped(moved).saturating_add(1)
}

fn clamped(wide: i128) -> i64 {
    i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX })
}
