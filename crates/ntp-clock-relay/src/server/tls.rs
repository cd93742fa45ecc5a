//! TLS by certificate files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, crypto};
use tokio_rustls::TlsAcceptor;

/// A certificate with its key.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Reads the chain of certificates, the server's own first, and its private key, both PEM.
    ///
    /// # Errors
    /// [`TlsError`] where a file cannot be read, or is not what it should be.
    pub fn from_files(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        let name = |path: &Path| path.to_owned();
        let chain = CertificateDer::pem_file_iter(certificates)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| TlsError::unreadable(certificates, "certificate", error))?;
        if chain.is_empty() {
            return Err(TlsError::Missing(name(certificates), "certificate"));
        }
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| TlsError::unreadable(key, "private key", error))?;
        let refused = |error| TlsError::Refused(name(certificates), name(key), error);
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(refused)?
                .with_no_client_auth()
                .with_single_cert(chain, private)
                .map_err(refused)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.0
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the key.
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file cannot be opened.
    #[error("cannot read the {1} {path}: {2}", path = .0.display())]
    Unreadable(PathBuf, &'static str, std::io::Error),
    /// The file is no PEM.
    #[error("the {1} {path} is malformed: {2}", path = .0.display())]
    Malformed(PathBuf, &'static str, String),
    /// The file is PEM, or empty, and has not what is sought.
    #[error("{path} holds no {1}: it must be PEM, with -----BEGIN ...-----", path = .0.display())]
    Missing(PathBuf, &'static str),
    /// Certificate and key are no use together.
    #[error("{cert} and {key} cannot be used: {2}", cert = .0.display(), key = .1.display())]
    Refused(PathBuf, PathBuf, rustls::Error),
}

impl TlsError {
    fn unreadable(path: &Path, what: &'static str, error: pem::Error) -> Self {
        let path = path.to_owned();
        match error {
            pem::Error::Io(error) => TlsError::Unreadable(path, what, error),
            pem::Error::NoItemsFound => TlsError::Missing(path, what),
            other => TlsError::Malformed(path, what, other.to_string()),
        }
    }
}
