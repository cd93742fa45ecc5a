//! Events captured on the counter are dated afterwards.

use crate::world::{Oscillator, World};
use ntp_clock_core::{EngineConfig, LocalTime, Span, UnixTime};

fn check(world: &World, moments: &[(LocalTime, UnixTime)]) -> usize {
    let Some(mapping) = world.engine.mapping() else { return 0 };
    for (at, truth) in moments {
        let reading = mapping.read(*at).expect("the counter was whole");
        let error = (reading.time() - *truth).abs();
        assert!(error <= reading.max_error(), "{error:?} off, bound {:?}", reading.max_error());
    }
    for pair in moments.windows(2) {
        let [earlier, later] = [pair[0], pair[1]].map(|(at, _)| mapping.read(at).expect("whole"));
        assert!(earlier.time() <= later.time());
    }
    moments.len()
}

#[test]
fn earlier_moments_also_from_before_the_first_synchronisation_are_within_their_bound() {
    for (seed, ppm) in [(1, 480.0), (2, -480.0), (3, 30.0)] {
        let oscillator = Oscillator { ppm, wander_ppm: 7.0, ..Oscillator::default() };
        let mut world = World::seeded(EngineConfig::default(), oscillator, seed);
        world.server.silent = true;
        let mut moments = Vec::new();
        let mut checked = 0;
        for minute in 0..240 {
            world.server.silent = minute < 20;
            moments.push((world.now(), world.truth()));
            let span = Span::from_millis(world.dice.up_to(120_000));
            world.run(span);
            checked += check(&world, &moments);
        }
        assert!(checked > 10_000);
    }
}

#[test]
fn moments_before_the_counter_was_whole_are_refused() {
    let whole = LocalTime::from_nanos(1_000_000_000_000 - 5_000_000_000);
    let config = EngineConfig { counter_whole_since: whole, ..EngineConfig::default() };
    let mut world = World::with(config, Oscillator::default());
    world.run(Span::from_secs(5));
    let mapping = world.engine.mapping().expect("synchronised");
    assert!(mapping.read(whole).is_some());
    assert!(mapping.read(whole - Span::from_nanos(1)).is_none());
}
