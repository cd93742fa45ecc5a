//! A driver that takes its time between being handed a request and sending it.

use ntp_clock_core::{
    AttemptError, EngineConfig, Event, Leap, LocalTime, ReferenceId, Rejection, ServerReply, Span,
    SyncEngine, UnixTime,
};

const START: LocalTime = LocalTime::from_nanos(1_000_000_000);

#[test]
fn packets_that_leave_late_count_from_when_they_left() {
    let mut engine = SyncEngine::new(EngineConfig::default(), START);
    let mut now = START;
    let mut left: Vec<LocalTime> = Vec::new();
    while now < START + Span::from_secs(60) {
        engine.handle_timeout(now);
        engine.request_sync(now).expect("not held");
        while let Some(transmit) = engine.poll_transmit(now, now.as_nanos() as u64) {
            // Now and then the machine is busy.
            let late = if left.len().is_multiple_of(16) { 900 } else { 0 };
            now = now + Span::from_millis(late);
            engine.handle_sent(transmit.token, now);
            left.push(now);
        }
        now = now.max(engine.poll_timeout());
    }
    assert!(left.len() > 40);
    for nine in left.windows(9) {
        assert!(nine[8] - nine[0] >= Span::from_secs(8), "{nine:?}");
    }
}

#[test]
fn a_request_that_was_never_reported_sent_or_at_an_absurd_moment_ends_its_round_all_the_same() {
    for at in [None, Some(LocalTime::MAX), Some(LocalTime::MIN)] {
        let mut engine = SyncEngine::new(EngineConfig::default(), START);
        engine.handle_timeout(START);
        let transmit = engine.poll_transmit(START, 1).expect("due at once");
        if let Some(at) = at {
            engine.handle_sent(transmit.token, at);
        }
        let mut now = START;
        let mut wakes = 0;
        while engine.status(now).attempts == 0 {
            now = engine.poll_timeout();
            engine.handle_timeout(now);
            if let Some(transmit) = engine.poll_transmit(now, 2) {
                engine.handle_sent(transmit.token, now);
            }
            wakes += 1;
            assert!(wakes < 20 && now < START + Span::from_secs(10), "stuck until {now:?}");
        }
    }
}

#[test]
fn readings_that_ran_out_while_the_process_was_stopped_stay_out_until_the_server_is_asked_again() {
    let mut engine = SyncEngine::new(EngineConfig::default(), START);
    engine.handle_timeout(START);
    let transmit = engine.poll_transmit(START, 1).expect("due at once");
    let cookie = transmit.cookie;
    engine.handle_sent(transmit.token, START);
    let time = UnixTime::from_nanos(1_800_000_000_000_000_000);
    let reply = reply_at(time);
    let now = START + Span::from_millis(20);
    engine.handle_response(cookie, reply, now, now).expect("believed");
    assert!(engine.in_round(), "more requests are to follow");

    // Stopped in the middle of the round.
    let now = now + Span::from_secs(4_000);
    assert!(engine.mapping().is_none_or(|mapping| mapping.read(now).is_none()));
    // Either of them may be the first thing that the thread does.
    let mut woken_by_request = engine.clone();
    woken_by_request.request_sync(now).expect("not held");
    woken_by_request.handle_timeout(now);
    assert!(woken_by_request.mapping().is_none_or(|mapping| mapping.read(now).is_none()));

    engine.handle_timeout(now);
    assert!(engine.mapping().is_none());
    let failed = |event| matches!(event, Event::Failed { reason: AttemptError::Expired, .. });
    assert!(std::iter::from_fn(|| engine.poll_event()).any(failed));
    assert_eq!(engine.round_number(), 2);
    let transmit = engine.poll_transmit(now, 2).expect("asked again at once");
    let cookie = transmit.cookie;
    engine.handle_sent(transmit.token, now);
    let later = now + Span::from_millis(20);
    let since = Span::from_secs(4_000);
    let reply = ServerReply { receive_time: time + since, transmit_time: time + since, ..reply };
    engine.handle_response(cookie, reply, later, later).expect("believed");
    let reading = engine.mapping().and_then(|mapping| mapping.read(later));
    assert_eq!(reading.map(|reading| reading.epoch()), Some(1));
}

#[test]
fn a_reply_after_its_rounds_deadline_answers_nothing_even_if_the_deadline_went_by_unnoticed() {
    let mut engine = SyncEngine::new(EngineConfig::default(), START);
    engine.handle_timeout(START);
    let transmit = engine.poll_transmit(START, 7).expect("due at once");
    engine.handle_sent(transmit.token, START);
    let reply = reply_at(UnixTime::from_nanos(1_800_000_000_000_000_000));
    let late = START + Span::from_secs(17);
    let answer = engine.handle_response(transmit.cookie, reply, late, late);
    assert_eq!(answer, Err(Rejection::Origin));
    assert!(engine.mapping().is_none());
}

/// A primary server's reply, made at once.
fn reply_at(time: UnixTime) -> ServerReply {
    ServerReply {
        receive_time: time,
        transmit_time: time,
        root_delay: Span::ZERO,
        root_dispersion: Span::ZERO,
        precision_log2_s: -25,
        leap: Leap::None,
        stratum: 1,
        reference_id: ReferenceId::NONE,
    }
}
