//! One clock: the engine with the suspend check, order of readings and carriers of JavaScript.

use ntp_clock_core::{
    EngineConfig, EngineStatus, Event, LocalTime, Reading, Rejection, RequestId, Span, Stamped,
    SyncEngine, Transmit, WholeSeconds,
};

use crate::layout::{Absence, Answer, EventNumbers, NewEpoch, STATUS_FIELDS, State, status_fields};
use crate::millis;
use crate::reply::RelayReply;
use crate::wall::Reference;

/// An engine on a counter that may be coarse, with the wall clock as witness of sleep.
#[derive(Debug)]
pub struct Clock {
    engine: SyncEngine,
    /// What it was made with, for the next one.
    config: EngineConfig,
    /// Epochs of the engines before this one.
    epochs_before: u64,
    reference: Reference,
    /// The wall clock stood still when it was last looked at closely.
    wall_stopped: bool,
    /// What the last call to suspend was for.
    suspended_for: NewEpoch,
    /// How often the counter has lost time.
    suspends: u32,
    /// Readings ended by it, and no reply was believed since.
    suspended: bool,
    /// The request handed out and not yet sent.
    in_hand: Option<Transmit>,
    /// The last ones sent: a better stamp of theirs may turn up.
    recent: [Option<(u64, RequestId)>; RECENT],
    stamps: WholeSeconds,
    /// The latest reading given, which no later one of its epoch falls below.
    last: Option<Reading>,
}

/// Construction and readings.
impl Clock {
    /// A clock that knows nothing, on a counter of this coarseness in nanoseconds.
    /// `whole_since_ms` is from when on the counter is known to have run without a pause.
    #[must_use]
    pub fn new(
        now_ms: f64,
        wall_ms: f64,
        resolution_ns: f64,
        steering_ppm: u16,
        poll_interval_ms: f64,
        whole_since_ms: f64,
    ) -> Self {
        let config = EngineConfig {
            poll_interval: millis::error(poll_interval_ms).unwrap_or(Span::ZERO),
            counter_resolution: Span::from_nanos_f64_ceil(resolution_ns),
            counter_steering_ppm: steering_ppm,
            counter_whole_since: millis::local(whole_since_ms),
            ..EngineConfig::default()
        };
        Clock {
            engine: SyncEngine::new(config, millis::local(now_ms)),
            config,
            epochs_before: 0,
            reference: Reference::new(now_ms, wall_ms),
            wall_stopped: false,
            suspended_for: NewEpoch::Suspend,
            suspends: 0,
            suspended: false,
            in_hand: None,
            recent: [None; RECENT],
            stamps: WholeSeconds::new(HTTPS_ASSUMED_ERROR),
            last: None,
        }
    }

    /// The time now, Unix milliseconds; NaN while not synchronised.
    #[inline]
    pub fn now(&mut self, now_ms: f64, wall_ms: f64) -> f64 {
        self.current(now_ms, wall_ms).map_or(f64::NAN, |reading| millis::unix_ms(reading.time()))
    }

    /// The time now with its errors.
    pub fn read(&mut self, now_ms: f64, wall_ms: f64) -> Option<Answer> {
        self.current(now_ms, wall_ms).map(|reading| self.answer(reading))
    }

    /// The time at another moment of the counter.
    #[must_use]
    pub fn at(&self, at_ms: f64) -> Option<Answer> {
        if !at_ms.is_finite() {
            return None;
        }
        self.engine.mapping()?.read(millis::local(at_ms)).map(|reading| self.answer(reading))
    }

    #[inline]
    fn current(&mut self, now_ms: f64, wall_ms: f64) -> Option<Reading> {
        // Perhaps the thread was held up between looking at one and at the other: `notice` decides.
        if self.reference.is_broken(now_ms, wall_ms) {
            return None;
        }
        let mut reading = self.engine.mapping()?.read(millis::local(now_ms))?;
        if let Some(last) = self.last
            && last.epoch() == reading.epoch()
        {
            reading = reading.no_earlier_than(last.time());
        }
        self.last = Some(reading);
        Some(reading)
    }

    /// The counter shows the moment cut off to its resolution, and a double cuts the time off.
    fn answer(&self, reading: Reading) -> Answer {
        let resolution = self.config.counter_resolution;
        let max_error = reading.max_error() + resolution + millis::DOUBLE_ERROR;
        Answer {
            time_ms: millis::unix_ms(reading.time()),
            max_error_ms: max_error.as_millis_f64(),
            est_error_ms: (reading.est_error() + resolution).min(max_error).as_millis_f64(),
            epoch: (self.epochs_before + reading.epoch()) as f64,
        }
    }
}

/// What the driver feeds.
impl Clock {
    /// There was no reading, and both counters were looked at again, closely together: where the
    /// wall clock still has moved against the other, all readings end. One that does not move at
    /// all says nothing about sleep: there is no reading for as long as it stands still. Whether
    /// there is now something to do.
    pub fn notice(&mut self, now_ms: f64, wall_ms: f64) -> bool {
        let broken = self.reference.is_broken(now_ms, wall_ms);
        self.wall_stopped = broken && self.reference.stands_still(wall_ms);
        let slept = broken && !self.wall_stopped;
        if slept {
            self.suspend(now_ms, wall_ms, NewEpoch::Suspend);
        }
        slept
    }

    /// Time has passed: perhaps the machine slept, and perhaps something is due.
    pub fn timeout(&mut self, now_ms: f64, wall_ms: f64) {
        self.notice(now_ms, wall_ms);
        if !self.wall_stopped && self.reference.is_old(now_ms) {
            self.reference = Reference::new(now_ms, wall_ms);
        }
        self.engine.handle_timeout(millis::local(now_ms));
    }

    /// The counter lost time, or all that was learnt may be wrong: a new epoch, a new round.
    pub fn suspend(&mut self, now_ms: f64, wall_ms: f64, why: NewEpoch) {
        self.reference = Reference::new(now_ms, wall_ms);
        self.in_hand = None;
        self.stamps.reset();
        self.suspended_for = why;
        self.suspended = self.suspended || self.engine.mapping().is_some();
        if why == NewEpoch::Suspend {
            self.config.counter_whole_since = millis::local(now_ms);
            self.suspends = self.suspends.wrapping_add(1);
        }
        self.engine.handle_suspend(millis::local(now_ms));
    }

    /// How often it was noticed that the counter lost time: code that compares its moments does so
    /// only between two of these.
    #[must_use]
    pub fn suspends(&self) -> u32 {
        self.suspends
    }

    /// Another way to the time was chosen: all begins afresh, its holds, counts and back-off too.
    /// Whether an epoch ended by that.
    pub fn configured(&mut self, now_ms: f64, wall_ms: f64) -> bool {
        self.notice(now_ms, wall_ms);
        let status = self.status_of_engine(now_ms);
        let ended = status.last_sync_local.is_some();
        self.epochs_before += status.epoch - 1 + u64::from(ended);
        self.engine = SyncEngine::new(self.config, millis::local(now_ms));
        self.in_hand = None;
        self.recent = [None; RECENT];
        self.stamps.reset();
        self.last = None;
        self.suspended = false;
        ended
    }

    /// Begins a round; the moment until which the server forbids that, NaN where it does not.
    pub fn request_sync(&mut self, now_ms: f64) -> f64 {
        match self.engine.request_sync(millis::local(now_ms)) {
            Ok(()) => f64::NAN,
            Err(held) => millis::local_ms(held.until),
        }
    }

    /// The cookie of the request that is to be sent now, if one is; its bytes as an NTP packet
    /// go to `packet`.
    pub fn transmit(&mut self, now_ms: f64, entropy: u64, packet: &mut [u8; 48]) -> Option<u64> {
        let transmit = self.engine.poll_transmit(millis::local(now_ms), entropy)?;
        *packet = transmit.ntp_request();
        let cookie = transmit.cookie;
        self.in_hand = Some(transmit);
        Some(cookie)
    }

    /// The request in hand left at this moment or a little later. False where it is not in hand.
    pub fn sent(&mut self, cookie: u64, at_ms: f64) -> bool {
        self.left(cookie, millis::local(at_ms))
    }

    /// A later, better stamp for a request that was sent and not answered yet.
    pub fn refine_sent(&mut self, cookie: u64, at_ms: f64) {
        let mut recent = self.recent.iter().flatten();
        if let Some((_, id)) = recent.find(|(of, _)| *of == cookie) {
            self.engine.refine_sent(*id, millis::local(at_ms));
        }
    }

    /// The request in hand could not be sent.
    pub fn send_failed(&mut self, cookie: u64, now_ms: f64) {
        if let Some(transmit) = self.in_hand.take_if(|transmit| transmit.cookie == cookie) {
            self.engine.handle_send_failed(transmit.token, millis::local(now_ms));
        }
    }

    /// A datagram arrived.
    ///
    /// # Errors
    /// The [`Rejection`] where it is not believed; it is counted here as well.
    pub fn datagram(&mut self, datagram: &[u8], t4_ms: f64, now_ms: f64) -> Result<(), Rejection> {
        let (t4, now) = (millis::local(t4_ms), millis::local(now_ms));
        self.engine.handle_datagram(datagram, t4, now).map(drop)
    }

    /// A relay's reply arrived.
    ///
    /// # Errors
    /// The [`Rejection`] where it is not believed; it is counted here as well.
    pub fn relayed(
        &mut self,
        cookie: u64,
        reply: RelayReply,
        t4_ms: f64,
        now_ms: f64,
    ) -> Result<(), Rejection> {
        let (t4, now) = (millis::local(t4_ms), millis::local(now_ms));
        match reply.checked() {
            Ok(reply) => self.engine.handle_response(cookie, reply, t4, now).map(drop),
            Err(rejection) => Err(self.engine.handle_refusal(cookie, rejection, t4, now)),
        }
    }

    /// The reply to this request holds no time to believe, for a reason that its carrier saw.
    pub fn refuse(
        &mut self,
        cookie: u64,
        rejection: Rejection,
        t4_ms: f64,
        now_ms: f64,
    ) -> Rejection {
        self.engine.handle_refusal(cookie, rejection, millis::local(t4_ms), millis::local(now_ms))
    }

    /// When to send the next request to a server of coarse stamps.
    #[must_use]
    pub fn stamped_send(&self, now_ms: f64, round_trip_ms: f64) -> f64 {
        let round_trip = millis::error(round_trip_ms).unwrap_or(Span::ZERO);
        millis::local_ms(self.stamps.next_send(millis::local(now_ms), round_trip))
    }

    /// The reply to a request that left at `t1_ms` came at `t4_ms`, stamped with this time cut
    /// off to `resolution_ms`. The request is still in hand: the stamp decides what its T1 is.
    ///
    /// # Errors
    /// The [`Rejection`] where it is not believed; it is counted here as well.
    pub fn stamped(
        &mut self,
        cookie: u64,
        t1_ms: f64,
        stamp_ms: f64,
        resolution_ms: f64,
        t4_ms: f64,
        now_ms: f64,
    ) -> Result<(), Rejection> {
        let (t1, t4, now) = (millis::local(t1_ms), millis::local(t4_ms), millis::local(now_ms));
        let stamp = millis::unix(stamp_ms).zip(millis::error(resolution_ms));
        let Some((stamp, resolution)) = stamp.filter(|_| t1 <= t4) else {
            self.left(cookie, t1);
            return Err(self.engine.handle_refusal(cookie, Rejection::Malformed, t4, now));
        };
        let Stamped { sent_at, reply, received_at } = self.stamps.stamp(t1, stamp, resolution, t4);
        self.left(cookie, sent_at);
        self.engine.handle_response(cookie, reply, received_at, now).map(drop)
    }

    fn left(&mut self, cookie: u64, at: LocalTime) -> bool {
        let Some(transmit) = self.in_hand.take_if(|transmit| transmit.cookie == cookie) else {
            return false;
        };
        self.recent.rotate_right(1);
        if let Some(newest) = self.recent.first_mut() {
            *newest = Some((cookie, transmit.id));
        }
        self.engine.handle_sent(transmit.token, at);
        true
    }
}

/// What the driver takes.
impl Clock {
    /// When to call [`Clock::timeout`] and [`Clock::transmit`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> f64 {
        millis::local_ms(self.engine.poll_timeout())
    }

    /// Whether a round is under way.
    #[must_use]
    pub fn in_round(&self) -> bool {
        self.engine.in_round()
    }

    /// Whether the round under way has given all that a program should wait for.
    #[must_use]
    pub fn round_is_answered(&self) -> bool {
        self.engine.round_is_answered()
    }

    /// The oldest event not yet taken.
    pub fn event(&mut self) -> Option<EventNumbers> {
        let event = self.engine.poll_event()?;
        if matches!(event, Event::Synchronised { .. }) {
            self.suspended = false;
        }
        Some(EventNumbers::of(event, self.epochs_before, self.suspended_for))
    }

    /// Everything that the engine knows about itself, and how often it rejected replies.
    #[must_use]
    pub fn status(&self, now_ms: f64) -> [(&'static str, f64); STATUS_FIELDS] {
        let status = self.status_of_engine(now_ms);
        let absence = self.absence(now_ms);
        let state = match absence {
            Absence::WallClockStopped => State::Unsynchronised,
            _ => State::of(status.state),
        };
        status_fields(&status, state, self.epochs_before + status.epoch, absence)
    }

    /// The names of a status' numbers, in their order.
    #[must_use]
    pub fn status_names() -> [&'static str; STATUS_FIELDS] {
        Clock::new(0.0, 0.0, 0.0, 0, 0.0, 0.0).status(0.0).map(|(name, _)| name)
    }

    /// Replies not believed, by reason.
    #[must_use]
    pub fn rejections(&self) -> [u64; Rejection::COUNT] {
        self.status_of_engine(0.0).rejections
    }

    fn status_of_engine(&self, now_ms: f64) -> EngineStatus {
        self.engine.status(millis::local(now_ms))
    }

    /// Why there is no reading; of no meaning where there is one.
    fn absence(&self, now_ms: f64) -> Absence {
        match self.engine.mapping() {
            _ if self.wall_stopped => Absence::WallClockStopped,
            Some(mapping) if mapping.valid_until() < millis::local(now_ms) => Absence::Expired,
            None if self.suspended => Absence::Suspended,
            _ => Absence::Awaited,
        }
    }
}

/// More than a round has.
const RECENT: usize = 8;
/// What Cloudflare's web servers are taken to be wrong by at the most: they do not say.
const HTTPS_ASSUMED_ERROR: Span = Span::from_millis(50);

#[cfg(test)]
mod tests;
