//! From nothing to the first reading, and the rhythm of rounds after it.

use crate::world::World;
use ntp_clock_core::{Event, Span, SyncState};

#[test]
fn the_first_believed_reply_synchronises() {
    let mut world = World::new();
    assert_eq!(world.status().state, SyncState::Unsynchronised);
    assert!(world.reading().is_none());
    world.run_until(Span::from_millis(20), |w| w.status().believed == 1);
    assert_eq!(world.status().state, SyncState::Synchronised);
    assert!(world.elapsed() < Span::from_millis(12), "one round trip after start");
    assert!(world.error().abs() < Span::from_millis(1));
}

#[test]
fn the_first_round_has_seven_requests_the_last_of_them_spread_and_later_ones_four() {
    let mut world = World::new();
    world.run(Span::from_secs(1_200));
    let sizes = world.round_sizes();
    assert_eq!(sizes[0], 7);
    assert!(sizes.len() > 5 && sizes[1..].iter().all(|size| *size == 4), "{sizes:?}");
    for round in world.sent.chunk_by(|a, b| a.round == b.round) {
        for (sent, pair) in round.windows(2).enumerate() {
            let apart = pair[1].at - pair[0].at;
            let wanted = Span::from_millis([50, 50, 50, 200, 500, 800][sent]);
            assert!(apart >= wanted && apart <= wanted + Span::from_millis(1), "{apart:?}");
        }
    }
}

/// All that is sent while the queue stands waits for 100 ms. Half of that is slewed at 5 %, which
/// takes a second.
#[test]
fn a_queue_that_stands_for_300_ms_does_not_outlast_the_first_round() {
    let mut world = World::new();
    let quiet = world.link.forth;
    world.link.forth = crate::world::Delay::of_millis(105);
    world.run(Span::from_millis(300));
    world.link.forth = quiet;
    world.run(Span::from_millis(1_700));
    assert_eq!(world.status().rounds, 1);
    assert!(world.error().abs() < Span::from_micros(250), "{:?} off", world.error());
}

#[test]
fn a_caller_that_waits_for_the_first_round_does_not_wait_for_its_spread_requests() {
    let mut world = World::new();
    world.run_until(Span::from_secs(3), |w| w.engine.round_is_answered());
    assert!(world.elapsed() < Span::from_millis(200), "{:?}", world.elapsed());
    assert_eq!((world.sent.len(), world.status().believed), (4, 4));
    world.run_until(Span::from_secs(3), |w| !w.engine.in_round());
    assert!(!world.engine.round_is_answered(), "there is no round");
    assert_eq!(world.sent.len(), 7);
    // A later round is answered when it is over.
    world.run_until(Span::from_secs(20), |w| w.in_round_with(4));
    assert!(!world.engine.round_is_answered());
}

#[test]
fn a_lost_reply_keeps_nobody_waiting_for_longer_than_the_first_spread_request() {
    let mut world = World::new();
    world.run_until(Span::from_secs(1), |w| w.in_round_with(3));
    world.server.silent = true;
    world.run_until(Span::from_secs(1), |w| w.in_round_with(4));
    world.run(Span::from_millis(30));
    world.server.silent = false;
    assert!(!world.engine.round_is_answered());
    world.run_until(Span::from_secs(3), |w| w.engine.round_is_answered());
    assert!(world.elapsed() < Span::from_millis(700), "{:?}", world.elapsed());
}

#[test]
fn early_rounds_come_close_together_and_then_one_every_300_s_less_jitter() {
    let mut world = World::new();
    world.run(Span::from_secs(7_200));
    let starts = world.round_starts();
    let gaps: Vec<f64> = starts.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
    for (gap, most) in gaps.iter().zip([10.0, 20.0, 40.0, 80.0, 150.0]) {
        // From begin to begin: a first round lasts 1.7 s, others 0.2.
        assert!(*gap >= most * 0.9 && *gap <= most + 1.8, "{gaps:?}");
    }
    let steady = &gaps[5..];
    assert!(steady.len() > 20);
    assert!(steady.iter().all(|gap| (270.0..=300.5).contains(gap)), "{gaps:?}");
    let spread = steady.iter().cloned().fold(0.0, f64::max)
        - steady.iter().cloned().fold(f64::MAX, f64::min);
    assert!(spread > 10.0, "no jitter: {steady:?}");
}

#[test]
fn each_round_ends_with_one_event_that_says_what_it_brought() {
    let mut world = World::new();
    world.run(Span::from_secs(5));
    let (_, event) = &world.events[0];
    let Event::Synchronised { epoch, delay, believed, sent, recovered, .. } = event else {
        panic!("{event:?}");
    };
    assert_eq!((*epoch, *believed, *sent, *recovered), (1, 7, 7, true));
    assert!(*delay >= Span::from_millis(10) && *delay < Span::from_millis(11));
    assert_eq!(world.events.len(), 1);
    world.run(Span::from_secs(200));
    let later = world.happened(|e| matches!(e, Event::Synchronised { recovered: false, .. }));
    assert_eq!(later, 4, "after 11, 31, 71 and 151 s");
}
