//! What a certificate says of itself, which webpki, that judges it, does not read out.

use ntp_clock_core::UnixTime;
use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// What people want to know of a certificate.
pub(super) struct Description {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) expires: UnixTime,
}

/// `None` where it cannot be read.
pub(super) fn describe(certificate: &CertificateDer<'_>) -> Option<Description> {
    let decoded = Certificate::from_der(certificate).ok()?;
    let certified = decoded.tbs_certificate();
    let end = certified.validity().not_after.to_unix_duration().as_nanos();
    Some(Description {
        subject: certified.subject().to_string(),
        issuer: certified.issuer().to_string(),
        expires: UnixTime::from_nanos(i64::try_from(end).unwrap_or(i64::MAX)),
    })
}
