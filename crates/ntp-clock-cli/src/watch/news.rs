//! What a clock has reported meanwhile.

use ntp_clock::{ClockEvent, Events};

/// The events that have come since the last call.
pub(super) fn news(events: &Events) -> impl Iterator<Item = ClockEvent> + '_ {
    std::iter::from_fn(|| events.try_next())
}
