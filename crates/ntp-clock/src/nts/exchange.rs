//! An exchange of keys with whichever of a name's addresses gives them.
//!
//! As with "happy eyeballs" (RFC 8305) an address that does not answer soon is not waited for: the
//! next one is tried beside it, and the first keys count.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use super::judge::Judged;
use super::key_server::{KeyServer, Keys, KeysError};
use crate::carrier;
use crate::failure::{Failure, FailureKind};
use crate::os;

/// An exchange that gave no keys.
#[derive(Debug)]
pub(super) struct InVain {
    pub(super) failure: Failure,
    /// A server was there and had work with it.
    pub(super) reached: bool,
}

impl InVain {
    /// A server had work with it.
    pub(super) fn at_server(failure: Failure) -> Self {
        InVain { failure, reached: true }
    }
}

/// Keys, and the address that gave them.
pub(super) type Outcome = Result<(Keys, SocketAddr), InVain>;

/// Exchanges keys with the first of the name's addresses that gives any. `useless` is an address
/// whose keys gave no time: those behind it come first, and it itself only when they have failed.
/// Blocks meanwhile.
pub(super) fn exchange(server: &KeyServer, judged: Judged, useless: Option<SocketAddr>) -> Outcome {
    let unresolved = |failure| InVain { failure, reached: false };
    let mut addresses = carrier::find(server.server()).map_err(unresolved)?;
    let last_resort = addresses.iter().position(|address| Some(*address) == useless);
    if let Some(at) = last_resort {
        addresses.rotate_left(at + 1);
    }
    let last_resort = addresses.last().filter(|address| Some(**address) == useless).copied();
    let first = addresses.len().min(ADDRESSES_MAX);
    // What is too much is left out, not the last resort.
    let excess = first.saturating_sub(1)..addresses.len().saturating_sub(1);
    addresses.drain(excess);

    let (report, reports) = mpsc::channel();
    let mut vain = Vain::default();
    let mut running = 0_usize;
    let mut queue = addresses.into_iter().peekable();
    while let Some(address) = queue.next() {
        begin(server, judged, address, &report);
        running += 1;
        loop {
            let others_first = queue.peek().is_some_and(|next| Some(*next) == last_resort);
            let alone_for = if others_first || queue.peek().is_none() { LIMIT * 2 } else { AHEAD };
            match reports.recv_timeout(alone_for) {
                Ok((address, Ok(keys))) => return Ok((keys, address)),
                Ok((address, Err(error))) => {
                    vain.note(server, address, &error);
                    running -= 1;
                    if running == 0 || queue.peek().is_some() && !others_first {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
    }
    Err(vain.reason())
}

type Report = (SocketAddr, Result<Keys, KeysError>);

/// Tries one address in a thread of its own.
fn begin(server: &KeyServer, judged: Judged, address: SocketAddr, report: &Sender<Report>) {
    let (server, sender) = (server.clone(), report.clone());
    // The receiver has the keys already and listens no more.
    let attempt = move || drop(sender.send((address, server.exchange(address, judged, LIMIT))));
    if let Err(error) = os::spawn_quietly(THREAD_NAME, attempt) {
        drop(report.send((address, Err(KeysError::Unreachable(error)))));
    }
}

/// What the addresses failed by: the gravest counts, or the one that this network cannot reach
/// would hide that the server's certificate is wrong.
#[derive(Default)]
struct Vain {
    gravest: Option<(Gravity, Failure)>,
    reached: bool,
}

impl Vain {
    fn note(&mut self, server: &KeyServer, address: SocketAddr, error: &KeysError) {
        self.reached |= !matches!(error, KeysError::Unreachable(_));
        let gravity = Gravity::of(error);
        if self.gravest.as_ref().is_none_or(|(gravest, _)| gravity > *gravest) {
            let detail = format!("{} at {address}: {error}", server.host());
            self.gravest = Some((gravity, Failure::new(kind_of(error), detail)));
        }
    }

    fn reason(self) -> InVain {
        let fault = || {
            let detail = "the key exchange ended by a fault of its own";
            Failure::new(FailureKind::KeyExchange, detail)
        };
        // A fault of our own says nothing about who was reached: the longer pause is the safe one.
        let reached = self.reached || self.gravest.is_none();
        InVain { failure: self.gravest.map_or_else(fault, |(_, failure)| failure), reached }
    }
}

/// How much a failure says about the server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Gravity {
    /// This network does not lead there.
    NoWay,
    /// Nobody answered, or this machine or that one refused.
    Silent,
    /// Somebody answered, and it led to nothing.
    Answered,
    Certificate,
}

impl Gravity {
    fn of(error: &KeysError) -> Self {
        match error {
            KeysError::Unreachable(error) => match FailureKind::of_system(error) {
                FailureKind::Unreachable => Gravity::NoWay,
                FailureKind::Attempt(_) if error.kind() != ErrorKind::TimedOut => Gravity::NoWay,
                _ => Gravity::Silent,
            },
            KeysError::TimedOut(_) => Gravity::Silent,
            KeysError::Tls(rustls::Error::InvalidCertificate(_)) => Gravity::Certificate,
            _ => Gravity::Answered,
        }
    }
}

/// By what can be done about it.
pub(super) fn kind_of(error: &KeysError) -> FailureKind {
    match error {
        KeysError::Unreachable(error) => match FailureKind::of_system(error) {
            // That nothing was sent, which the other kinds would say, is of time's packets.
            FailureKind::Attempt(_) => FailureKind::KeyExchange,
            kind => kind,
        },
        KeysError::Tls(rustls::Error::InvalidCertificate(_)) => FailureKind::Certificate,
        _ => FailureKind::KeyExchange,
    }
}

/// For one address.
const LIMIT: Duration = Duration::from_secs(5);
/// So long after it the next one is tried beside it (RFC 8305, section 5, has 100 ms to 2 s for a
/// connection; this is that, TLS and the answer).
const AHEAD: Duration = Duration::from_millis(500);
/// Of one exchange: it ends before the next one may begin.
const ADDRESSES_MAX: usize = 8;
pub(super) const THREAD_NAME: &str = "ntp-clock-nts";

#[cfg(test)]
mod tests;
