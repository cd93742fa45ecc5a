//! The log of a live clock, for recording: what its engine did and what was read from it, in the
//! order in which it happened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ntp_clock_core::{LocalTime, Reading};

use crate::clock::Clock;
use crate::journal::{Journal, Missed, Recorded};

/// The recording of a clock from its start, made by [`Builder::build_recorded`].
///
/// The newest 4096 items wait to be taken; what does not fit any more is missed, and said to be.
/// Ends when dropped. In a forked child it is of no use: the parent goes on with it.
///
/// [`Builder::build_recorded`]: crate::Builder::build_recorded
pub struct Recording {
    journal: Arc<Journal>,
    clock: Clock,
}

impl Recording {
    /// Reads the clock, and puts the reading into the recording.
    ///
    /// Waits for the clock's thread for as long as that takes to publish, some microseconds.
    #[must_use]
    pub fn read(&self) -> (LocalTime, Option<Reading>) {
        if self.journal.is_inherited() {
            let local = self.clock.local_now();
            return (local, self.clock.at(local));
        }
        let mut pages = self.journal.open();
        let local = self.clock.local_now();
        let reading = self.clock.at(local);
        pages.push(Recorded::Read { local, reading });
        (local, reading)
    }

    /// The next item, waiting for it no longer than `timeout`; nothing if none came.
    ///
    /// # Errors
    /// [`Missed`] from where the recording has a hole on.
    pub fn next_timeout(&self, timeout: Duration) -> Result<Option<Recorded>, Missed> {
        self.journal.next_timeout(timeout)
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").finish_non_exhaustive()
    }
}

impl Recording {
    pub(crate) fn of(journal: Arc<Journal>, clock: Clock) -> Self {
        Recording { journal, clock }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::WAITING_MAX;
    use crate::manual::ManualClock;
    use ntp_clock_core::LogEntry;

    #[test]
    fn items_that_nobody_takes_are_missed_aloud_and_what_came_before_is_whole() {
        let journal = Arc::new(Journal::new());
        let recording = Recording::of(Arc::clone(&journal), ManualClock::new().clock());
        let at = |n: usize| LogEntry::Lost { sent_at: LocalTime::from_nanos(n as i64) };
        for n in 0..WAITING_MAX + 10 {
            journal.open().push(Recorded::Entry(at(n)));
        }
        for n in 0..WAITING_MAX {
            assert_eq!(recording.next_timeout(Duration::ZERO), Ok(Some(Recorded::Entry(at(n)))));
        }
        assert_eq!(recording.next_timeout(Duration::ZERO), Err(Missed));
        journal.open().push(Recorded::Entry(at(0)));
        assert_eq!(recording.next_timeout(Duration::ZERO), Err(Missed), "the log has ended");
    }

    #[test]
    fn a_reading_of_an_unsynchronised_clock_is_recorded_as_none() {
        let recording = Recording::of(Arc::new(Journal::new()), ManualClock::new().clock());
        let (local, reading) = recording.read();
        assert_eq!(reading, None);
        let item = recording.next_timeout(Duration::ZERO);
        assert_eq!(item, Ok(Some(Recorded::Read { local, reading: None })));
        assert_eq!(recording.next_timeout(Duration::from_millis(1)), Ok(None));
    }
}
