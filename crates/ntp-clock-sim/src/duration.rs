//! Lengths of time, as this crate counts them.

pub(crate) const SECOND_NS: i64 = 1_000_000_000;
pub(crate) const DAY_NS: i64 = 86_400 * SECOND_NS;
pub(crate) const DAY_S: f64 = 86_400.0;

/// Seconds as whole nanoseconds, towards zero.
pub(crate) fn seconds(seconds: f64) -> i64 {
    (seconds * SECOND_NS as f64) as i64
}
