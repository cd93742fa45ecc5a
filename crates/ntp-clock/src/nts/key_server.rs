//! A server of keys, and a connection to it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ntp_clock_core::{Span, UnixTime};
use ntp_clock_nts::{Association, Direction, ExchangeError, Key, KeyExchange, Step};
use rustls::client::ClientConnection;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{self, CertificateDer, ServerName};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, Stream, crypto};

use super::judge::{Judge, Judged};
use super::limited::Limited;
use crate::server::Server;

/// A server of keys: its name, and whose word counts for that it is the one.
///
/// ```no_run
/// use std::time::Duration;
/// use ntp_clock::nts::{Judged, KeyServer};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut roots = rustls::RootCertStore::empty();
/// # let certificate = rustls::pki_types::CertificateDer::from(vec![]);
/// roots.add(certificate)?;
/// let server = KeyServer::new("time.example", KeyServer::PORT, roots)?;
/// let limit = Duration::from_secs(5);
/// let keys = server.exchange("192.0.2.1:4460".parse()?, Judged::WithoutClock, limit)?;
/// println!("{} cookies", keys.association.cookies());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct KeyServer {
    host: String,
    port: u16,
    name: ServerName<'static>,
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
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The name is neither a host's nor an address.
    #[error("{0:?} is not the name of a host")]
    Name(String),
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
    #[error("the key exchange's TLS failed: {0}")]
    Tls(rustls::Error),
    /// The server speaks another protocol.
    #[error("the server does not exchange keys for NTP (ALPN ntske/1)")]
    NoKeysHere,
    /// The server's answer gives no keys.
    #[error(transparent)]
    Answer(#[from] ExchangeError),
}

impl KeyServer {
    /// Where keys are exchanged, unless somebody says otherwise.
    pub const PORT: u16 = KeyExchange::PORT;

    /// The server of this name, which a certificate by one of these roots must prove.
    ///
    /// # Errors
    /// [`KeysError::Name`] where it is neither a host's name nor an address.
    pub fn new(host: &str, port: u16, roots: RootCertStore) -> Result<Self, KeysError> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| KeysError::Name(host.to_owned()))?;
        Ok(KeyServer { host: host.to_owned(), port, name, roots: Arc::new(roots) })
    }

    /// Name or address, as its certificate must have it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port where keys are exchanged.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether this is an address at which a server can be.
    pub(crate) fn may_be_at(&self, ip: IpAddr) -> bool {
        Server::at(&self.host, self.port).is_ok_and(|server| server.unusable(ip).is_none())
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
        let deadline = Instant::now() + limit;
        let socket = TcpStream::connect_timeout(&address, limit);
        let socket = socket.map_err(KeysError::Unreachable)?;
        let mut socket = Limited::new(socket, deadline);
        let config = Arc::new(self.config(judged)?);
        let tls = ClientConnection::new(config, self.name.clone()).map_err(KeysError::Tls)?;
        talk(tls, &mut socket, limit)
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
    socket: &mut Limited,
    limit: Duration,
) -> Result<Keys, KeysError> {
    while tls.is_handshaking() {
        tls.complete_io(socket).map_err(|error| failed(error, limit))?;
    }
    if tls.alpn_protocol() != Some(KeyExchange::ALPN) {
        return Err(KeysError::NoKeysHere);
    }
    let mut stream = Stream::new(&mut tls, socket);
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
