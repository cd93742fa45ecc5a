//! One connection through the proxy.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::line::{Line, PIECE_BYTES};

/// Both of its sockets, and what is under way between them.
#[derive(Debug)]
pub(super) struct Connection {
    client: TcpStream,
    server: TcpStream,
    to_server: Line,
    to_client: Line,
}

impl Connection {
    pub(super) fn new(client: TcpStream, server: TcpStream) -> io::Result<Self> {
        for socket in [&client, &server] {
            // What is due leaves now, not with the next piece.
            socket.set_nodelay(true)?;
        }
        Ok(Connection { client, server, to_server: Line::default(), to_client: Line::default() })
    }

    /// Carries bytes both ways until both have ended; `up` and `down` draw the delay of each piece.
    pub(super) fn carry(
        &self,
        up: impl FnMut() -> Duration + Send,
        down: impl FnMut() -> Duration + Send,
    ) {
        thread::scope(|scope| {
            let named = || thread::Builder::new().name("delay-proxy".to_owned());
            let parts = [
                named().spawn_scoped(scope, || read(&self.client, &self.to_server, up)),
                named().spawn_scoped(scope, || read(&self.server, &self.to_client, down)),
                named().spawn_scoped(scope, || self.write(&self.to_server, &self.server)),
            ];
            if parts.iter().any(Result::is_err) {
                // The system starts no more threads: better no connection than half of one.
                self.cut();
            }
            self.write(&self.to_client, &self.client);
        });
    }

    /// Ends it now; what is under way is lost.
    pub(super) fn cut(&self) {
        for line in [&self.to_server, &self.to_client] {
            line.cut();
        }
        for socket in [&self.client, &self.server] {
            // It may have ended by itself.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Writes what is due until the stream ends.
    fn write(&self, line: &Line, mut to: &TcpStream) {
        while let Some(bytes) = line.pop() {
            if bytes.is_empty() {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        // Cut, or the receiver is gone: nobody is to wait for what cannot come.
        self.cut();
    }
}

/// Reads until the stream ends, by its end or by a reset, behind which the rest still arrives.
fn read(mut from: &TcpStream, line: &Line, mut delay: impl FnMut() -> Duration) {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        let due = Instant::now() + delay();
        if !line.push(due, &buffer[..read]) || read == 0 {
            return;
        }
    }
}
