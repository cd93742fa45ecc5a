//! Whether certificates prove a server's name, at a moment that is not the system's clock's.

use std::sync::Arc;

use ntp_clock_core::{Span, UnixTime};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{self, CertificateDer, ServerName};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// When certificates must be valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judged {
    /// At this moment: the clock is synchronised.
    At(UnixTime),
    /// At some moment, the same for all certificates of the chain: there is no time yet. They must
    /// be judged again when there is, by `KeyServer::judge`.
    WithoutClock,
}

/// Judges a server's certificates by webpki, name and chain always.
#[derive(Debug)]
pub(super) struct Judge {
    webpki: Arc<WebPkiServerVerifier>,
    judged: Judged,
}

impl Judge {
    /// `None` where there is no root: nobody's word would count.
    pub(super) fn new(
        roots: Arc<RootCertStore>,
        provider: Arc<CryptoProvider>,
        judged: Judged,
    ) -> Option<Self> {
        let webpki = WebPkiServerVerifier::builder_with_provider(roots, provider).build().ok()?;
        Some(Judge { webpki, judged })
    }

    /// Judges a chain again, its server's certificate first, at all moments from so much before
    /// to so much after `at`.
    pub(super) fn judge(
        &self,
        chain: &[CertificateDer<'static>],
        name: &ServerName<'_>,
        at: UnixTime,
        max_error: Span,
    ) -> Result<(), Error> {
        let missing = Error::NoCertificatesPresented;
        let (end_entity, intermediates) = chain.split_first().ok_or(missing)?;
        // What is valid at both ends is valid in between.
        for moment in [at - max_error, at + max_error] {
            self.verify(end_entity, intermediates, name, moment)?;
        }
        Ok(())
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        at: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if at < FLOOR {
            return Err(CertificateError::NotValidYet.into());
        }
        let at = on_the_wire(at);
        self.webpki.verify_server_cert(end_entity, intermediates, name, &[], at)
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _systems_clock: pki_types::UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify = |at| self.verify(end_entity, intermediates, server_name, at);
        if let Judged::At(now) = self.judged {
            return verify(now);
        }
        // A chain whose certificates are valid together, after the floor, is so at the floor or at
        // the moment when the last of them becomes valid. Which of those that are shown are of the
        // chain is not known before, and the server shows a handful.
        let shown = || std::iter::once(end_entity).chain(intermediates).take(CHAIN_MAX);
        let mut refusal = CertificateError::Expired.into();
        for begin in shown().map(valid_since) {
            match verify(begin?.max(FLOOR)) {
                Ok(verified) => return Ok(verified),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Since when a certificate is valid; of times after 2262, which none of ours is, the last moment
/// that we know.
fn valid_since(certificate: &CertificateDer<'_>) -> Result<UnixTime, Error> {
    let decoded = Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let since_1970 = decoded.tbs_certificate().validity().not_before.to_unix_duration();
    Ok(UnixTime::from_nanos(i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX)))
}

/// Webpki's own type; certificates know seconds.
fn on_the_wire(at: UnixTime) -> pki_types::UnixTime {
    let seconds = u64::try_from(at.as_nanos() / 1_000_000_000).unwrap_or(0);
    pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
}

/// Nothing earlier is believed of any server: this release is not older. A constant, so that the
/// same source always builds the same program. 1 November 2026.
pub(super) const FLOOR: UnixTime = UnixTime::from_nanos(1_793_491_200_000_000_000);
/// Certificates that are looked at; webpki itself goes through six intermediates at most.
const CHAIN_MAX: usize = 8;
