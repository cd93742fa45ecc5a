//! The status as a dictionary.

use ntp_clock::{Clock, Span, UnixTime};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

pub(crate) fn dictionary<'py>(py: Python<'py>, clock: &Clock) -> PyResult<Bound<'py, PyDict>> {
    let status = clock.status();
    let rejections = PyDict::new(py);
    for (reason, count) in status.rejections() {
        rejections.set_item(reason, count)?;
    }
    let millis = |span: Option<Span>| span.map(Span::as_millis_f64);
    let iso = |time: Option<UnixTime>| time.map(|time| time.to_string());
    let since = status.time_since_sync.filter(|_| status.last_sync.is_some());

    let dict = PyDict::new(py);
    macro_rules! set {
        ($($key:literal: $value:expr,)*) => {
            $(dict.set_item(intern!(py, $key), $value)?;)*
        };
    }
    set! {
        "server": &status.server,
        "offset_ms": millis(status.offset),
        "last_sync": iso(status.last_sync),
        "time_since_sync_sec": since.map(Span::as_secs_f64),
        "is_synced": status.is_synced,
        "state": status.state.name(),
        "max_error_ms": millis(status.max_error),
        "est_error_ms": millis(status.est_error),
        "delay_ms": millis(status.delay),
        "drift_ppm": status.drift_ppm,
        "stratum": status.stratum,
        "leap": status.leap.map(|leap| leap as u8),
        "reference_id": status.reference_id.map(|id| id.to_string()),
        "address": status.address.map(|address| address.to_string()),
        "server_changes": status.server_changes,
        "attempts": status.attempts,
        "requests": status.requests,
        "believed": status.believed,
        "rejections": rejections,
        "last_error": status.last_error.as_ref().map(ntp_clock::Failure::detail),
        "last_error_code": status.last_error_code(),
        "next_sync": iso(status.next_sync),
        "epoch": status.epoch,
        "counter": status.counter,
        "counter_id": status.counter_id.to_string(),
    }
    Ok(dict)
}
