//! The oscillator's rate is learnt, and nothing that the path does breaks the bound.

use crate::world::{Delay, Link, Oscillator, World};
use ntp_clock_core::{EngineConfig, Event, Span};

fn rate_error_ppm(world: &World) -> f64 {
    let truly = -world.oscillator.ppm / (1.0 + world.oscillator.ppm * 1e-6);
    (world.status().rate_ppm.expect("synchronised") - truly).abs()
}

#[test]
fn after_five_minutes_on_a_quiet_link_the_rate_is_known_within_1_ppm() {
    for ppm in [-500.0, -100.0, -3.0, 0.0, 40.0, 100.0, 250.0, 500.0] {
        let mut world = World::with(EngineConfig::default(), Oscillator::of_ppm(ppm));
        world.run(Span::from_secs(300));
        assert!(rate_error_ppm(&world) < 1.0, "{ppm} ppm: off by {}", rate_error_ppm(&world));
        assert_eq!(world.status().epoch, 1);
    }
}

#[test]
fn readings_are_within_100_us_once_the_rate_is_known() {
    let mut world = World::with(EngineConfig::default(), Oscillator::of_ppm(100.0));
    world.run(Span::from_secs(600));
    for _ in 0..100 {
        world.run(Span::from_secs(20));
        assert!(world.error().abs() < Span::from_micros(100), "{:?}", world.error());
    }
}

#[test]
fn the_bound_holds_for_every_oscillator_and_every_path_within_the_allowances() {
    for seed in 0..24 {
        let ppm = [-490.0, -60.0, -8.0, 3.0, 25.0, 490.0][seed as usize % 6];
        let oscillator = Oscillator {
            ppm,
            wander_ppm: 7.0,
            wander_period_s: [600.0, 3_000.0, 20_000.0, 86_400.0][seed as usize % 4],
            ..Oscillator::default()
        };
        let mut world = World::seeded(EngineConfig::default(), oscillator, seed);
        let delay = Delay::of_millis([0, 1, 20, 150][(seed / 6) as usize]);
        world.link = Link {
            forth: delay.with_jitter_micros(200),
            back: delay.with_jitter_micros(30_000),
            loss_permille: 50 * (seed % 5) as u32,
            ..Link::default()
        };
        world.server.root_dispersion = Span::from_millis(2);
        world.server.offset = Span::from_micros(1_900 - 950 * (seed as i64 % 5));
        world.run(Span::from_secs(4 * 3_600));
        let status = world.status();
        assert_eq!((status.epoch, world.rejected("contradiction")), (1, 0), "seed {seed}");
        assert!(world.oracle.checks > 1_000);
    }
}

#[test]
fn all_delay_in_one_direction_is_inside_the_bound() {
    for (forth, back) in [(200, 0), (0, 200)] {
        let mut world = World::new();
        world.link.forth = Delay::of_millis(forth);
        world.link.back = Delay::of_millis(back);
        world.run(Span::from_secs(3_600));
        let error = world.error().abs();
        assert!(error > Span::from_millis(99), "no exchange can tell: {error:?}");
        let bound = world.reading().expect("synchronised").max_error();
        assert!(bound < Span::from_millis(130), "{bound:?}");
    }
}

#[test]
fn a_path_that_becomes_asymmetric_moves_readings_only_within_their_bound() {
    let mut world = World::new();
    world.run(Span::from_secs(1_000));
    world.link.forth = Delay::of_millis(60);
    world.run(Span::from_secs(3_600));
    world.link.forth = Delay::of_millis(5);
    world.link.back = Delay::of_millis(90);
    world.run(Span::from_secs(3_600));
    assert_eq!(world.status().epoch, 1);
    assert_eq!(world.rejected("contradiction"), 0);
}

#[test]
fn a_thermal_step_of_10_ppm_is_learnt_again_within_the_same_epoch() {
    let mut world = World::with(EngineConfig::default(), Oscillator::of_ppm(20.0));
    world.run(Span::from_secs(3_000));
    world.change_rate(30.0);
    world.run(Span::from_secs(6_000));
    assert_eq!(world.happened(|e| matches!(e, Event::EpochChanged { .. })), 0);
    assert!(rate_error_ppm(&world) < 2.0, "off by {}", rate_error_ppm(&world));
    assert!(world.error().abs() < Span::from_millis(1));
}
