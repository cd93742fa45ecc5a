//! The status as a dictionary.

use ntp_clock::{Clock, Failure, NtsStatus, SharingStatus, Span, UnixTime};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Sets values by their keys.
macro_rules! set {
    ($dict:ident, $py:ident: $($key:literal: $value:expr,)*) => {
        $($dict.set_item(intern!($py, $key), $value)?;)*
    };
}

pub(crate) fn dictionary<'py>(py: Python<'py>, clock: &Clock) -> PyResult<Bound<'py, PyDict>> {
    let status = clock.status();
    let rejections = PyDict::new(py);
    for (reason, count) in status.rejections() {
        rejections.set_item(reason, count)?;
    }
    let since = status.time_since_sync.filter(|_| status.last_sync.is_some());

    let dict = PyDict::new(py);
    set! { dict, py:
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
        "disruptions": status.disruptions,
        "last_disruption": status.last_disruption.map(ntp_clock::Disruption::name),
        "vmclock": status.vmclock,
        "watches": &status.watches,
        "attempts": status.attempts,
        "requests": status.requests,
        "believed": status.believed,
        "rejections": rejections,
        "last_error": status.last_error.as_ref().map(Failure::detail),
        "last_error_code": status.last_error_code(),
        "next_sync": iso(status.next_sync),
        "epoch": status.epoch,
        "counter": status.counter,
        "counter_reason": status.counter_reason,
        "counter_id": status.counter_id.to_string(),
        "authenticated": status.authenticated,
        "sharing": status.sharing.as_ref().map(|sharing| of_sharing(py, sharing)).transpose()?,
        "nts": status.nts.as_ref().map(|nts| of_nts(py, nts)).transpose()?,
    }
    Ok(dict)
}

/// This process's part, where the clock is to be shared.
fn of_sharing<'py>(py: Python<'py>, sharing: &SharingStatus) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    set! { dict, py:
        "part": sharing.part.name(),
        "writer": sharing.writer,
        "generation": sharing.generation,
        "reason": &sharing.reason,
    }
    Ok(dict)
}

/// What is known of the keys, where proof is required.
fn of_nts<'py>(py: Python<'py>, nts: &NtsStatus) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    set! { dict, py:
        "ntp_host": &nts.ntp_host,
        "cookies": nts.cookies,
        "exchanging": nts.exchanging,
        "exchanges": nts.exchanges,
        "exchange_took_ms": millis(nts.exchange_took),
        "last_error": nts.last_error.as_ref().map(Failure::detail),
        "last_error_code": nts.last_error.as_ref().map(Failure::code),
        "certificate_subject": &nts.certificate_subject,
        "certificate_issuer": &nts.certificate_issuer,
        "certificate_expires": iso(nts.certificate_expires),
        "roots": nts.roots.to_string(),
    }
    Ok(dict)
}

fn millis(span: Option<Span>) -> Option<f64> {
    span.map(Span::as_millis_f64)
}

fn iso(time: Option<UnixTime>) -> Option<String> {
    time.map(|time| time.to_string())
}
