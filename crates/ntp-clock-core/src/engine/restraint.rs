//! What a server's kisses-o'-death ask of us (RFC 5905, section 7.4): to wait, and to send less.
//!
//! A server with a rate limit answers one packet every few seconds and says RATE to the next.
//! Asking less often does not help there, as long as each round is a burst. So RATE makes bursts
//! smaller first: no larger than what was answered of this one. Pauses get longer where a smaller
//! burst would not help: its first request met RATE already. After some rounds without RATE bursts
//! grow again by one request; each RATE doubles how many rounds that takes.

use super::schedule::{self, Backoff};
use crate::exchange::KissCode;
use crate::time::{LocalTime, Span};

#[derive(Clone, Copy, Debug)]
pub(super) struct Restraint {
    /// No request leaves before this, because of that kiss.
    hold: Option<(LocalTime, KissCode)>,
    /// Requests in a burst, at most.
    burst_max: u8,
    /// Rounds without RATE since bursts last changed ...
    clean: u32,
    /// ... and how many of them let bursts grow.
    clean_wanted: u32,
    pauses: Backoff,
}

impl Restraint {
    pub(super) const NONE: Restraint = Restraint {
        hold: None,
        burst_max: schedule::FIRST_BURST,
        clean: 0,
        clean_wanted: CLEAN_ROUNDS,
        pauses: Backoff::RATE,
    };

    /// The server sent a kiss in a round of which this many replies were believed. Returns whether
    /// it is one that asks for anything.
    pub(super) fn obey(&mut self, code: KissCode, believed: u8, now: LocalTime) -> bool {
        let hold = match code {
            KissCode::Deny | KissCode::Restrict => schedule::DENY_HOLD,
            KissCode::Rate => self.slow_down(believed),
            KissCode::Other(_) => return false,
        };
        self.hold = Some((now + hold, code));
        true
    }

    fn slow_down(&mut self, believed: u8) -> Span {
        let no_smaller = self.burst_max <= 1 || believed == 0;
        self.burst_max = believed.min(self.burst_max / 2).max(1);
        self.clean = 0;
        self.clean_wanted = self.clean_wanted.saturating_mul(2).min(CLEAN_ROUNDS_MAX);
        if no_smaller { self.pauses.step() } else { schedule::RATE_HOLD_MIN }
    }

    /// A round was well answered to its end.
    pub(super) fn round_was_clean(&mut self) {
        self.pauses.reset();
        if self.burst_max == schedule::FIRST_BURST {
            return;
        }
        self.clean += 1;
        if self.clean >= self.clean_wanted {
            self.clean = 0;
            self.burst_max += 1;
        }
    }

    /// A round begins, so no request waits any more.
    pub(super) fn lift(&mut self) {
        self.hold = None;
    }

    /// Until when no request may leave.
    pub(super) fn until(&self) -> Option<LocalTime> {
        self.hold.map(|(until, _)| until)
    }

    /// The kiss because of which no request may leave now.
    pub(super) fn reason(&self, now: LocalTime) -> Option<KissCode> {
        self.hold.filter(|(until, _)| now < *until).map(|(_, code)| code)
    }

    /// The same moment, or later where the server asked for that.
    pub(super) fn no_earlier(&self, at: LocalTime) -> LocalTime {
        self.until().map_or(at, |until| at.max(until))
    }

    /// How many of these requests may be sent in a burst.
    pub(super) fn of_burst(&self, requests: u8) -> u8 {
        requests.min(self.burst_max)
    }
}

/// This many rounds without RATE let bursts grow by one request, the first time.
const CLEAN_ROUNDS: u32 = 8;
/// At five minutes' polls, ten hours.
const CLEAN_ROUNDS_MAX: u32 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: LocalTime = LocalTime::from_nanos(0);

    fn hold(restraint: &Restraint) -> Option<Span> {
        restraint.until().map(|until| until - NOW)
    }

    #[test]
    fn rate_makes_bursts_smaller_first_and_pauses_longer_only_then() {
        let mut restraint = Restraint::NONE;
        assert_eq!(restraint.of_burst(7), 7);
        assert!(restraint.obey(KissCode::Rate, 5, NOW));
        assert_eq!((restraint.of_burst(7), hold(&restraint)), (3, Some(Span::from_secs(60))));
        restraint.obey(KissCode::Rate, 1, NOW);
        assert_eq!((restraint.of_burst(7), hold(&restraint)), (1, Some(Span::from_secs(60))));
        for (believed, seconds) in [(0, 60), (1, 120), (0, 240)] {
            restraint.obey(KissCode::Rate, believed, NOW);
            assert_eq!(hold(&restraint), Some(Span::from_secs(seconds)));
            assert_eq!(restraint.of_burst(4), 1);
        }
        restraint.round_was_clean();
        restraint.obey(KissCode::Rate, 0, NOW);
        assert_eq!(hold(&restraint), Some(Span::from_secs(60)));
    }

    #[test]
    fn rate_to_the_first_request_of_a_burst_makes_pauses_longer_at_once() {
        let mut restraint = Restraint::NONE;
        for seconds in [60, 120] {
            restraint.obey(KissCode::Rate, 0, NOW);
            assert_eq!(
                (hold(&restraint), restraint.of_burst(7)),
                (Some(Span::from_secs(seconds)), 1)
            );
        }
    }

    #[test]
    fn bursts_grow_again_after_rounds_without_rate_and_later_each_time() {
        let mut restraint = Restraint::NONE;
        for wanted in [16, 32, 64, 128, 128] {
            restraint.obey(KissCode::Rate, 0, NOW);
            restraint.obey(KissCode::Rate, 0, NOW);
            restraint.clean_wanted = wanted;
            for _ in 1..wanted {
                restraint.round_was_clean();
                assert_eq!(restraint.of_burst(7), 1);
            }
            restraint.round_was_clean();
            assert_eq!(restraint.of_burst(7), 2);
        }
        let mut once = Restraint::NONE;
        once.obey(KissCode::Rate, 0, NOW);
        assert_eq!(once.clean_wanted, 16);
        for _ in 0..20 {
            once.obey(KissCode::Rate, 0, NOW);
        }
        assert_eq!(once.clean_wanted, 128);
        for _ in 0..10_000 {
            once.round_was_clean();
        }
        assert_eq!(once.of_burst(200), schedule::FIRST_BURST);
    }

    #[test]
    fn deny_and_rstr_silence_for_an_hour_and_other_codes_ask_for_nothing() {
        for code in [KissCode::Deny, KissCode::Restrict] {
            let mut restraint = Restraint::NONE;
            assert!(restraint.obey(code, 0, NOW));
            assert_eq!((hold(&restraint), restraint.of_burst(7)), (Some(Span::from_secs(3600)), 7));
            assert_eq!(restraint.no_earlier(NOW), NOW + Span::from_secs(3600));
            assert_eq!(restraint.no_earlier(LocalTime::MAX), LocalTime::MAX);
            assert_eq!(restraint.reason(NOW), Some(code));
            assert_eq!(restraint.reason(NOW + Span::from_secs(3600)), None);
            restraint.lift();
            assert_eq!((hold(&restraint), restraint.no_earlier(NOW)), (None, NOW));
        }
        let mut restraint = Restraint::NONE;
        assert!(!restraint.obey(KissCode::Other(crate::packet::ReferenceId::NONE), 0, NOW));
        assert_eq!(hold(&restraint), None);
    }
}
