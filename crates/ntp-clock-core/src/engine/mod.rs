//! The synchronisation state machine: when to ask, whom to believe, what to publish.
//!
//! One input, then drain. The inputs are [`SyncEngine::handle_sent`],
//! [`SyncEngine::handle_datagram`] or [`SyncEngine::handle_response`],
//! [`SyncEngine::handle_send_failed`], [`SyncEngine::handle_timeout`],
//! [`SyncEngine::handle_suspend`] and [`SyncEngine::request_sync`]. After each of them:
//! [`SyncEngine::poll_transmit`] and [`SyncEngine::poll_event`] until they give nothing, then
//! publish [`SyncEngine::mapping`] and sleep until [`SyncEngine::poll_timeout`].

mod event;
mod round;
mod schedule;

pub use event::{AttemptError, EngineStatus, EpochReason, Event, SyncState};

use crate::estimator::{Estimate, Estimator, Verdict};
use crate::exchange::{Exchange, KissCode, Rejection, ServerReply};
use crate::mapping::Mapping;
use crate::packet::{Leap, NtpTimestamp, Packet, ReferenceId};
use crate::time::{LocalTime, Span, UnixTime};
use event::EventQueue;
use round::{Purpose, Round};
use schedule::{Backoff, Budget};

/// What can be chosen about an engine.
///
/// ```
/// use ntp_clock_core::{EngineConfig, Span};
/// let config = EngineConfig { poll_interval: Span::from_secs(60), ..EngineConfig::default() };
/// assert_eq!(config.holdover, Span::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EngineConfig {
    /// Pause between rounds once the frequency is learnt; 300 s by default.
    pub poll_interval: Span,
    /// For how long after failure readings go on, with growing bounds; zero by default.
    pub holdover: Span,
    /// Coarseness of the local counter; 1 ns by default.
    pub counter_resolution: Span,
    /// Before this moment the counter is not known to have run without a pause; the beginning of
    /// time by default. Readings of earlier moments are refused.
    pub counter_whole_since: LocalTime,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            poll_interval: Span::from_secs(300),
            holdover: Span::ZERO,
            counter_resolution: Span::from_nanos(1),
            counter_whole_since: LocalTime::MIN,
        }
    }
}

/// A request to be sent now.
#[derive(Debug)]
#[must_use = "the token goes back through handle_sent or handle_send_failed"]
pub struct Transmit {
    /// Goes back to the engine with the moment of sending.
    pub token: SendToken,
    /// Names the request when a better timestamp for it turns up later.
    pub id: RequestId,
    /// What the reply must return to be believed: 64 random bits.
    pub cookie: u64,
}

impl Transmit {
    /// The request as an NTP packet.
    #[must_use]
    pub fn ntp_request(&self) -> [u8; Packet::LEN] {
        Packet::request(NtpTimestamp::from_bits(self.cookie)).encode()
    }
}

/// Proof that a request was handed out; given back exactly once.
#[derive(Debug)]
pub struct SendToken(RequestId);

/// Which request of which round.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct RequestId {
    round: u64,
    place: u8,
}

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
    estimator: Estimator,
    /// What readers may use now.
    mapping: Option<Mapping>,
    /// What readers used last in this epoch: readings must not fall behind it.
    published: Option<Mapping>,
    counter_whole_since: LocalTime,
    epoch: u64,
    round: Option<Round>,
    round_number: u64,
    next_round: LocalTime,
    /// When the poll that the current attempts belong to was due.
    due: LocalTime,
    /// No request leaves before this (kiss-o'-death).
    hold_until: Option<LocalTime>,
    /// Successful rounds since the clock was last without any knowledge of its offset.
    rounds: u32,
    failed_attempts: u32,
    failed: bool,
    backoff: Backoff,
    rate_hold: Backoff,
    budget: Budget,
    /// From the last `poll_transmit`, spread for jitter.
    entropy: u64,
    events: EventQueue,
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
            estimator: Estimator::new(config.counter_resolution),
            counter_whole_since: config.counter_whole_since,
            config,
            mapping: None,
            published: None,
            epoch: 1,
            round: None,
            round_number: 0,
            next_round: now,
            due: now,
            hold_until: None,
            rounds: 0,
            failed_attempts: 0,
            failed: false,
            backoff: Backoff::FAILED,
            rate_hold: Backoff::RATE,
            budget: Budget::new(),
            entropy: 0,
            events: EventQueue::new(),
            tally: Tally::default(),
        }
    }

    /// An engine that goes on from another one's mapping, as a forked child does: readings
    /// continue in the same epoch while the first round of its own is held within a second.
    #[must_use]
    pub fn resume(config: EngineConfig, mapping: Mapping, now: LocalTime, entropy: u64) -> Self {
        let first_round = now + Span::from_secs(1).share(entropy);
        SyncEngine {
            estimator: Estimator::resume(config.counter_resolution, &mapping),
            counter_whole_since: mapping.valid_from,
            epoch: mapping.epoch,
            rounds: 1,
            next_round: first_round,
            due: first_round,
            mapping: Some(mapping),
            published: Some(mapping),
            ..SyncEngine::new(config, now)
        }
    }

    /// The request left at `at` by the local counter: its T1.
    ///
    /// A token of a round that is over changes nothing.
    pub fn handle_sent(&mut self, token: SendToken, at: LocalTime) {
        if let Some(round) = self.round_of(token.0) {
            round.sent(token.0.place, at);
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
        if let Some(round) = self.round_of(token.0) {
            round.send_failed(now);
            self.tally.requests = self.tally.requests.saturating_sub(1);
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
        let cookie = packet.origin_timestamp.to_bits();
        match ServerReply::from_packet(&packet) {
            Ok(reply) => self.handle_response(cookie, reply, t4, now),
            // Mode and version say nothing about which request is meant.
            Err(rejection @ (Rejection::Mode | Rejection::Version)) => Err(self.reject(rejection)),
            Err(rejection) => {
                let answered = self.answer(cookie);
                Err(self.reject_or_obey(answered.err().unwrap_or(rejection), now))
            }
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
        let exchange = self.answer(cookie).and_then(|t1| Exchange::new(t1, reply, t4));
        let exchange = exchange.map_err(|rejection| self.reject_or_obey(rejection, now))?;
        match self.estimator.add(&exchange) {
            Verdict::Accepted => {}
            Verdict::Restarted => self.events.push(Event::EstimateRestarted),
            Verdict::Contradiction => return Err(self.reject(Rejection::Contradiction)),
            Verdict::Broken => {
                // What the counter read before a break of the server's is as good as ever.
                self.begin_epoch(EpochReason::ServerContradiction);
            }
        }
        self.believe(&exchange, now);
        Ok(exchange)
    }

    /// Time has passed; to be called whenever [`SyncEngine::poll_timeout`] is reached.
    pub fn handle_timeout(&mut self, now: LocalTime) {
        if let Some(round) = &self.round
            && round.is_over(now)
        {
            if round.believed > 0 {
                self.finish_round(now);
            } else {
                let error = round.error();
                self.fail_round(error, now);
            }
        }
        if self.round.is_none() && now >= self.next_round {
            self.start_round(Purpose::Scheduled, now);
        }
        if self.mapping.is_some_and(|mapping| now > mapping.valid_until) {
            self.fail(self.tally.last_error.unwrap_or(AttemptError::NoReply), now);
        }
    }

    /// The local counter lost an unknown length of time: no reading stands, a new epoch begins,
    /// and a new round starts at once.
    pub fn handle_suspend(&mut self, now: LocalTime) {
        self.estimator.forget_offset();
        self.begin_epoch(EpochReason::Suspend);
        self.counter_whole_since = now;
        self.round = None;
        self.rounds = 0;
        self.failed_attempts = 0;
        self.failed = false;
        self.backoff.reset();
        self.due = now;
        self.next_round = self.hold_until.map_or(now, |hold| now.max(hold));
        self.handle_timeout(now);
    }

    /// The user wants a round now; joins one that is under way.
    ///
    /// # Errors
    /// [`Held`] where a kiss-o'-death forbids asking for now.
    pub fn request_sync(&mut self, now: LocalTime) -> Result<(), Held> {
        if let Some(until) = self.hold_until.filter(|hold| *hold > now) {
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
        let latest = now + interval;
        if self.failed_attempts == 0 && self.next_round > latest && self.hold_until.is_none() {
            self.next_round = latest;
            self.due = latest;
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
        let allowed = self.budget.allows(now);
        let round = self.round.as_mut()?;
        if !allowed {
            if round.requests_sent() > 0 {
                round.stop_sending();
            }
            return None;
        }
        self.budget.spend(now);
        self.tally.requests += 1;
        self.entropy = scramble(entropy);
        let place = round.hand_out(entropy, now);
        let id = RequestId { round: self.round_number, place };
        Some(Transmit { token: SendToken(id), id, cookie: entropy })
    }

    /// The oldest event not yet taken.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When the engine wants to be called again, through [`SyncEngine::handle_timeout`] and
    /// [`SyncEngine::poll_transmit`]. Any input may change it.
    #[must_use]
    pub fn poll_timeout(&self) -> LocalTime {
        let wanted = match &self.round {
            None => self.next_round,
            Some(round) => match round.next_send() {
                None => round.deadline(),
                Some(next) => self.budget.free_at().map_or(next, |free| next.max(free)),
            },
        };
        match self.mapping {
            Some(mapping) => wanted.min(mapping.valid_until + Span::from_nanos(1)),
            None => wanted,
        }
    }

    /// What readers may use now; `None` while not synchronised.
    #[must_use]
    pub fn mapping(&self) -> Option<&Mapping> {
        self.mapping.as_ref()
    }

    /// Whether a round is under way.
    #[must_use]
    pub fn in_round(&self) -> bool {
        self.round.is_some()
    }

    /// How many rounds were begun; names the one under way.
    #[must_use]
    pub fn round_number(&self) -> u64 {
        self.round_number
    }

    /// Everything that the engine knows about itself.
    #[must_use]
    pub fn status(&self, now: LocalTime) -> EngineStatus {
        let valid = self.mapping.filter(|mapping| now <= mapping.valid_until);
        let state = match (valid, self.failed) {
            (Some(_), false) => SyncState::Synchronised,
            (Some(_), true) => SyncState::Holdover,
            (None, true) => SyncState::Failed,
            (None, false) => SyncState::Unsynchronised,
        };
        EngineStatus {
            state,
            epoch: self.epoch,
            last_sync_local: self.tally.last_sync.map(|(local, _)| local),
            last_sync: self.tally.last_sync.map(|(_, time)| time),
            delay: self.estimator.min_delay(),
            rate_ppm: self.mapping.map(|mapping| mapping.rate_ppm()),
            leap: self.tally.leap,
            stratum: self.tally.stratum,
            reference_id: self.tally.reference_id,
            attempts: self.failed_attempts,
            rejections: self.tally.rejections,
            requests: self.tally.requests,
            believed: self.tally.believed,
            rounds: self.tally.rounds,
            last_error: self.tally.last_error,
            next_sync: self.next_round,
            in_round: self.round.is_some(),
        }
    }
}

/// Rounds and attempts.
impl SyncEngine {
    fn start_round(&mut self, purpose: Purpose, now: LocalTime) {
        if self.failed_attempts == 0 {
            self.due = now;
        }
        self.hold_until = None;
        self.round_number += 1;
        let probes = match purpose {
            Purpose::Scheduled => schedule::probes(self.rounds > 0, self.failed_attempts),
            Purpose::Manual => schedule::LATER_BURST,
        };
        let burst = if self.rounds == 0 { schedule::FIRST_BURST } else { schedule::LATER_BURST };
        let synchronised = self.mapping.is_some_and(|mapping| now <= mapping.valid_until);
        self.round = Some(Round::new(purpose, now, probes, burst, synchronised));
    }

    fn round_of(&mut self, id: RequestId) -> Option<&mut Round> {
        let current = self.round_number;
        self.round.as_mut().filter(|_| id.round == current)
    }

    fn answer(&mut self, cookie: u64) -> Result<LocalTime, Rejection> {
        self.round.as_mut().ok_or(Rejection::Origin)?.answer(cookie)
    }

    /// Counts a reply that is not believed and, where it is a kiss-o'-death, does as it says.
    fn reject_or_obey(&mut self, rejection: Rejection, now: LocalTime) -> Rejection {
        self.reject(rejection);
        if let Rejection::Kiss(code) = rejection {
            let hold = match code {
                KissCode::Deny | KissCode::Restrict => schedule::DENY_HOLD,
                KissCode::Rate => self.rate_hold.step(),
                KissCode::Other(_) => return rejection,
            };
            self.hold_until = Some(now + hold);
            let error = AttemptError::Kiss(code);
            if self.round.as_ref().is_some_and(|round| round.believed > 0) {
                self.finish_round(now);
                self.obey_hold();
            } else {
                self.fail_round(error, now);
            }
            if self.mapping.is_none() {
                self.fail(error, now);
            }
        }
        rejection
    }

    fn reject(&mut self, rejection: Rejection) -> Rejection {
        if let Some(count) = self.tally.rejections.get_mut(rejection.index()) {
            *count += 1;
        }
        if let Some(round) = &mut self.round {
            round.last_rejection = Some(rejection);
        }
        self.events.push(Event::Rejected(rejection));
        rejection
    }

    fn believe(&mut self, exchange: &Exchange, now: LocalTime) {
        let reply = exchange.reply();
        self.tally.believed += 1;
        self.tally.leap = Some(reply.leap);
        self.tally.stratum = Some(reply.stratum);
        self.tally.reference_id = Some(reply.reference_id);
        if let Some(round) = &mut self.round {
            round.believed = round.believed.saturating_add(1);
        }
        // Until the round's end fixes the next poll, it is due an interval from now.
        self.publish(now + self.config.poll_interval, now);
        self.tally.last_sync = self.mapping.map(|m| (now, m.extrapolate(now).time()));
        if self.round.as_ref().is_some_and(Round::is_complete) {
            self.finish_round(now);
        }
    }

    /// The round under way had a believed reply: schedule the next.
    fn finish_round(&mut self, now: LocalTime) {
        let Some(round) = self.round.take() else { return };
        self.rounds = self.rounds.saturating_add(1);
        self.tally.rounds += 1;
        self.tally.last_error = None;
        self.failed_attempts = 0;
        self.failed = false;
        self.backoff.reset();
        self.rate_hold.reset();
        self.next_round =
            now + schedule::poll_gap(self.rounds, self.config.poll_interval, self.entropy);
        self.due = self.next_round;
        self.publish(self.next_round, now);
        let Some(reading) = self.mapping.map(|mapping| mapping.extrapolate(now)) else { return };
        self.events.push(Event::Synchronised {
            epoch: self.epoch,
            max_error: reading.max_error(),
            est_error: reading.est_error(),
            delay: self.estimator.min_delay().unwrap_or(Span::ZERO),
            believed: round.believed,
            sent: round.requests_sent(),
            recovered: !round.began_synchronised,
        });
    }

    /// The round under way had no believed reply.
    fn fail_round(&mut self, error: AttemptError, now: LocalTime) {
        let Some(round) = self.round.take() else { return };
        self.tally.last_error = Some(error);
        if round.purpose == Purpose::Manual {
            self.events.push(Event::AttemptFailed { attempt: self.failed_attempts, reason: error });
            self.next_round = self.next_round.max(now);
            self.obey_hold();
            return;
        }
        self.failed_attempts = self.failed_attempts.saturating_add(1);
        self.events.push(Event::AttemptFailed { attempt: self.failed_attempts, reason: error });
        if self.failed_attempts >= schedule::ATTEMPTS {
            self.next_round = now + schedule::less_jitter(self.backoff.step(), self.entropy);
            self.obey_hold();
            self.fail(error, now);
            return;
        }
        self.next_round = if self.rounds > 0 {
            schedule::retry_at(self.due, self.failed_attempts, self.entropy).max(now)
        } else {
            now
        };
        self.obey_hold();
    }

    fn obey_hold(&mut self) {
        if let Some(hold) = self.hold_until {
            self.next_round = self.next_round.max(hold);
        }
    }

    /// The clock is failed: no readings, unless the user asked for holdover.
    fn fail(&mut self, reason: AttemptError, now: LocalTime) {
        let expired = self.mapping.is_none_or(|mapping| now > mapping.valid_until);
        if expired || self.config.holdover <= Span::ZERO {
            self.withdraw(now);
        }
        if !self.failed {
            self.failed = true;
            self.events.push(Event::Failed { reason, retry_at: self.next_round });
        }
    }
}

/// The published mapping.
impl SyncEngine {
    /// Makes the estimate of now the mapping, continuing from what readers saw last.
    fn publish(&mut self, next_poll: LocalTime, now: LocalTime) {
        let Some(estimate) = self.estimator.estimate(now) else { return };
        let slew_rate = if self.rounds < 2 { SLEW_RATE_EARLY } else { SLEW_RATE };
        let mapping = Mapping {
            anchor: estimate.at,
            centre: estimate.centre,
            rate: estimate.rate,
            left_ns: self.left_to_slew(&estimate),
            slew_rate,
            upper_ns: estimate.upper_ns,
            lower_ns: estimate.lower_ns,
            growth: estimate.growth,
            variance: estimate.variance,
            valid_from: self.counter_whole_since,
            valid_until: next_poll + schedule::EXPIRY_GRACE + self.config.holdover,
            leap_at: self.leap_at(&estimate),
            epoch: self.epoch,
        };
        self.mapping = Some(mapping);
        self.published = Some(mapping);
    }

    /// How far the reading stands from the new centre so that it neither jumps back nor, within
    /// the old bound, forward.
    fn left_to_slew(&self, estimate: &Estimate) -> f64 {
        let Some(old) = &self.published else { return 0.0 };
        if estimate.at > old.valid_until {
            // Nobody has read since it expired: only falling back would show.
            let floor = old.extrapolate(old.valid_until).time() - estimate.centre;
            return floor.max(Span::ZERO).as_nanos() as f64;
        }
        let reading = old.extrapolate(estimate.at);
        let left = reading.time() - estimate.centre;
        if left < -reading.max_error() { 0.0 } else { left.as_nanos() as f64 }
    }

    fn leap_at(&self, estimate: &Estimate) -> LocalTime {
        match self.tally.leap {
            Some(Leap::Insert | Leap::Delete) => {
                estimate.at + (estimate.centre.next_month() - estimate.centre)
            }
            _ => LocalTime::MAX,
        }
    }

    /// Readings stop; should they resume in this epoch, they do so no earlier than they stopped.
    fn withdraw(&mut self, now: LocalTime) {
        self.mapping = None;
        if let Some(published) = &mut self.published {
            published.valid_until = published.valid_until.min(now);
        }
    }

    fn begin_epoch(&mut self, reason: EpochReason) {
        if self.published.is_none() && self.mapping.is_none() {
            return;
        }
        self.mapping = None;
        self.published = None;
        self.epoch += 1;
        self.rounds = 0;
        self.events.push(Event::EpochChanged { epoch: self.epoch, reason });
    }
}

/// A kiss-o'-death forbids asking for now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the server asked not to be asked for now (kiss-o'-death)")]
pub struct Held {
    /// When asking is allowed again.
    pub until: LocalTime,
}

/// A bijection that spreads every input bit over the whole word (the finaliser of SplitMix64), so
/// that jitter says nothing about cookies.
fn scramble(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Slewing is at most 500 ppm, the rate of RFC 5905's clock discipline ...
const SLEW_RATE: f64 = 500e-6;
/// ... but 5 % until the second round is done, when corrections are still large.
const SLEW_RATE_EARLY: f64 = 0.05;
