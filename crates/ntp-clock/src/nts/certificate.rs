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
    Some(Description {
        subject: certified.subject().to_string(),
        issuer: certified.issuer().to_string(),
        validity: validity_in(&decoded),
    })
}

/// From when until when it is valid; `None` where it cannot be read.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    Certificate::from_der(certificate).ok().as_ref().map(validity_in)
}

/// Of times after 2262, which none of ours is, the last moment that we know.
fn validity_in(certificate: &Certificate) -> Validity {
    let stated = certificate.tbs_certificate().validity();
    let time = |since_1970: Duration| {
        UnixTime::from_nanos(i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX))
    };
    Validity {
        since: time(stated.not_before.to_unix_duration()),
        until: time(stated.not_after.to_unix_duration()),
    }
}
