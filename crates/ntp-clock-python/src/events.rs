//! Events on their way to Python: the clock's thread writes one byte into a pipe, a Python thread
//! that blocks on its other end takes them.
//!
//! The clock's thread must not call into Python, because an interpreter that is being finalised
//! hangs or ends whoever does.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ntp_clock::{ClockEvent, Event};
use pyo3::prelude::*;

/// A subscription to a clock's events.
#[pyclass(frozen, module = "portacode._native")]
pub(crate) struct Events {
    events: ntp_clock::Events,
    bell: Arc<Bell>,
}

impl Events {
    pub(crate) fn of(clock: &ntp_clock::Clock) -> io::Result<Self> {
        let bell = Arc::new(Bell {
            pipe: Mutex::new(Some(io::pipe()?)),
            rung: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        let ringer = Arc::clone(&bell);
        Ok(Events { events: clock.subscribe_with(move || ringer.ring()), bell })
    }
}

#[pymethods]
impl Events {
    /// Descriptor from which a byte can be read when there is something to take.
    ///
    /// On Windows it is a new handle. -1 once abandoned.
    #[cfg(unix)]
    fn fileno(&self) -> i32 {
        use std::os::fd::AsRawFd;
        self.bell.pipe().as_ref().map_or(-1, |(reader, _)| reader.as_raw_fd())
    }

    #[cfg(windows)]
    fn fileno(&self) -> isize {
        use std::os::windows::io::IntoRawHandle;
        let reader = self.bell.pipe().as_ref().and_then(|(reader, _)| reader.try_clone().ok());
        reader.map_or(-1, |reader| reader.into_raw_handle() as isize)
    }

    /// The events since the last call, each with its logging level; None once closed.
    ///
    /// To be called after reading the byte.
    fn take(&self) -> Option<Vec<(u8, String)>> {
        // Before looking: what comes from here on rings again.
        self.bell.rung.store(false, Ordering::SeqCst);
        if self.bell.closed.load(Ordering::SeqCst) {
            return None;
        }
        let events = std::iter::from_fn(|| self.events.try_next());
        Some(events.map(|event| (level(&event), event.to_string())).collect())
    }

    /// Wakes the reader for the last time.
    fn close(&self) {
        self.bell.closed.store(true, Ordering::SeqCst);
        self.bell.ring();
    }

    /// Closes the descriptors that a forked child shares with its parent, and wakes nobody.
    fn abandon(&self) {
        // Locked by a thread that the child does not have: two descriptors stay open.
        if let Ok(mut pipe) = self.bell.pipe.try_lock() {
            *pipe = None;
        }
    }
}

struct Bell {
    pipe: Mutex<Option<(PipeReader, PipeWriter)>>,
    /// There is a byte in the pipe, or about to be. It never holds two, so writing never waits.
    rung: AtomicBool,
    closed: AtomicBool,
}

impl Bell {
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst)
            && let Some((_, writer)) = self.pipe().as_mut()
        {
            // Fails only if somebody closed descriptors that are not theirs; then nobody reads.
            let _ = writer.write_all(&[1]);
        }
    }

    fn pipe(&self) -> std::sync::MutexGuard<'_, Option<(PipeReader, PipeWriter)>> {
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As numbered by Python's `logging`.
fn level(event: &ClockEvent) -> u8 {
    match event.kind() {
        _ if event.is_warning() => WARNING,
        Event::Synchronised { recovered: true, .. } | Event::ServerChanged => INFO,
        _ => DEBUG,
    }
}

const DEBUG: u8 = 10;
const INFO: u8 = 20;
const WARNING: u8 = 30;
