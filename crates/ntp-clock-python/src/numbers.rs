//! Seconds as Python writes them.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A duration from seconds, if it is one.
pub(crate) fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// The pause between polls, which the clock checks again.
pub(crate) fn poll_interval(seconds: f64) -> PyResult<Duration> {
    duration(seconds).ok_or_else(|| bad_poll_interval(seconds))
}

pub(crate) fn bad_poll_interval(seconds: f64) -> PyErr {
    PyValueError::new_err(format!("sync_interval must be 1 to 86400 seconds, not {seconds}"))
}

pub(crate) fn holdover(seconds: f64) -> PyResult<Duration> {
    duration(seconds).ok_or_else(|| bad_holdover(seconds))
}

pub(crate) fn bad_holdover(seconds: f64) -> PyErr {
    PyValueError::new_err(format!("holdover must be 0 to 2592000 seconds, not {seconds}"))
}
