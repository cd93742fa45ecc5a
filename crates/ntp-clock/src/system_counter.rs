//! The machine's counter: the processor's own where that is trusted, else the kernel's.
//!
//! A clock that had to leave the processor's counter goes on with the kernel's from where it stood,
//! so that a moment of before is never taken for one of afterwards. It does not go back.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

use ntp_clock_core::{LocalTime, Span};

use crate::bridge::RawPair;
use crate::counter_choice::CounterChoice;
use crate::os::{self, Distrust, Ticks};

#[derive(Debug)]
pub(crate) struct SystemCounter {
    /// [`Ticks::scale`] while the processor's counter is the one in use; zero afterwards.
    scale: AtomicU64,
    /// What is added to the kernel's counter then.
    ahead_ns: AtomicI64,
    /// Why the kernel's is in use: a [`Distrust`], or zero.
    reason: AtomicU8,
    /// By how much a test has spoilt the processor's counter.
    #[cfg(test)]
    spoilt_ns: AtomicI64,
}

impl SystemCounter {
    pub(crate) fn new(choice: CounterChoice) -> Self {
        let ticks = choice.resolved().and_then(|choice| match choice {
            CounterChoice::System | CounterChoice::Auto => Err(Distrust::Chosen),
            CounterChoice::Processor => Ticks::find(),
        });
        SystemCounter::of(ticks)
    }

    /// The kernel's, for this reason.
    pub(crate) fn kernels(why: Distrust) -> Self {
        SystemCounter::of(Err(why))
    }

    fn of(ticks: Result<Ticks, Distrust>) -> Self {
        SystemCounter {
            scale: AtomicU64::new(ticks.map_or(0, Ticks::scale)),
            ahead_ns: AtomicI64::new(0),
            reason: AtomicU8::new(ticks.err().map_or(0, |why| why as u8)),
            #[cfg(test)]
            spoilt_ns: AtomicI64::new(0),
        }
    }

    /// The counter now.
    #[inline]
    pub(crate) fn now(&self) -> LocalTime {
        match self.ticks() {
            Some(ticks) => self.as_it_is(ticks.now()),
            None => self.of_kernel(os::local_now()),
        }
    }

    #[cfg(not(test))]
    #[inline]
    fn as_it_is(&self, ticks: LocalTime) -> LocalTime {
        ticks
    }

    #[cfg(test)]
    fn as_it_is(&self, ticks: LocalTime) -> LocalTime {
        ticks + Span::from_nanos(self.spoilt_ns.load(Ordering::SeqCst))
    }

    /// From now on the processor's counter shows so much more.
    #[cfg(test)]
    pub(crate) fn spoil(&self, ahead: Span) {
        self.spoilt_ns.store(ahead.as_nanos(), Ordering::SeqCst);
    }

    /// The processor's counter, while it is the one in use.
    #[inline]
    pub(crate) fn ticks(&self) -> Option<Ticks> {
        Ticks::of_scale(self.scale.load(Ordering::Acquire))
    }

    /// A moment of the kernel's counter on this one, once that is the one in use.
    #[inline]
    pub(crate) fn of_kernel(&self, kernel: LocalTime) -> LocalTime {
        kernel + Span::from_nanos(self.ahead_ns.load(Ordering::Relaxed))
    }

    /// Goes on with the kernel's counter, no earlier than either of them says: now, and by the last
    /// comparison.
    pub(crate) fn leave_ticks(&self, why: Distrust, last: Option<RawPair>) {
        let Some(ticks) = self.ticks() else { return };
        let kernel = os::local_now();
        let ahead =
            (self.as_it_is(ticks.now()) - kernel).max(last.map_or(Span::MIN, RawPair::ahead));
        self.ahead_ns.store(ahead.as_nanos(), Ordering::Relaxed);
        self.reason.store(why as u8, Ordering::Relaxed);
        self.scale.store(0, Ordering::Release);
    }

    /// Name of the counter, for the status.
    pub(crate) fn name(&self) -> &'static str {
        if self.ticks().is_some() { os::TICKS_NAME } else { os::counter_name() }
    }

    /// What counters of one boot and the same moments have in common, and others have not.
    pub(crate) fn kind(&self) -> String {
        let scale = self.ticks().map(|ticks| format!(" {:x}", ticks.scale()));
        format!("{}{}", self.name(), scale.unwrap_or_default())
    }

    /// Why it is not the processor's own.
    pub(crate) fn reason(&self) -> Option<Distrust> {
        Distrust::from_number(self.reason.load(Ordering::Relaxed))
    }
}
