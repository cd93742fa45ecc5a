//! A server and a clock, with somebody between them.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use ntp_clock::Clock;

use crate::peer::Peer;
use crate::support::{Authority, BETWEEN, NtsServer, clock_of};
use crate::wire::{Fate, Wire};

/// A server whose clients ask for time at another address of this machine, where somebody sits: it
/// is where they exchange keys, and what chrony names then.
pub(crate) struct Scene {
    pub(crate) server: NtsServer,
    _wire: Wire,
}

impl Scene {
    pub(crate) fn with(attack: impl Fate) -> Option<Self> {
        Scene::far_away(0..0, attack)
    }

    /// The same, where each way takes this many microseconds.
    pub(crate) fn far_away(way_us: Range<u64>, attack: impl Fate) -> Option<Self> {
        let authority = Authority::new();
        let certified = authority.certify();
        let more = Peer::naming(BETWEEN);
        let server = NtsServer::of(authority, &certified, Peer::keys_at(), &more)?;
        let far = server.peer.address();
        let near = SocketAddr::new(BETWEEN.parse().expect("an address"), far.port());
        let wire = Wire::with(near, far, fastrand::u64(..), way_us, attack);
        Some(Scene { server, _wire: wire })
    }

    pub(crate) fn clock(&self) -> Clock {
        self.counted_clock().0
    }

    /// The same, and how many connections it has made for its keys.
    pub(crate) fn counted_clock(&self) -> (Clock, Arc<AtomicU32>) {
        let listener = TcpListener::bind((BETWEEN, 0)).expect("loopback");
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
        (clock_of(BETWEEN, port, &self.server.authority), count)
    }
}

/// Everything that comes from there goes here, in a thread of its own.
pub(crate) fn carry(from: &TcpStream, to: &TcpStream) {
    let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
    thread::spawn(move || {
        let _ = io::copy(&mut &from, &mut &to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}
