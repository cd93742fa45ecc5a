//! Rounds and attempts: how they begin, how they end, what follows.

use super::event::{AttemptError, EpochReason, Event};
use super::round::{Purpose, Round};
use super::transmit::RequestId;
use super::{SyncEngine, schedule};
use crate::exchange::{KissCode, Rejection};
use crate::replay::LogEntry;
use crate::time::{LocalTime, Span};

impl SyncEngine {
    pub(super) fn start_round(&mut self, purpose: Purpose, now: LocalTime) {
        if self.failed_attempts == 0 {
            self.due = now;
        }
        self.hold_until = None;
        self.round_number += 1;
        let probes = match purpose {
            Purpose::Scheduled => {
                schedule::probes(self.discipline.rounds() > 0, self.failed_attempts)
            }
            Purpose::Manual => schedule::LATER_BURST,
        };
        let burst = if self.discipline.rounds() == 0 {
            schedule::FIRST_BURST
        } else {
            schedule::LATER_BURST
        };
        let synchronised = self.mapping().is_some_and(|mapping| now <= mapping.valid_until);
        self.round = Some(Round::new(purpose, now, probes, burst, synchronised));
    }

    pub(super) fn round_of(&mut self, id: RequestId) -> Option<&mut Round> {
        let current = self.round_number;
        self.round.as_mut().filter(|_| id.round == current)
    }

    /// The T1 of the request that a reply answers. One that arrives after its round's deadline
    /// answers nothing, also where the deadline has gone by unnoticed.
    pub(super) fn answer(&mut self, cookie: u64, t4: LocalTime) -> Result<LocalTime, Rejection> {
        let round = self.round.as_mut().filter(|round| t4 <= round.deadline());
        round.ok_or(Rejection::Origin)?.answer(cookie)
    }

    /// Ends the round under way if nothing more can come of it.
    pub(super) fn settle(&mut self, now: LocalTime) {
        let Some(round) = &mut self.round else { return };
        // A round that has begun does not wait for the budget: its requests belong together.
        let begun = round.requests_sent() > 0;
        if begun && round.next_send().is_some_and(|next| now >= next) && !self.budget.allows(now) {
            round.stop_sending();
        }
        if !round.is_over(now) {
            return;
        }
        if round.believed > 0 {
            self.finish_round(now);
        } else {
            let error = round.error();
            self.fail_round(error, now);
        }
    }

    /// Counts a reply that is not believed and, where it is a kiss-o'-death, does as it says.
    pub(super) fn reject_or_obey(&mut self, rejection: Rejection, now: LocalTime) -> Rejection {
        self.reject(rejection);
        if let Rejection::Kiss(code) = rejection {
            let hold = match code {
                KissCode::Deny | KissCode::Restrict => schedule::DENY_HOLD,
                KissCode::Rate => self.rate_hold.step(),
                KissCode::Other(_) => return rejection,
            };
            self.hold_until = Some(now + hold);
            let error = AttemptError::Kiss(code);
            if self.round.as_ref().is_some_and(|round| round.believed > 0) {
                self.finish_round(now);
            } else {
                self.fail_round(error, now);
            }
            if self.mapping().is_none() {
                self.fail(error, now);
            }
        }
        rejection
    }

    pub(super) fn reject(&mut self, rejection: Rejection) -> Rejection {
        if let Some(count) = self.tally.rejections.get_mut(rejection.index()) {
            *count += 1;
        }
        if let Some(round) = &mut self.round {
            round.last_rejection = Some(rejection);
        }
        self.events.push(Event::Rejected(rejection));
        rejection
    }

    /// The round under way had a believed reply: schedule the next.
    fn finish_round(&mut self, now: LocalTime) {
        self.log_round_end(now);
        let Some(round) = self.round.take() else { return };
        self.tally.rounds += 1;
        self.tally.last_error = None;
        self.failed_attempts = 0;
        self.failed = false;
        self.backoff.reset();
        if self.hold_until.is_none() {
            self.rate_hold.reset();
        }
        let interval = self.poll_interval();
        let rounds = self.discipline.rounds().saturating_add(1);
        self.next_round = now + schedule::poll_gap(rounds, interval, self.entropy);
        self.obey_hold();
        // A server that wants to be left alone for longer than an interval is a lost server.
        let next_poll = self.next_round.min(now + interval);
        let mut expiry = next_poll + schedule::EXPIRY_GRACE;
        if now > round.deadline() + schedule::REPLY_TIMEOUT
            && let Some(mapping) = self.mapping()
        {
            // Whoever sleeps through the end of a round does not make its readings last longer.
            expiry = expiry.min(mapping.valid_until);
        }
        self.discipline.finish_round(expiry, now);
        if now > expiry {
            self.next_round = now;
            self.obey_hold();
            self.expire(now);
            return;
        }
        let Some(reading) = self.mapping().map(|mapping| mapping.extrapolate(now)) else { return };
        self.events.push(Event::Synchronised {
            epoch: self.discipline.epoch(),
            max_error: reading.max_error(),
            est_error: reading.est_error(),
            delay: self.discipline.min_delay().unwrap_or(Span::ZERO),
            believed: round.believed,
            sent: round.requests_sent(),
            recovered: !round.began_synchronised,
        });
    }

    /// The round under way had no believed reply.
    fn fail_round(&mut self, error: AttemptError, now: LocalTime) {
        self.log_round_end(now);
        let Some(round) = self.round.take() else { return };
        self.tally.last_error = Some(error);
        if round.purpose == Purpose::Manual {
            self.events.push(Event::AttemptFailed { attempt: self.failed_attempts, reason: error });
            self.next_round = self.next_round.max(now);
            self.obey_hold();
            return;
        }
        self.failed_attempts = self.failed_attempts.saturating_add(1);
        self.events.push(Event::AttemptFailed { attempt: self.failed_attempts, reason: error });
        if self.failed_attempts >= schedule::ATTEMPTS {
            self.next_round = now + schedule::less_jitter(self.backoff.step(), self.entropy);
            self.obey_hold();
            self.fail(error, now);
            return;
        }
        self.next_round = if self.discipline.rounds() > 0 {
            schedule::retry_at(self.due, self.failed_attempts, self.entropy).max(now)
        } else {
            now
        };
        self.obey_hold();
    }

    pub(super) fn log_round_end(&mut self, now: LocalTime) {
        let Some(round) = &self.round else { return };
        if round.believed == 0 && round.purpose == Purpose::Manual {
            return; // Its failure counts for nothing.
        }
        for sent_at in round.unweighed() {
            self.log.push(LogEntry::Lost { sent_at });
        }
        self.log.push(LogEntry::RoundEnd { at: now });
    }

    fn obey_hold(&mut self) {
        if let Some(hold) = self.hold_until {
            self.next_round = self.next_round.max(hold);
        }
    }

    /// The clock is failed: no readings from now on, or from the end of the holdover.
    pub(super) fn fail(&mut self, reason: AttemptError, now: LocalTime) {
        if self.failed {
            return;
        }
        self.failed = true;
        self.hold_over(now);
        self.events.push(Event::Failed { reason, retry_at: self.next_round });
    }

    /// Readings end at the end of the holdover, which begins with failure or, where no attempt
    /// was possible, with expiry.
    fn hold_over(&mut self, now: LocalTime) {
        let Some(mapping) = self.mapping() else { return };
        let until = mapping.valid_until.min(now) + self.config.holdover.max(Span::ZERO);
        if until <= now {
            self.discipline.withdraw(now);
        } else {
            self.discipline.expire_at(until);
        }
    }

    /// From when on an input makes the expiry known: a little ahead of it where holdover is to
    /// take over without a gap.
    pub(super) fn expiry_due(&self) -> Option<LocalTime> {
        let expiry = self.mapping()?.valid_until + Span::from_nanos(1);
        let seamless = !self.failed && self.config.holdover > Span::ZERO;
        Some(if seamless { expiry - HOLDOVER_LEAD } else { expiry })
    }

    pub(super) fn expire(&mut self, now: LocalTime) {
        if self.expiry_due().is_none_or(|due| now < due) {
            return;
        }
        self.fail(self.tally.last_error.unwrap_or(AttemptError::Expired), now);
        if self.mapping().is_some_and(|mapping| now > mapping.valid_until) {
            self.discipline.withdraw(now);
        }
    }

    pub(super) fn tell_epoch(&mut self, reason: EpochReason) {
        self.events.push(Event::EpochChanged { epoch: self.discipline.epoch(), reason });
    }
}

/// Longer than any thread sleeps over its deadline on a machine that is well.
const HOLDOVER_LEAD: Span = Span::from_secs(1);
