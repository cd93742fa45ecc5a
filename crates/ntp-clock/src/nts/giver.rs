//! Servers of keys for tests, on this machine, and names that lead to several.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ntp_clock_nts::KeyExchange;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::key_server::KeyServer;
use crate::carrier::hosts;
use crate::nts_choice::NtsRoots;

/// Whose certificate is right for one name.
pub(crate) struct Named {
    host: &'static str,
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Named {
    pub(crate) fn new(host: &'static str) -> Self {
        let params = CertificateParams::new([host.to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("randomness");
        let certificate = params.self_signed(&key).expect("signed").der().clone();
        Named { host, certificate, key }
    }

    /// What a client knows, whose name leads to these addresses.
    pub(crate) fn client(&self, addresses: &[SocketAddr]) -> KeyServer {
        hosts::set(self.host, addresses);
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a root");
        let server = self.host.parse().expect("a server");
        KeyServer::trusting(&server, NtsRoots::Platform, roots).expect("a name")
    }

    /// An address that gives keys after a while and says that time is at this port.
    pub(crate) fn giver(&self, after: Duration, ntp_port: u16) -> SocketAddr {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let provider = rustls::crypto::ring::default_provider();
        let mut config = ServerConfig::builder_with_provider(provider.into())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("a version")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .expect("a certificate");
        config.alpn_protocols = vec![KeyExchange::ALPN.to_vec()];
        let config = Arc::new(config);
        let [high, low] = ntp_port.to_be_bytes();
        let answer = [KEYS_GIVEN, &[0, 7, 0, 2, high, low, 0x80, 0, 0, 0]].concat();
        let (listener, address) = listen();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (config, answer) = (Arc::clone(&config), answer.clone());
                thread::spawn(move || {
                    thread::sleep(after);
                    let tls = ServerConnection::new(config).expect("sound");
                    let mut stream = StreamOwned::new(tls, socket);
                    if stream.read_exact(&mut [0; 16]).is_ok() {
                        // A client that has keys from another address hangs up.
                        let _ = stream.write_all(&answer);
                        stream.conn.send_close_notify();
                        let _ = stream.flush();
                    }
                });
            }
        });
        address
    }
}

/// An address that takes connections and says nothing, as long as the listener lives.
pub(crate) fn silent() -> (TcpListener, SocketAddr) {
    listen()
}

/// An address where nobody listens.
pub(crate) fn refusing() -> SocketAddr {
    listen().1
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// NTPv4, AES-SIV-CMAC-256 and one cookie.
const KEYS_GIVEN: &[u8] = &[0x80, 1, 0, 2, 0, 0, 0, 4, 0, 2, 0, 15, 0, 5, 0, 4, 7, 7, 7, 7];
