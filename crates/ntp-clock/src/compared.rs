//! When the counter was last compared with the wall clock: that need not be done at each reading.
//!
//! The comparison finds out that the machine slept. A reading relies on one that was made at most
//! [`LASTS`] before it by the counter itself. That is less than passes, by any counter that runs
//! while the processor does, between the last instruction of a program before a sleep and the first
//! one afterwards: the kernel signals all tasks and waits at least half a millisecond for those
//! that ran, suspends devices, takes down all processors but one, and does all of that again
//! backwards, before it lets tasks go on. So the first reading after a sleep finds every comparison
//! too old. A counter that the sleep has set back makes it too new, which counts as too old.

use std::sync::atomic::{AtomicI64, Ordering};

use ntp_clock_core::{LocalTime, Span};

/// The moment of the last comparison that found nothing, by whichever thread.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Compared(AtomicI64);

impl Default for Compared {
    /// Never, which is long before anything.
    fn default() -> Self {
        Compared(AtomicI64::new(i64::MIN))
    }
}

impl Compared {
    /// Whether a reading at this moment may rely on it.
    #[inline]
    pub(crate) fn covers(&self, local: LocalTime) -> bool {
        let since = local.as_nanos().wrapping_sub(self.0.load(Ordering::Relaxed));
        (since as u64) < LASTS.as_nanos() as u64
    }

    /// Nothing was found at this moment.
    pub(crate) fn note(&self, local: LocalTime) {
        self.0.store(local.as_nanos(), Ordering::Relaxed);
    }
}

const LASTS: Span = Span::from_micros(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_lasts_for_50_us_forwards_and_not_at_all_backwards() {
        let at = |nanos: i64| LocalTime::from_nanos(nanos);
        let compared = Compared::default();
        for nanos in [i64::MIN + 50_000, -1, 0, 1, i64::MAX] {
            assert!(!compared.covers(at(nanos)), "nothing was compared");
        }
        for begun in [-7_000, 0, 1_000_000_000_000, i64::MAX - 10] {
            compared.note(at(begun));
            assert!(compared.covers(at(begun)));
            let (last, next) = (begun.wrapping_add(49_999), begun.wrapping_add(50_000));
            assert!(compared.covers(at(last)), "{begun}");
            assert!(!compared.covers(at(next)), "{begun}");
            assert!(!compared.covers(at(begun.wrapping_sub(1))), "{begun}");
            assert!(!compared.covers(at(begun.wrapping_sub(3_600_000_000_000))), "{begun}");
        }
    }
}
