//! What a clock's thread writes down for a recording: the engine's log, and readings between its
//! entries.
//!
//! The thread holds the journal's lock while it feeds the engine and publishes what comes of it; a
//! recorded reading is taken under the same lock. So a reading in the log never falls into a
//! transition, and all that led to it stands before it: a replay of the log gives it again.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ntp_clock_core::{LocalTime, LogEntry, Reading};

use crate::fork;

/// One item of a [`Recording`](crate::Recording).
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Recorded {
    /// Something that the clock's engine did.
    Entry(LogEntry),
    /// A reading taken by [`Recording::read`](crate::Recording::read).
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
#[error("the recording has a gap: its items were not read in time")]
pub struct Missed;

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

    /// What comes from here on is not written down.
    pub(crate) fn break_off(&self) {
        self.open().missed = true;
        self.notify();
    }

    pub(crate) fn notify(&self) {
        self.grown.notify_all();
    }

    /// The next item, waiting for it no longer than `timeout`; nothing if none came.
    ///
    /// # Errors
    /// [`Missed`] from where the recording has a hole on.
    pub(crate) fn next_timeout(&self, timeout: Duration) -> Result<Option<Recorded>, Missed> {
        if self.is_inherited() {
            return Err(Missed);
        }
        let deadline = Instant::now().checked_add(timeout);
        let mut pages = self.open();
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
            let waited = self.grown.wait_timeout(pages, left);
            pages = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether this process is a child of the one that the journal was made in.
    pub(crate) fn is_inherited(&self) -> bool {
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

pub(crate) const WAITING_MAX: usize = 4_096;
