//! The status for programs: with the keys of `get_status()` in Python.

use ntp_clock_core::{Disruption, Span};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::host::SharingStatus;
use crate::nts_status::NtsStatus;
use crate::status::Status;

impl Status {
    /// All of it as an object of JSON, whose keys name their units; what is not known is `null`.
    /// `docs/STATUS.md` explains the states, failures, rejections and disruptions.
    ///
    /// ```
    /// let clock = ntp_clock::ManualClock::new().clock();
    /// let status = clock.status().to_json();
    /// assert_eq!((&status["state"], &status["offset_ms"]), (&"failed".into(), &().into()));
    /// ```
    #[must_use]
    pub fn to_json(&self) -> Value {
        let millis = |span: Option<Span>| span.map(Span::as_millis_f64);
        let rejections: Map<_, _> =
            self.rejections().map(|(reason, count)| (reason.to_owned(), count.into())).collect();
        let since = self.time_since_sync.filter(|_| self.last_sync.is_some());
        json!({
            "server": self.server,
            "offset_ms": millis(self.offset),
            "last_sync": self.last_sync.map(|time| time.to_string()),
            "time_since_sync_sec": since.map(Span::as_secs_f64),
            "is_synced": self.is_synced,
            "state": self.state.name(),
            "max_error_ms": millis(self.max_error),
            "est_error_ms": millis(self.est_error),
            "delay_ms": millis(self.delay),
            "drift_ppm": self.drift_ppm,
            "stratum": self.stratum,
            "leap": self.leap.map(|leap| leap as u8),
            "reference_id": self.reference_id.map(|id| id.to_string()),
            "address": self.address.map(|address| address.to_string()),
            "server_changes": self.server_changes,
            "disruptions": self.disruptions,
            "last_disruption": self.last_disruption.map(Disruption::name),
            "vmclock": self.vmclock,
            "watches": self.watches,
            "attempts": self.attempts,
            "requests": self.requests,
            "believed": self.believed,
            "rejections": rejections,
            "last_error": self.last_error.as_ref().map(Failure::detail),
            "last_error_code": self.last_error_code(),
            "next_sync": self.next_sync.map(|time| time.to_string()),
            "epoch": self.epoch,
            "counter": self.counter,
            "counter_reason": self.counter_reason,
            "counter_id": self.counter_id.to_string(),
            "authenticated": self.authenticated,
            "nts": self.nts.as_ref().map(NtsStatus::to_json),
            "sharing": self.sharing.as_ref().map(SharingStatus::to_json),
        })
    }
}

impl NtsStatus {
    /// All of it as an object of JSON, as it is in [`Status::to_json`].
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "ntp_host": self.ntp_host,
            "cookies": self.cookies,
            "exchanging": self.exchanging,
            "exchanges": self.exchanges,
            "exchange_took_ms": self.exchange_took.map(Span::as_millis_f64),
            "last_error": self.last_error.as_ref().map(Failure::detail),
            "last_error_code": self.last_error.as_ref().map(Failure::code),
            "certificate_subject": self.certificate_subject,
            "certificate_issuer": self.certificate_issuer,
            "certificate_expires": self.certificate_expires.map(|time| time.to_string()),
            "roots": self.roots.to_string(),
        })
    }
}

impl SharingStatus {
    /// All of it as an object of JSON, as it is in [`Status::to_json`].
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "part": self.part.name(),
            "writer": self.writer,
            "generation": self.generation,
            "reason": self.reason,
        })
    }
}
