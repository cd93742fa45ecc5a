//! A TCP proxy that makes a path longer than it is: each direction has a [`Delay`] of its own.
//!
//! Two threads carry one direction of one connection: one reads, notes when a piece came and draws
//! its delay, the other writes when that is over. A stream keeps its order, so a piece that draws a
//! short delay waits for the one ahead of it, as behind a lost segment. Opening a connection is not
//! delayed; what goes over it is.

mod connection;
mod line;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::delay::{BurstProcess, Delay};
use crate::dice::{Purpose, stream};
use crate::error::Error;
use crate::run::lock;
use connection::Connection;

/// A proxy in this process. It stops when dropped, and its connections end.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{TcpListener, TcpStream};
/// use std::time::{Duration, Instant};
/// use ntp_test_server::{Delay, DelayProxy};
///
/// let server = TcpListener::bind("127.0.0.1:0")?;
/// let proxy = DelayProxy::builder(server.local_addr()?)
///     .to_server(Delay::fixed(Duration::from_millis(5)))
///     .to_client(Delay::fixed(Duration::from_millis(25)))
///     .spawn()?;
/// let mut client = TcpStream::connect(proxy.addr())?;
/// let (mut peer, _) = server.accept()?;
/// let started = Instant::now();
/// client.write_all(b"ping")?;
/// peer.read_exact(&mut [0; 4])?;
/// peer.write_all(b"pong")?;
/// client.read_exact(&mut [0; 4])?;
/// assert!(started.elapsed() >= Duration::from_millis(30));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DelayProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    listener: TcpListener,
    target: SocketAddr,
    seed: u64,
    to_server: Direction,
    to_client: Direction,
    stopping: AtomicBool,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
}

/// One direction's delay, for all connections.
#[derive(Debug)]
struct Direction {
    delay: Delay,
    purpose: Purpose,
    started: Instant,
    /// The path is busy or not, whichever connection asks.
    bursts: Mutex<BurstProcess>,
}

impl DelayProxy {
    /// A builder of a proxy to this server; its defaults are no delay and a free port of 127.0.0.1.
    pub fn builder(target: SocketAddr) -> ProxyBuilder {
        ProxyBuilder {
            target,
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            to_server: Delay::NONE,
            to_client: Delay::NONE,
        }
    }

    /// The address listened on, with the port that was given for port 0.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The seed of all randomness.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.shared.seed
    }
}

impl Drop for DelayProxy {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let mut addr = self.addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(match addr.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        // Where it cannot be woken, it ends with the next connection.
        let woken = TcpStream::connect_timeout(&addr, CONNECT_WITHIN).is_ok();
        for connection in lock(&self.shared.open).values() {
            connection.cut();
        }
        if let Some(accepting) = self.accepting.take_if(|_| woken) {
            // A panic of the thread has been reported where it happened.
            let _ = accepting.join();
        }
    }
}

impl Shared {
    /// Accepts until the end, then waits for all connections to be over.
    fn accept_loop(self: &Arc<Self>) {
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        for number in 0.. {
            let accepted = self.listener.accept();
            if self.stopping.load(Ordering::SeqCst) {
                break;
            }
            threads.retain(|thread| !thread.is_finished());
            let Ok((client, _)) = accepted else {
                // Such as too many open files: nothing to do but not to spin.
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            if threads.len() >= CONNECTIONS_MAX {
                continue;
            }
            let shared = Arc::clone(self);
            let thread = thread::Builder::new().name("delay-proxy".to_owned());
            // Where there are no more threads, the client sees its connection closed.
            threads.extend(thread.spawn(move || shared.carry(number, client)));
        }
        for thread in threads {
            let _ = thread.join();
        }
    }

    /// One connection, from its start to its end.
    fn carry(&self, number: u64, client: TcpStream) {
        // Without a server the client's connection is closed, as by a machine without one.
        let Ok(server) = TcpStream::connect_timeout(&self.target, CONNECT_WITHIN) else { return };
        let Ok(connection) = Connection::new(client, server) else { return };
        let connection = Arc::new(connection);
        {
            let mut open = lock(&self.open);
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            open.insert(number, Arc::clone(&connection));
        }
        let dice = |direction: &Direction| stream(self.seed, direction.purpose, number);
        let (mut up, mut down) = (dice(&self.to_server), dice(&self.to_client));
        connection.carry(|| self.to_server.draw(&mut up), || self.to_client.draw(&mut down));
        lock(&self.open).remove(&number);
    }
}

impl Direction {
    fn draw(&self, rng: &mut Rng) -> Duration {
        let now = self.started.elapsed();
        let burst_on = lock(&self.bursts).is_on(self.delay.burst, now);
        self.delay.draw(rng, burst_on)
    }
}

/// Makes a [`DelayProxy`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ProxyBuilder {
    target: SocketAddr,
    addr: SocketAddr,
    seed: u64,
    to_server: Delay,
    to_client: Delay,
}

impl ProxyBuilder {
    /// Where to listen; port 0 means any free one. By default 127.0.0.1, port 0.
    pub fn bind(mut self, addr: SocketAddr) -> Self {
        self.addr = addr;
        self
    }

    /// The seed of all randomness. By default 1, so that a test repeats.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How long each piece takes that a client sends.
    pub fn to_server(mut self, delay: Delay) -> Self {
        self.to_server = delay;
        self
    }

    /// How long each piece takes that the server sends.
    pub fn to_client(mut self, delay: Delay) -> Self {
        self.to_client = delay;
        self
    }

    /// Starts the proxy. The server need not be there yet: it is wanted for each connection.
    ///
    /// # Errors
    /// [`Error::Bind`] if the address cannot be had, [`Error::Thread`] if the system starts no
    /// more threads.
    pub fn spawn(self) -> Result<DelayProxy, Error> {
        let cannot_bind = |source| Error::Bind { addr: self.addr, source };
        let listener = TcpListener::bind(self.addr).map_err(cannot_bind)?;
        let addr = listener.local_addr().map_err(cannot_bind)?;
        let started = Instant::now();
        let direction = |delay, purpose, bursts| {
            let bursts = Mutex::new(BurstProcess::new(stream(self.seed, bursts, 0)));
            Direction { delay, purpose, started, bursts }
        };
        let shared = Arc::new(Shared {
            listener,
            target: self.target,
            seed: self.seed,
            to_server: direction(self.to_server, Purpose::DelayToServer, Purpose::BurstToServer),
            to_client: direction(self.to_client, Purpose::DelayToClient, Purpose::BurstToClient),
            stopping: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let accepting = {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name("delay-proxy".to_owned());
            thread.spawn(move || shared.accept_loop()).map_err(Error::Thread)?
        };
        Ok(DelayProxy { addr, shared, accepting: Some(accepting) })
    }
}

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Each has four threads. One more is closed at once.
const CONNECTIONS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_repeat_with_the_seed_and_differ_by_connection_and_direction() {
        let jitter: Delay = "1ms + exp 5ms".parse().unwrap();
        let proxy = |seed| {
            let target = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
            DelayProxy::builder(target).seed(seed).to_server(jitter).to_client(jitter).spawn()
        };
        let delays = |seed, number| {
            let shared = Arc::clone(&proxy(seed).unwrap().shared);
            [&shared.to_server, &shared.to_client].map(|direction| {
                let mut rng = stream(seed, direction.purpose, number);
                (0..20).map(|_| direction.draw(&mut rng)).collect::<Vec<_>>()
            })
        };
        assert_eq!(delays(1, 0), delays(1, 0));
        assert_ne!(delays(1, 0), delays(2, 0));
        let [up, down] = delays(1, 0);
        assert_ne!(up, down);
        assert_ne!(up, delays(1, 1)[0]);
    }
}
