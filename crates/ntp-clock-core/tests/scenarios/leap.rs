//! An announced leap second: doubt from the month's end until the next round, then a new epoch.

use crate::world::{Delay, Oracle, Oscillator, World};
use ntp_clock_core::{
    EngineConfig, EpochReason, Event, Leap, LocalTime, Span, SyncEngine, UnixTime,
};

/// 2017-01-01T00:00:00Z, right after the leap second of 2016.
const MONTH_END: UnixTime = UnixTime::from_nanos(1_483_228_800_000_000_000);
const SECOND: Span = Span::from_secs(1);

/// When truth steps and by how much. A clock that shows 23:59:60 counts it either as the second
/// after the month's end or as the last one before it, twice.
const INSERTED_LATE: (UnixTime, Span) =
    (UnixTime::from_nanos(MONTH_END.as_nanos() + SECOND.as_nanos()), Span::from_secs(-1));
const INSERTED: (UnixTime, Span) = (MONTH_END, Span::from_secs(-1));
const DELETED: (UnixTime, Span) =
    (UnixTime::from_nanos(MONTH_END.as_nanos() - SECOND.as_nanos()), SECOND);

/// A world 40 minutes before the month's end, with a server that announces the leap.
fn world_before(leap: (UnixTime, Span), seed: u64) -> World {
    let oscillator = Oscillator { ppm: -80.0, wander_ppm: 5.0, ..Oscillator::default() };
    let mut world = World::seeded(EngineConfig::default(), oscillator, seed);
    world.start = MONTH_END - Span::from_secs(2_400);
    world.leap = Some(leap);
    world.server.leap = if leap.1 < Span::ZERO { Leap::Insert } else { Leap::Delete };
    world.run(Span::from_secs(1_800));
    world
}

/// To so much before (or after) the moment of truth's step, by a clock that does not step.
fn run_to(world: &mut World, before_step: Span) {
    let (at, _) = world.leap.expect("a leap");
    let span = (at - world.start) - world.elapsed() - before_step;
    world.run(span);
}

fn new_epochs(world: &World) -> usize {
    let reason = EpochReason::ServerContradiction;
    world.happened(|e| matches!(e, Event::EpochChanged { reason: r, .. } if *r == reason))
}

#[test]
fn the_bound_widens_by_one_second_exactly_from_the_months_end_until_the_next_round() {
    for leap in [INSERTED, INSERTED_LATE, DELETED] {
        let mut world = world_before(leap, 1);
        let doubt_from = if leap == DELETED { DELETED.0 } else { MONTH_END };
        run_to(&mut world, Span::from_secs(3));
        let mapping = *world.engine.mapping().expect("synchronised");
        let now = world.now();
        let bound = |ms: i64| {
            let reading = mapping.read(now + Span::from_millis(ms)).expect("valid");
            (reading, reading.max_error())
        };
        for ms in 0..5_000 {
            let (reading, max_error) = bound(ms);
            if reading.latest() < doubt_from {
                assert!(max_error < Span::from_millis(50), "early doubt: {reading:?}");
            }
            if reading.time() >= doubt_from {
                assert!(max_error > SECOND && max_error < Span::from_millis(1_050));
            }
        }
        run_to(&mut world, Span::from_secs(-5));
        world.server.leap = Leap::None;
        let rounds = world.status().rounds;
        assert!(world.reading().expect("served in doubt").max_error() > SECOND);
        world.run_until(Span::from_secs(400), |w| w.status().rounds > rounds);
        assert!(world.reading().expect("synchronised").max_error() < Span::from_millis(50));
    }
}

#[test]
fn the_servers_step_after_a_leap_second_gives_a_new_epoch() {
    for leap in [INSERTED, INSERTED_LATE, DELETED] {
        for seed in 0..10 {
            let mut world = world_before(leap, seed);
            run_to(&mut world, Span::from_millis(-1_500));
            world.server.leap = Leap::None;
            world.run(Span::from_secs(600));
            assert_eq!((new_epochs(&world), world.status().epoch), (1, 2));
            assert!(world.error().abs() < Span::from_millis(1), "{:?}", world.error());
        }
    }
}

#[test]
fn a_round_within_the_leap_second_leaves_the_doubt_standing() {
    for leap in [INSERTED, INSERTED_LATE, DELETED] {
        for ms in (-1_300_i64..1_300).step_by(130) {
            for announcement_ends_early in [false, true] {
                let mut world = world_before(leap, ms.unsigned_abs());
                run_to(&mut world, Span::from_millis(-ms));
                let doubt_from = if leap == DELETED { DELETED.0 } else { MONTH_END };
                if announcement_ends_early && world.truth() >= doubt_from {
                    world.server.leap = Leap::None;
                }
                let _ = world.request_sync();
                run_to(&mut world, Span::from_millis(-1_500));
                world.server.leap = Leap::None;
                world.run(Span::from_secs(900));
                assert_eq!(new_epochs(&world), 1);
                assert!(world.error().abs() < Span::from_millis(1));
            }
        }
    }
}

#[test]
fn the_doubt_begins_in_time_even_where_truth_is_at_the_edge_of_the_bound() {
    for leap in [INSERTED, DELETED] {
        for (forth, back) in [(0, 200), (200, 0)] {
            let mut world = world_before((UnixTime::MAX, Span::ZERO), 6);
            world.leap = Some(leap);
            world.server.leap = if leap == DELETED { Leap::Delete } else { Leap::Insert };
            world.engine = SyncEngine::new(EngineConfig::default(), world.now());
            world.oracle = Oracle::new(Span::from_secs(300));
            world.link.forth = Delay::of_millis(forth);
            world.link.back = Delay::of_millis(back);
            run_to(&mut world, Span::from_millis(300));
            for _ in 0..6_000 {
                world.run(Span::from_micros(100));
            }
            assert!(world.truth() > MONTH_END - SECOND);
        }
    }
}

#[test]
fn moments_before_the_leap_are_not_dated_by_the_line_after_it() {
    let mut world = world_before(INSERTED_LATE, 3);
    let mut moments: Vec<(LocalTime, UnixTime)> = Vec::new();
    for _ in 0..2_000 {
        moments.push((world.now(), world.truth()));
        world.run(Span::from_millis(600));
        if world.truth() >= MONTH_END {
            world.server.leap = Leap::None;
        }
    }
    assert_eq!(new_epochs(&world), 1);
    let mapping = world.engine.mapping().expect("synchronised");
    let (mut dated, mut refused) = (0, 0);
    for (at, truth) in moments {
        let Some(reading) = mapping.read(at) else {
            refused += 1;
            continue;
        };
        dated += 1;
        assert!((reading.time() - truth).abs() <= reading.max_error(), "{reading:?} {truth:?}");
    }
    assert!(dated > 500 && refused > 500, "{dated} dated, {refused} refused");
}

#[test]
fn an_announced_leap_second_that_does_not_come_changes_nothing() {
    let mut world = world_before(INSERTED, 4);
    world.leap = Some((UnixTime::MAX, Span::ZERO));
    world.run(Span::from_secs(1_200));
    world.server.leap = Leap::None;
    world.run(Span::from_secs(600));
    assert_eq!((new_epochs(&world), world.status().epoch), (0, 1));
    assert!(world.reading().expect("synchronised").max_error() < Span::from_millis(50));
}

#[test]
fn an_announcement_taken_back_in_time_widens_nothing() {
    let mut world = world_before(INSERTED, 5);
    world.leap = Some((UnixTime::MAX, Span::ZERO));
    world.server.leap = Leap::None;
    world.run(Span::from_secs(1_200));
    let worst = world.reading().expect("synchronised").max_error();
    assert!(worst < Span::from_millis(50), "{worst:?}");
}
