//! A clock that tests set by hand.

use std::sync::Arc;
use std::time::Duration;

use ntp_clock_core::{Reading, Span, UnixTime};

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
        let shared = Shared::by_hand(Counters::StandIn(Arc::clone(&stand_in)));
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
        let epoch = self
            .clock
            .now()
            .map_or(1, |now| if time < now.time() { now.epoch() + 1 } else { now.epoch() });
        let est_error = Span::from_nanos(max_error.as_nanos() / 3);
        self.shared.set_by_hand(Some(Reading::new(time, max_error, est_error, epoch)));
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.stand_in.advance(Span::from(by));
    }

    /// The clock is not synchronised any more, as after three failed attempts.
    pub fn fail(&self) {
        self.shared.set_by_hand(None);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        ManualClock::new()
    }
}
