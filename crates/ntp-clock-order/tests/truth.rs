//! What a closure says where the truth is known.

mod world;

use fastrand::Rng;
use ntp_clock_core::{LinkSnapshot, LocalTime, Oscillator, Span};
use ntp_clock_order::{Cause, Closure, LinkBetween, Reason, Relation, Stamp, Verdict};
use world::World;

/// Runs what is to hold in each of many worlds; a failure names the seed.
fn in_worlds(count: u64, hold: impl Fn(&mut Rng, World) + std::panic::RefUnwindSafe) {
    for seed in 0..count {
        let found = std::panic::catch_unwind(|| {
            let mut rng = Rng::with_seed(seed);
            let clocks = rng.usize(1..6);
            let stamps = rng.usize(2..14);
            let causes = rng.usize(0..12);
            let world = World::random(&mut rng, clocks, stamps, causes);
            hold(&mut rng, world);
        });
        assert!(found.is_ok(), "in the world of seed {seed}");
    }
}

fn pairs(world: &World) -> impl Iterator<Item = (usize, usize)> + use<> {
    let count = world.stamps.len();
    (0..count).flat_map(move |i| (0..count).map(move |j| (i, j)))
}

#[test]
fn truth_is_never_outside_the_interval_and_no_certain_order_is_wrong() {
    in_worlds(1_500, |_, world| {
        let closure = world.closure();
        assert_eq!(closure.contradictions(), &[] as &[Vec<Reason>]);
        for (i, j) in pairs(&world) {
            let apart = Span::from_nanos(world.times[j] - world.times[i]);
            let Relation { verdict, lower, upper, estimate, est_error, .. } =
                closure.relation(i, j);
            assert!(lower.is_none_or(|lower| lower <= apart), "{i} {j} {apart:?} {lower:?}");
            assert!(upper.is_none_or(|upper| apart <= upper), "{i} {j} {apart:?} {upper:?}");
            match verdict {
                Verdict::Before => assert!(apart > Span::ZERO),
                Verdict::After => assert!(apart < Span::ZERO),
                Verdict::CannotTell => {}
            }
            assert_eq!(estimate.is_some(), lower.is_some() && upper.is_some());
            if let Some(estimate) = estimate {
                assert!(lower.unwrap() <= estimate && estimate <= upper.unwrap());
                assert!(est_error.unwrap() <= upper.unwrap() - lower.unwrap());
            }
        }
    });
}

#[test]
fn stamps_exchanged_are_the_mirror_image() {
    in_worlds(300, |_, world| {
        let closure = world.closure();
        for (i, j) in pairs(&world) {
            let (there, back) = (closure.relation(i, j), closure.relation(j, i));
            assert_eq!(
                (there.lower, there.upper),
                (back.upper.map(|s| -s), back.lower.map(|s| -s))
            );
            let turned = match back.verdict {
                Verdict::Before => Verdict::After,
                Verdict::After => Verdict::Before,
                Verdict::CannotTell => Verdict::CannotTell,
            };
            assert_eq!((there.verdict, there.by), (turned, back.by));
        }
    });
}

#[test]
fn more_evidence_never_widens() {
    in_worlds(400, |_, world| {
        let all = world.closure();
        let fewer = [
            Closure::new(&world.clocks, &world.stamps, &[], &world.causes).unwrap(),
            Closure::new(&world.clocks, &world.stamps, &world.links, &[]).unwrap(),
        ];
        for (i, j) in pairs(&world) {
            let tight = all.relation(i, j);
            for closure in &fewer {
                let wide = closure.relation(i, j);
                assert!(wide.lower.is_none_or(|lower| tight.lower.unwrap() >= lower));
                assert!(wide.upper.is_none_or(|upper| tight.upper.unwrap() <= upper));
                if wide.verdict != Verdict::CannotTell {
                    assert_eq!(tight.verdict, wide.verdict);
                }
            }
        }
    });
}

#[test]
fn a_verdict_follows_from_what_it_rests_on_alone() {
    in_worlds(400, |_, world| {
        let closure = world.closure();
        for (i, j) in pairs(&world) {
            let relation = closure.relation(i, j);
            if relation.verdict == Verdict::CannotTell {
                continue;
            }
            let rests = |reason: Reason| relation.rests_on.contains(&reason);
            let mut stamps = world.stamps.clone();
            for (place, stamp) in stamps.iter_mut().enumerate() {
                if !rests(Reason::Reading(place)) {
                    stamp.utc = None;
                }
            }
            let kept = |place: &usize, reason: fn(usize) -> Reason| rests(reason(*place));
            let links: Vec<LinkBetween> = (0..world.links.len())
                .filter(|place| kept(place, Reason::Link))
                .map(|place| world.links[place])
                .collect();
            let causes: Vec<Cause> = (0..world.causes.len())
                .filter(|place| kept(place, Reason::Cause))
                .map(|place| world.causes[place])
                .collect();
            let alone = Closure::new(&world.clocks, &stamps, &links, &causes).unwrap();
            assert_eq!(alone.relation(i, j).verdict, relation.verdict, "{i} {j} {relation:?}");
        }
    });
}

fn stamp(clock: usize, counter: i64) -> Stamp {
    Stamp { clock, counter: LocalTime::from_nanos(counter), utc: None }
}

/// Known at 0 of both counters, within 100 us; 1 ppm, and what both may do within ten minutes.
fn link(a: usize, b: usize) -> LinkBetween {
    let snapshot = LinkSnapshot {
        a: LocalTime::from_nanos(0),
        b: LocalTime::from_nanos(0),
        lower_ns: -1e5,
        upper_ns: 1e5,
        estimate_ns: 0.0,
        est_error_ns: 5e4,
        rate_low: -9e-6,
        rate_high: 9e-6,
        round_trip_ns: 2e5,
    };
    LinkBetween { a, b, snapshot }
}

const FREE: [Oscillator; 3] = [Oscillator::FREE; 3];

#[test]
fn a_chain_is_as_wide_as_its_parts_together() {
    let stamps = [stamp(0, 0), stamp(2, 1_000_000)];
    let closure = Closure::new(&FREE, &stamps, &[link(0, 1), link(1, 2)], &[]).unwrap();
    let relation = closure.relation(0, 1);
    assert_eq!(relation.rests_on, [Reason::Link(0), Reason::Link(1)]);
    let width = relation.upper.unwrap() - relation.lower.unwrap();
    // And what 500 ppm of a millisecond are, twice.
    assert!((400_000..402_000).contains(&width.as_nanos()), "{width:?}");
    assert_eq!(relation.estimate.unwrap().as_nanos(), 1_000_000);
    // Two errors of 50 us that know nothing of one another.
    let est_error = relation.est_error.unwrap().as_nanos();
    assert!((70_000..71_500).contains(&est_error), "{est_error}");
}

/// Steps of 3 ppm, a quarter of an hour apart: the worst that an oscillator is allowed.
#[test]
fn old_links_are_good_for_what_oscillators_may_have_done_since() {
    let mut last = Span::ZERO;
    for minutes in [1_i64, 10, 30, 60, 120, 600] {
        let ns = minutes * 60_000_000_000;
        let steps = (0..5).map(|step| (minutes - 15 * step).max(0) as f64 * 60e9 * 3e-6);
        let gained = steps.sum::<f64>() as i64;
        for sign in [1, -1] {
            let stamps = [stamp(0, ns), stamp(1, ns + sign * gained)];
            let relation = Closure::new(&FREE, &stamps, &[link(0, 1)], &[]).unwrap().relation(0, 1);
            let (lower, upper) = (relation.lower.unwrap(), relation.upper.unwrap());
            assert!(lower <= Span::ZERO && Span::ZERO <= upper, "{minutes} {relation:?}");
            let width = upper - lower;
            assert!(sign < 0 || width > last);
            last = width;
        }
    }
    // 15 ppm either way for ten hours, of both.
    assert!(last < Span::from_millis(2_400), "{last:?}");
}

#[test]
fn what_only_one_side_of_a_link_says_bounds_that_side_over_a_chain_too() {
    let mut one_way = link(0, 1);
    one_way.snapshot.lower_ns = f64::NEG_INFINITY;
    one_way.snapshot.estimate_ns = f64::NAN;
    // The last clock is at most 200 us ahead of the first, however far behind it may be.
    let stamps = [stamp(0, 0), stamp(2, 250_000), stamp(2, -250_000)];
    let closure = Closure::new(&FREE, &stamps, &[one_way, link(1, 2)], &[]).unwrap();
    let (after, before) = (closure.relation(0, 1), closure.relation(0, 2));
    assert_eq!((after.verdict, after.upper, after.estimate), (Verdict::Before, None, None));
    assert_eq!((before.verdict, before.upper), (Verdict::CannotTell, None));
}

/// All ways from a stamp to a clock that visit no node twice, with formulas of their own.
struct AllWays<'a> {
    world: &'a World,
}

/// Within so much, for what is rounded on the way.
const ROUNDING: f64 = 20.0;
const RATE: f64 = 500e-6 / (1.0 - 500e-6);

impl AllWays<'_> {
    /// What `to` can read at most (sign 1) or at least (-1) when `from` reads `x`. Readings and
    /// `x` are exact as differences from where their own clock was at the world's beginning.
    fn bound(&self, sign: f64, from: usize, x: f64, to: usize, visited: &mut Vec<usize>) -> f64 {
        if from == to {
            return x;
        }
        let mut best = sign * f64::INFINITY;
        let utc = self.world.clocks.len();
        visited.push(from);
        for next in 0..=utc {
            if visited.contains(&next) {
                continue;
            }
            for y in self.steps(sign, from, x, next) {
                let there = self.bound(sign, next, y, to, visited);
                best = if sign > 0.0 { best.min(there) } else { best.max(there) };
            }
        }
        visited.pop();
        best
    }

    fn zero(&self, clock: usize) -> i64 {
        let at = self.world.counters.get(clock).map(|counter| counter.at(0).as_nanos());
        at.unwrap_or(1_759_639_032_768_445_123)
    }

    fn own(&self, clock: usize, reading: i64) -> f64 {
        (reading - self.zero(clock)) as f64
    }

    /// What each piece of evidence says by itself.
    fn steps(&self, sign: f64, from: usize, x: f64, to: usize) -> Vec<f64> {
        let World { stamps, links, causes, clocks, .. } = self.world;
        let utc = clocks.len();
        let rate = |clock: usize| if clock == utc { 0.0 } else { RATE };
        let carried = |at: f64, known: f64| {
            let fast = (1.0 + rate(to)) / (1.0 - rate(from));
            let slow = (1.0 - rate(to)) / (1.0 + rate(from));
            known + (x - at) * if (x > at) == (sign > 0.0) { fast } else { slow }
        };
        let mut found = Vec::new();
        for stamp in stamps {
            let Some((time, max_error)) = stamp.utc else { continue };
            let (counter, time) =
                (self.own(stamp.clock, stamp.counter.as_nanos()), self.own(utc, time.as_nanos()));
            let error = sign * max_error.as_nanos() as f64;
            if stamp.clock == from && to == utc {
                found.push(carried(counter, time + error));
            } else if stamp.clock == to && from == utc {
                found.push(carried(time - error, counter));
            }
        }
        for cause in causes {
            let ends = [&stamps[cause.earlier], &stamps[cause.later]];
            let [one, other] = if sign > 0.0 { ends } else { [ends[1], ends[0]] };
            if one.clock == from && other.clock == to && from != to {
                let own = |clock, at: LocalTime| self.own(clock, at.as_nanos());
                found.push(carried(own(from, one.counter), own(to, other.counter)));
            }
        }
        for link in links {
            let reading = LocalTime::from_nanos(self.zero_at(from, x));
            let rest = x - self.own(from, reading.as_nanos());
            let theta = if link.a == from && link.b == to {
                link.snapshot.at_a(reading)
            } else if link.b == from && link.a == to {
                link.snapshot.mirrored().at_a(reading)
            } else {
                continue;
            };
            let limit = if sign > 0.0 { theta.upper } else { theta.lower };
            found.extend(limit.map(|limit| self.own(to, (reading + limit).as_nanos()) + rest));
        }
        found
    }

    fn zero_at(&self, clock: usize, x: f64) -> i64 {
        self.zero(clock) + x.floor() as i64
    }
}

/// The time from one stamp to another is bounded by the counters of both, and by what time it was.
#[test]
fn the_closure_is_the_tightest_of_all_ways_there_are() {
    in_worlds(400, |_, world| {
        let closure = world.closure();
        let ways = AllWays { world: &world };
        let utc = world.clocks.len();
        for (i, j) in pairs(&world) {
            let (one, other) = (world.stamps[i], world.stamps[j]);
            let at = |stamp: usize, sign: f64, to: usize| {
                let Stamp { clock, counter, .. } = world.stamps[stamp];
                ways.bound(sign, clock, ways.own(clock, counter.as_nanos()), to, &mut Vec::new())
            };
            let (x, y) = (
                ways.own(one.clock, one.counter.as_nanos()),
                ways.own(other.clock, other.counter.as_nanos()),
            );
            // Least and most, by each way.
            let elapsed = [
                (y - at(i, 1.0, other.clock), y - at(i, -1.0, other.clock), RATE),
                (at(j, -1.0, one.clock) - x, at(j, 1.0, one.clock) - x, RATE),
                (at(j, -1.0, utc) - at(i, 1.0, utc), at(j, 1.0, utc) - at(i, -1.0, utc), 0.0),
            ];
            let slow = |e: f64, rate: f64| e / (1.0 + rate * e.signum());
            let fast = |e: f64, rate: f64| e / (1.0 - rate * e.signum());
            let lower = elapsed.iter().map(|e| slow(e.0, e.2)).fold(f64::NEG_INFINITY, f64::max);
            let upper = elapsed.iter().map(|e| fast(e.1, e.2)).fold(f64::INFINITY, f64::min);
            let relation = closure.relation(i, j);
            let close = |found: Option<Span>, limit: f64| match found {
                None => limit.is_infinite(),
                Some(found) => (found.as_nanos() as f64 - limit).abs() <= ROUNDING,
            };
            if i != j {
                assert!(close(relation.lower, lower), "{i} {j} {relation:?} {lower}");
                assert!(close(relation.upper, upper), "{i} {j} {relation:?} {upper}");
            }
        }
    });
}
