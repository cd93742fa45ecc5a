//! Bad weather of every kind at random, then good weather: no promise is broken meanwhile, and
//! the clock comes back.

use crate::world::{Answer, Delay, Dice, Link, Oscillator, World, changed};
use ntp_clock_core::{EngineConfig, Leap, NtpTimestamp, ReferenceId, Span, SyncState};

fn random_span(dice: &mut Dice, most: Span) -> Span {
    Span::from_nanos(dice.up_to(most.as_nanos()))
}

fn change_the_weather(world: &mut World, round: u64) {
    let dice = &mut world.dice;
    world.link = Link {
        forth: Delay { base: random_span(dice, Span::from_millis(300)), jitter: Span::ZERO }
            .with_jitter_micros(1_000),
        back: Delay { base: random_span(dice, Span::from_millis(300)), jitter: Span::ZERO }
            .with_jitter_micros(50_000),
        loss_permille: dice.up_to(600) as u32,
        unplugged: dice.one_in_thousand(100),
    };
    world.server.silent = dice.one_in_thousand(200);
    world.server.root_dispersion = Span::from_millis(5);
    world.server.offset = Span::from_micros(dice.up_to(9_000) - 4_500);
    let kind = dice.up_to(7);
    world.server.fault = match kind {
        0 => changed(|p| p.origin_timestamp = NtpTimestamp::from_bits(1)),
        1 => changed(|p| p.leap = Leap::Unsynchronised),
        2 => changed(|p| {
            p.stratum = 0;
            p.reference_id = ReferenceId::from_bytes(*b"RATE");
        }),
        3 => Some(Box::new(move |p| {
            let copy = |ms| Answer { bytes: p.encode().to_vec(), later: Span::from_millis(ms) };
            vec![copy(0), copy(40), copy(900), copy(4_000)]
        })),
        4 => Some(Box::new(move |p| {
            let bytes = p.encode()[..(round % 48) as usize].to_vec();
            vec![Answer { bytes, later: Span::ZERO }]
        })),
        _ => None,
    };
    match dice.up_to(12) {
        0 => {
            let span = random_span(&mut world.dice, Span::from_secs(7_200));
            world.suspend(span);
        }
        1 if world.engine.mapping().is_some() => world.fork(),
        2 => {
            let span = random_span(&mut world.dice, Span::from_secs(900));
            world.stall(span);
        }
        3 | 4 => {
            let _ = world.request_sync();
        }
        _ => {}
    }
}

#[test]
fn whatever_the_weather_no_promise_is_broken_and_the_clock_comes_back() {
    for seed in 0..40 {
        let holdover = Span::from_secs([0, 0, 1_800][seed as usize % 3]);
        let config = EngineConfig { holdover, ..EngineConfig::default() };
        let oscillator = Oscillator {
            ppm: [-493.0, 17.0, 493.0, -60.0][seed as usize % 4],
            wander_ppm: 7.0,
            wander_period_s: 2_000.0 + 500.0 * seed as f64,
            ..Oscillator::default()
        };
        let mut world = World::seeded(config, oscillator, seed);
        for round in 0..60 {
            change_the_weather(&mut world, round);
            let span = random_span(&mut world.dice, Span::from_secs(600));
            world.run(span);
        }
        (world.link, world.server.fault, world.server.silent) = (Link::default(), None, false);
        // The longest that a kiss-o'-death may have asked for is an hour.
        world.run(Span::from_secs(3_600 + 330));
        let status = world.status();
        assert_eq!(status.state, SyncState::Synchronised, "seed {seed}");
        assert_eq!(world.rejected("contradiction"), 0, "an honest server contradicted itself");
        let bound = world.reading().expect("synchronised").max_error();
        assert!(bound < Span::from_millis(60), "the bound is small again: {bound:?}");
    }
}
