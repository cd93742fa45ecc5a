//! The time between two samples that follow one another.

use crate::sample::{Moment, Sample};

/// How far the SDK's clock may run from the counter's rate without having been stepped, parts per
/// million: the system steers by up to 500, and the counter's own error is not more than 100.
pub(crate) const STEERING_PPM: i64 = 600;

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

impl Piece<'_> {
    /// Whether nothing but steering happened to the clock in this time.
    pub(crate) fn is_straight(&self) -> bool {
        let counted = self.to.counter_ns - self.from.counter_ns;
        let shown = self.to.system_ns.saturating_sub(self.from.system_ns);
        self.from.counter == self.to.counter
            && shown.saturating_sub(counted).saturating_abs() <= steered(counted) + self.unsure_ns()
    }

    /// What the looks themselves leave open, nanoseconds.
    fn unsure_ns(&self) -> i64 {
        let ends = [self.from, self.to];
        ends.iter().map(|end| end.width_ns + end.resolution_ns).sum()
    }

    /// How far the clock can have been from the straight line between the two samples.
    pub(crate) fn departure_ns(&self) -> i64 {
        let counted = self.to.counter_ns - self.from.counter_ns;
        self.departure_ns.unwrap_or_else(|| steered(counted) / 2 + self.unsure_ns())
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
    pub(crate) fn moments(&self, first_ns: i64, last_ns: i64) -> Option<Range> {
        let (begin, end) = (self.from.counter_ns, self.to.counter_ns + self.to.width_ns);
        let forward = self.from_first(first_ns, last_ns);
        let back = self.from_last(first_ns, last_ns);
        if self.is_straight() {
            let (forward, back) = (forward?, back?);
            let low = forward.0.max(back.0).max(begin);
            let high = forward.1.min(back.1).min(end);
            let middle = (self.on_line(first_ns), self.on_line(last_ns));
            let aside = self.departure_ns() + self.unsure_ns();
            let low = low.max(middle.0.saturating_sub(aside));
            let high = high.min(middle.1.saturating_add(aside));
            // The assumptions cross only where rounding does.
            let (low, high) = (low.min(high), high.max(low));
            return Some((self.moment(low, self.from), self.moment(high, self.to)));
        }
        self.disturbed(forward, back, (first_ns, last_ns))
    }

    /// A step, a fast slew or a sleep is somewhere in this time: the moment is before it, after it
    /// or, where the clock ran on fast or slowly, between what either says.
    fn disturbed(
        &self,
        forward: Option<(i64, i64)>,
        back: Option<(i64, i64)>,
        (first_ns, last_ns): (i64, i64),
    ) -> Option<Range> {
        let (begin, end) = (self.from.counter_ns, self.to.counter_ns + self.to.width_ns);
        let within = first_ns <= self.to.system_ns.saturating_add(self.to.resolution_ns)
            && last_ns >= self.from.system_ns;
        let mut found: Option<Range> = None;
        for (side, of) in [(forward, self.from), (back, self.to)] {
            let Some((low, high)) = side else { continue };
            // Beyond the piece only a clock that ran on without a step can have shown it here.
            if (high < begin || low > end) && !within {
                continue;
            }
            let low = self.moment(low.clamp(begin, end), of);
            let high = self.moment(high.clamp(begin, end), of);
            found = Some(match found {
                None => (low, high),
                Some(other) => (earlier(other.0, low), later(other.1, high)),
            });
        }
        found
    }

    /// By the clock's going on from the first sample.
    fn from_first(&self, first_ns: i64, last_ns: i64) -> Option<(i64, i64)> {
        let from = self.from;
        let most = last_ns.checked_sub(from.system_ns)?;
        let least = first_ns.checked_sub(from.system_ns.checked_add(from.resolution_ns - 1)?)?.max(0);
        (most >= 0).then(|| {
            let low = from.counter_ns.saturating_add(least - steered(least));
            let high = from.counter_ns.saturating_add(from.width_ns);
            (low, high.saturating_add(most).saturating_add(steered(most)))
        })
    }

    /// By the clock's having come to the last sample.
    fn from_last(&self, first_ns: i64, last_ns: i64) -> Option<(i64, i64)> {
        let to = self.to;
        let shown = to.system_ns.checked_add(to.resolution_ns - 1)?;
        let most = shown.checked_sub(first_ns)?;
        let least = to.system_ns.checked_sub(last_ns)?.max(0);
        (most >= 0).then(|| {
            let low = to.counter_ns.saturating_sub(most).saturating_sub(steered(most));
            let high = to.counter_ns.saturating_add(to.width_ns);
            (low, high.saturating_sub(least - steered(least)))
        })
    }

    /// A moment of the counter that both samples are of, or of that of one of them.
    fn moment(&self, counter_ns: i64, of: &Sample) -> Moment {
        Moment { counter_ns, counter: of.counter }
    }
}

/// The earlier of two moments; a counter keeps its reading in a sleep.
pub(crate) fn earlier(one: Moment, other: Moment) -> Moment {
    if other.counter_ns < one.counter_ns { other } else { one }
}

/// The later of two moments.
pub(crate) fn later(one: Moment, other: Moment) -> Moment {
    if other.counter_ns >= one.counter_ns { other } else { one }
}

/// The most that steering moves the clock in this time, nanoseconds, rounded up.
pub(crate) fn steered(elapsed_ns: i64) -> i64 {
    let moved = i128::from(elapsed_ns).abs() * i128::from(STEERING_PPM) / 1_000_000;
    clamped(moved).saturating_add(1)
}

fn clamped(wide: i128) -> i64 {
    i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX })
}
