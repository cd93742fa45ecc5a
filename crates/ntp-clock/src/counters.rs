//! Where a clock gets its counters from: the operating system, or a stand-in that a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ntp_clock_core::{LocalTime, Span, SystemTime};

use crate::os;
use crate::page::Reference;

#[derive(Clone, Debug)]
pub(crate) enum Counters {
    Os,
    StandIn(Arc<StandIn>),
}

/// Counters that only move when told to.
#[derive(Debug, Default)]
pub(crate) struct StandIn {
    local_ns: AtomicI64,
    wall_ns: AtomicI64,
    slept_ns: AtomicI64,
}

impl Counters {
    /// The free-running counter.
    #[inline]
    pub(crate) fn local(&self) -> LocalTime {
        match self {
            Counters::Os => os::local_now(),
            Counters::StandIn(stand_in) => LocalTime::from_nanos(read(&stand_in.local_ns)),
        }
    }

    /// The wall clock, a few milliseconds old at worst, cheap to read.
    #[inline]
    pub(crate) fn wall_coarse(&self) -> SystemTime {
        match self {
            Counters::Os => os::wall_coarse(),
            Counters::StandIn(stand_in) => SystemTime::from_nanos(read(&stand_in.wall_ns)),
        }
    }

    /// The wall clock as programs see it.
    pub(crate) fn system(&self) -> SystemTime {
        match self {
            Counters::Os => os::system_now(),
            Counters::StandIn(stand_in) => SystemTime::from_nanos(read(&stand_in.wall_ns)),
        }
    }

    /// How long the machine has slept, from some fixed moment on.
    pub(crate) fn slept(&self) -> Span {
        match self {
            Counters::Os => os::slept(),
            Counters::StandIn(stand_in) => Span::from_nanos(read(&stand_in.slept_ns)),
        }
    }

    /// Whether the counter may have lost time between boot and now.
    pub(crate) fn may_have_slept(&self) -> bool {
        match self {
            Counters::Os => os::may_have_slept(),
            Counters::StandIn(_) => self.slept() != Span::ZERO,
        }
    }

    /// All of them at one moment. Sleep is read first: a suspend in between then shows later.
    pub(crate) fn reference(&self) -> Reference {
        let slept = self.slept();
        Reference { local: self.local(), wall: self.wall_coarse(), slept }
    }
}

impl StandIn {
    /// Time passes: the counter and the wall clock advance.
    pub(crate) fn advance(&self, by: Span) {
        self.local_ns.fetch_add(by.as_nanos(), Ordering::SeqCst);
        self.step_wall(by);
    }

    /// The wall clock alone is set.
    pub(crate) fn step_wall(&self, by: Span) {
        self.wall_ns.fetch_add(by.as_nanos(), Ordering::SeqCst);
    }

    /// The machine sleeps: the counter stands still, the wall clock goes on.
    #[cfg(test)]
    pub(crate) fn sleep(&self, by: Span) {
        self.slept_ns.fetch_add(by.as_nanos(), Ordering::SeqCst);
        self.step_wall(by);
    }
}

#[inline]
fn read(value: &AtomicI64) -> i64 {
    value.load(Ordering::SeqCst)
}
