//! Counters that run alike, at one moment, and what the kernel says of its clock.

#![allow(unsafe_code)]

use nix::time::{ClockId, clock_gettime};

use ntp_clock_core::{LocalTime, Span, SystemTime};

use super::super::common::{Beat, KernelClock};
use super::clocks::{local_now, to_nanos};
use super::ticks;

/// The tightest of a few looks: a preemption in between is no difference between counters. The
/// counter in use is the processor's own if `by_ticks`.
pub(crate) fn beat(counter: impl Fn() -> LocalTime, by_ticks: bool) -> Beat {
    let other = if by_ticks { Other::Kernel } else { Other::beside_kernel() };
    let look = || {
        let before = counter();
        let monotonic = read(ClockId::CLOCK_MONOTONIC);
        let ticks = other.count();
        let wall = read(ClockId::CLOCK_REALTIME).unwrap_or(0);
        let local = counter();
        Beat {
            local,
            monotonic: monotonic.map(Span::from_nanos),
            ticks,
            wall: SystemTime::from_nanos(wall),
            width: local - before,
        }
    };
    let mut tightest = look();
    for _ in 1..LOOKS {
        if tightest.width < TIGHT {
            break;
        }
        let next = look();
        if next.width < tightest.width {
            tightest = next;
        }
    }
    tightest
}

fn read(clock: ClockId) -> Option<i64> {
    clock_gettime(clock).ok().map(to_nanos)
}

/// The kernel's clock, read only. Not asked where system calls are filtered: such a filter may end
/// the process for asking (systemd's `SystemCallFilter=@system-service` does).
pub(crate) fn kernel_clock() -> Option<KernelClock> {
    if is_filtered() {
        return None;
    }
    // SAFETY: plain numbers, for which zeros are fine; no mode means that nothing is set.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a `timex` of ours, which the kernel fills.
    if unsafe { libc::adjtimex(&raw mut timex) } < 0 {
        return None;
    }
    // Types differ from one architecture to the other.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    Some(KernelClock {
        unsynchronised: timex.status & libc::STA_UNSYNC != 0,
        tick_us: i64::from(timex.tick),
    })
}

/// Whether this thread's system calls are filtered, or that cannot be known.
fn is_filtered() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/thread-self/status") else { return true };
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    mode.is_some_and(|mode| mode.trim() != "0")
}

/// The counter beside the one in use.
#[derive(Clone, Copy)]
enum Other {
    Kernel,
    Processor,
    None,
}

impl Other {
    /// Elsewhere than on x86-64 the kernel's clocks are made of the processor's counter, always.
    fn beside_kernel() -> Self {
        let apart = cfg!(target_arch = "x86_64") && ticks::is_available();
        if apart { Other::Processor } else { Other::None }
    }

    fn count(self) -> Option<u64> {
        match self {
            Other::Kernel => Some(local_now().as_nanos() as u64),
            Other::Processor => Some(ticks::count()),
            Other::None => None,
        }
    }
}

const TIGHT: Span = Span::from_micros(20);
const LOOKS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_this_machine_run_alike() {
        let before = beat(local_now, false);
        std::thread::sleep(std::time::Duration::from_millis(50));
        let after = beat(local_now, false);
        let elapsed = after.local - before.local;
        let steered = after.monotonic.unwrap() - before.monotonic.unwrap();
        let apart = (steered - elapsed).abs() - before.width - after.width;
        assert!(apart.as_nanos() < elapsed.as_nanos() / 9 + 1_000_000, "{before:?} {after:?}");
        if let (Some(before), Some(after)) = (before.ticks, after.ticks) {
            assert!(after > before);
        }
        if is_filtered() {
            assert_eq!(kernel_clock(), None);
        } else {
            assert!(kernel_clock().is_none_or(|clock| (5_000..=15_000).contains(&clock.tick_us)));
        }
    }
}
