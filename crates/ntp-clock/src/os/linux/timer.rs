//! The timer that the thread sleeps by: it counts the time that the machine sleeps or the process
//! is stopped, fires when the wall clock is set, and can be rung.
//!
//! One descriptor does all three: a timerfd of CLOCK_REALTIME that is cancelled when that clock is
//! set. Its interval, longer than anybody lives, is the mark by which it is known.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use super::descriptor::{Descriptor, Mark};

/// An armed timer.
#[derive(Debug)]
pub(super) struct Timer {
    pub(super) descriptor: Descriptor,
    interval: libc::timespec,
}

/// What arming a timer found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Armed {
    Yes,
    /// The wall clock was set since it was armed last; it is armed all the same.
    ClockSet,
    /// The descriptor is not ours any more.
    Lost,
}

impl Timer {
    /// A timer that never fires of itself. Sandboxes may forbid it.
    pub(super) fn new() -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: takes numbers alone.
        let number = unsafe { libc::timerfd_create(libc::CLOCK_REALTIME, flags) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        // A mark need not be secret, only another one each time.
        let random = getrandom::u64().unwrap_or_else(|_| raw_wall().as_nanos() as u64);
        let mut interval: libc::timespec = zero();
        interval.tv_sec = INTERVAL_S + (random >> 44) as libc::time_t;
        interval.tv_nsec = (random % 1_000_000_000) as libc::c_long;
        set(number, NEVER, interval)?;
        let mark = Mark::Interval(interval.tv_sec, interval.tv_nsec);
        Ok(Timer { descriptor: Descriptor::marked(fd, mark), interval })
    }

    /// Has it fire after so long, also where that is slept through.
    pub(super) fn arm(&self, after: Duration) -> Armed {
        self.set(raw_wall().saturating_add(after).min(NEVER))
    }

    /// Has it fire at once.
    pub(super) fn ring(&self) -> Armed {
        self.set(Duration::from_nanos(1))
    }

    fn set(&self, at: Duration) -> Armed {
        let Some(number) = self.descriptor.number() else { return Armed::Lost };
        match set(number, at, self.interval) {
            Ok(clock_set) if clock_set => Armed::ClockSet,
            Ok(_) => Armed::Yes,
            Err(_) => Armed::Lost,
        }
    }
}

/// Arms a timer for a moment of the wall clock; gives whether that was set meanwhile.
fn set(number: i32, at: Duration, interval: libc::timespec) -> io::Result<bool> {
    let mut spec = libc::itimerspec { it_interval: interval, it_value: zero() };
    spec.it_value.tv_sec = at.as_secs() as libc::time_t;
    spec.it_value.tv_nsec = at.subsec_nanos().into();
    let flags = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
    let old = std::ptr::null_mut::<libc::itimerspec>();
    // By number, not through the C library: a faked one would arm it by a faked clock.
    // SAFETY: `spec` outlives the call, and no old value is asked for.
    let done =
        unsafe { libc::syscall(libc::SYS_timerfd_settime, number, flags, &raw const spec, old) };
    if done == 0 {
        return Ok(false);
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ECANCELED) { Ok(true) } else { Err(error) }
}

/// The kernel's wall clock, since 1970.
fn raw_wall() -> Duration {
    let mut now: libc::timespec = zero();
    // SAFETY: the pointer is to a `timespec` of ours. Its only failures are of bad arguments.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_REALTIME, &raw mut now) };
    Duration::new(now.tv_sec.max(0) as u64, now.tv_nsec.clamp(0, 999_999_999) as u32)
}

fn zero() -> libc::timespec {
    // SAFETY: a `timespec` is plain numbers, with padding on some machines.
    unsafe { std::mem::zeroed() }
}

/// Longer than the machine runs: 68 years, to which up to twelve days are added as a mark.
const INTERVAL_S: libc::time_t = 1 << 31;
/// The year 2200.
const NEVER: Duration = Duration::from_secs(7_258_118_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_is_known_by_its_interval_and_no_other_timer_is_touched() {
        let (ours, other) = (Timer::new().unwrap(), Timer::new().unwrap());
        assert_ne!(ours.interval, other.interval);
        assert_eq!(ours.arm(Duration::from_secs(9)), Armed::Yes);
        let number = ours.descriptor.number().unwrap();
        let there = other.descriptor.number().unwrap();
        // SAFETY: gives our timer's number to the other timer.
        assert_eq!(unsafe { libc::dup2(there, number) }, number);
        assert_eq!((ours.ring(), ours.arm(Duration::ZERO)), (Armed::Lost, Armed::Lost));
        drop(ours);
        assert_eq!(other.descriptor.number(), Some(there));
        // SAFETY: the duplicate made above, which nothing owns.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
    }
}
