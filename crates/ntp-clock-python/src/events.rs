//! Events on their way to Python: whenever there are some, a byte is written, and a Python thread
//! that waits at the other end takes them.
//!
//! Nothing of the clock's may call into Python, because an interpreter that is being finalised
//! hangs or ends the program that does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ntp_clock::{ClockEvent, Event};
use pyo3::prelude::*;

use crate::wake::Wake;

/// A subscription to a clock's events.
#[pyclass(frozen, module = "portacode._native")]
pub(crate) struct Events {
    events: ntp_clock::Events,
    bell: Arc<Bell>,
}

impl Events {
    pub(crate) fn of(clock: &ntp_clock::Clock) -> Self {
        let bell = Arc::new(Bell::default());
        let ringer = Arc::clone(&bell);
        Events { events: clock.subscribe_with(move || ringer.ring()), bell }
    }
}

#[pymethods]
impl Events {
    /// Descriptor that can be read when there is something to take.
    ///
    /// Another one where the program has closed the last one; -1 where there is none to be had. On
    /// Windows it is a new handle, from which a byte is to be read before `take()`.
    fn fileno(&self) -> isize {
        self.bell.descriptor().unwrap_or(-1)
    }

    /// The events since the last call; None once closed.
    ///
    /// Each with its logging level, and the code of the failure or disruption that it tells of, if
    /// it does.
    fn take(&self) -> Option<Vec<(u8, String, Option<&'static str>)>> {
        self.bell.silence();
        if self.bell.closed.load(Ordering::SeqCst) {
            return None;
        }
        let events = std::iter::from_fn(|| self.events.try_next());
        let fields = |event: ClockEvent| (level(&event), event.to_string(), code(&event));
        Some(events.map(fields).collect())
    }

    /// Wakes the reader for the last time.
    fn close(&self) {
        self.bell.closed.store(true, Ordering::SeqCst);
        self.bell.ring();
    }

    /// Closes the descriptors that a forked child shares with its parent, and wakes nobody.
    fn abandon(&self) {
        // Locked by a thread that the child does not have: two descriptors stay open.
        if let Ok(mut wake) = self.bell.wake.try_lock() {
            *wake = None;
        }
    }
}

#[derive(Default)]
struct Bell {
    wake: Mutex<Option<Wake>>,
    /// There is a byte to be read, or would be. There never are two, so writing never waits.
    rung: AtomicBool,
    closed: AtomicBool,
}

impl Bell {
    fn ring(&self) {
        let mut wake = self.lock();
        if self.rung.swap(true, Ordering::SeqCst) {
            return;
        }
        // One that the program has closed is made again by the caller that waits.
        *wake = wake.take().filter(Wake::write);
    }

    /// What comes from here on rings again.
    fn silence(&self) {
        let wake = self.lock();
        self.rung.store(false, Ordering::SeqCst);
        if let Some(wake) = &*wake {
            wake.drain();
        }
    }

    fn descriptor(&self) -> Option<isize> {
        let mut wake = self.lock();
        if wake.as_ref().is_none_or(Wake::is_lost) {
            *wake = Wake::new().ok();
            if self.rung.load(Ordering::SeqCst) {
                *wake = wake.take().filter(Wake::write);
            }
        }
        wake.as_ref().and_then(Wake::descriptor)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Wake>> {
        self.wake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In one word, what went wrong.
fn code(event: &ClockEvent) -> Option<&'static str> {
    match event.kind() {
        Event::Disrupted(disruption) => Some(disruption.name()),
        _ => event.failure().map(ntp_clock::Failure::code),
    }
}

/// As numbered by Python's `logging`.
fn level(event: &ClockEvent) -> u8 {
    match event.kind() {
        _ if event.is_warning() => WARNING,
        Event::Synchronised { recovered: true, .. }
        | Event::ServerChanged
        | Event::Disrupted(_) => INFO,
        _ => DEBUG,
    }
}

const DEBUG: u8 = 10;
const INFO: u8 = 20;
const WARNING: u8 = 30;
