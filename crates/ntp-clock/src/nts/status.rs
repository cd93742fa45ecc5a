//! What a clock that requires proof says of its keys.

use ntp_clock_core::UnixTime;
use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::failure::Failure;

/// What a clock that requires proof knows of its keys; its readings, where there are any, are of
/// replies that were proved with them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct NtsStatus {
    /// How many requests can be made before keys must be exchanged.
    pub cookies: usize,
    /// Keys are being exchanged.
    pub exchanging: bool,
    /// Where time is asked, `host:port`, as the exchange has said.
    pub ntp_host: Option<String>,
    /// Why the last exchange gave no keys, or keys of no use.
    pub last_error: Option<Failure>,
    /// Whom the server's certificate is for.
    pub certificate_subject: Option<String>,
    /// When it ends.
    pub certificate_expires: Option<UnixTime>,
}

/// A certificate's subject as text and its end, where they can be read; webpki, which judges it,
/// reads neither out.
pub(super) fn describe(certificate: &CertificateDer<'_>) -> (Option<String>, Option<UnixTime>) {
    let Ok(decoded) = Certificate::from_der(certificate) else { return (None, None) };
    let certified = decoded.tbs_certificate();
    let end = certified.validity().not_after.to_unix_duration().as_nanos();
    let end = UnixTime::from_nanos(i64::try_from(end).unwrap_or(i64::MAX));
    (Some(certified.subject().to_string()), Some(end))
}
