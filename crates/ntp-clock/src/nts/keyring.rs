//! A clock's keys: exchanged in the background, again when they are used up, used for each packet.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ntp_clock_core::{Authenticated, Leap, LocalTime, Rejection, Span, UnixTime};
use ntp_clock_nts::{Association, Opened, Renewal};
use rustls::pki_types::CertificateDer;

use super::certificate;
use super::exchange::{self, InVain, Outcome, THREAD_NAME, kind_of};
use super::judge::{FLOOR, Judged};
use super::key_server::{KeyServer, Keys};
use super::validity::Validity;
use crate::carrier::Connecting;
use crate::failure::{Failure, FailureKind};
use crate::nts_status::NtsStatus;
use crate::os::{self, Bell};
use crate::server::Server;

#[derive(Debug)]
pub(crate) struct Keyring {
    server: KeyServer,
    bell: Bell,
    association: Option<Association>,
    /// The certificates by which these keys are our server's.
    chain: Vec<CertificateDer<'static>>,
    /// They were judged by a time that this clock had, at the exchange or since.
    chain_judged: bool,
    /// When the first of them ends, and since when nobody has looked whether there is a newer one,
    /// where that is known.
    validity: Option<Validity>,
    looked: Option<UnixTime>,
    /// Random bits, of this clock alone.
    spread: u64,
    renewal: Renewal,
    exchange: Option<Arc<Mutex<Option<Outcome>>>>,
    /// When the last exchange took certificates to be valid.
    judged: Judged,
    /// Why the last exchange gave no keys, or keys of no use, until a round goes well.
    error: Option<Failure>,
    /// Whether the keys are those of the last exchange, rather than of one before it.
    newest: bool,
    /// Why a reply that was proved is not believed all the same, until the driver has taken it.
    disproof: Option<Failure>,
    /// What is known of keys that were given.
    given: NtsStatus,
    /// Where time is to be asked, until the driver has taken it.
    target: Option<Server>,
    /// The round for which keys were looked after last, and what befell it with these keys.
    round: u64,
    befell: Befell,
    /// The address that gave these keys.
    giver: Option<SocketAddr>,
    /// A reply with a time was proved with them.
    served: bool,
    /// Where these keys lead there is no time, by its own word: another address may have some.
    useless: bool,
    /// It was said that the exchange has given keys.
    announced: bool,
}

/// What befell a round's requests.
#[derive(Clone, Copy, Debug, Default)]
struct Befell {
    asked: bool,
    /// A reply was proved, whatever it says.
    proved: bool,
    /// One was that tells a time which its certificates do not belie.
    timely: bool,
}

impl Keyring {
    pub(crate) fn new(server: KeyServer, bell: Bell) -> Self {
        Keyring {
            given: NtsStatus::of(server.trusted().clone()),
            server,
            bell,
            association: None,
            chain: Vec::new(),
            chain_judged: false,
            validity: None,
            looked: None,
            spread: getrandom::u64().unwrap_or(0),
            renewal: Renewal::new(),
            exchange: None,
            judged: Judged::WithoutClock,
            error: None,
            newest: false,
            disproof: None,
            target: None,
            round: 0,
            befell: Befell::default(),
            giver: None,
            served: false,
            useless: false,
            announced: false,
        }
    }

    /// Whether a request of this round can be made. Keys are looked after once a round, at its
    /// beginning: an NTS-NAK within it may be forged, and the real reply still come, which new keys
    /// would not open. Only where no cookie is left are new ones taken at once.
    pub(crate) fn prepare(
        &mut self,
        round: u64,
        now: LocalTime,
        time: Option<UnixTime>,
    ) -> Connecting {
        let fresh = std::mem::replace(&mut self.round, round) != round;
        if fresh {
            self.conclude_round();
        }
        if fresh || self.cookies() == 0 {
            self.collect(time);
        }
        if fresh {
            // After NAKs and nothing else, too: nobody has proved them. Some servers are silent
            // where they cannot read a cookie. Where some are left keys are exchanged beside the
            // requests: that may be the network's fault, or an attacker's, and the keys be good.
            let befell = std::mem::take(&mut self.befell);
            let silent = befell.asked && !befell.proved;
            let ending = self.is_certificate_ending(time);
            let wanted = silent || ending || self.useless || self.cookies() == 0;
            if wanted && self.exchange.is_none() && self.renewal.is_due(now) {
                self.begin(now, time);
            }
        }
        match (self.cookies(), self.is_exchanging()) {
            (0, true) => Connecting::Waiting,
            (0, false) => Connecting::Failed(self.failure()),
            _ => Connecting::Ready,
        }
    }

    /// What the last round leaves. Its replies are not waited for any more: one that was held back
    /// would be judged by the time it tells, which is not of now.
    fn conclude_round(&mut self) {
        if let Some(association) = &mut self.association {
            association.begin_round();
        }
        if self.befell.timely {
            self.error = None;
            if self.newest {
                self.renewal.proved();
            }
        }
    }

    /// Keys are exchanged then, too, to be shown its successor: what the status says of it is true
    /// for long clocks, and keys that are lost later can be had.
    fn is_certificate_ending(&mut self, time: Option<UnixTime>) -> bool {
        let (Some(validity), Some(time)) = (self.validity, time) else { return false };
        let looked = *self.looked.get_or_insert(time);
        validity.is_ending(time, looked, self.spread)
    }

    fn cookies(&self) -> usize {
        self.association.as_ref().map_or(0, Association::cookies)
    }

    pub(crate) fn take_target(&mut self) -> Option<Server> {
        self.target.take()
    }

    pub(crate) const fn is_exchanging(&self) -> bool {
        self.exchange.is_some()
    }

    pub(crate) fn status(&self) -> NtsStatus {
        NtsStatus {
            cookies: self.cookies(),
            exchanging: self.is_exchanging(),
            last_error: self.error.clone(),
            ..self.given.clone()
        }
    }

    /// Seals a request that the reply must answer with these bits.
    pub(crate) fn request(&mut self, cookie: u64) -> Result<Vec<u8>, Failure> {
        let mut entropy = [0; Association::ENTROPY_LEN];
        getrandom::fill(&mut entropy).map_err(|error| {
            let detail = format!("no randomness from the system: {error}");
            Failure::new(FailureKind::NoRandomness, detail)
        })?;
        let failed = |detail: String| Failure::new(FailureKind::KeyExchange, detail);
        let association = self.association.as_mut().ok_or_else(|| failed("no keys".to_owned()))?;
        let request = association.request(cookie, &entropy);
        let request = request.map_err(|error| failed(error.to_string()))?;
        self.befell.asked = true;
        Ok(request)
    }

    /// A reply that was proved, with certificates that the time which it tells does not belie.
    /// `ours` is what the clock reads, if it does.
    pub(crate) fn open(
        &mut self,
        datagram: &[u8],
        ours: Option<UnixTime>,
    ) -> Result<Authenticated, Rejection> {
        let association = self.association.as_mut().ok_or(Rejection::Unauthenticated)?;
        let reply = match association.open(datagram)? {
            Opened::Authenticated(reply) => reply,
            Opened::Nak => return Err(Rejection::Nak),
        };
        self.befell.proved = true;
        let packet = reply.packet();
        // A kiss tells no time, and neither does a server that has none itself: both are refused
        // by the engine, for their own reason.
        if packet.stratum > 0 && packet.leap != Leap::Unsynchronised {
            self.judge(packet.transmit_timestamp.to_unix(), ours)?;
            self.served = true;
            self.befell.timely = true;
        }
        Ok(reply)
    }

    /// Why the last reply was not believed, where that was the certificate's fault or the time's.
    pub(crate) fn take_disproof(&mut self) -> Option<Failure> {
        self.disproof.take()
    }

    /// A server that these keys have proved says that it has no time to give: another of the name's
    /// addresses may have some.
    pub(crate) const fn useless(&mut self) {
        self.befell.timely = false;
        (self.served, self.useless) = (false, true);
    }

    /// Whether an exchange has given keys that are not in use yet; says so once of each. One that
    /// was in vain is taken note of.
    pub(crate) fn have_keys_come(&mut self) -> bool {
        let Some(slot) = &self.exchange else { return false };
        let outcome = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let given = outcome.as_ref().map(Result::is_ok);
        drop(outcome);
        if given == Some(false) {
            self.collect(None);
        }
        given == Some(true) && !std::mem::replace(&mut self.announced, true)
    }

    /// Gives up keys, and those that are being exchanged.
    pub(crate) fn forget(&mut self) {
        (self.association, self.exchange, self.target) = (None, None, None);
        self.befell = Befell::default();
    }

    /// The machine may be on another network: a key exchange that failed says nothing any more.
    pub(crate) fn moved(&mut self) {
        self.renewal.moved();
    }

    /// Anyone who has the certificate's key can give a time, and that key may be stolen and old. So
    /// no time is taken over from a reply that is not within the certificates' validity: not the
    /// first one, and not one that is far from ours. Our time judges them too, once: it may have
    /// come from older keys, since an exchange that had none. That they have expired after that is
    /// no reason for other keys (RFC 8915 section 8.5).
    fn judge(&mut self, time: UnixTime, ours: Option<UnixTime>) -> Result<(), Rejection> {
        if time < FLOOR {
            let detail = format!("the server reports {time}, which is before this release");
            return Err(self.disprove(Failure::new(FailureKind::KeyExchange, detail)));
        }
        if let Some(ours) = ours {
            if !self.chain_judged {
                self.judge_at(ours, OURS)?;
                self.chain_judged = true;
            }
            if (ours - time).abs() <= TIME_OF_REPLY_MAX_ERROR {
                return Ok(());
            }
        }
        self.judge_at(time, "the time that its own server tells")
    }

    /// Gives the keys up where their certificates were not valid then, by this clock.
    fn judge_at(&mut self, time: UnixTime, whose: &str) -> Result<(), Rejection> {
        timely(&self.server, &self.chain, time, whose).map_err(|failure| {
            self.association = None;
            self.disprove(failure)
        })
    }

    fn disprove(&mut self, failure: Failure) -> Rejection {
        self.befell.timely = false;
        self.served = false;
        self.error = Some(failure.clone());
        self.disproof = Some(failure);
        Rejection::Unauthenticated
    }

    fn begin(&mut self, now: LocalTime, time: Option<UnixTime>) {
        self.renewal.begin(now, getrandom::u64().unwrap_or(0));
        let slot = Arc::new(Mutex::new(None));
        let (server, bell, result) = (self.server.clone(), self.bell.clone(), Arc::clone(&slot));
        let judged = time.map_or(Judged::WithoutClock, Judged::At);
        (self.judged, self.looked) = (judged, time);
        let useless = self.giver.filter(|_| !self.served);
        (self.useless, self.announced) = (false, false);
        let exchange = move || {
            let outcome = exchange::exchange(&server, judged, useless);
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            bell.ring();
        };
        match os::spawn_quietly(THREAD_NAME, exchange) {
            Ok(_) => {
                self.exchange = Some(slot);
                self.newest = false;
            }
            Err(error) => {
                let kind = FailureKind::of_system(&error);
                self.error = Some(Failure::new(kind, error.to_string()));
                self.renewal.unreached();
            }
        }
    }

    /// Takes what an exchange that is over gave. Old keys are kept where there are no new ones.
    /// `time` is what the clock reads, if it does.
    fn collect(&mut self, time: Option<UnixTime>) {
        let Some(slot) = &self.exchange else { return };
        // Asked before the slot is looked at: what a thread leaves there is seen once it is gone.
        let thread_is_gone = Arc::strong_count(slot) == 1;
        let outcome = match slot.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(outcome) => outcome,
            None if thread_is_gone => {
                let detail = "the key exchange ended by a fault of its own";
                Err(InVain::at_server(Failure::new(FailureKind::KeyExchange, detail)))
            }
            None => return,
        };
        self.exchange = None;
        let usable = outcome.and_then(|(keys, address)| {
            let target = self.target_of(&keys, address, time).map_err(InVain::at_server)?;
            Ok((keys, target, address))
        });
        match usable {
            Ok((keys, target, address)) => self.take(keys, target, address, time),
            Err(InVain { failure, reached }) => {
                // That the round has gone well until now is no reason to forget it.
                self.befell.timely = false;
                self.error = Some(failure);
                if !reached {
                    self.renewal.unreached();
                }
            }
        }
    }

    /// Where time is to be asked with keys that can be used.
    fn target_of(
        &self,
        keys: &Keys,
        address: SocketAddr,
        time: Option<UnixTime>,
    ) -> Result<Server, Failure> {
        let target = target_of(keys, address)?;
        // There may be time by now, of older keys.
        if let (Judged::WithoutClock, Some(ours)) = (self.judged, time) {
            timely(&self.server, &keys.certificates, ours, OURS)?;
        }
        Ok(target)
    }

    fn take(&mut self, keys: Keys, target: Server, address: SocketAddr, time: Option<UnixTime>) {
        (self.giver, self.served, self.useless) = (Some(address), false, false);
        let certificate = keys.certificates.first().and_then(certificate::describe);
        let (subject, issuer, validity) = match certificate {
            Some(said) => (Some(said.subject), Some(said.issuer), Some(said.validity)),
            None => (None, None, None),
        };
        self.given = NtsStatus {
            exchanges: self.given.exchanges + 1,
            exchange_took: Some(Span::from(keys.took)),
            ntp_host: Some(with_port(&target)),
            certificate_subject: subject,
            certificate_issuer: issuer,
            certificate_expires: validity.map(|validity| validity.until),
            ..NtsStatus::of(self.server.trusted().clone())
        };
        self.validity = validity;
        self.chain = keys.certificates;
        self.chain_judged = time.is_some() || matches!(self.judged, Judged::At(_));
        self.association = Some(keys.association);
        self.newest = true;
        self.befell = Befell::default();
        self.target = Some(target);
        self.error = None;
    }

    /// Why there are no keys.
    fn failure(&self) -> Failure {
        let waiting = || {
            let detail = "all cookies are used up; keys are exchanged again after a pause";
            Failure::new(FailureKind::KeyExchange, detail)
        };
        self.error.clone().unwrap_or_else(waiting)
    }
}

/// Whether certificates prove the server at this time; the failure says whose time that is.
fn timely(
    server: &KeyServer,
    certificates: &[CertificateDer<'static>],
    time: UnixTime,
    whose: &str,
) -> Result<(), Failure> {
    server.judge(certificates, time, TIME_OF_REPLY_MAX_ERROR).map_err(|error| {
        let margin_s = TIME_OF_REPLY_MAX_ERROR.as_nanos() / 1_000_000_000;
        let detail = format!("{error}; by {whose}, {time}, within {margin_s} s");
        Failure::new(kind_of(&error), detail)
    })
}

/// Where time is to be asked: at the address that gave the keys, unless it named another host.
fn target_of(keys: &Keys, address: SocketAddr) -> Result<Server, Failure> {
    let port = keys.ntp_port.unwrap_or(NTP_PORT);
    let target = match &keys.ntp_host {
        Some(host) => Server::at(host, port),
        // With the link that a link-local address is of.
        None => {
            let mut address = address;
            address.set_port(port);
            address.to_string().parse()
        }
    };
    target.map_err(|error| {
        let detail = format!("the key exchange names a server that cannot be asked: {error}");
        Failure::new(FailureKind::KeyExchange, detail)
    })
}

/// As `host:port`, an IPv6 address in brackets.
fn with_port(server: &Server) -> String {
    let (host, port) = (server.host(), server.port());
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// How far true time may be from what a reply says when that is believed: less than 4 s until the
/// reply is too late, and 1 s that a server's own error may be.
const TIME_OF_REPLY_MAX_ERROR: Span = Span::from_secs(5);
const OURS: &str = "this clock's time";
const NTP_PORT: u16 = 123;

#[cfg(test)]
mod tests;
