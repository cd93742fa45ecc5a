//! What all systems tell in the same words, and the wall clock, which they share.

use std::time::UNIX_EPOCH;

use ntp_clock_core::{Span, SystemTime};

/// The wall clock, read through the C library so that a faked one is seen as the program sees it.
pub(crate) fn system_now() -> SystemTime {
    let now = std::time::SystemTime::now();
    let nanos = match now.duration_since(UNIX_EPOCH) {
        Ok(since) => Span::from(since),
        Err(before) => -Span::from(before.duration()),
    };
    SystemTime::from_nanos(nanos.as_nanos())
}

/// What woke the thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Woken {
    /// The wall clock was set, or the machine has woken from sleep.
    pub(crate) clock_set: bool,
}

/// A datagram as it came in: its length, and when the kernel saw it by the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Received {
    pub(crate) len: usize,
    pub(crate) kernel_time: Option<SystemTime>,
}

/// How long the machine has slept: somewhere from `least` to `width` more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Slept {
    pub(crate) least: Span,
    pub(crate) width: Span,
}

impl Slept {
    /// How far two of them certainly are from one another.
    pub(crate) fn distance(self, other: Slept) -> Span {
        let most = |slept: Slept| slept.least + slept.width;
        (other.least - most(self)).max(self.least - most(other)).max(Span::ZERO)
    }
}
