//! The line that a page of the machine's holds, for readers who may not write: what they do while
//! it changes, and how a successor ends it.
//!
//! The rules, and why readings of all processes are in order, stand in `docs/HOST_CLOCK.md`.

#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering, fence};

use crate::latch::Latch;

/// Why a look at a page gave no line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unread {
    /// Its writer is about to change it, or was stopped in the midst of that.
    Busy,
    /// Another page has taken its place.
    Superseded,
}

/// One look: the words, and what was done while they held and the page was the machine's.
#[inline]
pub(crate) fn look<const N: usize, T>(
    latch: &Latch<N>,
    superseded: &AtomicU64,
    during: impl FnOnce() -> T,
) -> Result<([u64; N], T), Unread> {
    let held = latch.look(during);
    // In one order with the successor's mark and the writer's changes: a line that the successor
    // did not see is not taken.
    #[cfg(loom)]
    fence(Ordering::SeqCst);
    if superseded.load(Ordering::SeqCst) != CURRENT {
        return Err(Unread::Superseded);
    }
    match held {
        Some(held) if !held.in_transition => Ok((held.words, held.during)),
        _ => Err(Unread::Busy),
    }
}

/// Ends a page. A reader that has read a line of it read the counter before; the words returned are
/// the last that anybody can have read, and the counter is to be read after this. There are none
/// where a writer gone mad never lets them stand.
pub(crate) fn supersede<const N: usize>(
    latch: &Latch<N>,
    superseded: &AtomicU64,
) -> Option<[u64; N]> {
    superseded.store(SUPERSEDED, Ordering::SeqCst);
    fence(Ordering::SeqCst);
    words(latch)
}

/// The words as they stand, whether the page is busy or not: for those who look after a writer.
pub(crate) fn words<const N: usize>(latch: &Latch<N>) -> Option<[u64; N]> {
    for _ in 0..LOOKS {
        if let Some(held) = latch.look(|| ()) {
            return Some(held.words);
        }
        #[cfg(loom)]
        loom::thread::yield_now();
    }
    None
}

/// What a page's control word says as long as the page is the machine's.
pub(crate) const CURRENT: u64 = 0;
const SUPERSEDED: u64 = 1;
/// A writer changes its page some times a second.
const LOOKS: usize = 1_000;
