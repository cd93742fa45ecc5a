//! What a clock that requires proof says of it: for the eye, and for programs.

use ntp_clock::{Failure, NtsRoots, NtsStatus, Span, Status};
use serde_json::{Value, json};

use crate::display;

/// Names and values; nothing with plain NTP.
pub(crate) fn rows(status: &Status) -> Vec<(&'static str, String)> {
    let Some(nts) = &status.nts else { return Vec::new() };
    let word = if status.authenticated { "authenticated" } else { "required, nothing proved" };
    let cookies = if nts.cookies == 1 { "cookie" } else { "cookies" };
    let at = nts.ntp_host.as_ref().map(|host| format!(", time asked at {host}"));
    let at = at.unwrap_or_default();
    let mut rows = vec![("nts", format!("{word}, {} {cookies} left{at}", nts.cookies))];
    if let Some(took) = nts.exchange_took {
        let (protocol, aead) = (NtsStatus::PROTOCOL, NtsStatus::AEAD);
        rows.push(("exchange", format!("{protocol}, {aead}, took {}", display::span(took))));
    }
    if let Some(error) = &nts.last_error {
        let which = if nts.exchange_took.is_some() { "the last one failed" } else { "failed" };
        rows.push(("exchange", format!("{which}: {error} [{}]", error.code())));
    }
    if let Some(subject) = &nts.certificate_subject {
        let expires = display::or_dash(nts.certificate_expires, |time| time.to_string());
        let issuer = nts.certificate_issuer.as_deref().unwrap_or("-");
        let proved = if status.authenticated { proved_by(&nts.roots) } else { String::new() };
        let line = format!("{subject}, until {expires}, issued by {issuer}{proved}");
        rows.push(("certificate", line));
    }
    rows
}

fn proved_by(roots: &NtsRoots) -> String {
    match roots {
        NtsRoots::Platform => ", proved by the roots that this machine trusts".to_owned(),
        NtsRoots::File(file) => format!(", proved by the roots in {}", file.display()),
    }
}

/// As `get_status()["nts"]` in Python.
pub(crate) fn json(status: &Status) -> Value {
    let Some(nts) = &status.nts else { return Value::Null };
    json!({
        "ntp_host": nts.ntp_host,
        "cookies": nts.cookies,
        "exchanging": nts.exchanging,
        "exchanges": nts.exchanges,
        "exchange_took_ms": nts.exchange_took.map(Span::as_millis_f64),
        "last_error": nts.last_error.as_ref().map(Failure::detail),
        "last_error_code": nts.last_error.as_ref().map(Failure::code),
        "certificate_subject": nts.certificate_subject,
        "certificate_issuer": nts.certificate_issuer,
        "certificate_expires": nts.certificate_expires.map(|time| time.to_string()),
        "roots": nts.roots.to_string(),
    })
}

/// The same, with what was agreed upon.
pub(crate) fn json_in_full(status: &Status) -> Value {
    let mut value = json(status);
    if let Some(members) = value.as_object_mut() {
        members.insert("protocol".to_owned(), NtsStatus::PROTOCOL.into());
        members.insert("aead".to_owned(), NtsStatus::AEAD.into());
    }
    value
}
