//! Estimates worked by hand.

use super::*;
use crate::drift::RATE_MAX;
use crate::exchange::ServerReply;
use crate::exchange::tests::reply_at;
use crate::mapping::tests::mapping;
use std::format;

const UNIX_NS: i64 = 1_800_000_000_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

fn at(ns: i64) -> LocalTime {
    LocalTime::from_nanos(ns)
}

/// A moment's exchange at 5 s: truth is within these of a minute ahead of the counter.
fn sample(lower_ns: i64, upper_ns: i64) -> Sample {
    let offset = |ns: i64| Span::from_nanos(60 * SECOND_NS + ns);
    Sample {
        t1: at(5 * SECOND_NS),
        t4: at(5 * SECOND_NS),
        upper: offset(upper_ns),
        lower: offset(lower_ns),
        mid: at(5 * SECOND_NS),
        offset: offset(0),
        delay: Span::ZERO,
    }
}

/// Knows one sample, with a centre at its offset, a rate of 2 ppm of at most 10 and the
/// variances 4e6 and 1e-12.
fn of_one(lower_ns: i64, upper_ns: i64) -> Estimator {
    let sample = sample(lower_ns, upper_ns);
    let mut estimator = Estimator::new(Span::from_nanos(60));
    estimator.window.push(sample, Rates::UNKNOWN);
    let known = Rates { low: -10e-6, high: 10e-6 };
    let bounds = Bounds::new(&estimator.window, known, 0.0, 2e-6).expect("possible");
    let variance = [4e6, 0.0, 1e-12];
    let mapping = Mapping { anchor: sample.mid, rate: 2e-6, variance, ..mapping() };
    estimator.fit = Some(Fit { track: Track::resume(&sample, &mapping), bounds });
    estimator
}

fn outside(lower_ns: i64, upper_ns: i64) -> Option<(f64, f64, f64)> {
    let estimator = of_one(lower_ns, upper_ns);
    let fit = estimator.fit.as_ref().expect("known");
    fit.outside(&estimator.window).map(|o| (o.by_ns, o.nearest, o.half_width_ns))
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs()
}

/// Sent then, ten milliseconds there and back; the server is so far ahead, and may be wrong by
/// half a second.
fn vague(sent_ns: i64, ahead_ns: i64) -> Exchange {
    exchange(sent_ns, ahead_ns, Span::from_millis(500))
}

fn exchange(sent_ns: i64, ahead_ns: i64, root_dispersion: Span) -> Exchange {
    let arrived = UNIX_NS + sent_ns + 5_000_000 + ahead_ns;
    let reply = ServerReply { root_dispersion, ..reply_at(arrived, arrived) };
    Exchange::new(at(sent_ns), reply, at(sent_ns + 10_000_000)).expect("possible")
}

#[test]
fn an_estimate_is_the_line_at_its_moment_with_its_distance_from_the_bound() {
    let estimate = of_one(-3_000, 5_000).estimate(at(6 * SECOND_NS)).expect("known");
    // A second later 2 us of rate are in the centre and in both lines, and 12 us of growth
    // around these. To each distance the counter's 60 ns and the dropped fraction.
    let centre = UnixTime::from_nanos(66 * SECOND_NS + 2_000);
    assert_eq!((estimate.at, estimate.centre), (at(6 * SECOND_NS), centre));
    assert!(near(estimate.upper_ns, 5_000.0 + 12_000.0 + 61.0), "{estimate:?}");
    assert!(near(estimate.lower_ns, 3_000.0 + 12_000.0 + 61.0), "{estimate:?}");
    assert!(near(estimate.rate, 2e-6) && near(estimate.growth, 12e-6));
}

#[test]
fn its_variance_is_a_parabola_with_the_counters_own_and_the_oscillators_walk() {
    let estimate = of_one(-3_000, 5_000).estimate(at(6 * SECOND_NS)).expect("known");
    // 4e6 + 1e-12 (1e9)² and 60² / 12; 2 x 1e-12 x 1e9; the mean strength of the walk for 100 s.
    assert!(near(estimate.variance[0], 4e6 + 1e6 + 300.0), "{estimate:?}");
    assert!(near(estimate.variance[1], 2e-3), "{estimate:?}");
    assert!(near(estimate.variance[2], 1e-12 + 3.769_661_4e-14), "{estimate:?}");
    // 2,400 s later the oscillator may have moved it by 4.95 ms, two fifths of it typically.
    let late = of_one(-3_000, 5_000).estimate(at(2_405 * SECOND_NS)).expect("known");
    let (dt, moved) = (2.4e12, 0.4 * 4.95e6);
    assert!(near(late.variance[0], 4e6 + 1e-12 * dt * dt + 300.0 + moved * moved), "{late:?}");
    assert!(near(late.growth, 17.5e-6));
}

#[test]
fn a_covariance_of_offset_and_rate_counts_twice_in_the_distance() {
    let mut estimator = Estimator::new(Span::ZERO);
    for sent_s in [0, 300] {
        assert_eq!(estimator.add(&vague(sent_s * SECOND_NS, 0)), Verdict::Accepted);
    }
    let line = estimator.fit.as_ref().expect("fed").track.line();
    let [v0, v1, v2] = line.variance;
    let estimate = estimator.estimate(line.at + Span::from_secs(100)).expect("fed");
    assert!(v1 > 0.0 && near(estimate.variance[0], v0 + 2e11 * v1 + 1e22 * v2));
    assert!(near(estimate.variance[1], 2.0 * v1 + 2e11 * v2));
}

#[test]
fn a_centre_is_outside_by_its_distance_from_the_nearest_possible_truth() {
    assert_eq!(outside(-500, -100), Some((100.0, -100.0, 200.0)));
    assert_eq!(outside(100, 400), Some((100.0, 100.0, 150.0)));
    assert_eq!((outside(-5, 5), outside(0, 5), outside(-5, 0)), (None, None, None));
    // Corrected to half of 600: both variances are 4e6.
    let estimator = of_one(-500, -100);
    let mut fit = estimator.fit.clone().expect("known");
    fit.track = fit.track.corrected(600.0, 12e6_f64.sqrt());
    let by_ns = fit.outside(&estimator.window).map(|outside| outside.by_ns);
    assert!(by_ns.is_some_and(|by_ns| near(by_ns, 300.0 + 100.0)), "{by_ns:?}");
}

#[test]
fn a_counters_coarseness_is_between_nothing_and_a_second() {
    let resolution = |span: Span| Estimator::new(span).resolution;
    assert_eq!(resolution(Span::from_nanos(-1)), Span::ZERO);
    assert_eq!(resolution(Span::from_secs(5)), Span::from_secs(1));
}

#[test]
fn a_steered_counter_may_have_rates_beyond_any_oscillators() {
    let estimator = Estimator::new(Span::from_nanos(7)).steered(50);
    assert!(near(estimator.steering, 50e-6) && estimator.resolution == Span::from_nanos(7));
    let beyond = RATE_MAX + 50e-6;
    assert!(near(estimator.rates.high, beyond) && near(estimator.rates.low, -beyond));
    let fresh = estimator.restarted();
    assert_eq!((fresh.steering, fresh.rates), (estimator.steering, estimator.rates));
    assert_eq!(fresh.resolution, Span::from_nanos(7));
}

#[test]
fn a_mapping_that_is_gone_on_from_is_a_sample_with_its_rate_and_its_bound() {
    let mapping = mapping();
    let estimator = Estimator::new(Span::ZERO).steered(50).resume(&mapping);
    assert_eq!(estimator.rates, Rates::of_mapping(&mapping));
    assert_eq!(estimator.min_delay(), Some(Span::from_nanos(3_000)));
    assert!(near(estimator.steering, 50e-6));
    let estimate = estimator.estimate(mapping.anchor).expect("known");
    assert_eq!((estimate.centre, estimate.rate), (mapping.centre, mapping.rate));
    assert!(near(estimate.upper_ns, 1_001.0) && near(estimate.lower_ns, 2_001.0));
}

#[test]
fn after_a_sleep_the_rate_is_known_less_well_and_the_offset_not_at_all() {
    let mut estimator = Estimator::new(Span::from_nanos(7)).steered(50);
    for sent_s in [0, 300] {
        estimator.add(&exchange(sent_s * SECOND_NS, sent_s * 3_000, Span::ZERO));
    }
    let Fit { track, bounds } = estimator.fit.clone().expect("fed");
    estimator.forget_offset();
    assert!(estimator.fit.is_none() && estimator.estimate(at(0)).is_none());
    assert!(estimator.min_delay().is_none());
    assert_eq!(estimator.rates, bounds.rates.after_sleep().within(estimator.any_rates()));
    assert!(estimator.rates.high < estimator.any_rates().high);
    // A sleep's cooling is 1 ppm, mostly.
    assert!(near(estimator.prior.mean, track.line().rate) && estimator.prior.mean > 1e-6);
    assert!(near(estimator.prior.variance, track.line().variance[2] + 1e-12));
    assert_eq!(format!("{:?}", estimator.path), format!("{:?}", track.path()));
    assert!(near(estimator.steering, 50e-6) && estimator.resolution == Span::from_nanos(7));
    // Nothing is lost by another one.
    let once = format!("{estimator:?}");
    estimator.forget_offset();
    assert_eq!(format!("{estimator:?}"), once);
}

#[test]
fn a_jump_within_the_bound_restarts_the_estimate_once() {
    let mut estimator = Estimator::new(Span::ZERO);
    let mut add =
        |sent_ms: i64, ahead_ns: i64| estimator.add(&vague(sent_ms * 1_000_000, ahead_ns));
    for round in 0..4 {
        for request in 0..4 {
            assert_eq!(add(round * 300_000 + request * 50, 0), Verdict::Accepted);
        }
    }
    assert_eq!(add(1_200_000, 50_000_000), Verdict::Restarted);
    assert_eq!(add(1_200_050, 50_000_000), Verdict::Accepted);
    // Known already, so nothing new.
    assert_eq!(add(1_200_050, 50_000_000), Verdict::Accepted);
}

#[test]
fn on_a_known_path_a_round_that_leads_out_of_the_bound_is_doubted() {
    let mut estimator = Estimator::new(Span::ZERO);
    for round in 0..13 {
        estimator.add(&exchange(round * 300 * SECOND_NS, 0, Span::ZERO));
    }
    // Truth can be some 9 ms ahead at most: a jump of 7.5 is followed, one of 10 is not.
    let sent_ns = 13 * 300 * SECOND_NS;
    let at_ns = sent_ns + 5_000_000;
    let centre_after = |jump_ns: i64| {
        let mut estimator = estimator.clone();
        estimator.add(&exchange(sent_ns, jump_ns, Span::ZERO));
        let estimate = estimator.estimate(at(at_ns)).expect("fed");
        estimate.centre - UnixTime::from_nanos(UNIX_NS + at_ns)
    };
    let followed = centre_after(7_500_000) - Span::from_micros(7_500);
    assert!(followed.abs() < Span::from_micros(10));
    assert!(centre_after(10_000_000) < Span::from_millis(4));
}

#[test]
fn another_counter_leaves_nothing_of_what_was_learnt() {
    let mut estimator = Estimator::new(Span::from_nanos(7)).steered(50);
    let fresh = format!("{estimator:?}");
    for round in 0..3 {
        estimator.add(&exchange(round * 300 * SECOND_NS, 0, Span::ZERO));
    }
    assert_eq!(estimator.known_since(), Some(at(0)));
    estimator.forget();
    assert_eq!((format!("{estimator:?}"), estimator.known_since()), (fresh, None));
}

#[test]
fn contradictions_count_once_each_and_the_third_is_a_new_beginning() {
    let mut estimator = Estimator::new(Span::ZERO);
    estimator.add(&vague(0, 0));
    let lie = |sent_ms: i64| vague(sent_ms * 1_000_000, 60 * SECOND_NS);
    assert_eq!(estimator.add(&lie(1_000)), Verdict::Contradiction);
    assert_eq!(estimator.add(&lie(1_000)), Verdict::Contradiction);
    assert_eq!(estimator.add(&lie(1_050)), Verdict::Contradiction);
    assert_eq!(estimator.add(&lie(1_050)), Verdict::Contradiction);
    assert_eq!(estimator.add(&lie(1_100)), Verdict::Broken);
    let estimate = estimator.estimate(at(1_110_000_000)).expect("fresh");
    let off = estimate.centre - UnixTime::from_nanos(UNIX_NS + 1_110_000_000 + 60 * SECOND_NS);
    assert!(off.abs() < Span::from_micros(1), "{off:?}");
}

#[test]
fn one_that_agrees_forgets_those_that_did_not() {
    let mut estimator = Estimator::new(Span::ZERO);
    estimator.add(&vague(0, 0));
    for sent_ms in [1_000, 1_300, 1_600, 1_900] {
        let lie = vague(sent_ms * 1_000_000, 60 * SECOND_NS);
        assert_eq!(estimator.add(&lie), Verdict::Contradiction);
        assert_eq!(estimator.add(&vague((sent_ms + 50) * 1_000_000, 0)), Verdict::Accepted);
    }
}
