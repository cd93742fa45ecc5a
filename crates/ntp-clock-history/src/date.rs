//! True time of moments for which the clock itself does not speak any more.

use crate::limits::Limits;
use crate::sample::{Dated, Moment, Sample};

/// The time at a moment, by the readings that came with the samples before and after it, of the same
/// counter.
pub(crate) fn remembered(
    (before, after): (Option<&Sample>, Option<&Sample>),
    moment: Moment,
    limits: &Limits,
) -> Option<Dated> {
    let from = |sample: Option<&Sample>| extended(sample?, moment, limits);
    let (Some(earlier), Some(later)) = (from(before), from(after)) else {
        return from(before).or_else(|| from(after));
    };
    let (before, after) = (before?, after?);
    let (known, next) = (before.reading?, after.reading?);
    let distances = [before, after].map(|sample| sample.counter_ns.abs_diff(moment.counter_ns));
    let nearer = if distances[0] <= distances[1] { earlier } else { later };
    if known.epoch != next.epoch {
        return Some(nearer);
    }
    // On the line between the two, so that times keep their order. Both limit the error.
    let passed = i128::from(next.time_ns) - i128::from(known.time_ns);
    let share = i128::from(moment.counter_ns) - i128::from(before.counter_ns);
    let whole = i128::from(after.counter_ns) - i128::from(before.counter_ns);
    let time_ns = i128::from(known.time_ns) + passed * share / whole.max(1);
    let (lows, highs) = ([earlier.low(), later.low()], [earlier.high(), later.high()]);
    let (mut low, mut high) = (lows[0].max(lows[1]), highs[0].min(highs[1]));
    if low > high {
        (low, high) = (lows[0].min(lows[1]), highs[0].max(highs[1]));
    }
    Some(Dated {
        time_ns: narrow(time_ns),
        max_error_ns: narrow((high - time_ns).max(time_ns - low)),
        est_error_ns: nearer.est_error_ns,
        epoch: known.epoch,
    })
}

/// The time at a moment by one reading, with what the counter can have erred by since or until then.
fn extended(sample: &Sample, moment: Moment, limits: &Limits) -> Option<Dated> {
    let reading = sample.reading?;
    let distance_ns = moment.counter_ns.checked_sub(sample.counter_ns)?;
    let drift = i128::from(distance_ns).abs() * i128::from(limits.counter_ppm) / 1_000_000;
    let drift_ns = i64::try_from(drift).ok()?.checked_add(1)?;
    Some(Dated {
        time_ns: reading.time_ns.checked_add(distance_ns)?,
        max_error_ns: reading.max_error_ns.checked_add(drift_ns)?,
        est_error_ns: reading.est_error_ns.checked_add(drift_ns / 4)?,
        epoch: reading.epoch,
    })
}

impl Dated {
    /// A moment that is somewhere from this one to another: halfway between the two, with an error
    /// that reaches both ends of what is possible. Halfway, and not in the middle of what is
    /// possible: an error that shrinks would move that back.
    ///
    /// The epoch is the later one. Where the two differ the time may be of either, and the error
    /// covers both; only the errors tell how it lies to others.
    pub(crate) fn until(self, last: Dated) -> Dated {
        let (low, high) = (self.low().min(last.high()), self.low().max(last.high()));
        let time = (i128::from(self.time_ns) + i128::from(last.time_ns)).div_euclid(2);
        let width = narrow((i128::from(last.time_ns) - i128::from(self.time_ns)).abs());
        Dated {
            time_ns: narrow(time),
            max_error_ns: narrow((high - time).max(time - low)),
            est_error_ns: self.est_error_ns.max(last.est_error_ns).saturating_add(width / 4),
            epoch: last.epoch,
        }
    }

    fn low(self) -> i128 {
        i128::from(self.time_ns) - i128::from(self.max_error_ns)
    }

    fn high(self) -> i128 {
        i128::from(self.time_ns) + i128::from(self.max_error_ns)
    }
}

fn narrow(wide: i128) -> i64 {
    i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX })
}
