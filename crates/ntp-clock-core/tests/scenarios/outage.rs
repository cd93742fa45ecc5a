//! The server is lost: attempts, failure, back-off, recovery.

use crate::world::{Oscillator, World};
use ntp_clock_core::{AttemptError, EngineConfig, Event, LocalTime, Span, SyncState};

fn silent_from_the_start() -> World {
    let mut world = World::new();
    world.server.silent = true;
    world
}

fn failures(world: &World) -> Vec<LocalTime> {
    let failed = world.events.iter().filter(|(_, e)| matches!(e, Event::AttemptFailed { .. }));
    failed.map(|(at, _)| *at).collect()
}

fn secs(span: Span) -> f64 {
    span.as_secs_f64()
}

#[test]
fn an_attempt_is_one_round_without_a_believed_reply_within_2_s_of_its_last_request() {
    let mut world = silent_from_the_start();
    world.run(Span::from_secs(600));
    let failures = failures(&world);
    for (round, failed) in world.sent.chunk_by(|a, b| a.round == b.round).zip(&failures) {
        let waited = *failed - round[round.len() - 1].at;
        assert!(waited >= Span::from_secs(2) && waited < Span::from_millis(2_001), "{waited:?}");
    }
    assert!(failures.len() > 5);
}

#[test]
fn a_never_synchronised_clock_makes_three_attempts_at_once_then_fails_and_backs_off() {
    let mut world = silent_from_the_start();
    world.run(Span::from_secs(1_800));
    let (starts, failures) = (world.round_starts(), failures(&world));
    assert_eq!(world.round_sizes()[..3], [6, 1, 1], "three attempts share one packet budget");
    let pauses: Vec<f64> = starts[1..].iter().zip(&failures).map(|(s, f)| secs(*s - *f)).collect();
    assert!(pauses[0] < 0.001 && pauses[1] < 0.001, "{pauses:?}");
    for (pause, most) in pauses[2..].iter().zip([15.0, 30.0, 60.0, 120.0, 240.0, 300.0, 300.0]) {
        assert!(*pause >= most * 0.9 && *pause <= most + 0.001, "{pauses:?}");
    }
    let failed = world.events.iter().position(|(_, e)| matches!(e, Event::Failed { .. }));
    let before = &world.events[..failed.expect("it failed")];
    assert_eq!(before.iter().filter(|(_, e)| matches!(e, Event::AttemptFailed { .. })).count(), 3);
    assert_eq!(world.happened(|e| matches!(e, Event::Failed { .. })), 1, "said once");
    assert_eq!(world.status().state, SyncState::Failed);
    assert_eq!(world.status().last_error, Some(AttemptError::NoReply));
}

#[test]
fn a_synchronised_clock_retries_0_15_and_60_s_after_the_poll_was_due_and_serves_meanwhile() {
    let mut world = World::new();
    world.run(Span::from_secs(2_000));
    world.server.silent = true;
    let (due, known) = (world.status().next_sync, world.round_starts().len());
    world.run_until(Span::from_secs(400), |w| w.status().attempts == 2);
    assert_eq!(world.status().state, SyncState::Synchronised);
    world.run_until(Span::from_secs(70), |w| w.round_starts().len() == known + 3);
    assert!(world.reading().is_some(), "readings while the third attempt runs");
    world.run_until(Span::from_secs(5), |w| w.status().attempts == 3);
    assert!(world.reading().is_none());
    assert_eq!(world.status().state, SyncState::Failed);
    let after: Vec<f64> =
        world.round_starts()[known..].iter().map(|start| secs(*start - due)).collect();
    assert!((0.0..0.01).contains(&after[0]), "{after:?}");
    assert!((13.5..15.1).contains(&after[1]) && (54.0..60.1).contains(&after[2]), "{after:?}");
}

#[test]
fn a_failed_clock_recovers_by_itself_in_the_same_epoch() {
    let mut world = World::new();
    world.run(Span::from_secs(1_000));
    world.server.silent = true;
    world.run(Span::from_secs(3_600));
    assert!(world.reading().is_none());
    world.server.silent = false;
    world.run_until(Span::from_secs(301), |w| w.reading().is_some());
    assert_eq!(world.status().state, SyncState::Synchronised, "at the first believed reply");
    world.run(Span::from_secs(5));
    let status = world.status();
    assert_eq!((status.attempts, status.last_error, status.epoch), (0, None, 1));
    assert_eq!(world.happened(|e| matches!(e, Event::Synchronised { recovered: true, .. })), 2);
    // The next outage backs off from the beginning again.
    world.server.silent = true;
    world.run_until(Span::from_secs(500), |w| w.status().state == SyncState::Failed);
    let pause = world.status().next_sync - world.now();
    assert!(pause <= Span::from_secs(15), "{pause:?}");
}

#[test]
fn a_clock_that_starts_without_a_server_synchronises_when_it_comes() {
    let mut world = silent_from_the_start();
    world.run(Span::from_secs(200));
    world.server.silent = false;
    world.run_until(Span::from_secs(130), |w| w.reading().is_some());
    world.run(Span::from_secs(2));
    assert_eq!(world.status().state, SyncState::Synchronised);
    assert_eq!(world.round_sizes().last(), Some(&7), "the first round is a full one");
}

#[test]
fn packets_in_a_six_hour_outage_are_few() {
    let mut world = World::new();
    world.run(Span::from_secs(1_000));
    let before = world.sent.len();
    world.server.silent = true;
    world.run(Span::from_secs(6 * 3_600));
    let packets = world.sent.len() - before;
    assert!((150..=250).contains(&packets), "{packets} packets");
    assert_eq!(world.status().requests, world.sent.len() as u64);
}

#[test]
fn holdover_keeps_serving_after_failure_with_a_growing_bound_and_then_ends() {
    let config = EngineConfig { holdover: Span::from_secs(3_600), ..EngineConfig::default() };
    let oscillator = Oscillator { wander_ppm: 7.0, ..Oscillator::default() };
    let mut world = World::with(config, oscillator);
    world.run(Span::from_secs(2_000));
    world.server.silent = true;
    world.run_until(Span::from_secs(400), |w| w.status().attempts == 3);
    let failed = world.now();
    assert_eq!(world.status().state, SyncState::Holdover);
    let mut bound = world.reading().expect("held over").max_error();
    for _ in 0..11 {
        world.run(Span::from_secs(300));
        let wider = world.reading().expect("held over").max_error();
        assert!(wider > bound);
        bound = wider;
    }
    world.run_until(Span::from_secs(400), |w| w.reading().is_none());
    let held = world.now() - failed;
    assert!(held >= Span::from_secs(3_600) && held < Span::from_millis(3_600_001), "{held:?}");
    assert_eq!(world.status().state, SyncState::Failed);
    world.server.silent = false;
    world.run(Span::from_secs(400));
    assert_eq!((world.status().state, world.status().epoch), (SyncState::Synchronised, 1));
}

#[test]
fn recovery_within_the_holdover_ends_it() {
    let config = EngineConfig { holdover: Span::from_secs(7_200), ..EngineConfig::default() };
    let mut world = World::with(config, Oscillator::default());
    world.run(Span::from_secs(1_000));
    world.server.silent = true;
    world.run(Span::from_secs(3_000));
    assert_eq!(world.status().state, SyncState::Holdover);
    world.server.silent = false;
    world.run(Span::from_secs(305));
    assert_eq!(world.status().state, SyncState::Synchronised);
    assert_eq!(world.happened(|e| matches!(e, Event::Synchronised { recovered: true, .. })), 1);
}

#[test]
fn a_mapping_expires_by_itself_120_s_after_the_poll_was_due_also_with_holdover() {
    for holdover in [0, 7_200] {
        let holdover = Span::from_secs(holdover);
        let config = EngineConfig { holdover, ..EngineConfig::default() };
        let mut world = World::with(config, Oscillator::default());
        world.run(Span::from_secs(1_000));
        let expiry = world.status().next_sync + Span::from_secs(120);
        let mapping = *world.engine.mapping().expect("synchronised");
        assert!(mapping.read(expiry).is_some());
        assert!(mapping.read(expiry + Span::from_nanos(1)).is_none());
        world.stall(Span::from_secs(500));
        assert!(world.reading().is_none(), "the thread never ran");
        let status = world.status();
        assert_eq!(status.state, SyncState::Failed, "status and readings agree");
        assert_eq!(status.last_error, Some(AttemptError::Expired));
    }
}

#[test]
fn a_stalled_thread_says_why_readings_ended_and_goes_on_at_once() {
    let mut world = World::new();
    world.run(Span::from_secs(1_000));
    world.stall(Span::from_secs(900));
    world.wake();
    let expired = |e: &Event| matches!(e, Event::Failed { reason: AttemptError::Expired, .. });
    assert_eq!(world.happened(expired), 1);
    world.run(Span::from_secs(1));
    assert_eq!((world.status().state, world.status().epoch), (SyncState::Synchronised, 1));
}

#[test]
fn what_cannot_be_sent_fails_an_attempt_without_counting_as_a_packet() {
    let mut world = World::new();
    world.link.unplugged = true;
    world.run(Span::from_secs(10));
    assert_eq!(world.status().last_error, Some(AttemptError::NotSent));
    assert_eq!((world.status().state, world.status().requests), (SyncState::Failed, 0));
    let failures = failures(&world);
    assert!(failures[1] - failures[0] >= Span::from_secs(2), "attempts are not used up at once");
    world.link.unplugged = false;
    world.run_until(Span::from_secs(20), |w| w.reading().is_some());
}

#[test]
fn a_send_that_fails_within_a_believed_round_ends_it_without_waiting() {
    let mut world = World::new();
    world.run_until(Span::from_secs(1), |w| w.status().believed == 3);
    world.link.unplugged = true;
    let before = world.now();
    world.run_until(Span::from_secs(1), |w| w.status().rounds == 1);
    assert!(world.now() - before < Span::from_millis(60));
    assert_eq!(world.status().requests, 3);
}

#[test]
fn half_of_all_packets_lost_does_not_keep_a_clock_from_its_time() {
    for seed in 0..20 {
        let mut world = World::seeded(EngineConfig::default(), Oscillator::default(), seed);
        world.link.loss_permille = 290;
        world.run(Span::from_secs(3_600));
        assert!(world.status().rounds >= 10, "seed {seed}: {} rounds", world.status().rounds);
        assert_eq!(world.status().epoch, 1);
    }
}
