//! A moment as it is passed on.

use ntp_clock_core::{LocalTime, Reading};

use crate::counter_id::CounterId;

/// A moment by the counter and, where there is one, by the clock: both of one look at the counter.
///
/// The counter is there also without synchronised time. Two stamps of the same `counter_id` are in
/// the order of their `counter`, no matter who made them.
///
/// ```
/// use std::time::Duration;
/// use ntp_clock::{ManualClock, Span, UnixTime};
///
/// let manual = ManualClock::new();
/// let clock = manual.clock();
/// let before = clock.stamp();
/// assert_eq!(before.reading, None);
///
/// manual.advance(Duration::from_millis(2));
/// manual.set(UnixTime::from_nanos(1_000), Span::ZERO);
/// let after = clock.stamp();
/// assert_eq!(after.counter_id, before.counter_id);
/// assert_eq!(after.counter - before.counter, Span::from_millis(2));
/// assert_eq!(after.reading, clock.now());
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct Stamp {
    /// The local counter.
    pub counter: LocalTime,
    /// Which counter that is.
    pub counter_id: CounterId,
    /// The time at that moment, or `None` while the clock is not synchronised.
    pub reading: Option<Reading>,
}
