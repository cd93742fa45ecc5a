//! Whose word counts: the platform's roots, or those in a file.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

/// Why there are no roots.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// The file cannot be read, or is not PEM.
    #[error("cannot read certificates from {0}: {1}")]
    Unreadable(PathBuf, pem::Error),
    /// A certificate in the file cannot be a root.
    #[error("a certificate in {0} cannot be trusted: {1}")]
    Unusable(PathBuf, rustls::Error),
    /// There is no certificate in the file.
    #[error("there is no certificate in {0}")]
    Empty(PathBuf),
    /// The platform trusts nobody, or does not say whom.
    #[error("found no certificate that this machine trusts{0}; name a file with some")]
    NoPlatform(String),
}

/// The roots that this machine trusts. They are read by the platform's rules; what they prove is
/// judged by webpki, without the system's clock.
///
/// # Errors
/// [`RootsError::NoPlatform`] where there is none.
pub fn platform_roots() -> Result<RootCertStore, RootsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some platforms trust certificates that cannot be read; others among them can.
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let why = found.errors.first().map(|error| format!(" ({error})"));
        return Err(RootsError::NoPlatform(why.unwrap_or_default()));
    }
    Ok(roots)
}

/// The roots in a file of certificates, PEM; all of them must be of use.
///
/// # Errors
/// [`RootsError`] where the file cannot be read, holds no certificate, or one that cannot be a
/// root.
pub fn roots_in(file: &Path) -> Result<RootCertStore, RootsError> {
    let unreadable = |error| RootsError::Unreadable(file.to_owned(), error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        let added = roots.add(certificate.map_err(unreadable)?);
        added.map_err(|error| RootsError::Unusable(file.to_owned(), error))?;
    }
    if roots.is_empty() { Err(RootsError::Empty(file.to_owned())) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots_of(text: &str) -> Result<usize, RootsError> {
        let name = format!("ntp-clock-roots-{}-{}", std::process::id(), text.len());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, text).expect("temporary folder");
        let roots = roots_in(&file);
        std::fs::remove_file(&file).expect("written");
        roots.map(|roots| roots.len())
    }

    #[test]
    fn the_certificates_of_a_file_are_the_roots_and_a_file_without_any_is_an_error() {
        let one = rcgen::generate_simple_self_signed(["one.example".to_owned()]).expect("made");
        let two = rcgen::generate_simple_self_signed(["two.example".to_owned()]).expect("made");
        let both = format!("# ours\n{}\n{}", one.cert.pem(), two.cert.pem());
        assert_eq!(roots_of(&both).expect("two"), 2);
        assert!(matches!(roots_of(""), Err(RootsError::Empty(_))));
        let key = one.signing_key.serialize_pem();
        assert!(matches!(roots_of(&key), Err(RootsError::Empty(_))));
        let cut = both.replace("-----END", "-----");
        assert!(matches!(roots_of(&cut), Err(RootsError::Unreadable(..))));
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(roots_of(nonsense), Err(RootsError::Unusable(..))));
        let missing = roots_in(Path::new("/nonexistent/roots.pem")).expect_err("missing");
        assert!(missing.to_string().contains("/nonexistent/roots.pem"), "{missing}");
    }

    #[test]
    fn the_platforms_roots_are_some_or_it_is_said_that_there_are_none() {
        match platform_roots() {
            Ok(roots) => assert!(!roots.is_empty()),
            Err(error) => assert!(error.to_string().contains("name a file"), "{error}"),
        }
    }
}
