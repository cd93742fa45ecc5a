//! The way to a server, with somebody on it who sees and can change every packet, and has no key.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Carries packets from an address of this machine to a server and back, one at a time.
pub(crate) struct Wire {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What reaches the client in place of a reply.
pub(crate) trait Fate:
    FnMut(&[u8], &[u8], &mut fastrand::Rng) -> Vec<Vec<u8>> + Send + 'static
{
}

impl<F> Fate for F where F: FnMut(&[u8], &[u8], &mut fastrand::Rng) -> Vec<Vec<u8>> + Send + 'static {}

impl Wire {
    /// Listens at `near` for what is meant for `far`. Each way takes this many microseconds.
    pub(crate) fn with(
        near: SocketAddr,
        far: SocketAddr,
        seed: u64,
        way_us: Range<u64>,
        mut attack: impl Fate,
    ) -> Self {
        println!("seed {seed}");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let near = UdpSocket::bind(near).expect("an address of this machine");
        near.set_read_timeout(Some(Duration::from_millis(50))).expect("valid");
        let thread = thread::spawn(move || {
            let mut dice = fastrand::Rng::with_seed(seed);
            let mut servers: HashMap<SocketAddr, UdpSocket> = HashMap::new();
            let mut buffer = [0; 2_048];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, client)) = near.recv_from(&mut buffer) else { continue };
                let request = buffer[..len].to_vec();
                let server = servers.entry(client).or_insert_with(|| connect(far));
                let way = |dice: &mut fastrand::Rng| {
                    if !way_us.is_empty() {
                        thread::sleep(Duration::from_micros(dice.u64(way_us.clone())));
                    }
                };
                way(&mut dice);
                if server.send(&request).is_err() {
                    continue;
                }
                let Ok(len) = server.recv(&mut buffer) else { continue };
                way(&mut dice);
                for datagram in attack(&request, &buffer[..len], &mut dice) {
                    let _ = near.send_to(&datagram, client);
                }
            }
        });
        Wire { stop, thread: Some(thread) }
    }
}

fn connect(far: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.connect(far).expect("loopback");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("valid");
    socket
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
