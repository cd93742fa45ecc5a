//! What a clock tells its subscribers.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use ntp_clock_core::Event;

use crate::failure::Failure;
use crate::os;

/// Something that happened to the clock, with its story in one line.
///
/// `Display` gives the line; [`ClockEvent::kind`] the data.
#[derive(Clone, PartialEq, Debug)]
pub struct ClockEvent {
    kind: Event,
    failure: Option<Failure>,
    message: String,
}

impl ClockEvent {
    pub(crate) fn new(kind: Event, failure: Option<Failure>, message: String) -> Self {
        ClockEvent { kind, failure, message }
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &Event {
        &self.kind
    }

    /// Why the attempt or the clock failed, where that is what happened.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Whether somebody should look: the clock failed, an attempt did, or an epoch ended.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        matches!(
            self.kind,
            Event::AttemptFailed { .. } | Event::Failed { .. } | Event::EpochChanged { .. }
        )
    }
}

impl fmt::Display for ClockEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A subscription: the events since it was made, of which the newest 256 are kept until taken.
///
/// Ends when dropped, and with its clock.
#[derive(Debug)]
pub struct Events(Arc<Queue>);

impl Events {
    /// The next event, waiting for it no longer than `timeout`.
    #[must_use]
    pub fn next_timeout(&self, timeout: Duration) -> Option<ClockEvent> {
        let deadline = Instant::now().checked_add(timeout);
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(event) = waiting.pop_front() {
                return Some(event);
            }
            let left = match deadline {
                None => timeout,
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            };
            if left.is_zero() {
                return None;
            }
            waiting = self
                .0
                .arrived
                .wait_timeout(waiting, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The next event, if one is waiting.
    #[must_use]
    pub fn try_next(&self) -> Option<ClockEvent> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

struct Queue {
    waiting: Mutex<VecDeque<ClockEvent>>,
    arrived: Condvar,
    notify: Option<Notify>,
}

/// What a subscriber wants to be called. It may wait or panic as it likes: it is called on a thread
/// of its own, which lives while there is something to call it for.
struct Notify {
    call: Box<dyn Fn() + Send + Sync>,
    due: AtomicBool,
    running: AtomicBool,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Queue {
    /// Has the subscriber called, soon. Where the system has no thread to give, the next time.
    fn notify(self: &Arc<Self>) {
        let Some(notify) = &self.notify else { return };
        notify.due.store(true, Ordering::SeqCst);
        if notify.running.swap(true, Ordering::SeqCst) {
            return;
        }
        let queue = Arc::clone(self);
        let call = move || queue.notify.as_ref().map_or((), Notify::call_while_due);
        if os::spawn_quietly(THREAD_NAME, call).is_err() {
            notify.running.store(false, Ordering::SeqCst);
        }
    }
}

impl Notify {
    fn call_while_due(&self) {
        loop {
            while self.due.swap(false, Ordering::SeqCst) {
                // The hook for panics has reported it; it ends this call alone.
                let _ = catch_unwind(AssertUnwindSafe(&self.call));
            }
            self.running.store(false, Ordering::SeqCst);
            // What came due in between found somebody running.
            if !self.due.load(Ordering::SeqCst) || self.running.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }
}

/// All subscriptions of a clock that are still alive.
#[derive(Debug, Default)]
pub(crate) struct Subscribers(Vec<Weak<Queue>>);

/// Subscribers who were sent something and may want to be called.
#[must_use = "they are called by notify(), once no lock is held"]
pub(crate) struct Notified(Vec<Arc<Queue>>);

impl Subscribers {
    pub(crate) fn subscribe(&mut self, notify: Option<Box<dyn Fn() + Send + Sync>>) -> Events {
        let notify = notify.map(|call| Notify {
            call,
            due: AtomicBool::new(false),
            running: AtomicBool::new(false),
        });
        let queue = Arc::new(Queue { waiting: Mutex::default(), arrived: Condvar::new(), notify });
        self.0.push(Arc::downgrade(&queue));
        Events(queue)
    }

    /// Hands out events; subscribers that asked for it are notified even where there are none, because
    /// something else changed.
    pub(crate) fn send(&mut self, events: &[ClockEvent]) -> Notified {
        let mut seen = Vec::new();
        self.0.retain(|queue| {
            let Some(queue) = queue.upgrade() else { return false };
            let mut waiting = queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            for event in events {
                if waiting.len() == KEPT {
                    waiting.pop_front();
                }
                waiting.push_back(event.clone());
            }
            drop(waiting);
            queue.arrived.notify_all();
            seen.push(queue);
            true
        });
        Notified(seen)
    }
}

impl Notified {
    pub(crate) fn notify(self) {
        for queue in self.0 {
            queue.notify();
        }
    }
}

const THREAD_NAME: &str = "ntp-clock-tell";
const KEPT: usize = 256;
