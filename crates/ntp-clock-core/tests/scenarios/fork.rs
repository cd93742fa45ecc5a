//! A forked child goes on from its parent's mapping.

use crate::world::{Delay, Oscillator, World};
use ntp_clock_core::{EngineConfig, Event, LocalTime, Mapping, Span, SyncEngine, SyncState};

#[test]
fn a_child_continues_in_the_same_epoch_and_asks_within_a_second() {
    let mut world = World::new();
    world.run(Span::from_secs(2_000));
    let (before, sent) = (world.reading().expect("synchronised"), world.sent.len());
    world.fork();
    let after = world.reading().expect("inherited");
    assert_eq!((after.time(), after.epoch()), (before.time(), 1));
    assert_eq!(world.status().state, SyncState::Synchronised);
    world.run(Span::from_secs(3));
    assert_eq!(world.sent.len() - sent, 4);
    assert_eq!((world.status().rounds, world.status().epoch), (1, 1));
    world.run(Span::from_secs(4_000));
    assert!(world.error().abs() < Span::from_micros(500));
    assert_eq!(world.happened(|e| matches!(e, Event::EpochChanged { .. })), 0);
}

#[test]
fn generations_of_children_forked_at_any_moment_never_go_backwards_or_out_of_bound() {
    for seed in 0..10 {
        let oscillator = Oscillator { ppm: 300.0, wander_ppm: 7.0, ..Oscillator::default() };
        let mut world = World::seeded(EngineConfig::default(), oscillator, seed);
        world.run(Span::from_millis(300));
        for _ in 0..60 {
            world.fork();
            let span = Span::from_millis(world.dice.up_to(40_000));
            world.run(span);
        }
        assert_eq!(world.status().epoch, 1);
        assert!(world.reading().is_some());
    }
}

#[test]
fn a_child_of_a_failed_parent_goes_on_in_its_epoch_no_earlier_than_the_parent_stopped() {
    for seed in 0..20 {
        let oscillator = Oscillator { ppm: 40.0, ..Oscillator::default() };
        let mut world = World::seeded(EngineConfig::default(), oscillator, seed);
        world.run(Span::from_secs(100));
        let last = world.reading().expect("synchronised");
        world.server.silent = true;
        world.run(Span::from_secs(400));
        assert_eq!((world.status().state, world.reading()), (SyncState::Failed, None));
        world.fork();
        assert_eq!(world.reading(), None, "what the parent does not say the child does not either");
        world.server.silent = false;
        let wait = Span::from_millis(300 + world.dice.up_to(2_000));
        world.run(wait);
        let first = world.reading().expect("the child asks at once");
        assert_eq!(first.epoch(), 1, "seed {seed}");
        assert!(first.time() > last.time());
    }
}

#[test]
fn a_child_of_a_parent_that_has_slept_begins_in_the_epoch_after_the_sleep() {
    let mut world = World::new();
    world.run(Span::from_secs(100));
    let earlier = world.now() - Span::from_millis(1);
    world.server.silent = true;
    world.suspend(Span::from_secs(3_600));
    world.fork();
    world.server.silent = false;
    world.run(Span::from_secs(2));
    assert_eq!(world.reading().expect("synchronised").epoch(), 2);
    assert!(world.engine.mapping().and_then(|m| m.read(earlier)).is_none());
}

#[test]
fn a_child_whose_server_is_gone_serves_for_no_more_than_two_minutes() {
    let mut world = World::new();
    world.run(Span::from_secs(2_000));
    world.server.silent = true;
    world.fork();
    let mapping = world.engine.mapping().expect("inherited");
    assert!(mapping.valid_until() - world.now() <= Span::from_secs(121));
    world.run(Span::from_secs(50));
    assert!(world.reading().is_some());
    world.run(Span::from_secs(80));
    assert_eq!(world.status().state, SyncState::Failed);
}

#[test]
fn a_mapping_that_says_nothing_makes_an_engine_that_knows_nothing() {
    let now = LocalTime::from_nanos(5);
    let mut words = Mapping::UNSYNCHRONISED;
    let nothing = Mapping::from_words(words);
    words[2] = f64::NAN.to_bits();
    (words[11], words[12]) = (0, i64::MAX as u64);
    for mapping in [nothing, Mapping::from_words(words)] {
        let mut engine = SyncEngine::resume(EngineConfig::default(), mapping, now, 3);
        assert!(engine.mapping().is_none());
        assert_eq!(engine.status(now).state, SyncState::Unsynchronised);
        engine.handle_timeout(now);
        assert!(engine.poll_transmit(now, 1).is_some(), "it asks at once");
    }
}

#[test]
fn what_a_child_inherits_of_the_frequency_does_not_outlive_its_truth() {
    // Too slow to be noticed within a window, but much in the end.
    let oscillator = Oscillator {
        ppm: 0.0,
        wander_ppm: 45.0,
        wander_period_s: 12.0 * 86_400.0,
        ..Oscillator::default()
    };
    let mut world = World::with(EngineConfig::default(), oscillator);
    world.link.forth = Delay::of_millis(0).with_jitter_micros(100);
    world.link.back = world.link.forth;
    world.run(Span::from_secs(5_000));
    world.fork();
    world.run(Span::from_secs(3 * 86_400));
    assert_eq!((world.status().epoch, world.rejected("contradiction")), (1, 0));
}
