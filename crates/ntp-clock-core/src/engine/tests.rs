//! Rounds, requests and failures of a whole engine.

use super::*;
use crate::exchange::tests::reply_at;
use crate::mapping::tests::mapping;
use crate::packet::{Mode, NtpTimestamp};

const UNIX_NS: i64 = 1_800_000_000_000_000_000;

pub(in crate::engine) fn at(ms: i64) -> LocalTime {
    LocalTime::from_nanos(ms * 1_000_000)
}

pub(in crate::engine) fn engine() -> SyncEngine {
    SyncEngine::new(EngineConfig::default(), at(0))
}

/// Sends the request that is due, of this cookie, a millisecond later.
pub(in crate::engine) fn send(engine: &mut SyncEngine, ms: i64, cookie: u64) -> RequestId {
    engine.handle_timeout(at(ms));
    let transmit = engine.poll_transmit(at(ms), cookie).expect("due");
    let id = transmit.id;
    engine.handle_sent(transmit.token, at(ms + 1));
    id
}

/// An honest reply to it, twenty milliseconds after it was sent.
pub(in crate::engine) fn reply(
    engine: &mut SyncEngine,
    ms: i64,
    cookie: u64,
) -> Result<Exchange, Rejection> {
    let arrived = UNIX_NS + (ms + 10) * 1_000_000;
    engine.handle_response(cookie, reply_at(arrived, arrived), at(ms + 20), at(ms + 20))
}

#[test]
fn an_engine_asks_at_once_and_no_sooner_than_each_request_is_due() {
    let mut engine = engine();
    assert_eq!((engine.poll_timeout(), engine.in_round()), (at(0), false));
    assert!(engine.poll_transmit(at(0), 1).is_none(), "no round has begun");
    send(&mut engine, 0, 1);
    assert!(engine.in_round() && engine.round_number() == 1);
    assert_eq!(engine.poll_timeout(), at(51));
    assert!(engine.poll_transmit(at(50), 2).is_none());
    assert!(engine.poll_transmit(at(51), 2).is_some());
    assert_eq!(engine.status(at(51)).requests, 2);
    let mut hastened = self::engine();
    send(&mut hastened, 0, 1);
    hastened.hasten();
    assert_eq!(hastened.poll_timeout(), at(1));
}

#[test]
fn a_request_that_cannot_be_sent_was_none() {
    let mut engine = engine();
    engine.handle_timeout(at(0));
    let transmit = engine.poll_transmit(at(0), 1).expect("due");
    engine.handle_send_failed(transmit.token, at(0));
    assert_eq!(engine.status(at(0)).requests, 0);
    assert!(engine.poll_transmit(at(100), 2).is_none(), "the round sends no more");
    engine.handle_timeout(at(2_000));
    assert_eq!(engine.status(at(2_000)).last_error, Some(AttemptError::NotSent));
}

#[test]
fn a_reply_is_believed_with_the_better_stamp_of_its_request() {
    let mut engine = engine();
    let id = send(&mut engine, 0, 7);
    engine.refine_sent(id, at(2));
    engine.refine_sent(RequestId { round: 9, ..id }, at(5));
    let exchange = reply(&mut engine, 0, 7).expect("believed");
    assert_eq!((exchange.sent_at(), exchange.received_at()), (at(2), at(20)));
    assert_eq!(reply(&mut engine, 0, 7), Err(Rejection::Duplicate));
    assert_eq!(reply(&mut engine, 0, 8), Err(Rejection::Origin));
    let status = engine.status(at(20));
    assert_eq!((status.state, status.believed), (SyncState::Synchronised, 1));
    assert_eq!((status.last_sync_local, status.stratum), (Some(at(20)), Some(1)));
    assert_eq!((status.rejections[1], status.rejections[2]), (1, 1));
}

#[test]
fn a_datagram_is_believed_rejected_or_obeyed_for_what_it_is() {
    let mut engine = engine();
    send(&mut engine, 0, 7);
    let time = |ms: i64| NtpTimestamp::from_unix(UnixTime::from_nanos(UNIX_NS + ms * 1_000_000));
    let packet = Packet {
        mode: Mode::Server,
        stratum: 1,
        origin_timestamp: NtpTimestamp::from_bits(7),
        receive_timestamp: time(10),
        transmit_timestamp: time(10),
        ..Packet::request(NtpTimestamp::ZERO)
    };
    let mut handle = |bytes: &[u8]| engine.handle_datagram(bytes, at(20), at(20)).err();
    assert_eq!(handle(&[0; 5]), Some(Rejection::Malformed));
    let client = Packet { mode: Mode::Client, ..packet };
    assert_eq!(handle(&client.encode()), Some(Rejection::Mode));
    // Neither said which request it meant, so that is still to be answered.
    assert_eq!(handle(&packet.encode()), None);
    assert_eq!(handle(&packet.encode()), Some(Rejection::Duplicate));
}

#[test]
fn a_successor_asks_within_a_second_and_its_readings_last_until_shortly_after() {
    let mapping = mapping();
    let resume = |now: LocalTime, entropy: u64| {
        SyncEngine::resume(EngineConfig::default(), mapping, now, entropy)
    };
    let engine = resume(at(1_000), 1 << 63);
    assert_eq!(engine.poll_timeout(), at(1_500));
    let valid_until = engine.mapping().expect("resumed").valid_until;
    assert_eq!(valid_until, at(1_500) + schedule::EXPIRY_GRACE);
    assert_eq!(engine.status(at(1_000)).state, SyncState::Synchronised);
    assert_eq!(engine.legacy(), Mapping { valid_until, ..mapping });
    // One whose mapping has expired asks at once, in the same epoch.
    let late = mapping.valid_until + Span::from_nanos(1);
    let engine = resume(late, 1 << 63);
    assert_eq!((engine.poll_timeout(), engine.mapping()), (late, None));
    assert_eq!(engine.legacy().epoch, mapping.epoch);
    assert_eq!(engine.status(late).state, SyncState::Unsynchronised);
}

#[test]
fn a_round_that_the_user_wants_begins_at_once_unless_the_server_forbids_it() {
    let mut engine = engine();
    assert_eq!(engine.request_sync(at(0)), Ok(()));
    assert!(engine.in_round() && engine.poll_transmit(at(0), 7).is_some());
    let until = at(0) + schedule::DENY_HOLD;
    engine.restraint.obey(crate::exchange::KissCode::Deny, 0, at(0));
    assert_eq!(engine.request_sync(until - Span::from_nanos(1)), Err(Held { until }));
    assert_eq!(engine.request_sync(until), Ok(()));
    assert_eq!(engine.round_number(), 1, "it joined the one under way");
}

#[test]
fn a_shorter_interval_draws_the_next_round_nearer_and_a_longer_one_does_not_put_it_off() {
    let mut engine = engine();
    send(&mut engine, 0, 7);
    reply(&mut engine, 0, 7).expect("believed");
    engine.handle_timeout(at(60_000));
    engine.round = None;
    engine.next_round = at(300_000);
    engine.discipline.expire_at(at(420_000));
    let expires = |engine: &SyncEngine| engine.mapping().expect("synchronised").valid_until;
    let before = expires(&engine);
    engine.set_poll_interval(Span::from_secs(240), at(60_000));
    assert_eq!((engine.next_round, expires(&engine)), (at(300_000), before));
    engine.set_poll_interval(Span::from_secs(30), at(60_000));
    assert_eq!(engine.next_round, at(90_000));
    assert_eq!(expires(&engine), at(90_000) + schedule::EXPIRY_GRACE);
    // Neither an attempt's pause nor a server's wish is cut short.
    let mut held = engine.clone();
    held.restraint.obey(crate::exchange::KissCode::Rate, 0, at(60_000));
    engine.state.attempt_failed();
    for mut engine in [held, engine] {
        engine.set_poll_interval(Span::from_secs(5), at(60_000));
        assert_eq!(engine.next_round, at(90_000));
    }
}

#[test]
fn a_suspend_ends_the_epoch_and_the_round_and_asks_at_once() {
    let mut engine = engine();
    send(&mut engine, 0, 7);
    reply(&mut engine, 0, 7).expect("believed");
    while engine.poll_log().is_some() {}
    engine.handle_suspend(at(40));
    let status = engine.status(at(40));
    assert_eq!((status.state, status.epoch), (SyncState::Unsynchronised, 2));
    assert!(engine.mapping().is_none() && engine.in_round() && engine.round_number() == 2);
    assert_eq!(engine.poll_log(), Some(LogEntry::RoundEnd { at: at(40) }));
    assert_eq!(engine.poll_log(), Some(LogEntry::Suspend { at: at(40) }));
    let event = Event::EpochChanged { epoch: 2, reason: EpochReason::Suspend };
    assert_eq!(engine.poll_event(), Some(event));
    assert_eq!(reply(&mut engine, 0, 7), Err(Rejection::Origin));
}

#[test]
fn another_counter_ends_all_that_a_sleep_ends_and_its_rate_is_not_known() {
    let changed = |change: fn(&mut SyncEngine, LocalTime)| {
        let mut engine = engine();
        for (round, ms) in [0, 300_000].into_iter().enumerate() {
            engine.next_round = at(ms);
            send(&mut engine, ms, round as u64 + 1);
            reply(&mut engine, ms, round as u64 + 1).expect("believed");
            engine.handle_timeout(at(ms + 60_000));
            engine.round = None;
        }
        while engine.poll_log().is_some() {}
        change(&mut engine, at(400_000));
        let status = engine.status(at(400_000));
        assert_eq!((status.state, status.epoch), (SyncState::Unsynchronised, 2));
        assert!(engine.mapping().is_none() && engine.in_round());
        let entry = engine.poll_log();
        send(&mut engine, 400_000, 9);
        reply(&mut engine, 400_000, 9).expect("believed");
        let mapping = engine.mapping().expect("synchronised");
        assert!(mapping.read(at(399_999)).is_none());
        let later = mapping.read(at(460_000)).expect("valid");
        (entry, later.max_error())
    };
    let (entry, error) = changed(SyncEngine::handle_counter_changed);
    assert_eq!(entry, Some(LogEntry::CounterChanged { at: at(400_000) }));
    // 500 ppm of a minute.
    assert!(error > Span::from_millis(30), "{error:?}");
    let (entry, error) = changed(SyncEngine::handle_suspend);
    assert_eq!(entry, Some(LogEntry::Suspend { at: at(400_000) }));
    assert!(error < Span::from_millis(20), "{error:?}");
}

#[test]
fn a_first_round_is_answered_with_its_four_quick_requests() {
    let mut engine = engine();
    for request in 0..4 {
        assert!(!engine.round_is_answered(), "{request}");
        send(&mut engine, request * 60, request as u64);
        reply(&mut engine, request * 60, request as u64).expect("believed");
    }
    assert!(engine.round_is_answered() && engine.in_round());
}

#[test]
fn a_status_says_why_there_is_no_reading_also_where_nobody_noticed_yet() {
    let mut engine = engine();
    send(&mut engine, 0, 7);
    reply(&mut engine, 0, 7).expect("believed");
    let expiry = engine.mapping().expect("synchronised").valid_until;
    let shown = |at: LocalTime| (engine.status(at).state, engine.status(at).last_error);
    assert_eq!(shown(expiry), (SyncState::Synchronised, None));
    let expired = (SyncState::Failed, Some(AttemptError::Expired));
    assert_eq!(shown(expiry + Span::from_nanos(1)), expired);
}

#[test]
fn jitter_is_spread_from_cookies_by_a_known_bijection() {
    // SplitMix64's first number from the seed 0 is its finaliser of the golden ratio.
    assert_eq!(scramble(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
    assert_eq!(scramble(0), 0);
}
