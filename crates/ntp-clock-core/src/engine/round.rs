//! One round: the requests sent, which of them were answered, and when it is over.

use crate::exchange::Rejection;
use crate::time::LocalTime;

use super::event::AttemptError;
use super::schedule::{self, REPLY_TIMEOUT};

/// Why a round is held; decides what its failure means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// The schedule asked for it: its failure counts as an attempt.
    Scheduled,
    /// The user asked for it: its failure changes nothing.
    Manual,
}

#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) purpose: Purpose,
    started: LocalTime,
    requests: [Option<Request>; MAX_REQUESTS],
    sent: u8,
    /// Requests to send while nothing is believed, and once something is.
    probes: u8,
    burst: u8,
    /// A transmit was handed out and has not come back yet.
    in_hand: bool,
    last_sent: LocalTime,
    /// Nothing is to be waited for before the next request.
    hastened: bool,
    send_failed: bool,
    /// Readers had a valid mapping when this round began.
    pub(super) began_synchronised: bool,
    pub(super) believed: u8,
    pub(super) last_rejection: Option<Rejection>,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    cookie: u64,
    /// When it left; unknown until the driver says so.
    sent_at: Option<LocalTime>,
    answered: bool,
    /// Its reply was good enough to be weighed against the others.
    weighed: bool,
}

impl Round {
    pub(super) fn new(
        purpose: Purpose,
        now: LocalTime,
        probes: u8,
        burst: u8,
        synchronised: bool,
    ) -> Self {
        Round {
            purpose,
            started: now,
            requests: [None; MAX_REQUESTS],
            sent: 0,
            probes,
            burst,
            in_hand: false,
            last_sent: now,
            hastened: false,
            send_failed: false,
            began_synchronised: synchronised,
            believed: 0,
            last_rejection: None,
        }
    }

    /// When the next request may be sent, the packet budget apart; `None` when no more is wanted.
    pub(super) fn next_send(&self) -> Option<LocalTime> {
        if self.in_hand || self.sent >= self.target() {
            return None;
        }
        if self.sent == 0 {
            return Some(self.started);
        }
        if self.hastened {
            return Some(self.last_sent);
        }
        let spacing =
            if self.believed > 0 { schedule::burst_spacing } else { schedule::probe_spacing };
        Some(self.last_sent + spacing(self.sent))
    }

    /// The next request, if one is wanted, need not wait for replies to the ones before.
    pub(super) fn hasten(&mut self) {
        self.hastened = self.believed == 0;
    }

    /// Sends no further requests.
    pub(super) fn stop_sending(&mut self) {
        self.probes = self.sent;
        self.burst = self.sent;
    }

    /// Notes a request handed to the driver and returns its place.
    pub(super) fn hand_out(&mut self, cookie: u64, now: LocalTime) -> u8 {
        let place = self.sent;
        if let Some(slot) = self.requests.get_mut(usize::from(place)) {
            *slot = Some(Request { cookie, sent_at: None, answered: false, weighed: false });
        }
        self.sent += 1;
        self.hastened = false;
        self.in_hand = true;
        self.last_sent = now;
        place
    }

    /// The driver sent the request at `place`.
    pub(super) fn sent(&mut self, place: u8, at: LocalTime) {
        self.in_hand = false;
        // Whoever takes longer than a reply may take to send gets no more time for the reply.
        self.last_sent = self.last_sent.max(at.min(self.last_sent + REPLY_TIMEOUT));
        if let Some(Some(request)) = self.requests.get_mut(usize::from(place)) {
            request.sent_at = Some(at);
        }
    }

    /// The request in hand could not be sent, so no other one will be.
    pub(super) fn send_failed(&mut self, place: u8, now: LocalTime) {
        self.in_hand = false;
        self.send_failed = true;
        self.last_sent = self.last_sent.max(now.min(self.last_sent + REPLY_TIMEOUT));
        if let Some(slot) = self.requests.get_mut(usize::from(place)) {
            *slot = None;
        }
        self.sent = self.sent.min(place);
        self.stop_sending();
    }

    /// Why nothing was believed.
    pub(super) fn error(&self) -> AttemptError {
        match self.last_rejection {
            Some(rejection) => AttemptError::Rejected(rejection),
            None if self.send_failed => AttemptError::NotSent,
            None => AttemptError::NoReply,
        }
    }

    /// A better stamp for the same event: later than the first one.
    pub(super) fn refine_sent(&mut self, place: u8, at: LocalTime) {
        if let Some(Some(request)) = self.requests.get_mut(usize::from(place)) {
            request.sent_at = request.sent_at.map(|rough| rough.max(at));
        }
    }

    /// The request that a reply answers gives its T1, and its place for when the exchange is
    /// weighed, and is answered from now on.
    pub(super) fn answer(&mut self, cookie: u64) -> Result<(LocalTime, u8), Rejection> {
        let mut requests = (0..).zip(self.requests.iter_mut());
        let (place, request) = requests
            .find_map(|(place, slot)| {
                Some((place, slot.as_mut()?)).filter(|(_, r)| r.cookie == cookie)
            })
            .ok_or(Rejection::Origin)?;
        if request.answered {
            return Err(Rejection::Duplicate);
        }
        let sent_at = request.sent_at.ok_or(Rejection::Origin)?;
        request.answered = true;
        Ok((sent_at, place))
    }

    /// The exchange with the request at `place` was weighed.
    pub(super) fn weighed(&mut self, place: u8) {
        if let Some(Some(request)) = self.requests.get_mut(usize::from(place)) {
            request.weighed = true;
        }
    }

    /// When the requests left whose exchange was never weighed.
    pub(super) fn unweighed(&self) -> impl Iterator<Item = LocalTime> + use<> {
        let requests = self.requests;
        requests.into_iter().flatten().filter(|request| !request.weighed).filter_map(|r| r.sent_at)
    }

    /// When the round ends for want of replies.
    pub(super) fn deadline(&self) -> LocalTime {
        self.last_sent + REPLY_TIMEOUT
    }

    /// Nothing more will be sent and nothing is outstanding; only a believed reply makes a round
    /// end before its deadline.
    pub(super) fn is_complete(&self) -> bool {
        let all_answered = self.requests.iter().flatten().all(|request| request.answered);
        self.believed > 0 && self.sent >= self.target() && all_answered
    }

    /// Whoever waits for the round has what there is to wait for: what is still to come are the
    /// spread requests of a first burst.
    pub(super) fn is_answered(&self) -> bool {
        let quick = usize::from(schedule::LATER_BURST);
        let mut first = self.requests.iter().take(quick).flatten();
        let spread = self.sent > schedule::LATER_BURST;
        let all = self.sent >= schedule::LATER_BURST && first.all(|request| request.answered);
        self.believed > 0 && (spread || all)
    }

    /// Whether a request was sent, or none will be.
    pub(super) fn has_begun(&self) -> bool {
        self.sent > 0 || self.next_send().is_none()
    }

    /// Whether no request of this round can still be answered or sent at `now`. A round whose next
    /// request is so late that replies to the last one are no longer waited for has been slept
    /// through.
    pub(super) fn is_over(&self, now: LocalTime) -> bool {
        self.is_complete() || (self.has_begun() && now >= self.deadline())
    }

    pub(super) fn requests_sent(&self) -> u8 {
        self.sent
    }

    fn target(&self) -> u8 {
        if self.believed > 0 { self.burst } else { self.probes.min(self.burst) }
    }
}

const MAX_REQUESTS: usize = schedule::FIRST_BURST as usize;

#[cfg(test)]
mod tests {
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
    fn requests_whose_exchange_was_not_weighed_are_told_apart() {
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
}
