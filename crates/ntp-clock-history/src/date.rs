//! True time of moments for which the clock itself does not speak any more.

use crate::limits::Limits;
use crate::sample::{Dated, Moment, Sample};

/// A reading that came with a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remembered {
    counter_ns: i64,
    reading: Dated,
}

impl Remembered {
    /// The one that is nearest to a moment, by the same counter.
    pub(crate) fn nearest<'a>(
        samples: impl Iterator<Item = &'a Sample>,
        moment: Moment,
    ) -> Option<Self> {
        let of_counter = samples.filter(|sample| sample.counter == moment.counter);
        let known = of_counter.filter_map(|sample| {
            Some(Remembered { counter_ns: sample.counter_ns, reading: sample.reading? })
        });
        known.min_by_key(|known| known.counter_ns.abs_diff(moment.counter_ns))
    }

    /// The time at a moment, with what the counter can have erred by since or until then.
    pub(crate) fn at(self, moment: Moment, limits: &Limits) -> Option<Dated> {
        let distance_ns = moment.counter_ns.checked_sub(self.counter_ns)?;
        let drift = i128::from(distance_ns).abs() * i128::from(limits.counter_ppm) / 1_000_000;
        let drift_ns = i64::try_from(drift).ok()?.checked_add(1)?;
        Some(Dated {
            time_ns: self.reading.time_ns.checked_add(distance_ns)?,
            max_error_ns: self.reading.max_error_ns.checked_add(drift_ns)?,
            est_error_ns: self.reading.est_error_ns.checked_add(drift_ns / 4)?,
            epoch: self.reading.epoch,
        })
    }
}

impl Dated {
    /// A moment that is somewhere from this one to another: the middle, with an error that reaches
    /// both ends of what is possible.
    pub(crate) fn until(self, last: Dated) -> Dated {
        let low = i128::from(self.time_ns) - i128::from(self.max_error_ns);
        let high = i128::from(last.time_ns) + i128::from(last.max_error_ns);
        let (low, high) = (low.min(high), low.max(high));
        let narrow = |wide: i128| i64::try_from(wide).unwrap_or(i64::MAX);
        let width = narrow((i128::from(last.time_ns) - i128::from(self.time_ns)).abs());
        Dated {
            time_ns: narrow((low + high).div_euclid(2)),
            max_error_ns: narrow((high - low + 1) / 2),
            est_error_ns: self.est_error_ns.max(last.est_error_ns).saturating_add(width / 4),
            epoch: last.epoch,
        }
    }
}
