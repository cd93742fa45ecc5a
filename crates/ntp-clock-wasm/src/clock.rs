//! One clock: the engine with the suspend check, order of readings and carriers of JavaScript.

use ntp_clock_core::{
    EngineConfig, EngineStatus, Event, Leap, LocalTime, Reading, ReferenceId, Rejection, RequestId,
    ServerReply, Span, Stamped, SyncEngine, Transmit, WholeSeconds,
};

use crate::millis;
use crate::wall::Reference;

/// An engine on a counter that may be coarse, with the wall clock as witness of sleep.
#[derive(Debug)]
pub struct Clock {
    engine: SyncEngine,
    resolution: Span,
    reference: Reference,
    /// Sleep or a step was noticed by a reader and not yet told to the driver.
    disturbed: bool,
    /// The request handed out and not yet sent.
    in_hand: Option<Transmit>,
    /// The last ones sent: a better stamp of theirs may turn up.
    recent: [Option<(u64, RequestId)>; RECENT],
    stamps: WholeSeconds,
    /// The latest reading given, which no later one of its epoch falls below.
    last: Option<Reading>,
}

/// A relay's reply as it came: NaN stands for what is missing or is no number.
#[derive(Clone, Copy, Debug)]
pub struct RelayReply {
    /// When the request reached the relay, Unix milliseconds.
    pub receive_ms: f64,
    /// When the reply left it, Unix milliseconds.
    pub send_ms: f64,
    /// Round trip from the relay to the primary source, milliseconds.
    pub root_delay_ms: f64,
    /// The relay's error besides, milliseconds.
    pub root_dispersion_ms: f64,
    /// The relay's distance from the primary source, 1 to 16.
    pub stratum: f64,
    /// Its leap indicator, 0 to 3.
    pub leap: f64,
}

/// A reading for JavaScript, all in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Answer {
    /// Milliseconds since 1970.
    pub time_ms: f64,
    /// Hard bound on the distance of `time_ms` from the truth.
    pub max_error_ms: f64,
    /// One standard deviation.
    pub est_error_ms: f64,
    /// Readings of one epoch never decrease.
    pub epoch: f64,
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
        let resolution = Span::from_nanos_f64_ceil(resolution_ns);
        let config = EngineConfig {
            poll_interval: millis::error(poll_interval_ms).unwrap_or(Span::ZERO),
            counter_resolution: resolution,
            counter_steering_ppm: steering_ppm,
            counter_whole_since: millis::local(whole_since_ms),
            ..EngineConfig::default()
        };
        Clock {
            engine: SyncEngine::new(config, millis::local(now_ms)),
            resolution,
            reference: Reference::new(now_ms, wall_ms),
            disturbed: false,
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
        let max_error = reading.max_error() + self.resolution + millis::DOUBLE_ERROR;
        Answer {
            time_ms: millis::unix_ms(reading.time()),
            max_error_ms: max_error.as_millis_f64(),
            est_error_ms: (reading.est_error() + self.resolution).min(max_error).as_millis_f64(),
            epoch: reading.epoch() as f64,
        }
    }
}

/// What the driver feeds.
impl Clock {
    /// There was no reading, and both counters were looked at again, closely together: where the
    /// wall clock still has moved against the other, all readings end.
    pub fn notice(&mut self, now_ms: f64, wall_ms: f64) {
        if self.reference.is_broken(now_ms, wall_ms) {
            self.suspend(now_ms, wall_ms);
            self.disturbed = true;
        }
    }

    /// Time has passed. Whether sleep or a step of the wall clock was noticed, now or by a reader
    /// since the last call.
    pub fn timeout(&mut self, now_ms: f64, wall_ms: f64) -> bool {
        self.notice(now_ms, wall_ms);
        if self.reference.is_old(now_ms) {
            self.reference = Reference::new(now_ms, wall_ms);
        }
        self.engine.handle_timeout(millis::local(now_ms));
        core::mem::take(&mut self.disturbed)
    }

    /// The counter lost time, or all that was learnt may be wrong: a new epoch, a new round.
    pub fn suspend(&mut self, now_ms: f64, wall_ms: f64) {
        self.reference = Reference::new(now_ms, wall_ms);
        self.in_hand = None;
        self.stamps.reset();
        self.engine.handle_suspend(millis::local(now_ms));
    }

    /// Begins a round; the moment until which the server forbids that, NaN where it does not.
    pub fn request_sync(&mut self, now_ms: f64) -> f64 {
        match self.engine.request_sync(millis::local(now_ms)) {
            Ok(()) => f64::NAN,
            Err(held) => millis::local_ms(held.until),
        }
    }

    /// Changes the pause between rounds.
    pub fn set_poll_interval(&mut self, interval_ms: f64, now_ms: f64) {
        let interval = millis::error(interval_ms).unwrap_or(Span::ZERO);
        self.engine.set_poll_interval(interval, millis::local(now_ms));
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

    /// The oldest event not yet taken.
    pub fn event(&mut self) -> Option<Event> {
        self.engine.poll_event()
    }

    /// Everything that the engine knows about itself.
    #[must_use]
    pub fn status(&self, now_ms: f64) -> EngineStatus {
        self.engine.status(millis::local(now_ms))
    }
}

impl RelayReply {
    /// The server's half of an exchange, its numbers being numbers; what they say is for
    /// [`Exchange::new`](ntp_clock_core::Exchange::new) to judge.
    fn checked(self) -> Result<ServerReply, Rejection> {
        let whole = |number: f64, end: f64| {
            ((0.0..end).contains(&number) && libm::floor(number) == number).then_some(number as u8)
        };
        let stratum = whole(self.stratum, 256.0).ok_or(Rejection::Malformed)?;
        let leap = whole(self.leap, 4.0).map(Leap::from_bits).ok_or(Rejection::Malformed)?;
        // Who is not synchronised gives no time, and need not.
        if leap == Leap::Unsynchronised || stratum > 15 {
            return Err(Rejection::Unsynchronised);
        }
        let time = |ms| millis::unix(ms).ok_or(Rejection::Malformed);
        let error = |ms| millis::error(ms).ok_or(Rejection::Malformed);
        Ok(ServerReply {
            receive_time: time(self.receive_ms)?,
            transmit_time: time(self.send_ms)?,
            root_delay: error(self.root_delay_ms)?,
            root_dispersion: error(self.root_dispersion_ms)?,
            precision_log2_s: DOUBLE_PRECISION_LOG2_S,
            leap,
            stratum,
            reference_id: ReferenceId::NONE,
        })
    }
}

/// More than a round has.
const RECENT: usize = 8;
/// What Cloudflare's web servers are taken to be wrong by at the most: they do not say.
const HTTPS_ASSUMED_ERROR: Span = Span::from_millis(50);
/// Times in milliseconds come as doubles, right to an eighth of a microsecond at both ends.
const DOUBLE_PRECISION_LOG2_S: i8 = -21;

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX_MS: f64 = 1_800_000_000_000.0;

    fn clock() -> Clock {
        Clock::new(0.0, UNIX_MS, 5_000.0, 50, 300_000.0, 0.0)
    }

    fn reply(send_ms: f64) -> RelayReply {
        RelayReply {
            receive_ms: send_ms,
            send_ms,
            root_delay_ms: 1.0,
            root_dispersion_ms: 0.5,
            stratum: 2.0,
            leap: 0.0,
        }
    }

    fn ask(clock: &mut Clock, now_ms: f64) -> u64 {
        clock.timeout(now_ms, UNIX_MS + now_ms);
        let cookie = clock.transmit(now_ms, 7 + now_ms as u64, &mut [0; 48]).expect("due");
        assert!(clock.sent(cookie, now_ms));
        cookie
    }

    #[test]
    fn a_relays_reply_becomes_a_reading_with_all_errors_on_the_way() {
        let mut clock = clock();
        assert!(clock.now(0.0, UNIX_MS).is_nan());
        let cookie = ask(&mut clock, 0.0);
        clock.relayed(cookie, reply(UNIX_MS + 1_005.0), 10.0, 10.0).expect("believed");
        let answer = clock.read(10.0, UNIX_MS + 10.0).expect("synchronised");
        assert_eq!(answer.time_ms, UNIX_MS + 1_010.0);
        assert!((6.0..6.1).contains(&answer.max_error_ms), "{answer:?}");
        assert!(answer.est_error_ms <= answer.max_error_ms);
    }

    #[test]
    fn a_later_stamp_of_sending_narrows_the_bound() {
        let mut clock = clock();
        let cookie = ask(&mut clock, 0.0);
        clock.refine_sent(cookie, 8.0);
        clock.refine_sent(cookie + 1, 9.0);
        clock.relayed(cookie, reply(UNIX_MS + 9.0), 10.0, 10.0).expect("believed");
        let answer = clock.read(10.0, UNIX_MS + 10.0).expect("synchronised");
        assert!((2.0..2.1).contains(&answer.max_error_ms), "{answer:?}");
    }

    #[test]
    fn numbers_that_are_none_are_malformed_and_an_unsynchronised_relay_is_told_so() {
        let good = reply(UNIX_MS);
        let cases = [
            (RelayReply { receive_ms: f64::NAN, ..good }, Rejection::Malformed),
            (RelayReply { send_ms: f64::INFINITY, ..good }, Rejection::Malformed),
            (RelayReply { send_ms: -1.0, ..good }, Rejection::Malformed),
            (RelayReply { root_delay_ms: f64::NAN, ..good }, Rejection::Malformed),
            (RelayReply { root_dispersion_ms: -1.0, ..good }, Rejection::Malformed),
            (RelayReply { root_dispersion_ms: 1e300, ..good }, Rejection::RootDistance),
            (RelayReply { stratum: 1.5, ..good }, Rejection::Malformed),
            (RelayReply { leap: 4.0, ..good }, Rejection::Malformed),
            (RelayReply { leap: 3.0, send_ms: f64::NAN, ..good }, Rejection::Unsynchronised),
            (RelayReply { stratum: 16.0, ..good }, Rejection::Unsynchronised),
            (RelayReply { receive_ms: UNIX_MS + 1.0, ..good }, Rejection::BackwardTimestamps),
        ];
        for (reply, rejection) in cases {
            let mut clock = clock();
            let cookie = ask(&mut clock, 0.0);
            assert_eq!(clock.relayed(cookie, reply, 10.0, 10.0), Err(rejection), "{reply:?}");
            assert!(clock.now(10.0, UNIX_MS + 10.0).is_nan());
            assert_eq!(clock.status(10.0).rejections[rejection.index()], 1);
        }
    }

    #[test]
    fn a_wall_clock_that_jumps_ends_the_epoch_at_the_next_read() {
        let mut clock = clock();
        let cookie = ask(&mut clock, 0.0);
        clock.relayed(cookie, reply(UNIX_MS), 10.0, 10.0).expect("believed");
        let before = clock.read(20.0, UNIX_MS + 20.0).expect("synchronised");
        assert!(clock.now(30.0, UNIX_MS + 3_600_030.0).is_nan());
        clock.notice(30.0, UNIX_MS + 3_600_030.0);
        assert!(clock.now(31.0, UNIX_MS + 3_600_031.0).is_nan());
        assert!(clock.timeout(40.0, UNIX_MS + 3_600_040.0));
        assert!(!clock.timeout(41.0, UNIX_MS + 3_600_041.0));
        let cookie = clock.transmit(42.0, 99, &mut [0; 48]).expect("a round at once");
        assert!(clock.sent(cookie, 42.0));
        clock.relayed(cookie, reply(UNIX_MS + 5_000.0), 50.0, 50.0).expect("believed");
        let after = clock.read(50.0, UNIX_MS + 3_600_050.0).expect("synchronised");
        assert!(after.epoch > before.epoch);
    }

    #[test]
    fn a_reader_held_up_between_the_counters_has_no_reading_and_ends_none() {
        let mut clock = clock();
        let cookie = ask(&mut clock, 0.0);
        clock.relayed(cookie, reply(UNIX_MS), 10.0, 10.0).expect("believed");
        let before = clock.read(20.0, UNIX_MS + 20.0).expect("synchronised");
        assert!(clock.now(30.0, UNIX_MS + 130.0).is_nan());
        clock.notice(131.0, UNIX_MS + 131.0);
        let after = clock.read(131.0, UNIX_MS + 131.0).expect("synchronised");
        assert_eq!(after.epoch, before.epoch);
        assert!(!clock.timeout(132.0, UNIX_MS + 132.0));
    }

    #[test]
    fn a_counter_that_goes_back_reads_no_earlier() {
        let mut clock = clock();
        let cookie = ask(&mut clock, 0.0);
        clock.relayed(cookie, reply(UNIX_MS), 10.0, 10.0).expect("believed");
        let late = clock.now(20.0, UNIX_MS + 20.0);
        assert_eq!(clock.now(15.0, UNIX_MS + 15.0), late);
    }

    #[test]
    fn a_whole_second_stamp_gives_a_reading_within_a_second() {
        let mut clock = clock();
        clock.timeout(0.0, UNIX_MS);
        let cookie = clock.transmit(0.0, 7, &mut [0; 48]).expect("due");
        clock.stamped(cookie, 0.0, UNIX_MS, 1_000.0, 20.0, 20.0).expect("believed");
        let answer = clock.read(20.0, UNIX_MS + 20.0).expect("synchronised");
        assert!((500.0..570.0).contains(&answer.max_error_ms), "{answer:?}");
        let send_at = clock.stamped_send(30.0, 20.0);
        assert!((400.0..600.0).contains(&send_at), "{send_at}");
    }
}
