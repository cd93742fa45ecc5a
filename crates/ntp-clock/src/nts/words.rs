//! What TLS says went wrong, in words for people: what it means for a key exchange, and what to do.

use std::time::Duration;

use ntp_clock_core::UnixTime;
use rustls::pki_types;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// The part behind "the key exchange failed: ".
pub(super) fn of(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::NoCertificatesPresented => "the server sent no certificate".to_owned(),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the server does not exchange keys for NTP (it refuses the protocol ntske/1)".to_owned()
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig) => {
            "the server does not support TLS 1.3".to_owned()
        }
        Error::InvalidMessage(_) => format!("the server there does not use TLS ({error})"),
        other => format!("TLS: {other}"),
    }
}

fn of_certificate(error: &CertificateError) -> String {
    match error {
        // By somebody else, who may have the name of one who is.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!(
                "the certificate is not signed by an authority that is trusted here ({error:?})"
            )
        }
        CertificateError::Expired => "the certificate has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the certificate has expired ({})", time(*not_after))
        }
        CertificateError::NotValidYet => "the certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the certificate is not valid yet (before {})", time(*not_before))
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            // As certificates have them: DnsName("a.example").
            let names = presented.iter().filter_map(|name| name.split('"').nth(1));
            let names: Vec<&str> = names.collect();
            let names = if names.is_empty() { presented.join(", ") } else { names.join(", ") };
            format!("the certificate is not for {}, but for {names}", expected.to_str())
        }
        other => format!("the certificate cannot be used: {other}"),
    }
}

fn time(at: pki_types::UnixTime) -> UnixTime {
    let nanos = Duration::from_secs(at.as_secs()).as_nanos();
    UnixTime::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_in_words_with_its_dates_and_names() {
        let at = |secs| pki_types::UnixTime::since_unix_epoch(Duration::from_secs(secs));
        let (time, not_after) = (at(1_800_000_000), at(1_793_491_200));
        let expired = CertificateError::ExpiredContext { time, not_after };
        let early = CertificateError::NotValidYetContext { time, not_before: at(1_900_000_000) };
        let other = CertificateError::NotValidForNameContext {
            expected: "time.example".try_into().expect("a name"),
            presented: vec![
                "DnsName(\"a.example\")".to_owned(),
                "DnsName(\"b.example\")".to_owned(),
            ],
        };
        for (error, text) in [
            (CertificateError::UnknownIssuer, "not signed by an authority that is trusted here"),
            (expired, "has expired (2026-11-01T00:00:00"),
            (early, "not valid yet (before 2030-03-17T17:46:40"),
            (other, "not for time.example, but for a.example, b.example"),
            (CertificateError::BadEncoding, "the certificate cannot be used: "),
        ] {
            let said = of(&Error::InvalidCertificate(error));
            assert!(said.contains(text), "{said}");
        }
    }
}
