//! chrony and a clock, with somebody between them.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use ntp_clock::Clock;

use crate::common::Chrony;
use crate::support::{Authority, NtsServer, clock_of, configuration, free_tcp_address};
use crate::wire::{Fate, Wire};

/// chrony whose keys send clients to another address of this machine, where somebody sits.
pub(crate) struct Scene {
    server: NtsServer,
    _wire: Wire,
}

impl Scene {
    pub(crate) fn with(attack: impl Fate) -> Option<Self> {
        let authority = Authority::new();
        let (certificate, key) = authority.certify();
        let keys_at = free_tcp_address();
        let chrony = Chrony::start_with(|folder| {
            let lines = configuration(folder, keys_at, certificate, key);
            format!("{lines}ntsntpserver {BETWEEN}\n")
        })?;
        let far = chrony.address();
        let near = SocketAddr::new(BETWEEN.parse().expect("an address"), far.port());
        let wire = Wire::with(near, far, fastrand::u64(..), attack);
        Some(Scene { server: NtsServer { chrony, keys_at, authority }, _wire: wire })
    }

    pub(crate) fn clock(&self) -> Clock {
        self.server.clock()
    }

    /// The same, and how many connections it has made for its keys.
    pub(crate) fn counted_clock(&self) -> (Clock, Arc<AtomicU32>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        let count = Arc::new(AtomicU32::new(0));
        let (counted, keys_at) = (Arc::clone(&count), self.server.keys_at);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::Relaxed);
                let Ok(server) = TcpStream::connect(keys_at) else { continue };
                carry(&client, &server);
                carry(&server, &client);
            }
        });
        (clock_of(port, &self.server.authority), count)
    }
}

/// Everything that comes from there goes here, in a thread of its own.
fn carry(from: &TcpStream, to: &TcpStream) {
    let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
    thread::spawn(move || {
        let _ = io::copy(&mut &from, &mut &to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

/// An address of this machine that is not chrony's, at the same port.
const BETWEEN: &str = "127.0.0.2";
