//! The engine's log: fed to a replay, it gives the engine's own readings again.

use crate::world::{Oscillator, World};
use ntp_clock_core::{EngineConfig, Span, SyncState};

/// Runs on and compares at many moments. A live mapping may expire a moment before its failure is
/// logged; apart from that the two never differ.
fn compare_for(world: &mut World, span: Span) -> (u32, u32) {
    let (mut readings, mut nones) = (0, 0);
    for _ in 0..500 {
        world.run(Span::from_nanos(span.as_nanos() / 500));
        let now = world.now();
        let live = world.reading();
        assert_eq!(world.replay.read(now), live, "at {now:?}: {:?}", world.status());
        if live.is_some() { readings += 1 } else { nones += 1 }
    }
    (readings, nones)
}

#[test]
fn a_log_replays_to_exactly_the_readings_that_the_live_engine_gave() {
    let oscillator = Oscillator { ppm: 37.0, ..Oscillator::default() };
    let mut world = World::with(EngineConfig::default(), oscillator);
    world.link.forth.jitter = Span::from_millis(3);
    world.link.loss_permille = 100;
    let (readings, _) = compare_for(&mut world, Span::from_secs(1_500));
    assert!(readings > 450);

    // An outage until failure, and recovery.
    world.server.silent = true;
    let (readings, nones) = compare_for(&mut world, Span::from_secs(1_000));
    assert!(readings > 20 && nones > 100, "{readings} readings, {nones} times nothing");
    assert_eq!(world.status().state, SyncState::Failed);
    world.server.silent = false;
    compare_for(&mut world, Span::from_secs(2_000));

    // A step of the server's, which begins a new epoch, and a suspend, which begins another.
    world.oracle.truthful = false;
    world.server.offset = Span::from_secs(5);
    compare_for(&mut world, Span::from_secs(1_000));
    world.suspend(Span::from_secs(3_600));
    let (readings, _) = compare_for(&mut world, Span::from_secs(600));
    assert!(readings > 450);
    assert_eq!(world.status().epoch, 3);
}
