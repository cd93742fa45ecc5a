//! The last stamp of a hybrid logical clock, which many threads move on without locks.

#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows; 0 is none.
#[derive(Debug)]
pub(crate) struct LastStamp(AtomicU64);

impl LastStamp {
    pub(crate) fn new(last: u64) -> Self {
        LastStamp(AtomicU64::new(last))
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Moves on to what comes `after` the last one, and gives it. What cannot be had changes
    /// nothing. `after` may be called more than once.
    ///
    /// `after` reads its clock by itself: so that reading is later than the one that made the last
    /// stamp. A reading from before could be one that the last stamp is ahead of, because other
    /// threads went on while this one stood.
    pub(crate) fn advance<E>(&self, after: impl Fn(u64) -> Result<u64, E>) -> Result<u64, E> {
        let mut last = self.get();
        loop {
            let next = after(last)?;
            debug_assert!(next > last, "{next} after {last}");
            match self.0.compare_exchange_weak(last, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(next),
                Err(newer) => last = newer,
            }
        }
    }
}
