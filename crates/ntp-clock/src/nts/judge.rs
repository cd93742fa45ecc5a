//! Whether certificates prove a server's name, at a moment that is not the system's clock's.

use std::sync::Arc;

use ntp_clock_core::{Span, UnixTime};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{self, CertificateDer, ServerName};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::certificate;

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
        // chain is not known before, and the server shows a handful. One that cannot be read may
        // be none of them.
        let shown = || std::iter::once(end_entity).chain(intermediates).take(CHAIN_MAX);
        let mut refusal = CertificateError::Expired.into();
        let begins = shown().filter_map(certificate::validity).map(|validity| validity.since);
        for begin in std::iter::once(FLOOR).chain(begins) {
            match verify(begin.max(FLOOR)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::crypto::ring::default_provider;

    /// What signs in this name, valid since then.
    fn authority(name: &str, since: i32) -> CertificateParams {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.not_before = date_time_ymd(since, 1, 1);
        params
    }

    #[test]
    fn without_a_clock_a_certificate_that_cannot_be_read_hides_none_that_proves_the_server() {
        let key = || KeyPair::generate().expect("randomness");
        let (root, between) = (authority("root.example", 2_020), authority("ca.example", 2_050));
        let root_key = key();
        let root_certificate = root.self_signed(&root_key).expect("signed");
        let root = Issuer::new(root, root_key);
        let between_key = key();
        let shown = between.signed_by(&between_key, &root).expect("signed");
        let between = Issuer::new(between, between_key);
        let mut roots = RootCertStore::empty();
        roots.add(root_certificate.der().clone()).expect("a root");
        let judge = Judge::new(Arc::new(roots), Arc::new(default_provider()), Judged::WithoutClock);
        let judge = judge.expect("a root");
        let name = ServerName::try_from("time.example").expect("a name");
        let epoch = on_the_wire(UnixTime::from_nanos(0));
        for (end, accepted) in [(2_060, true), (2_049, false)] {
            let mut params = CertificateParams::new(["time.example".to_owned()]).expect("a name");
            (params.not_before, params.not_after) =
                (date_time_ymd(2_020, 1, 1), date_time_ymd(end, 1, 1));
            let certificate = params.signed_by(&key(), &between).expect("signed");
            let unreadable = CertificateDer::from(vec![0x30, 1, 0]);
            let shown = [unreadable, shown.der().clone()];
            let verified = judge.verify_server_cert(certificate.der(), &shown, &name, &[], epoch);
            assert_eq!(verified.is_ok(), accepted, "until {end}: {verified:?}");
        }
    }
}
