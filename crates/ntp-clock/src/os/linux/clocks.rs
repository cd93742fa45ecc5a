//! The clocks of Linux: the counter, the wall clock, and what tells sleep.

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use ntp_clock_core::{LocalTime, Span, SystemTime};

use super::super::common::Slept;

/// Name of the counter, for the status.
pub(crate) fn counter_name() -> &'static str {
    "CLOCK_MONOTONIC_RAW"
}

/// The counter that no daemon steers. It stops in suspend.
#[inline]
pub(crate) fn local_now() -> LocalTime {
    LocalTime::from_nanos(read_clock(ClockId::CLOCK_MONOTONIC_RAW))
}

/// The same as other programs read it, since boot.
pub(crate) fn raw_now() -> Option<Span> {
    clock_gettime(ClockId::CLOCK_MONOTONIC_RAW).ok().map(|time| Span::from_nanos(to_nanos(time)))
}

/// The wall clock as of the last tick (1 to 10 ms old), which takes no counter to read.
#[inline]
pub(crate) fn wall_coarse() -> SystemTime {
    SystemTime::from_nanos(read_clock(ClockId::CLOCK_REALTIME_COARSE))
}

/// How long the machine has slept since boot. BOOTTIME and MONOTONIC are steered alike, so only
/// sleep moves them apart; so does a preemption in between, which is why the tightest of a few
/// looks is taken. Where the clocks are slow to read (a tracer, an emulator) it is that much wider.
pub(crate) fn slept() -> Slept {
    slept_by(read_clock)
}

fn slept_by(read: impl Fn(ClockId) -> i64) -> Slept {
    let mut tightest: Option<Slept> = None;
    for _ in 0..LOOKS {
        let before = read(ClockId::CLOCK_MONOTONIC);
        let boot = read(ClockId::CLOCK_BOOTTIME);
        let after = read(ClockId::CLOCK_MONOTONIC);
        let look = Slept {
            least: Span::from_nanos(boot - after),
            width: Span::from_nanos(after - before),
        };
        let slept = tightest.filter(|tightest| tightest.width <= look.width).unwrap_or(look);
        if slept.width < TIGHT {
            return slept;
        }
        tightest = Some(slept);
    }
    tightest.unwrap_or_default()
}

/// Whether two readings of [`slept`] show a suspend between them.
pub(crate) fn has_slept(before: Slept, now: Slept, _elapsed: Span) -> bool {
    before.distance(now) > SLEEP_TOLERANCE
}

/// Whether the machine has slept since boot.
pub(crate) fn may_have_slept() -> bool {
    has_slept(Slept::default(), slept(), Span::ZERO)
}

/// How long the machine has been up, sleep included.
pub(crate) fn since_boot() -> Span {
    Span::from_nanos(read_clock(ClockId::CLOCK_BOOTTIME))
}

#[inline]
fn read_clock(clock: ClockId) -> i64 {
    // These clocks exist in every kernel since 2.6.39; a zero would read as "not synchronised"
    // through the sleep check rather than as a wrong time.
    clock_gettime(clock).map_or(0, to_nanos)
}

/// Nanoseconds; what does not fit wraps, as in the year 2262.
#[inline]
pub(super) fn to_nanos(time: TimeSpec) -> i64 {
    time.tv_sec().wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec())
}

/// Readings of a clock in the same microseconds were not interrupted.
const TIGHT: Span = Span::from_micros(20);
const LOOKS: usize = 16;
const SLEEP_TOLERANCE: Span = Span::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn clocks_that_are_slow_to_read_look_neither_endless_nor_like_sleep() {
        for slow_ns in [30_000, 5_000_000, 200_000_000] {
            let real_ns = Cell::new(0_i64);
            let slept_ns = Cell::new(0_i64);
            let read = |clock: ClockId| {
                real_ns.set(real_ns.get() + slow_ns);
                let boot = clock == ClockId::CLOCK_BOOTTIME;
                real_ns.get() + if boot { slept_ns.get() } else { 0 }
            };
            let before = slept_by(read);
            assert!(!has_slept(before, slept_by(read), Span::ZERO), "{slow_ns} ns a look");
            slept_ns.set(10_000_000_000);
            assert!(has_slept(before, slept_by(read), Span::ZERO), "{slow_ns} ns a look");
        }
    }
}
