//! Readings of a mapping, and its words.

use super::*;
use proptest::prelude::*;

pub(crate) fn mapping() -> Mapping {
    Mapping {
        anchor: LocalTime::from_nanos(1_000),
        centre: UnixTime::from_nanos(1_759_639_032_000_000_000),
        rate: 20e-6,
        left_ns: 0.0,
        slew_rate: 500e-6,
        upper_ns: 1_000.0,
        lower_ns: 2_000.0,
        growth: 15e-6,
        variance: [100.0, 0.0, 1e-12],
        valid_from: LocalTime::MIN,
        valid_until: LocalTime::from_nanos(500_000_000_000),
        leap_at: LocalTime::MAX,
        epoch: 3,
    }
}

fn after(mapping: &Mapping, nanos: i64) -> Reading {
    mapping.read(mapping.anchor + Span::from_nanos(nanos)).expect("valid")
}

#[test]
fn a_reading_follows_the_line_and_its_bound_grows_both_ways() {
    let m = mapping();
    let r = after(&m, 1_000_000_000);
    assert_eq!(r.time() - m.centre, Span::from_nanos(1_000_020_000));
    assert_eq!(r.max_error(), Span::from_nanos(2_000 + 15_000 + ROUNDING_NS));
    let past = after(&m, -1_000_000_000);
    assert_eq!(m.centre - past.time(), Span::from_nanos(1_000_020_000));
    assert_eq!(past.max_error(), r.max_error());
    assert_eq!(r.epoch(), 3);
}

#[test]
fn the_slew_still_to_be_done_is_inside_both_errors() {
    let m = Mapping { left_ns: 50_000.0, ..mapping() };
    let r = after(&m, 0);
    assert_eq!(r.time() - m.centre, Span::from_nanos(50_000));
    assert_eq!(r.max_error(), Span::from_nanos(52_000 + ROUNDING_NS));
    assert!(r.est_error() >= Span::from_nanos(50_000));
    // 50 us at 500 ppm take 0.1 s.
    let done = after(&m, 100_000_000);
    assert_eq!(done.time() - m.centre, Span::from_nanos(100_002_000));
    assert!(done.max_error() < Span::from_nanos(4_000));
}

#[test]
fn a_slew_shrinks_with_the_distance_either_way_and_counts_on_its_side_of_the_bound() {
    for sign in [-1, 1] {
        let m = Mapping { left_ns: f64::from(sign) * 50_000.0, ..mapping() };
        // Half of it after 50 ms at 500 ppm; 20 ppm of rate make a microsecond by then.
        for (at, drift) in [(50_000_000, 1_000), (-50_000_000, -1_000)] {
            let left = i64::from(sign) * 25_000;
            let time = m.extrapolate(m.anchor + Span::from_nanos(at)).time();
            assert_eq!(time - m.centre, Span::from_nanos(at + drift + left));
        }
    }
    // Behind by 25 us: truth may be 1 us above the centre, and 750 ns of growth.
    let behind = after(&Mapping { left_ns: -50_000.0, ..mapping() }, 50_000_000);
    assert_eq!(behind.max_error(), Span::from_nanos(1_000 + 750 + 25_000 + ROUNDING_NS));
    let ahead = after(&Mapping { left_ns: 50_000.0, ..mapping() }, 50_000_000);
    assert_eq!(ahead.max_error(), Span::from_nanos(2_000 + 750 + 25_000 + ROUNDING_NS));
}

#[test]
fn the_probable_error_is_a_parabola_in_the_distance_with_the_slew_and_an_oscillators_moves() {
    let m = Mapping { variance: [1e6, 1.0, 1e-6], upper_ns: 1e12, ..mapping() };
    let sigma = |m: &Mapping, at: i64| {
        m.extrapolate(m.anchor + Span::from_nanos(at)).est_error().as_nanos()
    };
    // 1e6 + (1 + 1) 1e6 a millisecond later; 1e6 - (1 - 1) 1e6 a millisecond before.
    assert_eq!((sigma(&m, 1_000_000), sigma(&m, -1_000_000)), (1_733, 1_000));
    let slewed = Mapping { left_ns: 1_000.0, slew_rate: 0.0, ..m };
    assert_eq!(sigma(&slewed, 1_000_000), 2_000);
    // Half an hour after the quiet ten minutes the rate may have made 2.75 ppm of it: 4.95 ms,
    // of which two fifths are typical.
    let long = Mapping { variance: [0.0; 3], ..m };
    assert!((sigma(&long, 2_400_000_000_000) - 1_980_000).abs() <= 2);
}

#[test]
fn a_probable_error_is_never_more_than_the_bound() {
    let m = Mapping { variance: [1e18, 0.0, 0.0], ..mapping() };
    assert_eq!(after(&m, 0).est_error(), Span::from_nanos(2_000 + ROUNDING_NS));
}

#[test]
fn nothing_is_said_after_expiry_or_before_the_counter_was_whole() {
    let m = Mapping { valid_from: LocalTime::from_nanos(10), ..mapping() };
    assert!(m.read(m.valid_until).is_some());
    assert!(m.read(m.valid_until + Span::from_nanos(1)).is_none());
    assert!(m.read(LocalTime::from_nanos(10)).is_some());
    assert!(m.read(LocalTime::from_nanos(9)).is_none());
    let nothing = Mapping::from_words(Mapping::UNSYNCHRONISED);
    assert!(nothing.read(LocalTime::from_nanos(0)).is_none());
    assert!(nothing.read(LocalTime::MAX).is_none());
    assert!(nothing.read(LocalTime::MIN).is_none());
}

#[test]
fn an_announced_leap_second_widens_the_bound_by_one_second() {
    let m = Mapping { leap_at: LocalTime::from_nanos(1_000 + 500), ..mapping() };
    assert_eq!(after(&m, 499).max_error(), Span::from_nanos(2_000 + ROUNDING_NS));
    let second = Span::from_secs(1);
    assert_eq!(after(&m, 500).max_error(), Span::from_nanos(2_000 + ROUNDING_NS) + second);
}

#[test]
fn a_mapping_with_no_time_or_no_numbers_or_wild_rates_is_unsound() {
    let sound = mapping();
    assert!(sound.is_sound());
    assert!(Mapping { rate: -0.49, growth: 0.0, slew_rate: 0.0, ..sound }.is_sound());
    assert!(Mapping { upper_ns: -2_000.0, ..sound }.is_sound(), "one moment is some time");
    assert!(Mapping { valid_from: sound.valid_until, ..sound }.is_sound());
    let unsound = [
        Mapping { valid_from: sound.valid_until + Span::from_nanos(1), ..sound },
        Mapping { left_ns: f64::NAN, ..sound },
        Mapping { variance: [100.0, f64::INFINITY, 0.0], ..sound },
        Mapping { rate: 0.5, ..sound },
        Mapping { rate: -0.5, ..sound },
        Mapping { growth: -1e-9, ..sound },
        Mapping { growth: 0.5, ..sound },
        Mapping { slew_rate: -1e-9, ..sound },
        Mapping { slew_rate: 0.5, ..sound },
        Mapping { upper_ns: -2_000.5, ..sound },
    ];
    for mapping in unsound {
        assert!(!mapping.is_sound(), "{mapping:?}");
    }
}

#[test]
fn what_a_mapping_says_of_itself_is_what_it_holds() {
    let m = mapping();
    assert!((m.rate_ppm() - 20.0).abs() < 1e-9);
    assert_eq!((m.anchor(), m.epoch()), (LocalTime::from_nanos(1_000), 3));
    assert_eq!(m.valid_until(), LocalTime::from_nanos(500_000_000_000));
}

#[test]
fn a_mapping_ends_no_later_than_it_did_and_one_of_an_epoch_never_begins() {
    let m = mapping();
    let (early, late) = (LocalTime::from_nanos(7), LocalTime::MAX);
    assert_eq!((m.ended(early).valid_until, m.ended(late)), (early, m));
    for whole_since in [LocalTime::MIN, LocalTime::from_nanos(9)] {
        let none = Mapping::of_epoch(5, whole_since);
        let since = whole_since.max(LocalTime::from_nanos(i64::MIN + 1));
        assert_eq!((none.epoch, none.valid_from, none.valid_until), (5, since, LocalTime::MIN));
    }
}

#[test]
fn a_mapping_through_a_reading_gives_it_for_ever() {
    let reading =
        Reading::new(UnixTime::from_nanos(7_000), Span::from_nanos(50), Span::from_nanos(9), 4);
    let m = Mapping::through(&reading, LocalTime::from_nanos(100));
    assert_eq!(m.read(LocalTime::from_nanos(100)), Some(reading));
    let later = m.read(LocalTime::from_nanos(100) + Span::from_secs(86_400)).expect("for ever");
    assert_eq!(later.time() - reading.time(), Span::from_secs(86_400));
    assert_eq!((later.max_error(), later.est_error()), (reading.max_error(), Span::from_nanos(9)));
}

#[test]
fn a_reading_has_no_negative_errors_and_the_ends_that_its_bound_leaves() {
    let r = Reading::new(UnixTime::from_nanos(100), Span::from_nanos(-5), Span::from_nanos(-1), 1);
    assert_eq!((r.max_error(), r.est_error()), (Span::ZERO, Span::ZERO));
    let r = Reading::new(UnixTime::from_nanos(100), Span::from_nanos(7), Span::from_nanos(3), 1);
    assert_eq!((r.earliest(), r.latest()), (UnixTime::from_nanos(93), UnixTime::from_nanos(107)));
    assert_eq!(r.est_error(), Span::from_nanos(3));
}

#[test]
fn a_time_within_the_bound_is_neither_past_nor_future_and_its_ends_are_within() {
    let r = Reading::new(UnixTime::from_nanos(100), Span::from_nanos(7), Span::from_nanos(3), 1);
    let said = |ns| {
        let time = UnixTime::from_nanos(ns);
        (r.is_past(time), r.is_future(time), r.until_past(time).map(Span::as_nanos))
    };
    assert_eq!(said(92), (true, false, None));
    assert_eq!(said(93), (false, false, Some(1)));
    assert_eq!(said(107), (false, false, Some(15)));
    assert_eq!(said(108), (false, true, Some(16)));
    assert_eq!(said(i64::MAX), (false, true, Some(i64::MAX - 92)));
    assert_eq!(said(i64::MIN), (true, false, None));
    let end = Reading::new(UnixTime::MAX, Span::ZERO, Span::ZERO, 1);
    assert!(!end.is_past(UnixTime::MAX), "the end of the scale never passes");
}

#[test]
fn what_is_past_while_a_leap_second_is_pending_is_past_whether_it_came_or_not() {
    // The last second before midnight, which is at 3 s, is missing or comes twice; or the first.
    let m = Mapping { leap_at: LocalTime::from_nanos(2_000_001_000), ..mapping() };
    let second = Span::from_secs(1);
    let leaps = [(0, Span::ZERO), (2_000, second), (3_000, -second), (4_000, -second)];
    let truths = |ms: i64| {
        let on = m.centre + Span::from_nanos(ms * 1_000_020);
        leaps.map(|(from_ms, leap)| if ms >= from_ms { on + leap } else { on })
    };
    for ms in 0..6_000 {
        let r = after(&m, ms * 1_000_000);
        let past = r.earliest() - Span::from_nanos(1);
        let future = r.latest() + Span::from_nanos(1);
        assert!(r.is_past(past) && r.is_future(future));
        let later = (ms..6_000).step_by(7).flat_map(truths);
        assert!(later.min().is_some_and(|truth| past < truth), "{ms}: it comes again");
        assert!(truths(ms).into_iter().all(|truth| truth < future), "{ms}: it is there");
    }
}

#[test]
fn order_is_certain_only_where_bounds_do_not_touch() {
    let at = |ns, max| Reading::new(UnixTime::from_nanos(ns), Span::from_nanos(max), Span::ZERO, 1);
    assert!(at(0, 10).definitely_before(&at(21, 10)));
    assert!(!at(0, 10).definitely_before(&at(20, 10)));
    assert!(!at(0, 10).definitely_after(&at(20, 10)));
    assert!(at(21, 10).definitely_after(&at(0, 10)));
}

#[test]
fn widening_and_flooring_keep_the_truth_inside() {
    let r = Reading::new(UnixTime::from_nanos(100), Span::from_nanos(5), Span::ZERO, 1);
    let lifted = r.no_earlier_than(UnixTime::from_nanos(107));
    assert!(lifted.earliest() <= r.earliest() && lifted.latest() >= r.latest());
    assert_eq!(
        (lifted.time(), lifted.max_error()),
        (UnixTime::from_nanos(107), Span::from_nanos(12))
    );
    let r = Reading::new(r.time(), Span::from_nanos(500), Span::from_nanos(40), 1);
    for by in [-30, 30] {
        let wide = r.widened(Span::from_nanos(by));
        assert_eq!((wide.time(), wide.max_error()), (r.time(), Span::from_nanos(530)));
        assert_eq!(wide.est_error(), Span::from_nanos(50));
    }
    assert_eq!(r.no_earlier_than(UnixTime::from_nanos(99)), r);
}

proptest! {
    #[test]
    fn later_moments_never_read_earlier(
        left in -1e9..1e9_f64,
        slew in prop_oneof![Just(500e-6), Just(0.05)],
        rate in -600e-6..600e-6_f64,
        start in -300_000_000_000_i64..300_000_000_000,
        steps in prop::collection::vec(0_i64..2_000_000, 1..100),
    ) {
        let m = Mapping { left_ns: left, slew_rate: slew, rate, ..mapping() };
        let mut at = LocalTime::from_nanos(start);
        let mut last = m.extrapolate(at).time();
        for step in steps {
            for small in [step % 3, step] {
                at = at + Span::from_nanos(small);
                let time = m.extrapolate(at).time();
                prop_assert!(time >= last, "{time:?} after {last:?}");
                last = time;
            }
        }
    }

    #[test]
    fn words_carry_every_field(words: [u64; Mapping::WORDS]) {
        prop_assert_eq!(Mapping::from_words(words).to_words(), words);
    }

    #[test]
    fn no_words_and_no_moment_make_a_reading_panic(words: [u64; Mapping::WORDS], at: i64) {
        let r = Mapping::from_words(words).extrapolate(LocalTime::from_nanos(at));
        let _ = (r.est_error(), r.earliest(), r.latest());
    }
}
