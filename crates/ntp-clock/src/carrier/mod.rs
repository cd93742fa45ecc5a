//! Carries requests to the server and replies back: from its name to an address, a socket for each
//! round, and the best timestamps that the system has.
//!
//! It knows addresses and what became of them, and nothing of who asks or why.

mod connection;
mod lookup;
mod order;

use std::io;
use std::net::SocketAddr;

use ntp_clock_core::{LocalTime, RequestId};

use crate::counters::Counters;
use crate::failure::{Failure, FailureKind};
use crate::os::{Bell, Socket};
use crate::server::Server;
use connection::Connection;
use lookup::Lookup;
#[cfg(feature = "nts")]
pub(crate) use lookup::find;
#[cfg(test)]
pub(crate) use lookup::hosts;
use order::Order;

/// The way to one server.
#[derive(Debug)]
pub(crate) struct Carrier {
    counters: Counters,
    bell: Bell,
    lookup: Option<Lookup>,
    /// The round for which a lookup was begun last.
    looked_up: u64,
    /// The address that answered last.
    home: Option<SocketAddr>,
    /// The machine may be on another network than when that answered.
    moved: bool,
    /// Attempts without a believed reply since then.
    failed_attempts: u32,
    /// How many addresses those attempts went through.
    turn: usize,
    /// The engine's number of the round that is carried.
    number: Option<u64>,
    round: Option<Round>,
    /// What went wrong apart from any address.
    trouble: Option<Failure>,
}

/// What one round asks.
#[derive(Debug)]
struct Round {
    order: Order,
    /// One for each address asked.
    connections: Vec<Connection>,
}

/// Whether a request of this round can be sent.
#[derive(Debug)]
pub(crate) enum Connecting {
    Ready,
    /// The server's name is being resolved, or keys are being exchanged.
    Waiting,
    Failed(Failure),
}

/// What the carrier found at its sockets.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// The kernel's stamp for a request: it left at `at` or a little later.
    Departed { id: RequestId, at: LocalTime },
    /// A datagram from this address of this many bytes, which arrived at `t4` at the latest.
    Datagram { from: SocketAddr, len: usize, t4: LocalTime },
    /// An address refuses. Whether the next request shall go to another one at once.
    Refused { hasten: bool },
}

/// Replies come from another address than before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moved {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
}

impl Carrier {
    /// The bell rings when there is something to go on with. Without a server nothing is carried.
    /// `home` is the address that is known to answer.
    pub(crate) fn new(
        server: Option<Server>,
        home: Option<SocketAddr>,
        bell: Bell,
        counters: Counters,
    ) -> Self {
        Carrier {
            counters,
            bell,
            lookup: server.map(Lookup::new),
            looked_up: 0,
            home,
            moved: false,
            failed_attempts: 0,
            turn: 0,
            number: None,
            round: None,
            trouble: None,
        }
    }

    /// Asks this server from now on. An address of the one before says nothing about it.
    pub(crate) fn redirect(&mut self, server: Server) {
        if self.lookup.as_ref().is_some_and(|lookup| *lookup.server() == server) {
            return;
        }
        self.lookup = Some(Lookup::new(server));
        (self.looked_up, self.home, self.round) = (0, None, None);
    }

    /// Whether another round than this one was carried last and is not closed.
    pub(crate) fn is_for_another(&self, round: Option<u64>) -> bool {
        self.number.is_some() && self.number != round
    }

    /// Makes sure that this round has addresses to ask.
    pub(crate) fn prepare(&mut self, round: u64) -> Connecting {
        if self.is_for_another(Some(round)) {
            self.close();
        }
        self.number = Some(round);
        let Some(lookup) = &mut self.lookup else {
            return Connecting::Failed(Failure::new(FailureKind::NoServer, "no server"));
        };
        if self.looked_up != round {
            // Once a round, while the addresses known from earlier ones serve.
            self.looked_up = round;
            lookup.refresh(self.bell.clone());
        }
        lookup.collect();
        let known = lookup.addresses();
        if let Some(open) = &mut self.round {
            open.order.extend(known);
            return Connecting::Ready;
        }
        // An address that is given up is left to its name, which may not lead there any more.
        let home = self.home.filter(|_| self.failed_attempts < ATTEMPTS_FOR_HOME);
        if home.is_none() && known.is_empty() {
            return if lookup.is_searching() {
                Connecting::Waiting
            } else {
                Connecting::Failed(lookup.failure())
            };
        }
        let stays = self.failed_attempts == 0 && !self.moved;
        let order = Order::new(home, stays, known, self.turn);
        self.round = Some(Round { order, connections: Vec::new() });
        Connecting::Ready
    }

    /// Sends a request to the next address that takes it, and gives the moment just before. An
    /// address without a route costs no packet and no time. `None` where no address takes it.
    pub(crate) fn send(&mut self, id: RequestId, datagram: &[u8]) -> Option<LocalTime> {
        let round = self.round.as_mut()?;
        for _ in 0..round.order.len() {
            let address = round.order.next()?;
            let sent = round
                .connection(address)
                .and_then(|connection| connection.send(id, datagram, &self.counters));
            match sent {
                Ok(at) => return Some(at),
                Err(error) => {
                    round.order.failed(address, refusal(&error));
                }
            }
        }
        None
    }

    /// The next thing that came in, if there is one.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Option<Arrival> {
        let Round { order, connections, .. } = self.round.as_mut()?;
        for connection in connections.iter_mut() {
            if let Some((id, at)) = connection.departure(&self.counters) {
                return Some(Arrival::Departed { id, at });
            }
            let from = connection.address;
            match connection.socket.receive(buffer) {
                Ok(Some(received)) => {
                    let read_at = self.counters.local();
                    let t4 = connection.arrival(received.kernel_time, read_at, &self.counters);
                    return Some(Arrival::Datagram { from, len: received.len, t4 });
                }
                Ok(None) => {}
                Err(error) => {
                    let hasten = order.failed(from, refusal(&error));
                    if !is_of_network(&error) {
                        // The socket itself is broken; another request opens a new one.
                        connections.retain(|connection| connection.address != from);
                    }
                    return Some(Arrival::Refused { hasten });
                }
            }
        }
        None
    }

    /// A reply of this address was believed: the others are not asked any more. Tells where it is
    /// another address than the last time.
    pub(crate) fn believed(&mut self, address: SocketAddr) -> Option<Moved> {
        let round = self.round.as_mut()?;
        round.order.answered(address);
        round.connections.retain(|connection| connection.address == address);
        (self.failed_attempts, self.turn, self.moved) = (0, 0, false);
        let from = self.home.replace(address)?;
        (from != address).then_some(Moved { from, to: address })
    }

    /// What answers at this address has no time to give, for this reason. Gives whether the next
    /// request shall go to another one at once.
    pub(crate) fn useless(&mut self, address: SocketAddr, reason: Failure) -> bool {
        self.round.as_mut().is_some_and(|round| round.order.failed(address, reason))
    }

    /// Ends the round and closes its sockets, so that a late reply meets nobody.
    pub(crate) fn close(&mut self) {
        (self.number, self.round, self.trouble) = (None, None, None);
    }

    /// An attempt had no believed reply: the next one begins with other addresses.
    pub(crate) fn attempt_failed(&mut self) {
        self.failed_attempts = self.failed_attempts.saturating_add(1);
        let reach = self.round.as_ref().map_or(0, |round| round.order.reach());
        self.turn = self.turn.wrapping_add(reach.max(1));
    }

    /// The machine may have been carried elsewhere: the address that answered may be out of reach.
    pub(crate) fn moved(&mut self) {
        self.moved = true;
    }

    /// Notes what went wrong in this round, which may not have come to asking.
    pub(crate) fn fail(&mut self, round: u64, trouble: Failure) {
        self.number.get_or_insert(round);
        self.trouble = Some(trouble);
    }

    /// The search for an address has taken longer than its round.
    pub(crate) fn fail_lookup(&mut self) {
        self.trouble = self.lookup.as_ref().map(Lookup::failure);
    }

    /// What went wrong in the round that is over: which address failed how.
    pub(crate) fn take_trouble(&mut self) -> Option<Failure> {
        let story = self.round.as_ref().and_then(|round| round.order.story());
        self.trouble.take().or(story)
    }

    /// The address that answered last or, where none did, the one asked last in this round.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let asked = self.round.as_ref().and_then(|round| round.connections.last());
        self.home.or(asked.map(|connection| connection.address))
    }

    /// The open sockets, to be waited for.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = &Socket> {
        let connections = self.round.as_ref().map_or(&[][..], |round| &round.connections);
        connections.iter().map(|connection| &connection.socket)
    }
}

impl Round {
    /// The connection to this address, opened where there is none yet.
    fn connection(&mut self, address: SocketAddr) -> io::Result<&mut Connection> {
        let found = self.connections.iter().position(|connection| connection.address == address);
        let at = match found {
            Some(at) => at,
            None => {
                self.connections.push(Connection::open(address)?);
                self.connections.len() - 1
            }
        };
        self.connections.get_mut(at).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// What the system said of an address.
fn refusal(error: &io::Error) -> Failure {
    Failure::new(FailureKind::of_system(error), error.to_string())
}

/// Whether the error tells of a packet's fate (ICMP) and not of the socket.
fn is_of_network(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
    )
}

/// An address that answered once is tried first in this many attempts that it does not answer.
const ATTEMPTS_FOR_HOME: u32 = 3;
