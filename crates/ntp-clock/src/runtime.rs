//! What readers and the background thread ask and tell each other, apart from the page.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ntp_clock_core::{Disruption, EngineStatus, LocalTime, Span};

use crate::bridge::Bridge;
use crate::event::Subscribers;
use crate::failure::Failure;
use crate::fork;
use crate::host::SharingStatus;
use crate::moment::Moment;
use crate::nts_status::NtsStatus;
use crate::os::Bell;
use crate::watches::Watches;

/// Everything with a lock or a thread: made again in a forked child.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// The fork generation that this belongs to.
    generation: u64,
    state: Mutex<State>,
    changed: Condvar,
    bell: Bell,
    thread: AtomicU8,
    stop: AtomicBool,
    /// A reader saw something that the thread should look at, and rang the bell.
    alarmed: AtomicBool,
    /// Readings are given, as far as the thread knows.
    serving: AtomicBool,
}

/// Whether there is a thread that looks after the clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Thread {
    /// Nobody is to look after it: it is set by hand, or has no server to ask.
    None = 0,
    /// It is to be started, at first or again.
    Wanted = 1,
    Running = 2,
}

/// What the thread last reported of itself, and what is asked of it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) status: Option<EngineStatus>,
    pub(crate) address: Option<SocketAddr>,
    /// The last failure.
    pub(crate) last_error: Option<Failure>,
    /// How often replies began to come from another address.
    pub(crate) server_changes: u64,
    /// How often the machine or the process was disturbed, and how the last time.
    pub(crate) disruptions: u64,
    pub(crate) last_disruption: Option<Disruption>,
    pub(crate) watches: Watches,
    /// The last comparison of the counter with the standard library's clock.
    pub(crate) moment: Option<Moment>,
    /// The comparisons of the counter with the kernel's raw one, where that is another one.
    pub(crate) bridge: Option<Bridge>,
    pub(crate) subscribers: Subscribers,
    /// Rounds asked for so far; each has a number.
    pub(crate) requested: u64,
    /// The newest request whose round is over, and how it ended.
    pub(crate) answered: u64,
    pub(crate) answer: Option<Result<(), Failure>>,
    /// What is known of the keys, where proof is required.
    pub(crate) nts: Option<NtsStatus>,
    /// This process's part in the machine's clock, where that is to be shared.
    pub(crate) sharing: Option<SharingStatus>,
    /// After this many vain starts of the thread the next one may be tried at this moment.
    pub(crate) vain_starts: u32,
    pub(crate) next_start: Option<LocalTime>,
}

impl Runtime {
    /// One whose thread is to be started, or that has no use for one.
    pub(crate) fn new(thread: Thread) -> Self {
        Runtime {
            generation: fork::generation(),
            state: Mutex::default(),
            changed: Condvar::new(),
            bell: Bell::default(),
            thread: AtomicU8::new(thread as u8),
            stop: AtomicBool::new(false),
            alarmed: AtomicBool::new(false),
            serving: AtomicBool::new(false),
        }
    }

    /// Whether this is another process's: its locks may be held for ever.
    #[inline]
    pub(crate) fn is_inherited(&self) -> bool {
        self.generation != fork::generation()
    }

    /// The state; a panic of another holder does not spoil it, every field stands for itself.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address that answered last, for a child, which waits for no lock: `None` also where a
    /// thread that the child does not have holds it.
    pub(crate) fn address_to_inherit(&self) -> Option<SocketAddr> {
        self.state.try_lock().ok()?.address
    }

    /// One look at the state and, unless that ends it, a pause as long as the look says, which ends
    /// early when the thread reported something.
    pub(crate) fn look_and_wait<T>(
        &self,
        look: impl FnOnce(&State) -> ControlFlow<T, Duration>,
    ) -> ControlFlow<T> {
        let state = self.lock();
        let pause = match look(&state) {
            ControlFlow::Break(value) => return ControlFlow::Break(value),
            ControlFlow::Continue(pause) => pause,
        };
        drop(self.changed.wait_timeout(state, pause));
        ControlFlow::Continue(())
    }

    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    pub(crate) fn ring(&self) {
        // A child rings no bell of its parent's, whose lock may be held for ever.
        if !self.is_inherited() {
            self.bell.ring();
        }
    }

    /// A reader saw something that the thread should look at.
    pub(crate) fn alarm(&self) {
        if !self.alarmed.swap(true, Ordering::AcqRel) {
            self.ring();
        }
    }

    /// Whether a reader raised the alarm since the last look.
    pub(crate) fn take_alarm(&self) -> bool {
        self.alarmed.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Release);
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.ring();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(crate) fn thread(&self) -> Thread {
        match self.thread.load(Ordering::Acquire) {
            0 => Thread::None,
            1 => Thread::Wanted,
            _ => Thread::Running,
        }
    }

    /// Whether a thread may be started now; the caller that gets `true` has to.
    pub(crate) fn begin_start(&self, now: LocalTime) -> bool {
        if self.thread() != Thread::Wanted || self.is_stopped() {
            return false;
        }
        let state = self.lock();
        let due = state.next_start.is_none_or(|at| now >= at);
        due && self.change(Thread::Wanted, Thread::Running)
    }

    /// There is no thread, for this reason; another one may be started in a while.
    pub(crate) fn thread_failed(&self, failure: Failure, now: LocalTime) {
        let mut state = self.lock();
        let doubled = FIRST_PAUSE.times(1 << state.vain_starts.min(6));
        state.vain_starts = state.vain_starts.saturating_add(1);
        state.next_start = Some(now + doubled);
        state.last_error = Some(failure);
        // What the thread knew is gone with it.
        state.status = None;
        self.change(Thread::Running, Thread::Wanted);
        drop(state);
        self.notify();
    }

    fn change(&self, from: Thread, to: Thread) -> bool {
        let (old, new) = (from as u8, to as u8);
        self.thread.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// The pause after a vain start of the thread, which doubles up to 64 times as much.
const FIRST_PAUSE: Span = Span::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_goes_on_with_its_parents_address_unless_that_was_being_written() {
        let parent = Runtime::new(Thread::Wanted);
        let address = "192.0.2.1:123".parse().unwrap();
        parent.lock().address = Some(address);
        assert_eq!(parent.address_to_inherit(), Some(address));
        let _held = parent.lock();
        assert_eq!(parent.address_to_inherit(), None, "and it waits for nobody");
    }
}
