//! The log of a live clock, for recording: what its engine did and what was read from it, in the
//! order in which it happened.
//!
//! The thread holds the journal's lock while it feeds the engine and publishes what comes of it; a
//! recorded reading is taken under the same lock. So a reading in the log never falls into a
//! transition, and all that led to it stands before it: a replay of the log gives it again.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ntp_clock_core::{LocalTime, LogEntry, Reading};

use crate::fork;
use crate::shared::Shared;

/// The recording of a clock from its start, made by [`Builder::build_recorded`].
///
/// The newest 4096 items wait to be taken; what does not fit any more is missed, and said to be.
/// Ends when dropped. In a forked child it is of no use: the parent goes on with it.
///
/// [`Builder::build_recorded`]: crate::Builder::build_recorded
pub struct Recording {
    journal: Arc<Journal>,
    shared: Arc<Shared>,
}

/// One item of a [`Recording`].
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Recorded {
    /// Something that the clock's engine did.
    Entry(LogEntry),
    /// A reading taken by [`Recording::read`].
    Read {
        /// The moment of the reading.
        local: LocalTime,
        /// What the clock said; nothing while it was not synchronised.
        reading: Option<Reading>,
    },
}

/// The log has a hole: its items were not taken in time, or it was made before a fork. What was
/// taken before is whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the recording has a hole: its items were not taken in time")]
pub struct Missed;

impl Recording {
    /// Reads the clock, and puts the reading into the recording.
    ///
    /// Waits for the clock's thread for as long as that takes to publish, some microseconds.
    #[must_use]
    pub fn read(&self) -> (LocalTime, Option<Reading>) {
        if self.journal.is_inherited() {
            let local = self.shared.counters.local();
            return (local, self.shared.at(local));
        }
        let mut pages = self.journal.open();
        let local = self.shared.counters.local();
        let reading = self.shared.at(local);
        pages.push(Recorded::Read { local, reading });
        (local, reading)
    }

    /// The next item, waiting for it no longer than `timeout`; nothing if none came.
    ///
    /// # Errors
    /// [`Missed`] from where the recording has a hole on.
    pub fn next_timeout(&self, timeout: Duration) -> Result<Option<Recorded>, Missed> {
        if self.journal.is_inherited() {
            return Err(Missed);
        }
        let deadline = Instant::now().checked_add(timeout);
        let mut pages = self.journal.open();
        loop {
            if let Some(item) = pages.items.pop_front() {
                return Ok(Some(item));
            }
            if pages.missed {
                return Err(Missed);
            }
            let left = deadline.map_or(timeout, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(None);
            }
            let waited = self.journal.grown.wait_timeout(pages, left);
            pages = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").finish_non_exhaustive()
    }
}

impl Recording {
    pub(crate) fn of(journal: Arc<Journal>, shared: Arc<Shared>) -> Self {
        Recording { journal, shared }
    }
}

/// What clock and recording share.
#[derive(Debug)]
pub(crate) struct Journal {
    pages: Mutex<Pages>,
    grown: Condvar,
    /// The lock may be held for ever in a forked child.
    generation: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Pages {
    items: VecDeque<Recorded>,
    missed: bool,
}

impl Journal {
    pub(crate) fn new() -> Self {
        fork::watch();
        Journal { pages: Mutex::default(), grown: Condvar::new(), generation: fork::generation() }
    }

    pub(crate) fn open(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn notify(&self) {
        self.grown.notify_all();
    }

    fn is_inherited(&self) -> bool {
        self.generation != fork::generation()
    }
}

impl Pages {
    pub(crate) fn push(&mut self, item: Recorded) {
        if self.missed || self.items.len() == WAITING_MAX {
            // What comes after a hole would not replay: the log ends before it.
            self.missed = true;
            return;
        }
        self.items.push_back(item);
    }
}

const WAITING_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_nobody_takes_are_missed_aloud_and_what_came_before_is_whole() {
        let journal = Arc::new(Journal::new());
        let shared = Shared::by_hand(crate::counters::Counters::Os);
        let recording = Recording::of(Arc::clone(&journal), shared);
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
        let shared = Shared::by_hand(crate::counters::Counters::Os);
        let recording = Recording::of(Arc::new(Journal::new()), shared);
        let (local, reading) = recording.read();
        assert_eq!(reading, None);
        let item = recording.next_timeout(Duration::ZERO);
        assert_eq!(item, Ok(Some(Recorded::Read { local, reading: None })));
        assert_eq!(recording.next_timeout(Duration::from_millis(1)), Ok(None));
    }
}
