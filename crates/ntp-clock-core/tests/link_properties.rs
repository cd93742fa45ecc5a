//! What a link promises, on systems whose truth is known.

use ntp_clock_core::{
    Difference, Evidence, Fed, Link, LinkError, LinkStamps, LocalTime, Oscillator, Source, Span,
};
use proptest::prelude::*;

/// Two counters by true time: B may step by so much at some moment, as an oscillator may.
#[derive(Clone, Copy, Debug)]
struct Counters {
    offset_ns: i64,
    rate_a_ppm: f64,
    rate_b_ppm: f64,
    step_ppm: f64,
    step_at_s: f64,
}

impl Counters {
    fn steady(offset_ns: i64, rate_a_ppm: f64, rate_b_ppm: f64) -> Self {
        Counters { offset_ns, rate_a_ppm, rate_b_ppm, step_ppm: 0.0, step_at_s: 0.0 }
    }

    fn a(&self, at_s: f64) -> f64 {
        at_s * 1e9 * (1.0 + self.rate_a_ppm * 1e-6)
    }

    fn b(&self, at_s: f64) -> f64 {
        let stepped = (at_s - self.step_at_s).max(0.0) * self.step_ppm * 1e3;
        self.offset_ns as f64 + at_s * 1e9 * (1.0 + self.rate_b_ppm * 1e-6) + stepped
    }

    fn difference(&self, at_s: f64) -> f64 {
        self.b(at_s) - self.a(at_s)
    }
}

fn sent(ns: f64) -> LocalTime {
    LocalTime::from_nanos(ns.floor() as i64)
}

fn received(ns: f64) -> LocalTime {
    LocalTime::from_nanos(ns.ceil() as i64)
}

/// A request at a moment, its two ways and how long it was held.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at_s: f64,
    there_ms: f64,
    back_ms: f64,
    held_ms: f64,
    /// A way of a request that was not answered, or an exchange.
    kind: u8,
}

impl Asked {
    fn stamps(&self, counters: &Counters) -> LinkStamps {
        let arrived = self.at_s + self.there_ms / 1e3;
        let left = arrived + self.held_ms / 1e3;
        LinkStamps {
            sent_a: sent(counters.a(self.at_s)),
            received_b: received(counters.b(arrived)),
            sent_b: sent(counters.b(left)),
            received_a: received(counters.a(left + self.back_ms / 1e3)),
        }
    }

    fn feed(&self, counters: &Counters, link: &mut Link) -> Result<Fed, LinkError> {
        let stamps = self.stamps(counters);
        match self.kind {
            0 => link.message_to_b(stamps.sent_a, stamps.received_b, Source::Message),
            1 => link.message_to_a(stamps.sent_b, stamps.received_a, Source::Message),
            _ => link.exchange(&stamps),
        }
    }

    /// The same with A and B exchanged.
    fn feed_mirrored(&self, counters: &Counters, link: &mut Link) -> Result<Fed, LinkError> {
        let stamps = self.stamps(counters);
        match self.kind {
            0 => link.message_to_a(stamps.sent_a, stamps.received_b, Source::Message),
            1 => link.message_to_b(stamps.sent_b, stamps.received_a, Source::Message),
            _ => link.exchange_by_b(&LinkStamps {
                sent_a: stamps.sent_b,
                received_b: stamps.received_a,
                sent_b: stamps.sent_a,
                received_a: stamps.received_b,
            }),
        }
    }
}

fn counters() -> impl Strategy<Value = Counters> {
    let rate = || prop_oneof![-20.0..20.0, -498.0..498.0_f64];
    (-(1_i64 << 60)..1_i64 << 60, rate(), rate(), -3.9..3.9_f64, 0.0..500.0_f64).prop_map(
        |(offset, rate_a_ppm, rate_b_ppm, step_ppm, step_at_s)| Counters {
            // What a double holds to the nanosecond.
            offset_ns: offset >> 20,
            rate_a_ppm,
            rate_b_ppm: if rate_b_ppm.abs() > 490.0 { rate_b_ppm * 0.98 } else { rate_b_ppm },
            step_ppm,
            step_at_s,
        },
    )
}

/// Few enough to be kept all, within the span of ten minutes.
fn evidence() -> impl Strategy<Value = Vec<Asked>> {
    let way = || prop_oneof![0.01..0.3_f64, 1.0..30.0_f64, 1.0..2_000.0_f64];
    let one = (0.0..400.0_f64, way(), way(), 0.001..500.0_f64, 0_u8..6);
    let asked = one.prop_map(|(at_s, there_ms, back_ms, held_ms, kind)| Asked {
        at_s,
        there_ms,
        back_ms,
        held_ms,
        kind,
    });
    prop::collection::vec(asked, 1..25)
}

fn free() -> Link {
    Link::new(Oscillator::FREE, Oscillator::FREE)
}

fn fed(counters: &Counters, evidence: &[Asked]) -> Link {
    let mut link = free();
    for asked in evidence {
        let fed = asked.feed(counters, &mut link).expect("an exchange");
        assert_ne!(fed, Fed::Restarted);
    }
    link
}

fn holds(difference: &Difference, truth_ns: f64) -> bool {
    let truth = Span::from_nanos(truth_ns.round() as i64);
    difference.lower.is_none_or(|lower| lower <= truth + Span::from_nanos(2))
        && difference.upper.is_none_or(|upper| upper >= truth - Span::from_nanos(2))
}

/// Whether one says all that the other says, and `slack` for rounding.
fn no_wider(narrow: &Difference, wide: &Difference, slack: Span) -> bool {
    wide.lower.is_none_or(|w| narrow.lower.is_some_and(|n| n + slack >= w))
        && wide.upper.is_none_or(|w| narrow.upper.is_some_and(|n| n - slack <= w))
}

const SLACK: Span = Span::from_nanos(3);

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn truth_is_inside_at_every_moment(
        counters in counters(), evidence in evidence(), at_s in -3_000.0..5_000.0_f64,
    ) {
        let link = fed(&counters, &evidence);
        let truth = counters.difference(at_s);
        for kind in [Evidence::Exchanges, Evidence::All] {
            prop_assert!(holds(&link.at_a(received(counters.a(at_s)), kind), truth));
            prop_assert!(holds(&link.at_b(received(counters.b(at_s)), kind), truth));
        }
    }

    #[test]
    fn a_snapshot_holds_truth_around_its_moment_and_says_there_what_the_link_says(
        counters in counters(), evidence in evidence(),
        at_s in 0.0..450.0_f64, later_s in -600.0..3_000.0_f64,
    ) {
        let link = fed(&counters, &evidence);
        let a = received(counters.a(at_s));
        if let Some(snapshot) = link.snapshot(a, Evidence::All) {
            prop_assert!(snapshot.is_sound());
            let then = at_s + later_s;
            let at_a = snapshot.at_a(received(counters.a(then)));
            prop_assert!(holds(&at_a, counters.difference(then)), "{:?} {:?}", snapshot, at_a);
            let at_b = snapshot.at_b(received(counters.b(then)));
            prop_assert!(holds(&at_b, counters.difference(then)));
            let mirrored = snapshot.mirrored().at_b(received(counters.a(then)));
            prop_assert_eq!(mirrored.upper, at_a.lower.map(|lower| -lower));
            let said = link.at_a(a, Evidence::All);
            let kept = snapshot.at_a(a);
            // The snapshot is of one place on the axis; the sides of the interval are at others.
            let slack = SLACK + Span::from_nanos(said.width().map_or(0, |w| w.as_nanos() / 500));
            prop_assert!(no_wider(&said, &kept, slack) && no_wider(&kept, &said, slack));
        }
    }

    #[test]
    fn the_order_of_evidence_does_not_matter(
        counters in counters(), evidence in evidence(), at_s in 0.0..450.0_f64,
    ) {
        let mut backwards = evidence.clone();
        backwards.reverse();
        let (one, other) = (fed(&counters, &evidence), fed(&counters, &backwards));
        let a = received(counters.a(at_s));
        let (one, other) = (one.at_a(a, Evidence::All), other.at_a(a, Evidence::All));
        prop_assert!(no_wider(&one, &other, SLACK) && no_wider(&other, &one, SLACK),
            "{:?} {:?}", one, other);
    }

    #[test]
    fn more_evidence_never_widens(
        counters in counters(), evidence in evidence(), at_s in 0.0..450.0_f64,
    ) {
        let a = received(counters.a(at_s));
        let fewer = fed(&counters, &evidence[..evidence.len() - 1]).at_a(a, Evidence::All);
        let more = fed(&counters, &evidence).at_a(a, Evidence::All);
        prop_assert!(no_wider(&more, &fewer, SLACK), "{:?} {:?}", more, fewer);
        // And neither do messages beside exchanges.
        let link = fed(&counters, &evidence);
        prop_assert!(no_wider(&more, &link.at_a(a, Evidence::Exchanges), SLACK));
    }

    #[test]
    fn what_exchanges_say_of_any_moment_stays_so_beside_messages(
        counters in counters(), evidence in evidence(), at_s in -3_000.0..5_000.0_f64,
    ) {
        let link = fed(&counters, &evidence);
        let a = received(counters.a(at_s));
        let (all, part) = (link.at_a(a, Evidence::All), link.at_a(a, Evidence::Exchanges));
        prop_assert!(no_wider(&all, &part, SLACK), "{:?} {:?}", all, part);
    }

    #[test]
    fn exchanging_the_counters_mirrors_the_difference(
        counters in counters(), evidence in evidence(), at_s in 0.0..450.0_f64,
    ) {
        let link = fed(&counters, &evidence);
        let mut mirrored = free();
        for asked in &evidence {
            asked.feed_mirrored(&counters, &mut mirrored).expect("consistent");
        }
        let a = received(counters.a(at_s));
        let (one, other) = (link.at_a(a, Evidence::All), mirrored.at_b(a, Evidence::All));
        prop_assert_eq!(one.lower, other.upper.map(|upper| -upper));
        prop_assert_eq!(one.upper, other.lower.map(|lower| -lower));
    }

    #[test]
    fn absurd_stamps_neither_panic_nor_narrow_what_is_said(
        counters in counters(), evidence in evidence(),
        stamps in prop::collection::vec(any::<[i64; 4]>(), 1..8), at_s in 0.0..450.0_f64,
    ) {
        let mut link = fed(&counters, &evidence);
        let a = received(counters.a(at_s));
        for [t1, t2, t3, t4] in stamps {
            let before = link.at_a(a, Evidence::All);
            let [t1, t2, t3, t4] = [t1, t2, t3, t4].map(LocalTime::from_nanos);
            let absurd = LinkStamps { sent_a: t1, received_b: t2, sent_b: t3, received_a: t4 };
            let outcome = link.exchange(&absurd);
            let after = link.at_a(a, Evidence::All);
            let _ = (link.snapshot(t1, Evidence::All), link.at_b(t4, Evidence::Exchanges));
            // Refused, or found to contradict, or of no consequence.
            if !matches!(outcome, Ok(Fed::Restarted | Fed::Kept)) {
                prop_assert_eq!(before, after);
            }
        }
    }
}

#[test]
fn two_exchanges_give_the_rate_and_hold_the_interval_narrow() {
    let counters = Counters::steady(77, 40.0, -60.0);
    let way = Asked { at_s: 0.0, there_ms: 0.1, back_ms: 0.1, held_ms: 0.01, kind: 2 };
    let at = |at_s: f64| Asked { at_s, ..way };
    let link = fed(&counters, &[at(0.0), at(200.0)]);
    // 10 s later: 0.2 ms of round trip, and of the rate 2 x 0.2 ms in 200 s and 16 ppm.
    let width = link.at_a(received(counters.a(210.0)), Evidence::All).width().expect("both sides");
    assert!(width < Span::from_micros(200 + 20 + 165), "{width:?}");
    assert_eq!(link.round_trip().map(|trip| trip.as_nanos() / 10_000), Some(20));
}

#[test]
fn a_silence_of_days_leaves_both_sides_of_the_interval() {
    let counters = Counters::steady(77, 40.0, -60.0);
    for (hours, widest) in [(5.0, Span::from_millis(1_200)), (72.0, Span::from_secs(800))] {
        let exchange = Asked { at_s: 0.0, there_ms: 0.1, back_ms: 0.1, held_ms: 0.01, kind: 2 };
        let later = Asked { at_s: 1_000.0, ..exchange };
        let after = Asked { at_s: hours * 3_600.0, kind: 0, ..exchange };
        let link = fed(&counters, &[exchange, later, after]);
        let known = link.at_a(received(counters.a(after.at_s)), Evidence::All);
        assert!(holds(&known, counters.difference(after.at_s)), "{known:?}");
        assert!(known.width().expect("both sides") < widest, "{known:?}");
    }
}

#[test]
fn the_guess_does_not_lean_to_the_side_that_was_not_heard_of_for_a_while() {
    let counters = Counters {
        offset_ns: 5_000_000,
        rate_a_ppm: 40.0,
        rate_b_ppm: -60.0,
        step_ppm: 0.0,
        step_at_s: 0.0,
    };
    // The one is a page's counter, which may be steered and is not.
    let mut link = Link::new(Oscillator::steered(500.0), Oscillator::FREE);
    for at_s in 0..10 {
        let at_s = f64::from(at_s) * 10.0;
        let asked = Asked { at_s, there_ms: 5.0, back_ms: 5.0, held_ms: 0.1, kind: 2 };
        assert_eq!(asked.feed(&counters, &mut link), Ok(Fed::Kept));
    }
    // Ten seconds later only one side is fresh; the other one may have moved by 20 ms since.
    let asked = Asked { at_s: 100.0, there_ms: 5.0, back_ms: 5.0, held_ms: 0.1, kind: 0 };
    assert_eq!(asked.feed(&counters, &mut link), Ok(Fed::Kept));
    let known = link.at_a(received(counters.a(100.01)), Evidence::All);
    assert!(known.width().unwrap() > Span::from_millis(20), "{known:?}");
    let truth = Span::from_nanos(counters.difference(100.01) as i64);
    let off = (known.estimate.unwrap() - truth).abs();
    assert!(off < Span::from_micros(1_500), "{known:?}, truth {truth:?}");
    assert!(known.est_error.unwrap() < Span::from_millis(4), "{known:?}");
}

#[test]
fn a_path_that_takes_no_time_leaves_a_point_and_no_panic() {
    let ns = LocalTime::from_nanos;
    for negative in [0, 1] {
        let mut link = free();
        for second in 0..50_i64 {
            let at = second * 1_000_000_000;
            let stamps = LinkStamps {
                sent_a: ns(at),
                received_b: ns(at + 7 - negative),
                sent_b: ns(at + 7 + 100),
                received_a: ns(at + 100),
            };
            let fed = link.exchange(&stamps);
            assert!(matches!(fed, Ok(Fed::Kept | Fed::Dropped)), "{fed:?}");
            for away in [-1_000_000_000_000, 0, 50, 1_000_000_000] {
                let a = ns(at + away);
                let known = link.at_a(a, Evidence::All);
                assert!(known.lower.unwrap() <= known.upper.unwrap(), "{known:?}");
                assert!(link.snapshot(a, Evidence::All).unwrap().is_sound());
            }
        }
    }
}

#[test]
fn contradictory_evidence_restarts_the_link_and_is_counted() {
    let mut link = free();
    let ns = LocalTime::from_nanos;
    let exchange = |ahead: i64, at: i64| LinkStamps {
        sent_a: ns(at),
        received_b: ns(at + ahead + 100_000),
        sent_b: ns(at + ahead + 100_000),
        received_a: ns(at + 200_000),
    };
    assert_eq!(link.exchange(&exchange(0, 0)), Ok(Fed::Kept));
    assert_eq!(link.exchange(&exchange(50_000_000, 1_000_000_000)), Ok(Fed::Restarted));
    assert_eq!(link.restarts(), 1);
    let known = link.at_a(ns(1_000_200_000), Evidence::All);
    assert!(known.lower.unwrap() <= Span::from_millis(50));
    assert!(known.upper.unwrap() >= Span::from_millis(50));
    assert_eq!(link.exchange(&exchange(50_000_000, 2_000_000_000)), Ok(Fed::Kept));
}

/// B is so far ahead of A; each way takes 100 us.
fn exchange_at(at_s: i64, ahead_s: i64) -> LinkStamps {
    let ns = LocalTime::from_nanos;
    let (at, ahead) = (at_s * 1_000_000_000, ahead_s * 1_000_000_000);
    LinkStamps {
        sent_a: ns(at),
        received_b: ns(at + ahead + 100_000),
        sent_b: ns(at + ahead + 100_000),
        received_a: ns(at + 200_000),
    }
}

#[test]
fn old_evidence_that_comes_late_and_contradicts_is_not_what_the_link_goes_on_with() {
    let mut link = free();
    for at_s in [40, 42, 44] {
        // B has jumped by a second at 30 s.
        assert_eq!(link.exchange(&exchange_at(at_s, 1)), Ok(Fed::Kept));
    }
    let ns = LocalTime::from_nanos;
    let before = (ns(29_000_000_000), ns(29_000_001_000));
    assert_eq!(link.message_to_b(before.0, before.1, Source::Message), Ok(Fed::Restarted));
    assert_eq!(link.at_a(ns(45_000_000_000), Evidence::All), Difference::default());
    assert_eq!(link.exchange(&exchange_at(30, 0)), Ok(Fed::Kept));
    assert_eq!(link.exchange(&exchange_at(50, 1)), Ok(Fed::Restarted));
    assert_eq!(link.exchange(&exchange_at(30, 0)), Ok(Fed::Restarted));
    assert_eq!(link.at_a(ns(50_000_000_000), Evidence::All), Difference::default());
    assert_eq!(link.restarts(), 3);
}

#[test]
fn one_absurd_stamp_does_not_end_a_link_for_good() {
    let mut link = free();
    assert_eq!(link.exchange(&exchange_at(10, 0)), Ok(Fed::Kept));
    let (absurd, now) = (LocalTime::from_nanos(1 << 62), LocalTime::from_nanos(11_000_000_000));
    assert_eq!(link.message_to_a(absurd, now, Source::Message), Ok(Fed::Restarted));
    assert_eq!(link.exchange(&exchange_at(12, 0)), Ok(Fed::Restarted));
    assert_eq!(link.exchange(&exchange_at(14, 0)), Ok(Fed::Kept));
    let known = link.at_a(LocalTime::from_nanos(14_000_200_000), Evidence::All);
    assert!(known.width().unwrap() < Span::from_micros(250), "{known:?}");
}

#[test]
fn an_exchange_that_is_shorter_than_the_counters_resolve_contradicts_nothing() {
    let ns = LocalTime::from_nanos;
    let mut link = free();
    for at in (0..6_i64).map(|second| second * 1_000_000_000) {
        let stamps = LinkStamps {
            sent_a: ns(at),
            received_b: ns(at),
            sent_b: ns(at + 1_000),
            received_a: ns(at + 600),
        };
        assert_ne!(link.exchange(&stamps), Ok(Fed::Restarted));
    }
    let known = link.at_a(ns(5_000_000_600), Evidence::All);
    assert!(known.lower.unwrap() <= Span::ZERO && known.upper.unwrap() >= Span::ZERO);
}

#[test]
fn counters_of_which_one_is_steered_hard_contradict_nothing() {
    let ns = |at: f64| LocalTime::from_nanos(at.round() as i64);
    let mut link = Link::new(Oscillator::FREE, Oscillator::steered(2_000.0));
    for at_s in [0.0, 100.0, 200.0] {
        let (a, b) = (at_s * 1e9 * (1.0 + 500e-6), at_s * 1e9 * (1.0 - 2_500e-6));
        let stamps =
            LinkStamps { sent_a: ns(a), received_b: ns(b), sent_b: ns(b), received_a: ns(a) };
        assert_ne!(link.exchange(&stamps), Ok(Fed::Restarted));
        assert!(holds(&link.at_a(ns(a), Evidence::All), b - a));
    }
}

#[test]
fn a_round_trip_that_is_below_nothing_is_refused() {
    let ns = LocalTime::from_nanos;
    let stamps =
        LinkStamps { sent_a: ns(0), received_b: ns(0), sent_b: ns(20_000), received_a: ns(10_000) };
    assert_eq!(free().exchange(&stamps), Err(LinkError::NegativeRoundTrip));
    let backward = LinkStamps { sent_b: ns(-1), ..stamps };
    assert_eq!(free().exchange(&backward), Err(LinkError::Backward));
}

#[test]
fn a_link_lasts_for_years() {
    let counters = Counters::steady(0, 0.0, 100.0);
    let mut link = free();
    for hour in 0..5 * 365 * 24_u32 {
        let at_s = f64::from(hour) * 3_600.0;
        let asked = Asked { at_s, there_ms: 1.0, back_ms: 1.0, held_ms: 0.1, kind: 2 };
        assert_eq!(asked.feed(&counters, &mut link), Ok(Fed::Kept), "hour {hour}");
        let known = link.at_a(received(counters.a(at_s + 0.01)), Evidence::All);
        assert!(holds(&known, counters.difference(at_s + 0.01)), "hour {hour}: {known:?}");
        assert!(known.width().unwrap() < Span::from_millis(3), "hour {hour}: {known:?}");
    }
    assert_eq!(link.restarts(), 0);
}
