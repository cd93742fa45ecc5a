//! When a round ends and what it has learnt.

use super::*;
use crate::time::Span;
use std::vec::Vec;

fn at(ms: i64) -> LocalTime {
    LocalTime::from_nanos(0) + Span::from_millis(ms)
}

/// A round of four requests of which the first was sent.
fn asked() -> Round {
    let mut round = Round::new(Purpose::Scheduled, at(0), 4, 4, false);
    let place = round.hand_out(7, at(0));
    round.sent(place, at(1));
    round
}

#[test]
fn a_hastened_request_waits_for_nothing_and_the_one_after_it_waits_again() {
    let mut round = asked();
    assert_eq!(round.next_send(), Some(at(1) + schedule::probe_spacing(1)));
    round.hasten();
    assert_eq!(round.next_send(), Some(at(1)));
    let place = round.hand_out(8, at(2));
    round.sent(place, at(3));
    assert_eq!(round.next_send(), Some(at(3) + schedule::probe_spacing(2)));
}

#[test]
fn nothing_is_hastened_in_a_round_that_has_a_believed_reply_or_sends_no_more() {
    let mut round = asked();
    round.believed = 1;
    round.hasten();
    assert_eq!(round.next_send(), Some(at(1) + schedule::burst_spacing(1)));
    let mut ended = asked();
    ended.stop_sending();
    ended.hasten();
    assert_eq!(ended.next_send(), None);
}

/// A round that may send three requests unanswered, and five once a reply is believed.
fn round() -> Round {
    Round::new(Purpose::Scheduled, at(0), 3, 5, false)
}

/// Hands out a request with this cookie and sends it at once.
fn send(round: &mut Round, cookie: u64, ms: i64) -> u8 {
    let place = round.hand_out(cookie, at(ms));
    round.sent(place, at(ms));
    place
}

fn answer(round: &mut Round, cookie: u64) {
    let (_, place) = round.answer(cookie).expect("its request");
    round.weighed(place);
    round.believed += 1;
}

#[test]
fn requests_follow_one_another_as_the_schedule_has_it_up_to_the_target() {
    let mut round = round();
    assert_eq!(round.next_send(), Some(at(0)));
    let place = round.hand_out(1, at(0));
    assert_eq!((place, round.next_send()), (0, None), "one in hand");
    round.sent(place, at(3));
    assert_eq!(round.next_send(), Some(at(3 + 50)));
    assert_eq!(send(&mut round, 2, 53), 1);
    assert_eq!(round.next_send(), Some(at(53 + 100)), "no reply: twice as long");
    answer(&mut round, 1);
    assert_eq!(round.next_send(), Some(at(53 + 50)));
    send(&mut round, 3, 103);
    send(&mut round, 4, 153);
    let spread = at(153) + schedule::burst_spacing(4);
    assert_eq!(round.next_send(), Some(spread), "spread from the fourth on");
    send(&mut round, 5, 653);
    assert_eq!((round.next_send(), round.requests_sent()), (None, 5));
}

#[test]
fn without_a_believed_reply_a_round_sends_its_probes_and_no_more_than_a_burst() {
    let mut round = round();
    for (cookie, ms) in [(1, 0), (2, 50), (3, 150)] {
        send(&mut round, cookie, ms);
    }
    assert_eq!(round.next_send(), None);
    let mut restrained = Round::new(Purpose::Scheduled, at(0), 3, 1, false);
    send(&mut restrained, 1, 0);
    assert_eq!(restrained.next_send(), None);
}

#[test]
fn a_reply_answers_the_request_of_its_cookie_once() {
    let mut round = round();
    send(&mut round, 7, 0);
    let second = round.hand_out(8, at(50));
    assert_eq!(round.answer(9), Err(Rejection::Origin));
    assert_eq!(round.answer(8), Err(Rejection::Origin), "it has not left yet");
    round.sent(second, at(51));
    assert_eq!(round.answer(8), Ok((at(51), 1)));
    assert_eq!(round.answer(8), Err(Rejection::Duplicate));
    assert_eq!(round.answer(7), Ok((at(0), 0)));
}

#[test]
fn a_better_stamp_is_a_later_one_of_a_request_that_left() {
    let mut round = round();
    let place = round.hand_out(7, at(0));
    round.refine_sent(place, at(5));
    assert_eq!(round.answer(7), Err(Rejection::Origin));
    round.sent(place, at(10));
    round.refine_sent(place, at(9));
    round.refine_sent(place, at(12));
    assert_eq!(round.answer(7), Ok((at(12), 0)));
}

#[test]
fn requests_whose_exchange_was_not_weighed_are_distinguished() {
    let mut round = round();
    for (cookie, ms) in [(1, 0), (2, 50), (3, 150)] {
        send(&mut round, cookie, ms);
    }
    answer(&mut round, 2);
    assert_eq!(round.unweighed().collect::<Vec<_>>(), [at(0), at(150)]);
}

#[test]
fn a_round_waits_two_seconds_for_the_reply_to_its_last_request() {
    let mut round = round();
    assert!(!round.has_begun() && !round.is_over(at(60_000)), "nothing was sent");
    let place = round.hand_out(1, at(0));
    assert!(round.has_begun());
    round.sent(place, at(100));
    assert_eq!(round.deadline(), at(2_100));
    assert!(!round.is_over(at(2_099)) && round.is_over(at(2_100)));
    // A driver that took longer than a reply may take gets no more time than that.
    let place = round.hand_out(2, at(200));
    round.sent(place, at(9_000));
    assert_eq!(round.deadline(), at(200 + 2_000 + 2_000));
    // And one that says it was earlier takes none away.
    let place = round.hand_out(3, at(2_300));
    round.sent(place, at(0));
    assert_eq!(round.deadline(), at(4_300));
}

#[test]
fn a_round_is_complete_when_its_burst_is_answered_and_something_was_believed() {
    let mut round = Round::new(Purpose::Scheduled, at(0), 3, 2, false);
    send(&mut round, 1, 0);
    answer(&mut round, 1);
    assert!(!round.is_complete(), "one is still to come");
    send(&mut round, 2, 50);
    assert!(!round.is_complete() && !round.is_over(at(60)), "its reply is still to come");
    answer(&mut round, 2);
    assert!(round.is_complete() && round.is_over(at(60)));
    round.believed = 0;
    assert!(!round.is_complete(), "all rejected: it lasts until its deadline");
}

#[test]
fn a_first_burst_is_answered_when_its_quick_requests_are_or_the_spread_ones_have_begun() {
    let mut round = Round::new(Purpose::Scheduled, at(0), 6, 7, false);
    assert!(!round.is_answered());
    for cookie in 1..=3 {
        send(&mut round, cookie, 50 * cookie as i64);
        answer(&mut round, cookie);
    }
    assert!(!round.is_answered(), "one of the four quick ones is still to be sent");
    send(&mut round, 4, 200);
    assert!(!round.is_answered());
    let mut lost = round.clone();
    answer(&mut round, 4);
    assert!(round.is_answered());
    send(&mut lost, 5, 700);
    assert!(lost.is_answered(), "the fourth has had its time");
    lost.believed = 0;
    assert!(!lost.is_answered());
}

#[test]
fn a_request_that_cannot_be_sent_is_the_last_and_was_none() {
    let mut round = round();
    send(&mut round, 1, 0);
    let place = round.hand_out(2, at(50));
    round.send_failed(place, at(60));
    assert_eq!((round.requests_sent(), round.next_send()), (1, None));
    assert_eq!(round.answer(2), Err(Rejection::Origin));
    assert_eq!(round.deadline(), at(2_060));
    answer(&mut round, 1);
    assert!(round.is_complete(), "no burst follows");
    let mut none = self::round();
    let place = none.hand_out(1, at(0));
    none.send_failed(place, at(0) + Span::from_secs(60));
    assert!(none.has_begun() && none.requests_sent() == 0);
    assert_eq!(none.deadline(), at(4_000));
}

#[test]
fn a_round_that_stops_sending_sends_no_more_whatever_is_believed() {
    let mut round = round();
    send(&mut round, 1, 0);
    round.stop_sending();
    assert_eq!(round.next_send(), None);
    answer(&mut round, 1);
    assert_eq!(round.next_send(), None);
}

#[test]
fn a_failed_round_says_the_last_reason_why_nothing_was_believed() {
    let mut round = round();
    assert_eq!(round.error(), AttemptError::NoReply);
    let place = round.hand_out(1, at(0));
    round.send_failed(place, at(0));
    assert_eq!(round.error(), AttemptError::NotSent);
    round.last_rejection = Some(Rejection::Mode);
    assert_eq!(round.error(), AttemptError::Rejected(Rejection::Mode));
}
