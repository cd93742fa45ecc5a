//! What a certificate says of itself, which webpki, that judges it, does not read out.

use std::time::Duration;

use ntp_clock_core::UnixTime;
use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::validity::Validity;

/// What people want to know of a certificate.
pub(super) struct Description {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) validity: Validity,
}

/// `None` where it cannot be read.
pub(super) fn describe(certificate: &CertificateDer<'_>) -> Option<Description> {
    let decoded = Certificate::from_der(certificate).ok()?;
    let certified = decoded.tbs_certificate();
    let (since, until) = (certified.validity().not_before, certified.validity().not_after);
    let time = |since_1970: Duration| {
        UnixTime::from_nanos(i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX))
    };
    Some(Description {
        subject: certified.subject().to_string(),
        issuer: certified.issuer().to_string(),
        validity: Validity {
            since: time(since.to_unix_duration()),
            until: time(until.to_unix_duration()),
        },
    })
}
