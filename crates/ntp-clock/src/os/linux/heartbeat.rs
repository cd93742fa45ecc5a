//! Counters that run alike, at one moment, and what the kernel says of its clock.

#![allow(unsafe_code)]

use nix::time::{ClockId, clock_gettime};

use ntp_clock_core::{Span, SystemTime};

use super::super::common::{Beat, KernelClock};
use super::clocks::{local_now, to_nanos};

/// The tightest of a few looks: a preemption in between is no difference between counters.
pub(crate) fn beat() -> Beat {
    let ticks = processor_counts();
    let look = || {
        let before = local_now();
        let monotonic = read(ClockId::CLOCK_MONOTONIC);
        let ticks = if ticks { now_ticks() } else { None };
        let wall = read(ClockId::CLOCK_REALTIME).unwrap_or(0);
        let local = local_now();
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

/// Whether the processor's counter is one for all of them and never stops, which the kernel
/// checks: it takes away one that does not pass.
fn processor_counts() -> bool {
    if !cfg!(target_arch = "x86_64") {
        return false; // Elsewhere it is the counter that the kernel's clocks are made of.
    }
    let mut allowed: libc::c_int = 0;
    // SAFETY: the pointer is to a number of ours, which the kernel fills.
    let asked = unsafe { libc::prctl(libc::PR_GET_TSC, &raw mut allowed) };
    let sources = || std::fs::read_to_string(SOURCES).unwrap_or_default();
    asked == 0 && allowed == libc::PR_TSC_ENABLE && sources().split(' ').any(|s| s.trim() == "tsc")
}

#[cfg(target_arch = "x86_64")]
fn now_ticks() -> Option<u64> {
    // SAFETY: every x86-64 processor has the instruction, and it is allowed, as asked just before.
    Some(unsafe { std::arch::x86_64::_rdtsc() })
}

#[cfg(not(target_arch = "x86_64"))]
fn now_ticks() -> Option<u64> {
    None
}

const SOURCES: &str = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
const TIGHT: Span = Span::from_micros(20);
const LOOKS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_this_machine_run_alike() {
        let before = beat();
        std::thread::sleep(std::time::Duration::from_millis(50));
        let after = beat();
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
