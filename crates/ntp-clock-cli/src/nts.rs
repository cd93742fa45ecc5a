//! What a clock that requires proof says of it: for the eye, and for programs.

use ntp_clock::{NtsRoots, NtsStatus, Status};
use serde_json::Value;

use crate::display;

/// All that is known, names and values; nothing with plain NTP.
pub(crate) fn rows(status: &Status) -> Vec<(&'static str, String)> {
    let Some(nts) = &status.nts else { return Vec::new() };
    let mut rows = vec![("nts", summary(status, nts))];
    if let Some(took) = nts.exchange_took {
        let (protocol, aead) = (NtsStatus::PROTOCOL, NtsStatus::AEAD);
        rows.push(("exchange", format!("{protocol}, {aead}, took {}", display::span(took))));
    }
    rows.extend(failed(nts));
    if let Some(subject) = &nts.certificate_subject {
        let issuer = nts.certificate_issuer.as_deref().unwrap_or("-");
        let proved = if status.authenticated { proved_by(&nts.roots) } else { String::new() };
        let line = format!("{subject}, until {}, issued by {issuer}{proved}", expires(nts));
        rows.push(("certificate", line));
    }
    rows
}

/// What is worth a line where there are few.
pub(crate) fn rows_in_short(status: &Status) -> Vec<(&'static str, String)> {
    let Some(nts) = &status.nts else { return Vec::new() };
    let mut rows = vec![("nts", summary(status, nts))];
    rows.extend(failed(nts));
    let certificate = nts.certificate_subject.as_ref();
    let line = certificate.map(|subject| format!("{subject}, until {}", expires(nts)));
    rows.extend(line.map(|line| ("cert", line)));
    rows
}

fn summary(status: &Status, nts: &NtsStatus) -> String {
    let word = if status.authenticated { "authenticated" } else { "required, nothing proved" };
    let cookies = if nts.cookies == 1 { "cookie" } else { "cookies" };
    let at = nts.ntp_host.as_ref().map(|host| format!(", time asked at {host}"));
    format!("{word}, {} {cookies} left{}", nts.cookies, at.unwrap_or_default())
}

/// Why the last exchange gave no keys, if so.
fn failed(nts: &NtsStatus) -> Option<(&'static str, String)> {
    let error = nts.last_error.as_ref()?;
    let which = if nts.exchange_took.is_some() { "the last one failed" } else { "failed" };
    Some(("exchange", format!("{which}: {error} [{}]", error.code())))
}

fn expires(nts: &NtsStatus) -> String {
    display::or_dash(nts.certificate_expires, |time| time.to_string())
}

fn proved_by(roots: &NtsRoots) -> String {
    match roots {
        NtsRoots::Platform => ", proved by the roots that this machine trusts".to_owned(),
        NtsRoots::File(file) => format!(", proved by the roots in {}", file.display()),
    }
}

/// The keys as the status has them, with what was agreed on; `null` with plain NTP.
pub(crate) fn json_in_full(status: &Status) -> Value {
    let mut value = status.nts.as_ref().map_or(Value::Null, NtsStatus::to_json);
    if let Some(members) = value.as_object_mut() {
        members.insert("protocol".to_owned(), NtsStatus::PROTOCOL.into());
        members.insert("aead".to_owned(), NtsStatus::AEAD.into());
    }
    value
}
