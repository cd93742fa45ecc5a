//! Kiss-o'-death: what is obeyed, for how long, and what is only counted.

use crate::world::{World, changed};
use ntp_clock_core::{
    AttemptError, Event, Held, KissCode, NtpTimestamp, ReferenceId, Span, SyncState,
};

fn kissing(world: &mut World, code: &[u8; 4]) {
    let code = ReferenceId::from_bytes(*code);
    world.server.fault = changed(move |packet| {
        packet.stratum = 0;
        packet.reference_id = code;
    });
}

#[test]
fn deny_and_rstr_silence_a_never_synchronised_clock_for_an_hour() {
    for (code, kiss) in [(b"DENY", KissCode::Deny), (b"RSTR", KissCode::Restrict)] {
        let mut world = World::new();
        kissing(&mut world, code);
        world.run(Span::from_secs(3_590));
        assert_eq!(world.sent.len(), 1, "one question, one refusal");
        assert_eq!(world.status().state, SyncState::Failed);
        assert_eq!(world.status().last_error, Some(AttemptError::Kiss(kiss)));
        assert_eq!(world.happened(|e| matches!(e, Event::Failed { .. })), 1);
        world.server.fault = None;
        world.run(Span::from_secs(20));
        assert_eq!(world.status().state, SyncState::Synchronised);
    }
}

#[test]
fn a_denied_synchronised_clock_serves_until_its_readings_expire() {
    let mut world = World::new();
    world.run(Span::from_secs(1_000));
    kissing(&mut world, b"DENY");
    let due = world.status().next_sync;
    world.run_until(Span::from_secs(301), |w| w.rejected("kiss") == 1);
    let before = world.sent.len();
    assert!(world.reading().is_some());
    world.run_until(Span::from_secs(200), |w| w.reading().is_none());
    let served = world.now() - due;
    assert!(served >= Span::from_secs(120) && served < Span::from_millis(120_001), "{served:?}");
    assert_eq!(world.status().state, SyncState::Failed);
    assert_eq!(world.status().last_error, Some(AttemptError::Kiss(KissCode::Deny)));
    world.run(Span::from_secs(3_400));
    assert_eq!(world.sent.len(), before);
}

#[test]
fn holdover_takes_over_from_a_denied_clock_without_a_gap() {
    let holdover = Span::from_secs(1_800);
    let config = ntp_clock_core::EngineConfig { holdover, ..Default::default() };
    let mut world = World::with(config, Default::default());
    world.run(Span::from_secs(1_000));
    kissing(&mut world, b"DENY");
    let expiry = world.engine.mapping().expect("synchronised").valid_until();
    world.run_until(Span::from_secs(301), |w| w.rejected("kiss") == 1);
    world.run_until(Span::from_secs(500), |w| w.status().state == SyncState::Holdover);
    assert!(world.now() < expiry, "readings had expired before the holdover");
    for _ in 0..1_000 {
        world.run(Span::from_millis(500));
        assert!(world.reading().is_some(), "a gap at {:?}", world.elapsed());
    }
    assert_eq!(world.status().state, SyncState::Holdover);
    world.run(Span::from_secs(1_400));
    assert_eq!(world.status().state, SyncState::Failed);
}

#[test]
fn while_denied_nobody_can_make_it_ask() {
    let mut world = World::new();
    kissing(&mut world, b"DENY");
    world.run(Span::from_secs(10));
    let Err(Held { until }) = world.request_sync() else { panic!("not held") };
    let silence = until - world.sent[0].at;
    assert!(silence >= Span::from_secs(3_600) && silence < Span::from_secs(3_601));
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn rate_backs_off_further_each_time() {
    let mut world = World::new();
    kissing(&mut world, b"RATE");
    world.run(Span::from_secs(20_000));
    let starts = world.round_starts();
    let gaps: Vec<f64> = starts.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
    for (gap, least) in gaps.iter().zip([60.0, 120.0, 240.0, 480.0, 960.0, 1_920.0, 3_600.0]) {
        assert!(*gap >= least && *gap < least + 1.0, "{gaps:?}");
    }
    assert!(world.round_sizes().iter().all(|size| *size == 1));
}

#[test]
fn rate_in_the_middle_of_a_believed_round_ends_it_and_delays_the_next() {
    let mut world = World::new();
    world.run_until(Span::from_secs(1), |w| w.status().believed == 2);
    kissing(&mut world, b"RATE");
    world.run_until(Span::from_secs(1), |w| w.rejected("kiss") == 1);
    world.server.fault = None;
    let sent = world.sent.len();
    world.run(Span::from_secs(59));
    assert_eq!((world.status().rounds, world.sent.len()), (1, sent));
    assert!(world.reading().is_some());
    world.run(Span::from_secs(3));
    assert_eq!(world.status().rounds, 2);
}

#[test]
fn a_server_that_answers_one_packet_and_says_rate_to_the_next_keeps_a_clock_synchronised() {
    let mut world = World::new();
    world.server.least_gap = Span::from_secs(2);
    world.run_until(Span::from_secs(1), |w| w.rejected("kiss") == 1);
    for _ in 0..20_000 {
        world.run(Span::from_secs(1));
        assert!(world.reading().is_some(), "no reading at {:?}", world.elapsed());
        assert_eq!(world.status().state, SyncState::Synchronised);
    }
    let kisses = world.rejected("kiss");
    assert!(kisses <= 5, "{kisses} kisses: bursts grow again too soon");
    assert!(world.status().rounds > 60);
}

#[test]
fn bursts_that_rate_made_smaller_grow_again() {
    let mut world = World::new();
    world.server.least_gap = Span::from_millis(20);
    world.run(Span::from_secs(100));
    let before = world.status().rounds;
    world.server.least_gap = Span::from_secs(1);
    world.run_until(Span::from_secs(400), |w| w.rejected("kiss") == 1);
    world.server.least_gap = Span::ZERO;
    world.run(Span::from_secs(40_000));
    let sizes = world.round_sizes();
    assert_eq!(
        sizes.last(),
        Some(&4),
        "after {} rounds: {sizes:?}",
        world.status().rounds - before
    );
    assert!(sizes.contains(&1) && sizes.contains(&2) && sizes.contains(&3), "{sizes:?}");
}

#[test]
fn a_server_that_wants_to_be_left_alone_for_longer_than_an_interval_is_a_lost_server() {
    let mut world = World::new();
    world.run(Span::from_secs(60));
    world.run_until(Span::from_secs(400), |w| w.in_round_with(1));
    kissing(&mut world, b"DENY");
    let rounds = world.status().rounds;
    world.run_until(Span::from_secs(3), |w| w.status().rounds == rounds + 1);
    let expiry = world.engine.mapping().expect("synchronised").valid_until();
    assert!(expiry - world.now() <= Span::from_secs(420));
    world.run(Span::from_secs(419));
    assert!(world.reading().is_some());
    world.run(Span::from_secs(2));
    assert!(world.reading().is_none());
    let status = world.status();
    assert_eq!(status.state, SyncState::Failed);
    assert_eq!(status.last_error, Some(AttemptError::Kiss(KissCode::Deny)), "it says why");
    world.server.fault = None;
    world.run(Span::from_secs(3_700));
    assert_eq!(world.status().state, SyncState::Synchronised);
}

#[test]
fn other_kiss_codes_are_counted_and_not_obeyed() {
    let mut world = World::new();
    kissing(&mut world, b"INIT");
    world.run(Span::from_millis(500));
    assert!(world.sent.len() > 3, "it goes on asking");
    assert!(world.rejected("kiss") > 3);
    assert_eq!(world.request_sync(), Ok(()));
    world.server.fault = None;
    world.run(Span::from_secs(1));
    assert_eq!(world.status().state, SyncState::Synchronised);
}

#[test]
fn a_kiss_that_answers_no_request_is_not_obeyed() {
    let mut world = World::new();
    world.server.fault = changed(|packet| {
        packet.stratum = 0;
        packet.reference_id = ReferenceId::from_bytes(*b"DENY");
        packet.origin_timestamp = NtpTimestamp::from_bits(packet.origin_timestamp.to_bits() ^ 1);
    });
    world.run(Span::from_secs(30));
    assert_eq!(world.rejected("kiss"), 0);
    assert!(world.rejected("origin") > 0);
    assert!(world.sent.len() > 8);
}
