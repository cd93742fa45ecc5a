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
fn the_first_round_has_seven_requests_50_ms_apart_and_later_ones_four() {
    let mut world = World::new();
    world.run(Span::from_secs(1_200));
    let sizes = world.round_sizes();
    assert_eq!(sizes[0], 7);
    assert!(sizes.len() > 5 && sizes[1..].iter().all(|size| *size == 4), "{sizes:?}");
    for round in world.sent.chunk_by(|a, b| a.round == b.round) {
        for pair in round.windows(2) {
            let apart = pair[1].at - pair[0].at;
            assert!(apart >= Span::from_millis(50) && apart <= Span::from_millis(51), "{apart:?}");
        }
    }
}

#[test]
fn early_rounds_come_close_together_and_then_one_every_300_s_less_jitter() {
    let mut world = World::new();
    world.run(Span::from_secs(7_200));
    let starts = world.round_starts();
    let gaps: Vec<f64> = starts.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
    for (gap, most) in gaps.iter().zip([10.0, 20.0, 40.0, 80.0, 150.0]) {
        assert!(*gap >= most * 0.9 && *gap <= most + 0.6, "{gaps:?}");
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
    assert_eq!(later, 4, "after 10, 30, 70 and 150 s");
}
