//! The synchronisation state machine: when to ask, whom to believe, what to publish.
//!
//! One input, then drain. The inputs are [`SyncEngine::handle_sent`],
//! [`SyncEngine::handle_datagram`] or [`SyncEngine::handle_response`],
//! [`SyncEngine::handle_send_failed`], [`SyncEngine::handle_timeout`],
//! [`SyncEngine::handle_suspend`], [`SyncEngine::handle_counter_changed`] and
//! [`SyncEngine::request_sync`]. After each of them:
//! [`SyncEngine::poll_transmit`] and [`SyncEngine::poll_event`] until they give nothing, then
//! publish [`SyncEngine::mapping`] and sleep until [`SyncEngine::poll_timeout`].

mod authentication;
mod beginning;
mod config;
mod deadlines;
mod ending;
mod event;
mod proved;
mod replies;
mod restraint;
mod round;
pub(crate) mod schedule;
mod state;
mod transmit;

pub use authentication::{Authenticated, Authentication};
pub use config::EngineConfig;
pub use event::{AttemptError, Disruption, EngineStatus, EpochReason, Event, SyncState};
pub use transmit::{Held, RequestId, SendToken, Transmit};

use crate::discipline::Discipline;
use crate::exchange::{Exchange, Rejection, ServerReply};
use crate::log::LogEntry;
use crate::mapping::Mapping;
use crate::packet::{Leap, Packet, ReferenceId};
use crate::queue::Queue;
use crate::time::{LocalTime, Span, UnixTime};
use restraint::Restraint;
use round::{Purpose, Round};
use schedule::Budget;
use state::State;

/// The synchronisation state machine of one clock and one server.
///
/// ```
/// use ntp_clock_core::*;
/// let now = LocalTime::from_nanos(0);
/// let mut engine = SyncEngine::new(EngineConfig::default(), now);
/// engine.handle_timeout(now); // begins the first round
/// let transmit = engine.poll_transmit(now, 42).expect("the first request is due at once");
/// let cookie = transmit.cookie;
/// engine.handle_sent(transmit.token, now);
///
/// // 20 ms later the server's reply arrives.
/// let later = now + Span::from_millis(20);
/// let reply = ServerReply {
///     receive_time: UnixTime::from_nanos(1_800_000_000_010_000_000),
///     transmit_time: UnixTime::from_nanos(1_800_000_000_010_000_000),
///     root_delay: Span::ZERO,
///     root_dispersion: Span::from_micros(10),
///     precision_log2_s: -25,
///     leap: Leap::None,
///     stratum: 1,
///     reference_id: ReferenceId::from_bytes(*b"GPS\0"),
/// };
/// engine.handle_response(cookie, reply, later, later).expect("believed");
/// let reading = engine.mapping().and_then(|m| m.read(later)).expect("synchronised");
/// assert_eq!(reading.time(), UnixTime::from_nanos(1_800_000_000_020_000_000));
/// assert!(reading.max_error() < Span::from_millis(11));
/// ```
#[derive(Clone, Debug)]
pub struct SyncEngine {
    config: EngineConfig,
    authentication: Authentication,
    discipline: Discipline,
    round: Option<Round>,
    round_number: u64,
    next_round: LocalTime,
    state: State,
    restraint: Restraint,
    budget: Budget,
    /// From the last `poll_transmit`, spread for jitter.
    entropy: u64,
    events: Queue<Event, EVENTS>,
    log: Queue<LogEntry, LOG_ENTRIES>,
    tally: Tally,
}

/// Counts and last values for the status.
#[derive(Clone, Debug, Default)]
struct Tally {
    last_sync: Option<(LocalTime, UnixTime)>,
    leap: Option<Leap>,
    stratum: Option<u8>,
    reference_id: Option<ReferenceId>,
    rejections: [u64; Rejection::COUNT],
    requests: u64,
    believed: u64,
    rounds: u64,
    last_error: Option<AttemptError>,
}

/// Construction and inputs.
impl SyncEngine {
    /// An engine that knows nothing and wants to ask at once.
    #[must_use]
    pub fn new(config: EngineConfig, now: LocalTime) -> Self {
        SyncEngine {
            discipline: Discipline::new(config.estimator(), config.counter_whole_since),
            config,
            authentication: Authentication::None,
            round: None,
            round_number: 0,
            next_round: now,
            state: State::Unsynchronised { attempts: 0 },
            restraint: Restraint::NONE,
            budget: Budget::new(),
            entropy: 0,
            events: Queue::new(),
            log: Queue::new(),
            tally: Tally::default(),
        }
    }

    /// An engine that goes on from another one's [`SyncEngine::legacy`], as a forked child does:
    /// readings continue in the same epoch while the first round of its own is held within a
    /// second.
    ///
    /// A mapping that has expired makes an engine that asks at once; its readings begin no
    /// earlier than the last one of that epoch. One that never gives a reading makes
    /// an engine that knows nothing but its epoch.
    #[must_use]
    pub fn resume(config: EngineConfig, mapping: Mapping, now: LocalTime, entropy: u64) -> Self {
        let first_round = now + Span::from_secs(1).share(entropy);
        let expiry = mapping.valid_until.min(first_round + schedule::EXPIRY_GRACE);
        let mapping = Mapping { valid_until: expiry, ..mapping };
        let since = config.counter_whole_since;
        let discipline = Discipline::resume(config.estimator(), mapping, since, now);
        let fresh = SyncEngine::new(config, now);
        if discipline.mapping().is_none() {
            return SyncEngine { discipline, ..fresh };
        }
        let state = State::Synchronised { attempts: 0, due: now };
        SyncEngine { discipline, next_round: first_round, state, ..fresh }
    }

    /// The request left at `at` by the local counter, or a little later but never earlier: its T1.
    ///
    /// A token of a round that is over changes nothing.
    pub fn handle_sent(&mut self, token: SendToken, at: LocalTime) {
        self.budget.sent(token.slot, at);
        if let Some(round) = self.round_of(token.id) {
            round.sent(token.id.place, at);
        }
    }

    /// A better timestamp (from the kernel) for a request that was sent; ignored where it is
    /// earlier than the first one, or comes after the reply.
    pub fn refine_sent(&mut self, id: RequestId, at: LocalTime) {
        if let Some(round) = self.round_of(id) {
            round.refine_sent(id.place, at);
        }
    }

    /// The request could not be sent (no address, no route): the round sends no more, and ends
    /// when a reply to it would have been too late. A network that is down for a moment, as at
    /// boot, so does not use up all attempts in that moment.
    pub fn handle_send_failed(&mut self, token: SendToken, now: LocalTime) {
        self.tally.requests = self.tally.requests.saturating_sub(1);
        if let Some(round) = self.round_of(token.id) {
            round.send_failed(token.id.place, now);
        }
        self.settle(now);
    }

    /// No reply will come to what was sent so far, as the carrier has learnt, and it has another
    /// address to ask: the next request need not wait for one. The packet budget stands.
    pub fn hasten(&mut self) {
        if let Some(round) = &mut self.round {
            round.hasten();
        }
    }

    /// A datagram of our server's address arrived at `t4`.
    ///
    /// # Errors
    /// The [`Rejection`] where it is not believed; it is counted here as well.
    pub fn handle_datagram(
        &mut self,
        datagram: &[u8],
        t4: LocalTime,
        now: LocalTime,
    ) -> Result<Exchange, Rejection> {
        let Ok(packet) = Packet::decode(datagram) else {
            return Err(self.reject(Rejection::Malformed));
        };
        self.allow_plain(now)?;
        self.take_packet(&packet, t4, now)
    }

    /// The reply to the request with this cookie arrived at `t4`, and its carrier found that it
    /// holds no time to believe. Gives the rejection that is counted: where the cookie belongs to
    /// no request, it is that.
    pub fn handle_refusal(
        &mut self,
        cookie: u64,
        rejection: Rejection,
        t4: LocalTime,
        now: LocalTime,
    ) -> Rejection {
        match self.allow_plain(now) {
            Ok(()) => self.take_refusal(cookie, rejection, t4, now),
            Err(unproved) => unproved,
        }
    }

    /// The server's half of an exchange arrived by some other carrier, in answer to the request
    /// with this cookie, at `t4`.
    ///
    /// # Errors
    /// The [`Rejection`] where it is not believed; it is counted here as well.
    pub fn handle_response(
        &mut self,
        cookie: u64,
        reply: ServerReply,
        t4: LocalTime,
        now: LocalTime,
    ) -> Result<Exchange, Rejection> {
        self.allow_plain(now)?;
        self.take_reply(cookie, reply, t4, now)
    }

    /// The local counter lost an unknown length of time: no reading stands, a new epoch begins,
    /// and a new round starts at once.
    pub fn handle_suspend(&mut self, now: LocalTime) {
        let ended = self.discipline.suspend(now);
        self.begin_again(ended, LogEntry::Suspend { at: now }, now);
    }

    /// The counter may be another one, of another frequency, as where a virtual machine was moved
    /// to another host or restored there: as [`SyncEngine::handle_suspend`], and nothing stands that
    /// was learnt of the frequency either.
    pub fn handle_counter_changed(&mut self, now: LocalTime) {
        let ended = self.discipline.counter_changed(now);
        self.begin_again(ended, LogEntry::CounterChanged { at: now }, now);
    }

    /// No offset is known any more; `entry` says why.
    fn begin_again(&mut self, epoch_ended: bool, entry: LogEntry, now: LocalTime) {
        if epoch_ended {
            self.tell_epoch(EpochReason::Suspend);
        }
        self.log_round_end(now);
        self.log.push(entry);
        self.round = None;
        self.state = State::Unsynchronised { attempts: 0 };
        self.next_round = self.restraint.no_earlier(now);
        self.handle_timeout(now);
    }

    /// The user wants a round now; joins one that is under way.
    ///
    /// # Errors
    /// [`Held`] where a kiss-o'-death forbids asking for now.
    pub fn request_sync(&mut self, now: LocalTime) -> Result<(), Held> {
        if let Some(until) = self.restraint.until().filter(|hold| *hold > now) {
            return Err(Held { until });
        }
        if self.round.is_none() {
            self.start_round(Purpose::Manual, now);
        }
        Ok(())
    }

    /// Changes the pause between rounds; an earlier next round is drawn nearer at once.
    pub fn set_poll_interval(&mut self, interval: Span, now: LocalTime) {
        self.config.poll_interval = interval;
        let latest = now + self.poll_interval();
        let held = self.restraint.until().is_some();
        if self.state.attempts() > 0 || self.next_round <= latest || held {
            return;
        }
        self.next_round = latest;
        if let Some(mapping) = self.mapping() {
            let expiry = mapping.valid_until.min(latest + schedule::EXPIRY_GRACE);
            self.discipline.expire_at(expiry);
        }
    }
}

/// Outputs.
impl SyncEngine {
    /// The next request to send, if one is due. `entropy` is 64 fresh random bits: they become
    /// the cookie, and a hash of them the jitter.
    pub fn poll_transmit(&mut self, now: LocalTime, entropy: u64) -> Option<Transmit> {
        let next = self.round.as_ref()?.next_send()?;
        if now < next {
            return None;
        }
        if !self.budget.allows(now) {
            return None;
        }
        let place = self.round.as_mut()?.hand_out(entropy, now);
        let slot = self.budget.spend(now);
        self.tally.requests += 1;
        self.entropy = scramble(entropy);
        let id = RequestId { round: self.round_number, place };
        Some(Transmit { token: SendToken { id, slot }, id, cookie: entropy })
    }

    /// The oldest event not yet taken.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// The oldest entry of the log not yet taken, of which the newest 12 are kept. Fed to a
    /// [`Replay`](crate::Replay) in order, they make it read as this engine's mapping does.
    pub fn poll_log(&mut self) -> Option<LogEntry> {
        self.log.pop()
    }

    /// What readers may use now; `None` while not synchronised.
    #[must_use]
    pub fn mapping(&self) -> Option<&Mapping> {
        self.discipline.mapping()
    }

    /// What an engine that takes over from this one goes on from, by [`SyncEngine::resume`]: the
    /// mapping that readers use, or used last in this epoch; without one, only the epoch, by a
    /// mapping that never gives a reading.
    #[must_use]
    pub fn legacy(&self) -> Mapping {
        self.discipline.legacy()
    }

    /// Whether a round is under way.
    #[must_use]
    pub fn in_round(&self) -> bool {
        self.round.is_some()
    }

    /// Whether a round is under way that has given all that a program should wait for. What is
    /// still to come are the last requests of the first round, which are spread over 1.5 s.
    #[must_use]
    pub fn round_is_answered(&self) -> bool {
        self.round.as_ref().is_some_and(Round::is_answered)
    }

    /// How many rounds were begun; names the one under way.
    #[must_use]
    pub fn round_number(&self) -> u64 {
        self.round_number
    }

    /// Everything that the engine knows about itself.
    #[must_use]
    pub fn status(&self, now: LocalTime) -> EngineStatus {
        let state = self.state.shown(self.is_readable(now));
        // Also where readings have ended and nobody has called since.
        let failure = (state == SyncState::Failed).then(|| self.expiry_reason(now));
        EngineStatus {
            state,
            epoch: self.discipline.epoch(),
            last_sync_local: self.tally.last_sync.map(|(local, _)| local),
            last_sync: self.tally.last_sync.map(|(_, time)| time),
            delay: self.discipline.min_delay(),
            rate_ppm: self.mapping().map(Mapping::rate_ppm),
            leap: self.tally.leap,
            stratum: self.tally.stratum,
            reference_id: self.tally.reference_id,
            attempts: self.state.attempts(),
            rejections: self.tally.rejections,
            requests: self.tally.requests,
            believed: self.tally.believed,
            rounds: self.tally.rounds,
            last_error: self.tally.last_error.or(failure),
            next_sync: self.next_round,
            in_round: self.round.is_some(),
        }
    }

    /// Whether there is a reading at this moment.
    fn is_readable(&self, now: LocalTime) -> bool {
        self.mapping().is_some_and(|mapping| now <= mapping.valid_until)
    }

    fn poll_interval(&self) -> Span {
        self.config.poll_interval.max(EngineConfig::POLL_INTERVAL_MIN)
    }
}

/// A bijection that spreads every input bit over the whole word (the finaliser of SplitMix64), so
/// that jitter says nothing about cookies.
fn scramble(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

const EVENTS: usize = 16;
/// One input ends one round of seven requests at most.
const LOG_ENTRIES: usize = 12;

// A clock is small enough to have many.
const _: () = assert!(size_of::<SyncEngine>() < 8 * 1024);

#[cfg(test)]
mod tests;
