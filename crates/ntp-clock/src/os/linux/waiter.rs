//! The one point where the background thread waits: for the bell, sockets, a set wall clock, or a
//! time-out.
//!
//! It needs no descriptor to work. With a timer it sleeps; where there is none to be had, or the
//! kernel refuses to wait for descriptors, it naps on a condition and looks again.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::common::Woken;
use super::descriptor::Descriptor;
use super::notifier::Notifier;
use super::socket::Socket;
use super::timer::{Armed, Timer};

/// Wakes the thread that waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bell(Arc<Signal>);

#[derive(Debug, Default)]
struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rung: bool,
    /// The thread that rang found that the wall clock had been set.
    clock_set: bool,
    timer: Option<Timer>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        let mut state = self.0.lock();
        state.rung = true;
        if let Some(Armed::ClockSet) = state.timer.as_ref().map(Timer::ring) {
            state.clock_set = true;
        }
        self.0.changed.notify_one();
    }
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Arms the timer, and makes another one of one that is lost.
    fn arm(&mut self, after: Duration) -> Armed {
        if let Some(timer) = &self.timer {
            match timer.arm(after) {
                Armed::Lost => self.timer = None,
                armed => return armed,
            }
        }
        self.timer = Timer::new().ok();
        self.timer.as_ref().map_or(Armed::Lost, |timer| timer.arm(after))
    }
}

/// A descriptor to wait for, whosoever it is by now: waiting harms no file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited(RawFd);

impl Awaited {
    pub(super) fn of(descriptor: &Descriptor) -> Self {
        Awaited(descriptor.to_wait_for())
    }
}

/// Waits at a bell.
#[derive(Debug)]
pub(crate) struct Waiter(Bell);

impl Waiter {
    pub(crate) fn at(bell: Bell) -> Self {
        Waiter(bell)
    }

    /// Waits for the bell, the sockets, the host, a set wall clock, or the time-out; may wake
    /// earlier.
    pub(crate) fn wait<'a>(
        &self,
        sockets: impl IntoIterator<Item = &'a Socket>,
        other: Option<Awaited>,
        host: Option<&Notifier>,
        timeout: Duration,
    ) -> Woken {
        let sockets: Vec<RawFd> = sockets.into_iter().map(Socket::to_wait_for).collect();
        let other = other.map(|other| other.0);
        let nap = if sockets.is_empty() && other.is_none() { NAP } else { SOCKET_NAP };
        let mut state = self.0.0.lock();
        let armed = state.arm(timeout);
        let clock_set = armed == Armed::ClockSet || std::mem::take(&mut state.clock_set);
        if std::mem::take(&mut state.rung) || clock_set {
            return Woken { clock_set, ..Woken::default() };
        }
        let Some(timer) = &state.timer else { return self.nap(state, timeout.min(nap)) };
        // Nobody but this thread changes it, so the number holds without the lock. What a bell
        // rings from here on makes it readable.
        let timer = timer.descriptor.to_wait_for();
        drop(state);
        let host = host.map(Notifier::to_wait_for);
        match poll(sockets.iter().copied().chain(other).chain([timer]), host, timeout.min(SLEEP)) {
            Ok(host) => Woken { host, ..Woken::default() },
            // The process was stopped and goes on, or it is traced.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.nap(self.0.0.lock(), timeout.min(SOCKET_NAP))
            }
            // No memory, or fewer descriptors allowed than there are.
            Err(_) => self.nap(self.0.0.lock(), timeout.min(nap)),
        }
    }

    /// Waits for the bell alone.
    fn nap(&self, state: MutexGuard<'_, State>, nap: Duration) -> Woken {
        let changed = &self.0.0.changed;
        let (mut state, _) = changed
            .wait_timeout_while(state, nap, |state| !state.rung)
            .unwrap_or_else(PoisonError::into_inner);
        state.rung = false;
        Woken { clock_set: std::mem::take(&mut state.clock_set), ..Woken::default() }
    }
}

/// Gives whether it was the last of them that is ready.
fn poll(
    numbers: impl Iterator<Item = RawFd>,
    last: Option<RawFd>,
    timeout: Duration,
) -> io::Result<bool> {
    let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut fds: Vec<libc::pollfd> = numbers.chain(last).map(entry).collect();
    let timeout = nix::sys::time::TimeSpec::from_duration(timeout);
    // SAFETY: the entries are as many as said and, like the time-out, outlive the call.
    let ready = unsafe {
        libc::ppoll(fds.as_mut_ptr(), fds.len() as _, timeout.as_ref(), std::ptr::null())
    };
    if ready < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(last.is_some() && fds.last().is_some_and(|entry| entry.revents != 0))
}

/// How long a bell stays unheard whose timer was closed by the program in mid-sleep.
const SLEEP: Duration = Duration::from_secs(5);
/// How long a set wall clock stays unnoticed where there is no timer.
const NAP: Duration = Duration::from_secs(1);
/// How long a datagram stays unread where the kernel does not wait for it.
const SOCKET_NAP: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn the_bell_wakes_the_waiter_once_also_when_rung_before() {
        let bell = Bell::default();
        let waiter = Waiter::at(bell.clone());
        bell.ring();
        let begun = Instant::now();
        assert_eq!(waiter.wait([], None, None, Duration::from_secs(60)), Woken::default());
        let ringer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            bell.ring();
        });
        waiter.wait([], None, None, Duration::from_secs(60));
        assert!(begun.elapsed() < SLEEP);
        ringer.join().unwrap();
    }

    #[test]
    fn without_a_timer_the_bell_wakes_it_all_the_same() {
        let bell = Bell::default();
        let waiter = Waiter::at(bell.clone());
        let ringer = std::thread::spawn(move || bell.ring());
        let state = waiter.0.0.lock();
        assert_eq!(waiter.nap(state, Duration::from_secs(60)), Woken::default());
        ringer.join().unwrap();
    }
}
