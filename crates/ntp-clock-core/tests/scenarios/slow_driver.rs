//! A driver that takes its time between being handed a request and sending it.

use ntp_clock_core::{EngineConfig, LocalTime, Span, SyncEngine};

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
