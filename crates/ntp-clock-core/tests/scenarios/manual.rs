//! What the user asks for: a round now, another interval.

use crate::world::{Oscillator, World};
use ntp_clock_core::{EngineConfig, Event, Span, SyncState};

#[test]
fn a_requested_round_joins_one_under_way() {
    let mut world = World::new();
    world.run(Span::from_millis(120));
    let round = world.engine.round_number();
    assert_eq!(world.request_sync(), Ok(()));
    assert_eq!(world.engine.round_number(), round);
    world.run(Span::from_secs(2));
    assert_eq!((world.sent.len(), world.status().rounds), (7, 1));
}

#[test]
fn a_requested_round_starts_at_once_and_schedules_the_next() {
    let mut world = World::new();
    world.run_until(Span::from_secs(2_000), |w| w.status().rounds == 7);
    let (rounds, sent) = (world.status().rounds, world.sent.len());
    world.request_sync().expect("not held");
    assert_eq!(world.sent.len(), sent + 1);
    world.run(Span::from_secs(1));
    assert_eq!((world.status().rounds, world.sent.len()), (rounds + 1, sent + 4));
    let pause = world.status().next_sync - world.now();
    assert!(pause > Span::from_secs(265) && pause <= Span::from_secs(300), "{pause:?}");
}

#[test]
fn a_requested_round_that_fails_is_no_attempt_and_moves_no_schedule() {
    let mut world = World::new();
    world.run_until(Span::from_secs(2_000), |w| w.status().rounds == 7);
    world.server.silent = true;
    let due = world.status().next_sync;
    for _ in 0..5 {
        world.request_sync().expect("not held");
        world.run_until(Span::from_secs(10), |w| !w.engine.in_round());
        let status = world.status();
        assert_eq!((status.attempts, status.state), (0, SyncState::Synchronised));
        assert_eq!(status.next_sync, due);
    }
    assert_eq!(world.happened(|e| matches!(e, Event::AttemptFailed { attempt: 0, .. })), 5);
    world.server.silent = false;
    world.run(due - world.now() + Span::from_secs(2));
    assert_eq!(world.happened(|e| matches!(e, Event::AttemptFailed { .. })), 5);
}

#[test]
fn a_requested_round_recovers_a_failed_clock() {
    let mut world = World::new();
    world.server.silent = true;
    world.run(Span::from_secs(400));
    world.server.silent = false;
    world.request_sync().expect("not held");
    world.run(Span::from_millis(20));
    assert_eq!(world.status().state, SyncState::Synchronised);
}

#[test]
fn asking_without_end_stays_within_the_packet_budget() {
    let mut world = World::new();
    for _ in 0..3_000 {
        let _ = world.request_sync();
        world.run(Span::from_millis(17));
    }
    assert!(world.sent.len() <= 8 * 7, "{} packets in 51 s", world.sent.len());
    world.server.silent = true;
    for _ in 0..3_000 {
        let _ = world.request_sync();
        world.run(Span::from_millis(17));
    }
    assert!(world.reading().is_some());
}

#[test]
fn a_shorter_interval_draws_the_next_round_and_the_expiry_nearer_at_once() {
    let mut world = World::new();
    world.run_until(Span::from_secs(2_000), |w| w.status().rounds == 8);
    let now = world.now();
    world.set_poll_interval(Span::from_secs(20));
    assert_eq!(world.status().next_sync, now + Span::from_secs(20));
    let expiry = world.engine.mapping().expect("synchronised").valid_until();
    assert!(expiry == now + Span::from_secs(140));
    let rounds = world.status().rounds;
    world.run(Span::from_secs(200));
    assert!((9..=12).contains(&(world.status().rounds - rounds)));
}

#[test]
fn a_longer_interval_holds_from_the_next_round_on() {
    let mut world = World::new();
    world.run_until(Span::from_secs(2_000), |w| w.status().rounds == 8);
    let due = world.status().next_sync;
    world.set_poll_interval(Span::from_secs(3_600));
    assert_eq!(world.status().next_sync, due);
    world.run(Span::from_secs(302));
    let pause = world.status().next_sync - world.now();
    assert!(pause > Span::from_secs(2_900), "{pause:?}");
}

#[test]
fn an_absurdly_short_interval_is_a_second_and_the_budget_holds() {
    for interval in [Span::ZERO, Span::from_secs(-5), Span::MIN, Span::from_nanos(1)] {
        let config = EngineConfig { poll_interval: interval, ..EngineConfig::default() };
        let mut world = World::with(config, Oscillator::default());
        world.run(Span::from_secs(100));
        assert!(world.reading().is_some());
        assert!(world.sent.len() <= 8 * 14, "{} packets", world.sent.len());
        world.set_poll_interval(interval);
        world.run(Span::from_secs(100));
    }
}

#[test]
fn an_absurdly_long_interval_overflows_nothing() {
    let config = EngineConfig { poll_interval: Span::MAX, ..EngineConfig::default() };
    let mut world = World::with(config, Oscillator::default());
    world.run(Span::from_secs(100_000));
    assert!(world.reading().is_some());
    world.set_poll_interval(Span::from_secs(60));
    world.run(Span::from_secs(200));
    assert!(world.status().next_sync - world.now() <= Span::from_secs(60));
}

#[test]
fn a_round_asked_for_right_after_the_first_is_answered_at_once() {
    let mut world = World::new();
    world.run(Span::from_secs(1));
    assert_eq!(world.request_sync(), Ok(()));
    assert!(world.engine.round_is_answered(), "the round that is joined has its replies");
    world.run(Span::from_secs(1));
    let status = world.status();
    assert_eq!((status.rounds, status.in_round), (1, false));
    assert_eq!(world.request_sync(), Ok(()));
    world.run(Span::from_millis(100));
    let status = world.status();
    assert_eq!((status.rounds, status.in_round, status.requests), (2, false, 8));
}
