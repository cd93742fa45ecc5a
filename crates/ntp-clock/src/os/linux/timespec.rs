//! The system's seconds and nanoseconds as one number.

use nix::sys::time::TimeSpec;

/// Nanoseconds; what does not fit wraps, as in the year 2262.
#[inline]
pub(super) fn to_nanos(time: TimeSpec) -> i64 {
    time.tv_sec().wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec())
}
