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
        let (begin, end) =
            (self.from.counter_ns, self.to.counter_ns.saturating_add(self.to.width_ns));
        let within = first_ns <= self.to.system_ns.saturating_add(self.to.resolution_ns)
            && last_ns >= self.from.system_ns;
        if let Some(aside) = self.departure_ns {
            let aside = aside.saturating_add(self.unsure_ns());
            let low = self.on_line(first_ns).saturating_sub(aside);
            let high = self.on_line(last_ns).saturating_add(aside);
            return (low <= end && high >= begin).then(|| {
                let low = moment(low.clamp(begin, end), self.from);
                (low, moment(high.clamp(begin, end), self.to))
            });
        }
        let sides = [
            (self.after_first(first_ns, last_ns), self.from),
            (self.before_last(first_ns, last_ns), self.to),
        ];
        let mut found: Option<Range> = None;
        for (side, of) in sides {
            let Some((low, high)) = side else { continue };
            // Beyond the piece only a clock that ran on without a step can have shown it here.
            if (high < begin || low > end) && !within {
                continue;
            }
            let low = moment(low.clamp(begin, end), of);
            let high = moment(high.clamp(begin, end), of);
            found = Some(match found {
                None => (low, high),
                Some(other) => joined(other, (low, high)),
            });
        }
        found
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

/// A moment of the counter that a sample is of.
fn moment(counter_ns: i64, of: &Sample) -> Moment {
    Moment { counter_ns, counter: of.counter }
}

/// From the first moment of either range to the last. What follows a sleep is later than what was
/// before it, whatever the counter reads.
pub(crate) fn joined(before: Range, after: Range) -> Range {
    let earliest_ns = before.0.counter_ns.min(after.0.counter_ns);
    let latest_ns = before.1.counter_ns.max(after.1.counter_ns);
    (Moment { counter_ns: earliest_ns, ..before.0 }, Moment { counter_ns: latest_ns, ..after.1 })
}

/// The most that steering moves the clock in this time, nanoseconds, rounded up.
pub(crate) fn steered(elapsed_ns: i64) -> i64 {
    let moved = i128::from(elapsed_ns).abs() * i128::from(STEERING_PPM) / 1_000_000;
    clamped(moved).saturating_add(1)
}

fn clamped(wide: i128) -> i64 {
    i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX })
}
