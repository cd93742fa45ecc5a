//! A server of keys and of time, an authority of our own, and servers that misbehave.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use ntp_clock::nts::{Judged, KeyServer, Keys};
use ntp_clock::{Clock, Nts, NtsRoots, Server, UnixTime};
use ntp_clock_core::Packet;
use ntp_clock_nts::{Association, Opened, Refusal};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::common::truth_ns;
use crate::peer::Peer;

/// The authority that says whose certificates are right.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, for clients that trust it; for as long as this lives.
    file: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("randomness");
        let made = params.self_signed(&key).expect("signed");
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = format!("ntp-clock-authority-{}-{number}.pem", std::process::id());
        let file = std::env::temp_dir().join(file);
        std::fs::write(&file, made.pem()).expect("temporary folder");
        Authority { issuer: Issuer::new(params, key), file }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn roots(&self) -> NtsRoots {
        NtsRoots::File(self.file.clone())
    }

    /// Certificate and key, PEM, for this machine, valid in the years 2020 to 2039.
    pub(crate) fn certify(&self) -> (String, String) {
        self.certify_for(2_020, 2_040)
    }

    /// The same from the beginning of one year to that of another.
    pub(crate) fn certify_for(&self, from: i32, to: i32) -> (String, String) {
        self.certify_until(from, (to, 1, 1))
    }

    /// The same until year, month and day.
    pub(crate) fn certify_until(
        &self,
        from: i32,
        (year, month, day): (i32, u8, u8),
    ) -> (String, String) {
        let names = [HOST, BETWEEN].map(str::to_owned);
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().expect("randomness");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// A real server of time, also as a server of keys.
pub(crate) struct NtsServer {
    pub(crate) peer: Peer,
    pub(crate) keys_at: SocketAddr,
    pub(crate) authority: Authority,
}

impl NtsServer {
    pub(crate) fn start() -> Option<Self> {
        NtsServer::start_with(Authority::certify)
    }

    pub(crate) fn start_with(certify: impl FnOnce(&Authority) -> (String, String)) -> Option<Self> {
        let authority = Authority::new();
        let certified = certify(&authority);
        NtsServer::of(authority, &certified, Peer::keys_at(), "")
    }

    /// With this authority's certificate and key, giving keys at this address, and more lines of
    /// configuration.
    pub(crate) fn of(
        authority: Authority,
        certified: &(String, String),
        keys_at: SocketAddr,
        more: &str,
    ) -> Option<Self> {
        let peer = Peer::start(keys_at, certified, more)?;
        Some(NtsServer { peer, keys_at, authority })
    }

    pub(crate) fn key_server(&self) -> KeyServer {
        key_server(HOST, self.keys_at.port(), &self.authority)
    }

    pub(crate) fn clock(&self) -> Clock {
        clock_of(HOST, self.keys_at.port(), &self.authority)
    }

    pub(crate) fn exchange(&self) -> Keys {
        let keys =
            self.key_server().exchange(self.keys_at, Judged::At(now()), LIMIT).expect("keys");
        assert_eq!((keys.ntp_host.as_deref(), keys.ntp_port.unwrap_or(123)), (None, self.port()));
        assert_eq!((keys.association.cookies(), keys.certificates.len()), (8, 1));
        keys
    }

    pub(crate) fn port(&self) -> u16 {
        self.peer.address().port()
    }

    pub(crate) fn client(&self) -> Client {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        socket.connect(self.peer.address()).expect("loopback");
        socket.set_read_timeout(Some(LIMIT)).expect("valid");
        Client { socket, dice: 0 }
    }
}

/// A socket to the server's NTP.
pub(crate) struct Client {
    socket: UdpSocket,
    dice: u64,
}

impl Client {
    /// Seals a request and gives what the server answers.
    pub(crate) fn ask(&mut self, association: &mut Association) -> Vec<u8> {
        let request = self.seal(association);
        self.send(&request)
    }

    pub(crate) fn seal(&mut self, association: &mut Association) -> Vec<u8> {
        self.dice += 1;
        let entropy = std::array::from_fn(|at| (self.dice >> (at % 8 * 8)) as u8 ^ at as u8);
        association.request(self.dice, &entropy).expect("a cookie")
    }

    pub(crate) fn send(&self, request: &[u8]) -> Vec<u8> {
        self.socket.send(request).expect("loopback");
        let mut reply = [0; 2_048];
        let len = self.socket.recv(&mut reply).expect("an answer");
        reply[..len].to_vec()
    }

    /// The server does not answer this, but the request for plain time behind it.
    pub(crate) fn expect_silence(&self, request: &[u8]) {
        self.socket.send(request).expect("loopback");
        let plain = self.send(&request[..48]);
        assert_eq!((plain.len(), plain[24..32] == request[40..48]), (48, true), "{plain:?}");
    }
}

/// A clock that polls every second, with keys from this host's port.
pub(crate) fn clock_of(host: &str, keys_port: u16, authority: &Authority) -> Clock {
    Clock::builder()
        .server(named(host, keys_port))
        .nts(Nts::Required(authority.roots()))
        .poll_interval(Duration::from_secs(1))
        .build()
        .expect("valid")
}

pub(crate) fn key_server(host: &str, port: u16, authority: &Authority) -> KeyServer {
    KeyServer::new(&named(host, port), authority.roots()).expect("a name")
}

pub(crate) fn named(host: &str, port: u16) -> Server {
    format!("{host}:{port}").parse().expect("a server")
}

pub(crate) fn free_tcp_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("bound")
}

pub(crate) fn now() -> UnixTime {
    UnixTime::from_nanos(truth_ns())
}

pub(crate) fn authenticated(opened: Result<Opened, Refusal>) -> Packet {
    match opened {
        Ok(Opened::Authenticated(reply)) => *reply.packet(),
        other => panic!("{other:?}"),
    }
}

/// A server that does this with its first connection.
pub(crate) fn listen(serve: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        if let Ok((socket, _)) = listener.accept() {
            serve(socket);
        }
    });
    address
}

/// The name that certificates have.
pub(crate) const HOST: &str = "localhost";
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
/// An address of this machine that is not the server's, where somebody may sit. Certificates have
/// it, too.
pub(crate) const BETWEEN: &str = "127.0.0.2";
