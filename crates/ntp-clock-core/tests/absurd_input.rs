//! No input, however absurd, makes the engine panic, say what is no number, or turn in circles.

use ntp_clock_core::{
    EngineConfig, Leap, LocalTime, Mapping, Mode, NtpShort, NtpTimestamp, Packet, Reading,
    ReferenceId, RequestId, SendToken, ServerReply, Span, SyncEngine, UnixTime,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Input {
    Timeout,
    Transmit(u64),
    Sent(i64),
    SendFailed,
    Refine(i64),
    Response { wrong: bool, reply: ServerReply, t4: i64 },
    Packet { wrong: bool, packet: Packet, t4: i64 },
    Bytes(Vec<u8>),
    Suspend,
    RequestSync,
    PollInterval(i64),
    Resume(u64),
    ResumeWords([u64; Mapping::WORDS]),
}

fn absurd_nanos() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        prop::sample::select(vec![i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX]),
        0..3_000_000_000_i64,
        (0..4_000_i64).prop_map(|s| s * 1_000_000_000),
        (0..3_000_000_000_i64).prop_map(|ns| 1_759_639_032_000_000_000 + ns),
    ]
}

fn leap() -> impl Strategy<Value = Leap> {
    (0_u8..4).prop_map(Leap::from_bits)
}

fn reply() -> impl Strategy<Value = ServerReply> {
    let errors = (absurd_nanos(), absurd_nanos(), any::<i8>());
    let times = prop_oneof![
        (absurd_nanos(), absurd_nanos()),
        absurd_nanos().prop_map(|t| (t, t)),
        absurd_nanos().prop_map(|t| (t, t.saturating_add(20_000))),
    ];
    let benign = any::<bool>();
    (times, errors, leap(), 0_u8..18, benign).prop_map(
        |((t2, t3), (delay, dispersion, precision), leap, stratum, benign)| ServerReply {
            receive_time: UnixTime::from_nanos(t2),
            transmit_time: UnixTime::from_nanos(t3),
            root_delay: Span::from_nanos(if benign { 0 } else { delay }),
            root_dispersion: Span::from_nanos(if benign { 0 } else { dispersion }),
            precision_log2_s: if benign { -25 } else { precision },
            leap: if benign { Leap::None } else { leap },
            stratum: if benign { 1 } else { stratum },
            reference_id: ReferenceId::from_bytes(*b"RATE"),
        },
    )
}

fn packet() -> impl Strategy<Value = Packet> {
    let stamps = (any::<u64>(), prop_oneof![Just(0), 0..1_000_000_000_u64, any::<u64>()]);
    let code = prop::sample::select(vec![*b"RATE", *b"DENY", *b"RSTR", *b"INIT", [0; 4]]);
    (stamps, leap(), 0_u8..18, any::<u32>(), any::<i8>(), code).prop_map(
        |((t2, hold), leap, stratum, root, precision, code)| Packet {
            mode: Mode::Server,
            leap,
            stratum,
            precision_log2_s: precision,
            root_delay: NtpShort::from_bits(root >> 16),
            root_dispersion: NtpShort::from_bits(root & 0xffff),
            reference_id: ReferenceId::from_bytes(code),
            receive_timestamp: NtpTimestamp::from_bits(t2),
            transmit_timestamp: NtpTimestamp::from_bits(t2.wrapping_add(hold)),
            ..Packet::request(NtpTimestamp::from_bits(0))
        },
    )
}

fn input() -> impl Strategy<Value = Input> {
    let wrong = || prop::bool::weighted(0.1);
    prop_oneof![
        4 => Just(Input::Timeout),
        8 => any::<u64>().prop_map(Input::Transmit),
        6 => absurd_nanos().prop_map(Input::Sent),
        1 => Just(Input::SendFailed),
        1 => absurd_nanos().prop_map(Input::Refine),
        8 => (wrong(), reply(), absurd_nanos())
            .prop_map(|(wrong, reply, t4)| Input::Response { wrong, reply, t4 }),
        4 => (wrong(), packet(), absurd_nanos())
            .prop_map(|(wrong, packet, t4)| Input::Packet { wrong, packet, t4 }),
        1 => prop::collection::vec(any::<u8>(), 0..100).prop_map(Input::Bytes),
        1 => Just(Input::Suspend),
        1 => Just(Input::RequestSync),
        1 => absurd_nanos().prop_map(Input::PollInterval),
        1 => any::<u64>().prop_map(Input::Resume),
        1 => any::<[u64; Mapping::WORDS]>().prop_map(Input::ResumeWords),
    ]
}

fn config() -> impl Strategy<Value = EngineConfig> {
    let odd = (absurd_nanos(), absurd_nanos(), absurd_nanos(), any::<u16>(), absurd_nanos())
        .prop_map(|(poll, holdover, resolution, steering, whole)| EngineConfig {
            poll_interval: Span::from_nanos(poll),
            holdover: Span::from_nanos(holdover),
            counter_resolution: Span::from_nanos(resolution),
            counter_steering_ppm: steering,
            counter_whole_since: LocalTime::from_nanos(whole),
        });
    prop_oneof![Just(EngineConfig::default()), odd]
}

struct Driver {
    engine: SyncEngine,
    config: EngineConfig,
    tokens: Vec<SendToken>,
    last: Option<(RequestId, u64)>,
}

impl Driver {
    fn new(config: EngineConfig, now: LocalTime) -> Self {
        let engine = SyncEngine::new(config, now);
        Driver { engine, config, tokens: Vec::new(), last: None }
    }

    fn apply(&mut self, input: Input, now: LocalTime) {
        let cookie = |wrong: bool| self.last.map_or(0, |(_, cookie)| cookie) ^ u64::from(wrong);
        match input {
            Input::Timeout => self.engine.handle_timeout(now),
            Input::Transmit(entropy) => {
                if let Some(transmit) = self.engine.poll_transmit(now, entropy) {
                    self.last = Some((transmit.id, transmit.cookie));
                    self.tokens.push(transmit.token);
                }
            }
            Input::Sent(at) => {
                if let Some(token) = self.tokens.pop() {
                    self.engine.handle_sent(token, LocalTime::from_nanos(at));
                }
            }
            Input::SendFailed => {
                if let Some(token) = self.tokens.pop() {
                    self.engine.handle_send_failed(token, now);
                }
            }
            Input::Refine(at) => {
                if let Some((id, _)) = self.last {
                    self.engine.refine_sent(id, LocalTime::from_nanos(at));
                }
            }
            Input::Response { wrong, reply, t4 } => {
                let t4 = LocalTime::from_nanos(t4);
                let _ = self.engine.handle_response(cookie(wrong), reply, t4, now);
            }
            Input::Packet { wrong, packet, t4 } => {
                let origin_timestamp = NtpTimestamp::from_bits(cookie(wrong));
                let bytes = Packet { origin_timestamp, ..packet }.encode();
                let _ = self.engine.handle_datagram(&bytes, LocalTime::from_nanos(t4), now);
            }
            Input::Bytes(bytes) => {
                let _ = self.engine.handle_datagram(&bytes, now, now);
            }
            Input::Suspend => self.engine.handle_suspend(now),
            Input::RequestSync => {
                let _ = self.engine.request_sync(now);
            }
            Input::PollInterval(nanos) => {
                self.engine.set_poll_interval(Span::from_nanos(nanos), now);
            }
            Input::Resume(entropy) => {
                let legacy = self.engine.legacy();
                self.engine = SyncEngine::resume(self.config, legacy, now, entropy);
            }
            Input::ResumeWords(words) => {
                let mapping = Mapping::from_words(words);
                let engine = SyncEngine::resume(self.config, mapping, now, 1);
                assert_sane(&engine, now);
            }
        }
    }
}

fn assert_sane_reading(reading: &Reading) {
    assert!(reading.max_error() >= Span::ZERO, "{reading:?}");
    assert!(reading.est_error() >= Span::ZERO, "{reading:?}");
    assert!(reading.est_error() <= reading.max_error(), "{reading:?}");
    assert!(reading.earliest() <= reading.latest());
}

fn assert_sane(engine: &SyncEngine, now: LocalTime) {
    let status = engine.status(now);
    assert!(status.rate_ppm.is_none_or(f64::is_finite));
    let _ = engine.poll_timeout();
    let Some(mapping) = engine.mapping() else { return };
    for number in &mapping.to_words()[2..=10] {
        assert!(f64::from_bits(*number).is_finite(), "{mapping:?}");
    }
    let ends = [LocalTime::MIN, LocalTime::MAX, LocalTime::from_nanos(0), now];
    let around = [mapping.valid_until(), mapping.valid_until() - Span::from_nanos(1)];
    for at in ends.into_iter().chain(around) {
        if let Some(reading) = mapping.read(at) {
            assert_sane_reading(&reading);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_input_however_absurd_panics_or_yields_what_is_no_error(
        config in config(),
        begin in absurd_nanos(),
        inputs in prop::collection::vec((input(), absurd_nanos()), 1..60),
    ) {
        let mut driver = Driver::new(config, LocalTime::from_nanos(begin));
        driver.engine.handle_timeout(LocalTime::from_nanos(begin));
        for (input, now) in inputs {
            let now = LocalTime::from_nanos(now);
            driver.apply(input, now);
            while driver.engine.poll_event().is_some() {}
            assert_sane(&driver.engine, now);
        }
    }

    /// As long as time goes forward: nobody is called back at once for nothing, and readings of
    /// one epoch never decrease.
    #[test]
    fn whatever_the_server_says_the_engine_never_spins_and_readings_never_decrease(
        config in config(),
        inputs in prop::collection::vec(
            (input(), prop_oneof![Just(0), 0..200_000_000_i64, 0..400_000_000_000_i64]),
            1..80,
        ),
    ) {
        let mut now = LocalTime::from_nanos(1_000_000_000);
        let mut driver = Driver::new(config, now);
        let mut last: Option<Reading> = None;
        for (input, later) in inputs {
            now = now + Span::from_nanos(later);
            // Requests leave and replies arrive at sensible moments, whatever they say.
            let input = match input {
                Input::Sent(_) => Input::Sent(now.as_nanos()),
                Input::Response { wrong, reply, .. } => {
                    Input::Response { wrong, reply, t4: now.as_nanos() }
                }
                Input::Packet { wrong, packet, .. } => {
                    Input::Packet { wrong, packet, t4: now.as_nanos() }
                }
                other => other,
            };
            driver.apply(input, now);
            driver.engine.handle_timeout(now);
            while let Some(transmit) = driver.engine.poll_transmit(now, now.as_nanos() as u64 + 1) {
                driver.last = Some((transmit.id, transmit.cookie));
                driver.engine.handle_sent(transmit.token, now);
            }
            while driver.engine.poll_event().is_some() {}
            let timeout = driver.engine.poll_timeout();
            prop_assert!(timeout > now, "called back at {timeout:?}, now {now:?}");
            assert_sane(&driver.engine, now);
            if let Some(reading) = driver.engine.mapping().and_then(|m| m.read(now)) {
                if let Some(last) = last && last.epoch() == reading.epoch() {
                    prop_assert!(reading.time() >= last.time(), "{last:?} then {reading:?}");
                }
                last = Some(reading);
            }
        }
    }
}
