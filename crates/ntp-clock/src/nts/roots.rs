//! Whose word counts: the platform's roots, or those in a file.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

use crate::nts_choice::{NtsError, NtsRoots};

/// The certificates whose word counts.
pub(super) fn load(roots: &NtsRoots) -> Result<RootCertStore, NtsError> {
    match roots {
        NtsRoots::Platform => of_platform(),
        NtsRoots::File(file) => of_file(file),
    }
}

/// Those that this machine trusts. They are read by the platform's rules; what they prove is judged
/// by webpki, without the system's clock.
fn of_platform() -> Result<RootCertStore, NtsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some platforms trust certificates that cannot be read; others among them can.
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let why = found.errors.first().map(|error| format!(" ({error})"));
        return Err(NtsError::NoPlatform(why.unwrap_or_default()));
    }
    Ok(roots)
}

/// Those in a file of certificates, PEM; all of them must be of use.
fn of_file(file: &Path) -> Result<RootCertStore, NtsError> {
    let unreadable = |error: pem::Error| {
        let why = match error {
            pem::Error::Io(error) => error.to_string(),
            other => other.to_string(),
        };
        NtsError::Unreadable(file.to_owned(), why)
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        let added = roots.add(certificate.map_err(unreadable)?);
        added.map_err(|error| NtsError::Unusable(file.to_owned(), error.to_string()))?;
    }
    if roots.is_empty() { Err(NtsError::Empty(file.to_owned())) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots_of(text: &str) -> Result<usize, NtsError> {
        let name = format!("ntp-clock-roots-{}-{}", std::process::id(), text.len());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, text).expect("temporary folder");
        let roots = of_file(&file);
        std::fs::remove_file(&file).expect("written");
        roots.map(|roots| roots.len())
    }

    #[test]
    fn the_certificates_of_a_file_are_the_roots_and_a_file_without_any_is_an_error() {
        let one = rcgen::generate_simple_self_signed(["one.example".to_owned()]).expect("made");
        let two = rcgen::generate_simple_self_signed(["two.example".to_owned()]).expect("made");
        let both = format!("# ours\n{}\n{}", one.cert.pem(), two.cert.pem());
        assert_eq!(roots_of(&both).expect("two"), 2);
        assert!(matches!(roots_of(""), Err(NtsError::Empty(_))));
        let key = one.signing_key.serialize_pem();
        assert!(matches!(roots_of(&key), Err(NtsError::Empty(_))));
        let cut = both.replace("-----END", "-----");
        assert!(matches!(roots_of(&cut), Err(NtsError::Unreadable(..))));
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(roots_of(nonsense), Err(NtsError::Unusable(..))));
        let missing = of_file(Path::new("/nonexistent/roots.pem")).expect_err("missing");
        assert!(missing.to_string().contains("/nonexistent/roots.pem"), "{missing}");
    }

    #[test]
    fn the_platforms_roots_are_some_or_it_is_said_that_there_are_none() {
        match of_platform() {
            Ok(roots) => assert!(!roots.is_empty()),
            Err(error) => assert!(error.to_string().contains("name a file"), "{error}"),
        }
    }
}
