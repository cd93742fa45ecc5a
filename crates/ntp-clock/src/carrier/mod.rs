//! Carries requests to the server and replies back: from its name to an address, a socket for each
//! round, and the best timestamps that the system has.
//!
//! It knows addresses and what became of them, and nothing of who asks or why.

mod connection;
mod lookup;

use std::net::SocketAddr;

use ntp_clock_core::{AttemptError, LocalTime, RequestId};

use crate::counters::Counters;
use crate::failure::{Failure, FailureKind};
use crate::os::{Bell, Socket};
use crate::server::Server;
use connection::Connection;
use lookup::Lookup;

/// The way to one server.
#[derive(Debug)]
pub(crate) struct Carrier {
    counters: Counters,
    bell: Bell,
    lookup: Option<Lookup>,
    /// The round for which a lookup was begun last.
    looked_up: u64,
    connection: Option<Connection>,
    /// Since the start: each is followed by one at the name's next address.
    failed_attempts: usize,
    /// What went wrong in this round.
    trouble: Option<Failure>,
}

/// Whether a request of this round can be sent.
#[derive(Debug)]
pub(crate) enum Connecting {
    Ready,
    /// The server's name is being resolved.
    Waiting,
    Failed(Failure),
}

/// What the carrier found at its socket.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// The kernel's stamp for a request: it left at `at` or a little later.
    Departed { id: RequestId, at: LocalTime },
    /// A datagram of the server's address of so many bytes, which arrived at `t4` at the latest.
    Datagram { len: usize, t4: LocalTime },
    /// An error of the system, which is noted.
    Trouble,
}

impl Carrier {
    /// The bell rings when there is something to go on with. Without a server nothing is carried.
    pub(crate) fn new(server: Option<Server>, bell: Bell, counters: Counters) -> Self {
        Carrier {
            counters,
            bell,
            lookup: server.map(Lookup::new),
            looked_up: 0,
            connection: None,
            failed_attempts: 0,
            trouble: None,
        }
    }

    /// Whether a socket of another round than this one is open.
    pub(crate) fn is_for_another(&self, round: Option<u64>) -> bool {
        self.connection.as_ref().is_some_and(|connection| Some(connection.round) != round)
    }

    /// Makes sure that this round has its socket.
    pub(crate) fn connect(&mut self, round: u64) -> Connecting {
        if self.connection.as_ref().is_some_and(|connection| connection.round == round) {
            return Connecting::Ready;
        }
        let Some(lookup) = &mut self.lookup else {
            return Connecting::Failed(Failure::new(FailureKind::NoServer, "no server"));
        };
        if self.looked_up != round {
            // Once a round, while the addresses known from earlier ones serve.
            self.looked_up = round;
            lookup.refresh(self.bell.clone());
        }
        lookup.collect();
        let addresses = lookup.addresses(self.failed_attempts);
        if addresses.is_empty() {
            return if lookup.is_searching() {
                Connecting::Waiting
            } else {
                Connecting::Failed(lookup.failure())
            };
        }
        // An address without a route costs no packet and no time: on to the next.
        let mut trouble = lookup.failure();
        for address in addresses {
            match Connection::open(address, round) {
                Ok(connection) => {
                    self.connection = Some(connection);
                    return Connecting::Ready;
                }
                Err(error) => trouble = Failure::of_system(address, &error),
            }
        }
        Connecting::Failed(trouble)
    }

    /// Sends a request and gives the moment just before.
    ///
    /// # Errors
    /// Why it could not be sent.
    pub(crate) fn send(&mut self, id: RequestId, datagram: &[u8]) -> Result<LocalTime, Failure> {
        let Some(connection) = &mut self.connection else {
            let not_sent = FailureKind::Attempt(AttemptError::NotSent);
            return Err(Failure::new(not_sent, "no socket"));
        };
        let address = connection.address;
        let sent = connection.send(id, datagram, &self.counters);
        sent.map_err(|error| Failure::of_system(address, &error))
    }

    /// The next thing that came in, if there is one.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Option<Arrival> {
        let connection = self.connection.as_ref()?;
        if let Some((id, at)) = connection.departure(&self.counters) {
            return Some(Arrival::Departed { id, at });
        }
        match connection.socket.receive(buffer) {
            Ok(Some(received)) => {
                let read_at = self.counters.local();
                let t4 = connection.arrival(received.kernel_time, read_at, &self.counters);
                Some(Arrival::Datagram { len: received.len, t4 })
            }
            Ok(None) => None,
            Err(error) => {
                self.trouble = Some(Failure::of_system(connection.address, &error));
                Some(Arrival::Trouble)
            }
        }
    }

    /// Closes the socket, so that a late reply meets nobody.
    pub(crate) fn close(&mut self) {
        self.connection = None;
    }

    /// An attempt had no believed reply: the next one begins with the name's next address.
    pub(crate) fn attempt_failed(&mut self) {
        self.failed_attempts = self.failed_attempts.wrapping_add(1);
    }

    /// Notes what went wrong.
    pub(crate) fn fail(&mut self, trouble: Failure) {
        self.trouble = Some(trouble);
    }

    /// The search for an address has taken longer than its round.
    pub(crate) fn fail_lookup(&mut self) {
        self.trouble = self.lookup.as_ref().map(Lookup::failure);
    }

    /// What went wrong since this was asked last.
    pub(crate) fn take_trouble(&mut self) -> Option<Failure> {
        self.trouble.take()
    }

    /// The address in use in this round.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.connection.as_ref().map(|connection| connection.address)
    }

    /// The open socket, to be waited for.
    pub(crate) fn socket(&self) -> Option<&Socket> {
        self.connection.as_ref().map(|connection| &connection.socket)
    }
}
