//! A server of keys, and a connection to it.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ntp_clock_core::{Span, UnixTime};
use ntp_clock_nts::{Association, Direction, ExchangeError, Key, KeyExchange, Step};
use rustls::client::ClientConnection;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{self, CertificateDer, ServerName};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, crypto};

use super::judge::{Judge, Judged};
use super::{roots, words};
use crate::nts_choice::{NtsError, NtsRoots};
use crate::os::{Deadline, Stream};
use crate::server::Server;

/// A server of keys: its name, and whose word counts for that it is the one.
///
/// Clocks exchange keys by themselves ([`Builder::nts`](crate::Builder::nts)); this is for programs
/// that wants nothing but the exchange.
///
/// ```no_run
/// use std::time::Duration;
/// use ntp_clock::NtsRoots;
/// use ntp_clock::nts::{Judged, KeyServer};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = KeyServer::new(&"time.cloudflare.com".parse()?, NtsRoots::Platform)?;
/// let limit = Duration::from_secs(5);
/// let keys = server.exchange("192.0.2.1:4460".parse()?, Judged::WithoutClock, limit)?;
/// println!("{} cookies", keys.association.cookies());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct KeyServer {
    /// At the port of its key exchange.
    server: Server,
    name: ServerName<'static>,
    trusted: NtsRoots,
    roots: Arc<RootCertStore>,
}

/// What an exchange of keys gives.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Keys {
    /// Seals requests and opens replies.
    pub association: Association,
    /// The host to ask for time, where the server names another one than itself.
    pub ntp_host: Option<String>,
    /// The port to ask for time, where it is not NTP's.
    pub ntp_port: Option<u16>,
    /// The certificates that the server showed, its own first: so that they can be judged again
    /// when there is time.
    pub certificates: Vec<CertificateDer<'static>>,
    /// How long the exchange took, from its first packet on.
    pub took: Duration,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// Nobody was reached: no route, nobody listening, or no answer in time.
    #[error("no connection for the key exchange: {0}")]
    Unreachable(io::Error),
    /// The connection broke.
    #[error("the connection for the key exchange broke: {0}")]
    Connection(io::Error),
    /// There is no root: no certificate could be proved.
    #[error("no certificate is trusted here, so none can be proved")]
    NoRoots,
    /// It took too long.
    #[error("the key exchange took longer than {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// TLS failed: most often the certificate does not prove the name.
    #[error("the key exchange failed: {}", words::of(.0))]
    Tls(rustls::Error),
    /// The server speaks another protocol.
    #[error("the server does not exchange keys for NTP (ALPN ntske/1)")]
    NoKeysHere,
    /// The server's answer gives no keys.
    #[error(transparent)]
    Answer(#[from] ExchangeError),
}

impl KeyServer {
    /// The server of this name, which a certificate by one of these roots must prove. Its port is
    /// that of the key exchange; 123, NTP's own, stands for the usual one, 4460.
    ///
    /// # Errors
    /// [`NtsError`] where no certificate can prove the host, or the roots cannot be had.
    pub fn new(server: &Server, roots: NtsRoots) -> Result<Self, NtsError> {
        let store = roots::load(&roots)?;
        KeyServer::trusting(server, roots, store)
    }

    pub(super) fn trusting(
        server: &Server,
        trusted: NtsRoots,
        store: RootCertStore,
    ) -> Result<Self, NtsError> {
        let host = server.host().to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| NtsError::Host(host))?;
        Ok(KeyServer { server: server.of_keys(), name, trusted, roots: Arc::new(store) })
    }

    /// Name or address, as its certificate must have it.
    #[must_use]
    pub fn host(&self) -> &str {
        self.server.host()
    }

    /// The TCP port where keys are exchanged.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.server.port()
    }

    /// Whose word counts.
    pub(crate) const fn trusted(&self) -> &NtsRoots {
        &self.trusted
    }

    /// The server, at the port of its key exchange.
    pub(super) const fn server(&self) -> &Server {
        &self.server
    }

    /// Exchanges keys with the server at this address, in `limit` at most; blocks so long.
    /// The system's clock has no say in whether certificates are valid.
    ///
    /// # Errors
    /// [`KeysError`]; the connection is closed.
    pub fn exchange(
        &self,
        address: SocketAddr,
        judged: Judged,
        limit: Duration,
    ) -> Result<Keys, KeysError> {
        let begun = Instant::now();
        let socket = Stream::connect(address, Deadline::after(limit));
        let mut socket = socket.map_err(KeysError::Unreachable)?;
        let config = Arc::new(self.config(judged)?);
        let tls = ClientConnection::new(config, self.name.clone()).map_err(KeysError::Tls)?;
        let mut keys = talk(tls, &mut socket, limit)?;
        keys.took = begun.elapsed();
        Ok(keys)
    }

    /// Judges certificates again that an exchange gave, by a time that the server's own replies
    /// have proved meanwhile: at its earliest and its latest.
    ///
    /// # Errors
    /// [`KeysError::Tls`] where they do not prove the server: no reading may be given.
    pub fn judge(
        &self,
        certificates: &[CertificateDer<'static>],
        at: UnixTime,
        max_error: Span,
    ) -> Result<(), KeysError> {
        let judge = self.judged(Judged::At(at))?;
        judge.judge(certificates, &self.name, at, max_error).map_err(KeysError::Tls)
    }

    fn config(&self, judged: Judged) -> Result<ClientConfig, KeysError> {
        let judge = Arc::new(self.judged(judged)?);
        let builder = ClientConfig::builder_with_details(provider(), Arc::new(NoClock));
        let mut config = builder
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(KeysError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(judge)
            .with_no_client_auth();
        config.alpn_protocols = vec![KeyExchange::ALPN.to_vec()];
        // Each exchange proves the certificate, and no two show that they are of the same client.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }

    fn judged(&self, judged: Judged) -> Result<Judge, KeysError> {
        Judge::new(Arc::clone(&self.roots), provider(), judged).ok_or(KeysError::NoRoots)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::ring::default_provider())
}

/// What is said in a connection, from the handshake on.
fn talk(
    mut tls: ClientConnection,
    socket: &mut Stream,
    limit: Duration,
) -> Result<Keys, KeysError> {
    while tls.is_handshaking() {
        tls.complete_io(socket).map_err(|error| failed(error, limit))?;
    }
    if tls.alpn_protocol() != Some(KeyExchange::ALPN) {
        return Err(KeysError::NoKeysHere);
    }
    let mut stream = rustls::Stream::new(&mut tls, socket);
    let asked = stream.write_all(&KeyExchange::request()).and_then(|()| stream.flush());
    asked.map_err(|error| failed(error, limit))?;
    let mut exchange = KeyExchange::new();
    let mut buffer = [0; 2_048];
    let negotiated = loop {
        let len = match stream.read(&mut buffer) {
            Ok(0) => return Err(exchange.closed().into()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(exchange.closed().into());
            }
            Err(error) => return Err(failed(error, limit)),
        };
        match exchange.receive(buffer.get(..len).unwrap_or(&buffer))? {
            Step::More(more) => exchange = more,
            Step::Done(negotiated) => break negotiated,
        }
    };
    let [to_server, to_client] =
        [Direction::ToServer, Direction::ToClient].map(|direction| key(&tls, direction));
    tls.send_close_notify();
    // Keys are here; whether the server hears our good-bye changes nothing.
    let _ = tls.complete_io(socket);
    Ok(Keys {
        association: Association::new(to_server?, to_client?, negotiated.cookies),
        ntp_host: negotiated.host,
        ntp_port: negotiated.port,
        certificates: tls.peer_certificates().unwrap_or_default().to_vec(),
        took: Duration::ZERO,
    })
}

/// TLS without the system's clock, which may stand before 1970. Nothing is dated by it: there is no
/// resumption, and [`Judge`] has a time of its own.
#[derive(Debug)]
struct NoClock;

impl TimeProvider for NoClock {
    fn current_time(&self) -> Option<pki_types::UnixTime> {
        Some(pki_types::UnixTime::since_unix_epoch(Duration::ZERO))
    }
}

fn key(tls: &ClientConnection, direction: Direction) -> Result<Key, KeysError> {
    let context = direction.exporter_context();
    tls.export_keying_material([0; Key::LEN], Key::EXPORTER_LABEL, Some(&context))
        .map(Key::new)
        .map_err(KeysError::Tls)
}

/// What went wrong, of which rustls says the more interesting half inside of an I/O error.
fn failed(error: io::Error, limit: Duration) -> KeysError {
    if error.kind() == io::ErrorKind::TimedOut {
        return KeysError::TimedOut(limit);
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => KeysError::Tls(tls.clone()),
        None => KeysError::Connection(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_that_of_the_key_exchange_unless_it_is_ntps_own() {
        for (text, port) in [("a.example", 4_460), ("a.example:123", 4_460), ("[::1]:7", 7)] {
            let server = text.parse().expect("a server");
            let roots = RootCertStore::empty();
            let server = KeyServer::trusting(&server, NtsRoots::Platform, roots).expect("a name");
            assert_eq!(server.port(), port, "{text}");
        }
    }

    #[test]
    fn a_client_that_trusts_no_authority_gets_no_keys() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("bound");
        let server = "localhost".parse().expect("a server");
        let nobody = RootCertStore::empty();
        let server = KeyServer::trusting(&server, NtsRoots::Platform, nobody).expect("a name");
        // Further than instants go, too.
        for limit in [Duration::from_secs(20), Duration::MAX] {
            let error = server.exchange(address, Judged::WithoutClock, limit).expect_err("no root");
            assert!(matches!(error, KeysError::NoRoots), "{error:?}");
        }
    }
}
