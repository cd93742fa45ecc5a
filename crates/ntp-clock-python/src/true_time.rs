//! What TrueTime's questions need beside the clock: seconds that lose nothing of a bound, and a
//! look for Python to wait by.

use std::time::Duration;

use ntp_clock::{Look, UnixTime, WaitError};
use pyo3::exceptions::PyTimeoutError;
use pyo3::prelude::*;

use crate::numbers;
use crate::reading::Reading;

/// What a look saw: the reading by which the time has passed, or how many seconds to pause.
#[derive(IntoPyObject)]
pub(crate) enum Seen {
    Past(Reading),
    Pause(f64),
}

/// One look of a caller whose time-out leaves this many seconds; `None` for as long as it takes.
pub(crate) fn look(clock: &ntp_clock::Clock, time_ns: i64, left_s: Option<f64>) -> PyResult<Seen> {
    let left = left_s.map_or(Duration::MAX, |left_s| {
        numbers::duration(left_s.max(0.0)).unwrap_or(Duration::MAX)
    });
    match clock.look_past(UnixTime::from_nanos(time_ns), left) {
        Ok(Look::Past(reading)) => Ok(Seen::Past(reading.into())),
        Ok(Look::NotYet(pause)) => Ok(Seen::Pause(pause.as_secs_f64())),
        Err(error) => Err(timeout_error(error)),
    }
}

#[cold]
fn timeout_error(error: WaitError) -> PyErr {
    PyTimeoutError::new_err(error.to_string())
}

/// Seconds since 1970, rounded down.
pub(crate) fn seconds_floor(time: UnixTime) -> f64 {
    let nearest = time.as_secs_f64();
    if nanos_above(nearest, time) > 0.0 { nearest.next_down() } else { nearest }
}

/// Seconds since 1970, rounded up.
pub(crate) fn seconds_ceil(time: UnixTime) -> f64 {
    let nearest = time.as_secs_f64();
    if nanos_above(nearest, time) < 0.0 { nearest.next_up() } else { nearest }
}

/// How far a number of seconds is above the time: whole seconds apart, so that nothing is rounded
/// that matters.
fn nanos_above(seconds: f64, time: UnixTime) -> f64 {
    let whole = seconds.floor();
    let whole_ns = (whole as i64).saturating_mul(1_000_000_000);
    whole_ns.saturating_sub(time.as_nanos()) as f64 + (seconds - whole) * 1e9
}
