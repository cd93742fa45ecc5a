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
        // A driver that takes longer to send than a reply may take gets no more time for the reply.
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

    /// A caller that waits for the round has what it waits for: what is still to come are the
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
mod tests;
