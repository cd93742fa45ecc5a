//! A clock on the processor's counter beside one on the kernel's: both count one oscillator, each by
//! a nominal rate of its own.

use ntp_clock_core::{Reading, Span};
use ntp_clock_sim::{Family, Options, Part, Record, Setup, run};

/// All readings of a day in the world, with the truth at each.
fn day(setup: &Setup) -> Vec<(i64, Option<Reading>)> {
    let outcome = run(setup, &mut [], Options { record: true, ..Options::default() });
    assert!(outcome.violations.is_empty(), "seed {}: {:?}", setup.seed, outcome.violations);
    let reads = outcome.record.into_iter().filter_map(|record| match record {
        Record::Read { reading, truth, .. } => Some((truth.as_nanos(), reading)),
        _ => None,
    });
    reads.collect()
}

#[test]
fn in_24_hours_of_temperature_steps_both_counters_readings_differ_by_no_more_than_they_say() {
    for (seed, nominal_ppm) in [(1, 1.7), (2, -100.0), (3, 100.0)] {
        let mut setup = Setup::draw(Family::ThermalStep, seed);
        setup.duration_ns = 24 * 3_600 * 1_000_000_000;
        let kernels = day(&setup);
        setup.oscillator.parts.push(Part::Constant { ppm: nominal_ppm });
        let processors = day(&setup);
        assert_eq!(kernels.len(), processors.len());
        let (mut compared, mut unlikely) = (0_u32, 0_u32);
        for ((truth, one), (same_truth, other)) in kernels.iter().zip(&processors) {
            assert_eq!(truth, same_truth);
            let (Some(one), Some(other)) = (one, other) else { continue };
            let apart = (one.time() - other.time()).abs();
            let stated = one.max_error() + other.max_error();
            assert!(apart <= stated, "seed {seed}, {truth}: {apart:?} apart, {stated:?} stated");
            let ns = |span: Span| span.as_nanos() as f64;
            let probable = ns(one.est_error()).hypot(ns(other.est_error()));
            compared += 1;
            unlikely += u32::from(ns(apart) > 3.0 * probable);
        }
        assert!(compared > 1_000, "seed {seed}: {compared} readings of both");
        assert!(unlikely * 50 <= compared, "seed {seed}: {unlikely} of {compared} beyond 3 sigma");
        println!("seed {seed}: {unlikely} of {compared} readings apart by more than 3 sigma");
    }
}
