//! What every estimator must do, whatever its method: known symmetries and a bound that holds.

use ntp_clock_core::{
    Estimate, Estimator, Exchange, Leap, LocalTime, ReferenceId, ServerReply, Span, UnixTime,
    Verdict,
};
use proptest::prelude::*;

/// One exchange of an honest server as the world made it.
#[derive(Clone, Copy, Debug)]
struct Made {
    /// True time of sending, from an arbitrary zero.
    sent_ns: i64,
    forth_ns: i64,
    back_ns: i64,
    hold_ns: i64,
}

/// How the world's two scales lie to each other.
#[derive(Clone, Copy)]
struct Scales {
    local_ns: i64,
    unix_ns: i64,
    ppm: f64,
}

const PLAIN: Scales = Scales { local_ns: 1_000_000_000, unix_ns: 1_759_639_032 << 30, ppm: 0.0 };

impl Scales {
    fn local(&self, t_ns: i64) -> LocalTime {
        let ahead = (t_ns as f64 * self.ppm * 1e-6).floor() as i64;
        LocalTime::from_nanos(self.local_ns + t_ns + ahead)
    }

    fn unix(&self, t_ns: i64) -> UnixTime {
        UnixTime::from_nanos(self.unix_ns + t_ns)
    }

    fn exchange(&self, made: &Made) -> Exchange {
        let arrived = made.sent_ns + made.forth_ns;
        let left = arrived + made.hold_ns;
        let reply = ServerReply {
            receive_time: self.unix(arrived),
            transmit_time: self.unix(left),
            root_delay: Span::ZERO,
            root_dispersion: Span::from_micros(5),
            precision_log2_s: -25,
            leap: Leap::None,
            stratum: 1,
            reference_id: ReferenceId::from_bytes(*b"GPS\0"),
        };
        let (t1, t4) = (self.local(made.sent_ns), self.local(left + made.back_ns));
        Exchange::new(t1, reply, t4).expect("honest")
    }
}

/// Rounds of up to four exchanges, minutes apart.
fn exchanges() -> impl Strategy<Value = Vec<Made>> {
    let delay = || prop_oneof![0..2_000_000_i64, 0..100_000_000_i64];
    let one = (delay(), delay(), 0..100_000_i64, 50_000_000..60_000_000_i64);
    let round = (prop::collection::vec(one, 1..5), 5_000_000_000..400_000_000_000_i64);
    prop::collection::vec(round, 1..8).prop_map(|rounds| {
        let mut sent_ns = 0;
        let mut all = Vec::new();
        for (round, pause) in rounds {
            for (forth_ns, back_ns, hold_ns, apart) in round {
                all.push(Made { sent_ns, forth_ns, back_ns, hold_ns });
                sent_ns += apart + forth_ns + back_ns;
            }
            sent_ns += pause;
        }
        all
    })
}

fn fed(scales: &Scales, all: &[Made]) -> Estimator {
    let mut estimator = Estimator::new(Span::from_nanos(1));
    for made in all {
        estimator.add(&scales.exchange(made));
    }
    estimator
}

fn estimate(estimator: &Estimator, scales: &Scales, t_ns: i64) -> Estimate {
    estimator.estimate(scales.local(t_ns)).expect("fed")
}

fn end_of(all: &[Made]) -> i64 {
    all.last().map_or(0, |m| m.sent_ns + m.forth_ns + m.hold_ns + m.back_ns)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 50.0 + 1e-6 * a.abs()
}

/// Truth less the centre, which must be within the bounds.
fn truth_in_bounds(estimate: &Estimate, truth: UnixTime) -> Result<f64, TestCaseError> {
    let late = (truth - estimate.centre).as_nanos() as f64;
    prop_assert!(late <= estimate.upper_ns, "{late} above {estimate:?}");
    prop_assert!(-late <= estimate.lower_ns, "{late} below {estimate:?}");
    Ok(late)
}

#[test]
fn the_bound_holds_for_oscillators_at_the_very_limit_of_their_allowance() {
    for ppm in [-500.0, 500.0] {
        let scales = Scales { ppm, ..PLAIN };
        let made = Made { sent_ns: 0, forth_ns: 0, back_ns: 0, hold_ns: 0 };
        let estimator = fed(&scales, &[made]);
        for t in [-1_000_000_000_000, 1_000_000_000, 1_000_000_000_000] {
            truth_in_bounds(&estimate(&estimator, &scales, t), scales.unix(t)).expect("inside");
        }
    }
}

#[test]
fn of_a_single_exchange_a_quarter_of_the_round_trip_may_be_a_queue_and_of_a_burst_far_less() {
    let deviation = |count: i64| {
        let all: Vec<Made> = (0..count)
            .map(|n| Made {
                sent_ns: n * 80_000_000,
                forth_ns: 10_000_000,
                back_ns: 10_000_000,
                hold_ns: 0,
            })
            .collect();
        estimate(&fed(&PLAIN, &all), &PLAIN, end_of(&all)).variance[0].sqrt()
    };
    let (single, burst) = (deviation(1), deviation(7));
    assert!((5_000_000.0..6_000_000.0).contains(&single), "{single} ns");
    assert!(burst < single / 10.0, "{burst} ns");
}

#[test]
fn a_counter_that_the_system_turns_within_the_allowance_stays_within_the_bound() {
    let rounds = 10;
    let made: Vec<Made> = (0..rounds)
        .map(|round| Made { sent_ns: round * 300_000_000_000, forth_ns: 0, back_ns: 0, hold_ns: 0 })
        .collect();
    let turned_at = end_of(&made);
    let later = 300_000_000_000;
    let inside = |steering_ppm: u16, turned_ppm: f64| {
        let mut estimator = Estimator::new(Span::from_nanos(1)).steered(steering_ppm);
        for made in &made {
            estimator.add(&PLAIN.exchange(made));
        }
        let ahead = Span::from_nanos((later as f64 * turned_ppm * 1e-6) as i64);
        let at = PLAIN.local(turned_at + later) + ahead;
        let estimate = estimator.estimate(at).expect("fed");
        truth_in_bounds(&estimate, PLAIN.unix(turned_at + later)).is_ok()
    };
    for ppm in [-50.0, 50.0] {
        assert!(inside(50, ppm), "{ppm} ppm allowed");
        assert!(!inside(0, ppm), "{ppm} ppm not allowed, so the test shows something");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, max_global_rejects: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shifting_all_times_by_a_constant_shifts_the_answer_by_it(
        all in exchanges(),
        local in -1_000_000_000_000_000_i64..1_000_000_000_000_000,
        unix in -1_000_000_000_000_000_000_i64..1_000_000_000_000_000_000,
    ) {
        let moved = Scales {
            local_ns: PLAIN.local_ns + local,
            unix_ns: PLAIN.unix_ns + unix,
            ..PLAIN
        };
        let (a, b) = (fed(&PLAIN, &all), fed(&moved, &all));
        for later in [0, 1_000_000_000, 300_000_000_000] {
            let t = end_of(&all) + later;
            let (a, b) = (estimate(&a, &PLAIN, t), estimate(&b, &moved, t));
            let shift = (b.centre - a.centre).as_nanos();
            prop_assert!((shift - unix).abs() <= 1, "{shift} for {unix}");
            prop_assert!((a.rate - b.rate).abs() < 1e-12);
            prop_assert!(close(a.upper_ns, b.upper_ns) && close(a.lower_ns, b.lower_ns));
        }
    }

    #[test]
    fn mirroring_the_path_mirrors_the_error(all in exchanges()) {
        let mirrored: Vec<Made> = all
            .iter()
            .map(|m| Made { forth_ns: m.back_ns, back_ns: m.forth_ns, ..*m })
            .collect();
        let (a, b) = (fed(&PLAIN, &all), fed(&PLAIN, &mirrored));
        let t = end_of(&all);
        let (a, b) = (estimate(&a, &PLAIN, t), estimate(&b, &PLAIN, t));
        let truth = PLAIN.unix(t);
        let errors = [&a, &b].map(|e| (e.centre - truth).as_nanos() as f64);
        // Time has a direction: the upper bound ages from sending, the lower one from arrival, and
        // the rates that two exchanges allow are means over spans that differ by the round trips.
        let slowest = all.iter().map(|m| m.forth_ns + m.back_ns + m.hold_ns).max();
        let aged = 2_040e-6 * slowest.unwrap_or(0) as f64 + 50.0;
        // A centre that the bound has confined shares that, its rate too, and carries it on.
        let confined = |all: &[Made]| {
            (1..=all.len()).any(|n| {
                let e = estimate(&fed(&PLAIN, &all[..n]), &PLAIN, end_of(&all[..n]));
                e.upper_ns < aged || e.lower_ns < aged
            })
        };
        prop_assume!(!confined(&all) && !confined(&mirrored));
        prop_assert!((errors[0] + errors[1]).abs() <= aged, "{errors:?}");
        // Rounds are five seconds apart at least.
        let turned = 2e-9 + aged / 5e9;
        prop_assert!((a.rate + b.rate).abs() < turned, "{} {}", a.rate, b.rate);
        let bounds = [(a.upper_ns, b.lower_ns), (a.lower_ns, b.upper_ns)];
        prop_assert!(bounds.iter().all(|(a, b)| (a - b).abs() <= aged + 0.05 * a.abs()), "{bounds:?}");
    }

    #[test]
    fn the_bound_holds_at_every_moment_and_a_worse_sample_never_excludes_the_truth(
        all in exchanges(),
        ppm in -500.0..500.0_f64,
        worse_ns in 100_000_000..2_000_000_000_i64,
        share in 0.0..1.0_f64,
        ask in prop::collection::vec(-1_000_000_000_000_i64..1_000_000_000_000, 4),
    ) {
        let scales = Scales { ppm, ..PLAIN };
        let mut estimator = Estimator::new(Span::from_nanos(1));
        for made in &all {
            let verdict = estimator.add(&scales.exchange(made));
            prop_assert!(verdict == Verdict::Accepted || verdict == Verdict::Restarted);
            let t = made.sent_ns + made.forth_ns + made.hold_ns + made.back_ns;
            truth_in_bounds(&estimate(&estimator, &scales, t), scales.unix(t))?;
        }
        let end = end_of(&all);
        let forth_ns = (worse_ns as f64 * share) as i64;
        let worse =
            Made { sent_ns: end, forth_ns, back_ns: worse_ns - forth_ns, hold_ns: 1_000 };
        let before = estimate(&estimator, &scales, end + 3_000_000_000);
        let width = |e: &Estimate| e.upper_ns + e.lower_ns;
        let verdict = estimator.add(&scales.exchange(&worse));
        prop_assert!(verdict == Verdict::Accepted || verdict == Verdict::Restarted);
        let after = estimate(&estimator, &scales, end + 3_000_000_000);
        truth_in_bounds(&after, scales.unix(end + 3_000_000_000))?;
        prop_assert!(width(&before) > 0.0 && width(&after) > 0.0);
        for ask in ask {
            let t = end + ask;
            truth_in_bounds(&estimate(&estimator, &scales, t), scales.unix(t))?;
        }
    }

    #[test]
    fn the_order_of_duplicates_is_irrelevant(
        all in exchanges(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let (last, first) = all.split_last().expect("at least one");
        let mut copies: Vec<Made> = if first.is_empty() {
            Vec::new()
        } else {
            picks.iter().map(|pick| *pick.get(first)).collect()
        };
        let answer = |copies: &[Made]| {
            let mut fed_so: Vec<Made> = first.to_vec();
            fed_so.extend_from_slice(copies);
            fed_so.push(*last);
            estimate(&fed(&PLAIN, &fed_so), &PLAIN, end_of(&all))
        };
        let forwards = answer(&copies);
        copies.reverse();
        let backwards = answer(&copies);
        let apart = (forwards.centre - backwards.centre).as_nanos();
        prop_assert!(apart.abs() <= 2, "{apart}");
        prop_assert!(close(forwards.upper_ns, backwards.upper_ns));
        prop_assert!(close(forwards.lower_ns, backwards.lower_ns));
    }
}
