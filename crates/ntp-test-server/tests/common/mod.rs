//! A raw UDP client that believes nothing and keeps the bytes.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use ntp_clock_core::{NtpTimestamp, Packet};
use ntp_test_server::{Behaviour, TestServer};

/// Long enough for a loaded machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long to listen for a packet that must not come.
pub(crate) const NOTHING_WITHIN: Duration = Duration::from_millis(60);

pub(crate) fn server(edit: impl FnOnce(&mut Behaviour)) -> TestServer {
    TestServer::builder().behaviour(edit).spawn().expect("a free port of the loopback")
}

/// Waits until something is so that must become so.
pub(crate) fn wait_until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "never {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) struct Client {
    socket: UdpSocket,
    server: SocketAddr,
    cookies: u64,
}

/// What came back, from where, and how long after its request was sent.
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) from: SocketAddr,
    pub(crate) after: Duration,
}

impl Answer {
    pub(crate) fn packet(&self) -> Packet {
        Packet::decode(&self.bytes).expect("a well-formed reply")
    }
}

impl Client {
    pub(crate) fn of(server: &TestServer) -> Client {
        Client::to(server.addr())
    }

    pub(crate) fn to(server: SocketAddr) -> Client {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::LOCALHOST, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::LOCALHOST, 0).into(),
        };
        let socket = UdpSocket::bind(any).expect("a free port of the loopback");
        Client { socket, server, cookies: 0 }
    }

    /// Sends a request; the n-th has the cookie n, from 1.
    pub(crate) fn send(&mut self) -> NtpTimestamp {
        self.cookies += 1;
        let cookie = NtpTimestamp::from_bits(self.cookies);
        self.send_bytes(&Packet::request(cookie).encode());
        cookie
    }

    pub(crate) fn send_bytes(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).expect("sending on the loopback");
    }

    pub(crate) fn receive_within(&self, wait: Duration) -> Option<Answer> {
        let began = Instant::now();
        let mut bytes = vec![0; 65_536];
        self.socket.set_read_timeout(Some(wait)).expect("a time-out above zero");
        let (len, from) = self.socket.recv_from(&mut bytes).ok()?;
        bytes.truncate(len);
        Some(Answer { bytes, from, after: began.elapsed() })
    }

    pub(crate) fn receive(&self) -> Answer {
        self.receive_within(PATIENCE).expect("a reply")
    }

    pub(crate) fn ask(&mut self) -> Answer {
        let began = Instant::now();
        self.send();
        let answer = self.receive();
        Answer { after: began.elapsed(), ..answer }
    }

    /// Whether a request stays without reply.
    pub(crate) fn hears_nothing(&mut self) -> bool {
        self.send();
        self.receive_within(NOTHING_WITHIN).is_none()
    }
}
