//! Evidence that is false, and numbers that nothing has.

mod world;

use fastrand::Rng;
use ntp_clock_core::{LinkSnapshot, LocalTime, Oscillator, Span, UnixTime};
use ntp_clock_order::{By, Cause, Closure, LinkBetween, Reason, Stamp, Verdict};
use proptest::prelude::*;
use world::World;

fn ns(nanos: i64) -> LocalTime {
    LocalTime::from_nanos(nanos)
}

fn stamp(clock: usize, counter: i64) -> Stamp {
    Stamp { clock, counter: ns(counter), utc: None }
}

/// B is ahead by the amount claimed, within 100 us.
fn link(a: usize, b: usize, ahead: i64) -> LinkBetween {
    let snapshot = LinkSnapshot {
        a: ns(0),
        b: ns(ahead),
        lower_ns: -1e5,
        upper_ns: 1e5,
        estimate_ns: 0.0,
        est_error_ns: 5e4,
        rate_low: -1e-5,
        rate_high: 1e-5,
        round_trip_ns: 2e5,
    };
    LinkBetween { a, b, snapshot }
}

const FREE: [Oscillator; 4] = [Oscillator::FREE; 4];
const MS: i64 = 1_000_000;

#[test]
fn a_contradiction_of_three_links_voids_these_and_nothing_else() {
    // Round the first three clocks it is 5 ms further than it can be.
    let links = [link(0, 1, 0), link(1, 2, 0), link(0, 2, 5 * MS), link(0, 3, 7 * MS)];
    let stamps = [stamp(0, MS), stamp(1, 2 * MS), stamp(2, 3 * MS), stamp(3, 9 * MS)];
    let closure = Closure::new(&FREE, &stamps, &links, &[]).unwrap();
    let lies = vec![Reason::Link(0), Reason::Link(1), Reason::Link(2)];
    assert_eq!(closure.contradictions(), [lies]);
    for (i, j) in [(0, 1), (1, 2), (2, 0), (1, 3)] {
        let relation = closure.relation(i, j);
        assert_eq!(
            (relation.verdict, relation.lower, relation.upper),
            (Verdict::CannotTell, None, None)
        );
    }
    let relation = closure.relation(0, 3);
    assert_eq!((relation.verdict, relation.by), (Verdict::Before, Some(By::Clock)));
    assert_eq!(relation.rests_on, [Reason::Link(3)]);
}

#[test]
fn every_contradiction_is_found_and_each_is_shown_once() {
    let links = [link(0, 1, 0), link(0, 1, 5 * MS), link(2, 3, 0), link(2, 3, 5 * MS)];
    let stamps = [stamp(0, MS), stamp(2, MS), stamp(0, 2 * MS), stamp(3, 2 * MS)];
    let closure = Closure::new(&FREE, &stamps, &links, &[]).unwrap();
    let lies = [vec![Reason::Link(0), Reason::Link(1)], vec![Reason::Link(2), Reason::Link(3)]];
    assert_eq!(closure.contradictions(), lies);
    assert_eq!(closure.relation(1, 3).verdict, Verdict::CannotTell);
}

#[test]
fn a_cause_that_its_own_counter_denies_is_void() {
    let stamps = [stamp(0, 2 * MS), stamp(0, MS), stamp(0, 3 * MS)];
    let causes = [Cause { earlier: 0, later: 1 }, Cause { earlier: 1, later: 2 }];
    let closure = Closure::new(&FREE, &stamps, &[], &causes).unwrap();
    assert_eq!(closure.contradictions(), [vec![Reason::Cause(0)]]);
    let relation = closure.relation(0, 1);
    assert_eq!((relation.verdict, relation.by), (Verdict::After, Some(By::Clock)));
    assert_eq!(relation.rests_on, [Reason::Counter(0)]);
}

#[test]
fn what_is_void_at_one_of_two_moments_is_used_for_neither() {
    // At the first moment the link and the message exclude one another; a minute later they do not.
    let links = [link(0, 1, 0)];
    let stamps = [stamp(0, 5 * MS), stamp(1, 4 * MS), stamp(1, 60_000 * MS)];
    let causes = [Cause { earlier: 0, later: 1 }];
    let closure = Closure::new(&FREE, &stamps, &links, &causes).unwrap();
    assert_eq!(closure.contradictions(), [vec![Reason::Link(0), Reason::Cause(0)]]);
    let relation = closure.relation(0, 2);
    assert_eq!((relation.verdict, relation.lower), (Verdict::CannotTell, None));
    assert_eq!(closure.relation(2, 0).verdict, Verdict::CannotTell);
}

#[test]
fn an_order_that_is_wrong_or_contradicts_itself_names_the_liar() {
    let (mut wrong, mut excluded) = (0, 0);
    for seed in 0..600 {
        let mut rng = Rng::with_seed(seed);
        let mut world = World::random(&mut rng, 4, 10, 6);
        let Some(liar) = (!world.links.is_empty()).then(|| rng.usize(0..world.links.len())) else {
            continue;
        };
        let by = rng.i64(-50 * MS..50 * MS);
        let snapshot = &mut world.links[liar].snapshot;
        snapshot.b = snapshot.b + Span::from_nanos(by);
        let closure = world.closure();
        for i in 0..world.stamps.len() {
            for j in 0..world.stamps.len() {
                let relation = closure.relation(i, j);
                let is_wrong = match relation.verdict {
                    Verdict::Before => world.times[i] >= world.times[j],
                    Verdict::After => world.times[i] <= world.times[j],
                    Verdict::CannotTell => false,
                };
                // Limits that exclude one another are none, and say what they were.
                let rests_on = &relation.rests_on;
                let is_excluded =
                    (relation.lower, relation.upper) == (None, None) && !rests_on.is_empty();
                wrong += usize::from(is_wrong);
                excluded += usize::from(is_excluded);
                if is_wrong || is_excluded {
                    assert!(rests_on.contains(&Reason::Link(liar)), "seed {seed}: {relation:?}");
                }
            }
        }
    }
    assert!(
        wrong > 0 && excluded > 0,
        "the liar claimed nothing that mattered: {wrong} {excluded}"
    );
}

/// Any number, and those at the ends.
fn any_reading() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(0), 0..1_000_000_000_i64,]
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(0.0), -1e7..1e7_f64]
}

fn any_stamp() -> impl Strategy<Value = Stamp> {
    let utc = prop::option::of((any_reading(), any_reading()));
    (0..4_usize, any_reading(), utc).prop_map(|(clock, counter, utc)| Stamp {
        clock,
        counter: ns(counter),
        utc: utc.map(|(time, error)| (UnixTime::from_nanos(time), Span::from_nanos(error))),
    })
}

fn any_link() -> impl Strategy<Value = LinkBetween> {
    let bounds = (any_number(), any_number(), any_number(), any_number());
    let rates = (any_number(), -0.3..0.3_f64, 0.0..0.3_f64, any::<bool>());
    (0..4_usize, 0..4_usize, any_reading(), any_reading(), bounds, rates).prop_map(
        |(a, b, at_a, at_b, (lower, upper, estimate, error), (trip, low, more, sound))| {
            let mut snapshot = LinkSnapshot {
                a: ns(at_a),
                b: ns(at_b),
                lower_ns: lower,
                upper_ns: upper,
                estimate_ns: estimate,
                est_error_ns: error,
                rate_low: low,
                rate_high: low + more,
                round_trip_ns: trip,
            };
            if sound {
                make_sound(&mut snapshot);
            }
            LinkBetween { a, b, snapshot }
        },
    )
}

/// Numbers that a link may have, as far as they are from any that one has.
fn make_sound(snapshot: &mut LinkSnapshot) {
    let finite = |number: f64| if number.is_finite() { number } else { 0.0 };
    snapshot.lower_ns = finite(snapshot.lower_ns);
    let upper = snapshot.lower_ns + finite(snapshot.upper_ns).abs();
    snapshot.upper_ns = if upper.is_finite() { upper } else { snapshot.lower_ns };
    snapshot.estimate_ns = f64::NAN;
    (snapshot.est_error_ns, snapshot.round_trip_ns) = (0.0, 0.0);
    snapshot.rate_low = snapshot.rate_low.clamp(-0.25, 0.25);
    snapshot.rate_high = snapshot.rate_high.clamp(snapshot.rate_low, 0.25);
}

fn any_cause() -> impl Strategy<Value = Cause> {
    (0..9_usize, 0..9_usize).prop_map(|(earlier, later)| Cause { earlier, later })
}

proptest! {
    #[test]
    fn absurd_numbers_neither_panic_nor_hang(
        stamps in prop::collection::vec(any_stamp(), 0..9),
        links in prop::collection::vec(any_link(), 0..6),
        causes in prop::collection::vec(any_cause(), 0..6),
    ) {
        // What is refused by itself is left out, so that the rest is looked at.
        let causes: Vec<_> = causes
            .into_iter()
            .filter(|cause| cause.earlier < stamps.len() && cause.later < stamps.len())
            .filter(|cause| cause.earlier != cause.later)
            .collect();
        let stamps: Vec<_> = stamps
            .into_iter()
            .map(|stamp| Stamp {
                utc: stamp.utc.filter(|&(_, max_error)| max_error >= Span::ZERO),
                ..stamp
            })
            .collect();
        let links: Vec<_> = links
            .into_iter()
            .filter(|link| link.a != link.b && link.snapshot.is_sound())
            .collect();
        let closure = Closure::new(&FREE, &stamps, &links, &causes).unwrap();
        for i in 0..stamps.len() {
            for j in 0..stamps.len() {
                let relation = closure.relation(i, j);
                if let (Some(lower), Some(upper)) = (relation.lower, relation.upper) {
                    prop_assert!(lower <= upper);
                    let estimate = relation.estimate.unwrap();
                    prop_assert!(lower <= estimate && estimate <= upper);
                }
                if stamps[i].clock == stamps[j].clock && relation.verdict == Verdict::Before {
                    prop_assert!(stamps[i].counter <= stamps[j].counter);
                }
            }
        }
        prop_assert!(closure.contradictions().iter().all(|lies| !lies.is_empty()));
    }

    #[test]
    fn a_link_with_absurd_numbers_narrows_nothing_between_other_clocks(
        seed in 0..1_000_u64,
        absurd in any_link(),
    ) {
        let mut rng = Rng::with_seed(seed);
        let mut world = World::random(&mut rng, 3, 8, 4);
        let alone = world.closure();
        // To a clock that nobody else knows.
        world.clocks.push(Oscillator::FREE);
        let mut snapshot = absurd.snapshot;
        make_sound(&mut snapshot);
        prop_assert!(snapshot.is_sound());
        world.links.push(LinkBetween { a: absurd.a % 3, b: 3, snapshot });
        let closure = world.closure();
        for i in 0..8 {
            for j in 0..8 {
                prop_assert_eq!(alone.relation(i, j), closure.relation(i, j));
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused(link in any_link(), max_error in any::<i64>()) {
        let refused = Closure::new(&FREE, &[], &[link], &[]).is_err();
        prop_assert_eq!(refused, link.a == link.b || !link.snapshot.is_sound());
        let utc = Some((UnixTime::from_nanos(5), Span::from_nanos(max_error)));
        let stamp = Stamp { clock: 0, counter: ns(5), utc };
        prop_assert_eq!(Closure::new(&FREE, &[stamp], &[], &[]).is_err(), max_error < 0);
        prop_assert!(Closure::new(&FREE[..0], &[stamp], &[], &[]).is_err());
    }
}
