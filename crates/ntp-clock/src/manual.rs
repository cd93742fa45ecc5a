//! A clock that tests set by hand.

use std::sync::Arc;
use std::time::Duration;

use ntp_clock_core::{LocalTime, Mapping, Reading, Span, UnixTime};

use crate::clock::Clock;
use crate::counters::{Counters, StandIn};
use crate::shared::Shared;

/// Drives a [`Clock`] by hand, so that a program's own tests decide what time it is and when the
/// clock fails. Starts unsynchronised; time stands still between calls.
///
/// ```
/// use std::time::Duration;
/// use ntp_clock::{ManualClock, Span, UnixTime};
///
/// let manual = ManualClock::new();
/// let clock = manual.clock();
/// assert!(clock.now().is_none());
///
/// manual.set(UnixTime::from_nanos(1_000_000_000), Span::from_millis(2));
/// manual.advance(Duration::from_secs(1));
/// let reading = clock.now().unwrap();
/// assert_eq!(reading.time(), UnixTime::from_nanos(2_000_000_000));
/// assert_eq!(reading.max_error(), Span::from_millis(2));
///
/// manual.fail();
/// assert!(clock.now().is_none());
/// ```
#[derive(Debug)]
pub struct ManualClock {
    stand_in: Arc<StandIn>,
    shared: Arc<Shared>,
    clock: Clock,
}

impl ManualClock {
    /// A clock that is not synchronised.
    #[must_use]
    pub fn new() -> Self {
        let stand_in = Arc::new(StandIn::default());
        let shared = Arc::new(Shared::by_hand(Counters::StandIn(Arc::clone(&stand_in))));
        let clock = Clock::from_shared(Arc::clone(&shared));
        ManualClock { stand_in, shared, clock }
    }

    /// The clock to hand to the code under test.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Synchronises the clock: it is this time now, within this error (of which a third is given
    /// as the probable one). A new epoch begins if the time would run backwards.
    pub fn set(&self, time: UnixTime, max_error: Span) {
        let local = self.clock.local_now();
        let last = self.last_said(local);
        let epoch = last.map_or(1, |l| if time < l.time() { l.epoch() + 1 } else { l.epoch() });
        let est_error = Span::from_nanos(max_error.as_nanos() / 3);
        let reading = Reading::new(time, max_error, est_error, epoch);
        self.shared.set_by_hand(&Mapping::through(&reading, local));
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.stand_in.advance(Span::from(by));
    }

    /// The clock is not synchronised any more, as after three failed attempts.
    pub fn fail(&self) {
        let now = self.clock.local_now();
        let mapping = self.shared.page.view(|| now).mapping;
        // Time stands still: a mapping that ends now would go on for ever.
        self.shared.set_by_hand(&mapping.ended(now - Span::from_nanos(1)));
    }

    /// The reading of now, or the last one before the clock failed.
    fn last_said(&self, local: LocalTime) -> Option<Reading> {
        let mapping = self.shared.page.view(|| local).mapping;
        mapping.read(local.min(mapping.valid_until()))
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        ManualClock::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_after_it_failed_begins_a_new_epoch() {
        let manual = ManualClock::new();
        let clock = manual.clock();
        manual.set(UnixTime::from_nanos(2_000), Span::ZERO);
        manual.fail();
        assert_eq!(clock.now(), None);
        manual.advance(Duration::from_secs(1));
        manual.set(UnixTime::from_nanos(1_000), Span::ZERO);
        assert_eq!(clock.now().unwrap().epoch(), 2);
        manual.fail();
        manual.set(UnixTime::from_nanos(1_000), Span::ZERO);
        assert_eq!(clock.now().unwrap().epoch(), 2);
    }
}
