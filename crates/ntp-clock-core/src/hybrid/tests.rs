//! Hybrid stamps: order, bound and bad input.

use super::*;
use crate::mapping::{self, Mapping};
use crate::time::LocalTime;
use proptest::prelude::*;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

const NOON: UnixTime = UnixTime::from_nanos(1_759_665_600_000_000_000);

/// A clock that says `ms` after noon, with an error of at most this many.
fn reading(ms: i64, max_error_ms: i64) -> Reading {
    Reading::new(NOON + Span::from_millis(ms), Span::from_millis(max_error_ms), Span::ZERO, 1)
}

fn stamp(time: UnixTime, count: u64) -> HybridTime {
    HybridTime(ticks_of(time).expect("in range") << COUNT_BITS | count)
}

#[test]
fn a_first_stamp_is_the_earliest_that_true_time_can_be_and_later_ones_go_on() {
    let first = HybridTime::after(None, None, &reading(100, 20)).unwrap();
    assert_eq!((first.time(), first.count()), (stamp(NOON + Span::from_millis(80), 0).time(), 0));
    assert!(NOON + Span::from_millis(80) - first.time() < Span::from_nanos(244_141));
    let second = HybridTime::after(Some(first), None, &reading(100, 20)).unwrap();
    assert_eq!((second.time(), second.count()), (first.time(), 1));
    let later = HybridTime::after(Some(second), None, &reading(101, 20)).unwrap();
    assert_eq!(later.count(), 0);
    assert!(later > second && later.time() > second.time());
}

#[test]
fn a_clock_whose_time_falls_back_or_whose_error_grows_goes_on_by_counting() {
    let first = HybridTime::after(None, None, &reading(100, 20)).unwrap();
    for behind in [reading(90, 20), reading(100, 50)] {
        let next = HybridTime::after(Some(first), None, &behind).unwrap();
        assert_eq!((next.time(), next.count()), (first.time(), 1));
    }
}

#[test]
fn a_stamp_received_is_followed_by_count_or_by_time_whichever_is_the_greater() {
    let ours = stamp(NOON, 7);
    let at = |ms| NOON + Span::from_millis(ms);
    let next = |received| HybridTime::after(Some(ours), Some(received), &reading(10, 20)).unwrap();
    assert_eq!(next(stamp(at(-5), 900)), stamp(NOON, 8), "ours is the later one");
    assert_eq!(next(stamp(NOON, 900)), stamp(NOON, 901), "of one moment: the greater count");
    assert_eq!(next(stamp(NOON, 3)), stamp(NOON, 8));
    assert_eq!(next(stamp(at(20), 900)), stamp(at(20), 901), "the message's is the later one");
    let fresh = HybridTime::after(Some(ours), Some(stamp(at(20), 900)), &reading(60, 20));
    assert_eq!(fresh, Ok(stamp(at(40), 0)), "the clock is later than both");
}

#[test]
fn a_stamp_later_than_true_time_can_be_is_refused_and_one_as_late_as_it_can_be_is_not() {
    let latest = NOON + Span::from_millis(30);
    let ours = Some(stamp(NOON, 0));
    let at = stamp(latest, u64::from(COUNT_OF_OTHERS) - 1);
    assert_eq!(HybridTime::after(ours, Some(at), &reading(10, 20)).unwrap().0, at.0 + 1);
    let beyond = HybridTime((at.ticks() + 1) << COUNT_BITS);
    let by = beyond.time() - latest;
    assert!(by > Span::ZERO && by < Span::from_nanos(244_142));
    let refused = HybridTime::after(ours, Some(beyond), &reading(10, 20));
    assert_eq!(refused, Err(HybridError::Future { by }));
    let ahead = HybridTime::after(Some(beyond), None, &reading(10, 20));
    assert_eq!(ahead, Err(HybridError::Ahead { by }));
    let both = HybridTime::after(Some(beyond), Some(beyond), &reading(10, 20));
    assert_eq!(both, Err(HybridError::Future { by }));
}

#[test]
fn stamps_go_on_through_a_leap_second_and_the_epoch_that_begins_a_second_earlier() {
    let start = LocalTime::from_nanos(1_000);
    let whole = mapping::tests::mapping().to_words();
    let mut words = whole;
    words[13] = 2_000_001_000; // a second before the leap, which is at 3 s
    let before = Mapping::from_words(words);
    let mut words = whole;
    words[1] = (words[1] as i64 - 1_000_000_000) as u64; // centre
    words[14] += 1; // epoch
    let after = Mapping::from_words(words);
    let mut last = None;
    // The server shows on which side it is at 3.7 s.
    for ms in 0..6_000 {
        let mapping = if ms < 3_700 { before } else { after };
        let reading = mapping.read(start + Span::from_millis(ms)).expect("valid");
        let stamp = HybridTime::after(last, None, &reading).expect("never ahead");
        assert!(Some(stamp) > last && stamp.time() <= reading.latest(), "{ms}");
        last = Some(stamp);
    }
}

#[test]
fn a_count_that_is_used_up_says_how_long_the_next_stamp_takes_and_spoils_no_time() {
    let full = stamp(NOON, u64::from(COUNT_MAX));
    let wait = match HybridTime::after(Some(full), None, &reading(10, 20)) {
        Err(HybridError::Exhausted { wait }) => wait,
        other => panic!("{other:?}"),
    };
    assert!(wait >= Span::from_millis(10) && wait < Span::from_micros(10_245), "{wait:?}");
    let then = reading(10, 20).time() + wait;
    let then = Reading::new(then, Span::from_millis(20), Span::ZERO, 1);
    let next = HybridTime::after(Some(full), None, &then).unwrap();
    assert_eq!(next.0, full.0 + 1, "the very next number");
}

#[test]
fn a_peer_that_counts_to_the_end_uses_up_no_stamps_but_its_own() {
    let others = u64::from(COUNT_OF_OTHERS);
    for count in [others, u64::from(COUNT_MAX)] {
        for last in [None, Some(stamp(NOON - Span::from_millis(5), 3))] {
            let refused = HybridTime::after(last, Some(stamp(NOON, count)), &reading(10, 20));
            assert!(matches!(refused, Err(HybridError::Exhausted { .. })), "{refused:?}");
        }
        // One that is behind ours, or behind the clock, takes nothing from us.
        let ours = stamp(NOON + Span::from_millis(5), 3);
        let next = HybridTime::after(Some(ours), Some(stamp(NOON, count)), &reading(10, 20));
        assert_eq!(next.map(|next| next.0), Ok(ours.0 + 1));
        let fresh = HybridTime::after(None, Some(stamp(NOON, count)), &reading(60, 20));
        assert_eq!(fresh.map(HybridTime::count), Ok(0));
    }
    let followed = HybridTime::after(None, Some(stamp(NOON, others - 1)), &reading(10, 20));
    assert_eq!(followed, Ok(stamp(NOON, others)));
    let ours = HybridTime::after(Some(stamp(NOON, others)), None, &reading(10, 20));
    assert_eq!(ours, Ok(stamp(NOON, others + 1)), "our own go on to the end");
}

#[test]
fn times_before_1970_and_after_2106_are_out_of_range_and_the_ends_are_not() {
    let at = |time, error| Reading::new(time, Span::from_nanos(error), Span::ZERO, 1);
    let end = UnixTime::from_nanos((1 << 32) * 1_000_000_000);
    for out in [at(UnixTime::from_nanos(4), 5), at(end, 0), at(end - Span::from_nanos(1), 1)] {
        assert_eq!(HybridTime::after(None, None, &out), Err(HybridError::OutOfRange));
    }
    let first = HybridTime::after(None, None, &at(UnixTime::from_nanos(5), 5));
    assert_eq!(first, Ok(HybridTime(0)));
    let last = HybridTime::after(None, None, &at(end - Span::from_nanos(1), 0)).unwrap();
    assert_eq!(last.ticks(), (1 << 44) - 1);
    assert!(end - last.time() <= Span::from_nanos(244_141));
    assert!(HybridTime(u64::MAX).time() < end);
}

#[test]
fn text_is_16_digits_in_the_stamps_order_and_nothing_else_is_read() {
    let texts: Vec<_> =
        [0, 1, 0xff, 1 << 40, u64::MAX].map(|bits| HybridTime(bits).to_string()).into();
    assert!(texts.is_sorted() && texts.iter().all(|text| text.len() == 16), "{texts:?}");
    for wrong in
        ["", "1", "+00000000000000f", "000000000000000F", "00000000000000000", "00000000000000é"]
    {
        assert_eq!(wrong.parse::<HybridTime>(), Err(HybridTextError), "{wrong}");
    }
}

#[test]
fn each_error_has_a_word_of_its_own() {
    let by = Span::ZERO;
    let errors = [
        HybridError::NoReading,
        HybridError::Future { by },
        HybridError::Ahead { by },
        HybridError::Exhausted { wait: by },
        HybridError::OutOfRange,
    ];
    assert_eq!(
        errors.map(|error| error.code()),
        ["no_reading", "future", "ahead", "exhausted", "out_of_range"]
    );
}

/// One of several machines: its clock is off by less than its error, both of which change.
struct Node {
    last: Option<HybridTime>,
    off_us: i64,
    max_error_us: i64,
    waiting: Vec<HybridTime>,
}

proptest! {
    #[test]
    fn a_stamp_goes_to_text_and_bits_and_back(bits: u64) {
        let stamp = HybridTime::from_bits(bits);
        prop_assert_eq!(HybridTime::from_bits(stamp.to_bits()), stamp);
        prop_assert_eq!(stamp.to_string().parse(), Ok(stamp));
        prop_assert_eq!(ticks_of(stamp.time()), Some(stamp.ticks()));
        prop_assert!(stamp.time().as_nanos() >= 0);
    }

    /// `steps` are what happens: which machine, what it does, and how long after the last one.
    #[test]
    fn among_machines_every_stamp_follows_its_causes_and_lies_between_what_is_possible_and_truth(
        errors in prop::collection::vec((0_i64..50_000, -100_i64..=100), 2..5),
        steps in prop::collection::vec((0_usize..5, 0_u8..4, 0_i64..3_000, -100_i64..=100), 1..300),
    ) {
        let mut nodes: Vec<Node> = errors
            .iter()
            .map(|&(max_error_us, of_100)| Node {
                last: None,
                off_us: max_error_us * of_100 / 100,
                max_error_us,
                waiting: vec![],
            })
            .collect();
        let mut truth = NOON;
        // What the counts may have come to: no chain is longer than all events.
        for (events, (who, what, later_us, of_100)) in steps.into_iter().enumerate() {
            truth = truth + Span::from_micros(later_us);
            let count = nodes.len();
            let node = &mut nodes[who % count];
            if what == 3 {
                // Synchronised once more: another error, another offset within it.
                node.max_error_us = (node.max_error_us * 7 + 300) % 50_000;
                node.off_us = node.max_error_us * of_100 / 100;
            }
            let time = truth + Span::from_micros(node.off_us);
            let reading =
                Reading::new(time, Span::from_micros(node.max_error_us), Span::ZERO, 1);
            let received = if what == 1 { node.waiting.pop() } else { None };
            let stamp = match HybridTime::after(node.last, received, &reading) {
                Ok(stamp) => stamp,
                Err(error) => return Err(TestCaseError::fail(std::format!("honest: {error}"))),
            };
            prop_assert!(Some(stamp) > node.last && Some(stamp) > received);
            prop_assert!(stamp.time() <= truth, "ahead of truth");
            prop_assert!(stamp.ticks() >= ticks_of(reading.earliest()).unwrap(), "too old");
            prop_assert!(stamp.count() as usize <= events, "{stamp:?} after {events} events");
            node.last = Some(stamp);
            if what == 2 {
                let to = (who + 1 + events) % count;
                nodes[to].waiting.push(stamp);
            }
        }
    }

    #[test]
    fn whatever_is_received_no_stamp_is_later_than_true_time_can_be_and_none_is_lost(
        last in prop::option::of(any::<u64>()),
        received in prop::option::of(any::<u64>()),
        time in 0..i64::MAX / 4,
        max_error in 0_i64..2_000_000_000,
    ) {
        let reading = Reading::new(
            UnixTime::from_nanos(time), Span::from_nanos(max_error), Span::ZERO, 1);
        let (last, received) = (last.map(HybridTime), received.map(HybridTime));
        match HybridTime::after(last, received, &reading) {
            Ok(stamp) => {
                prop_assert!(stamp.ticks() <= ticks_of(reading.latest()).unwrap());
                prop_assert!(Some(stamp) > last && Some(stamp) > received);
            }
            Err(HybridError::Future { by }) => {
                prop_assert!(by > Span::ZERO);
                prop_assert_eq!(received.unwrap().time() - by, reading.latest());
            }
            Err(HybridError::Ahead { by }) => {
                prop_assert!(by > Span::ZERO);
                prop_assert_eq!(last.unwrap().time() - by, reading.latest());
            }
            Err(HybridError::Exhausted { wait }) => prop_assert!(wait > Span::ZERO),
            Err(error) => prop_assert_eq!(error, HybridError::OutOfRange),
        }
    }
}
