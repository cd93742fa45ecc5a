//! How rounds end, and readings: success, failed attempts, holdover, expiry.

use super::deadlines::Deadline;
use super::event::{AttemptError, EpochReason, Event};
use super::round::Purpose;
use super::{SyncEngine, schedule};
use crate::log::LogEntry;
use crate::time::{LocalTime, Span};

impl SyncEngine {
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

    /// The round under way had a believed reply: schedule the next.
    pub(super) fn finish_round(&mut self, now: LocalTime) {
        self.log_round_end(now);
        let Some(round) = self.round.take() else { return };
        self.tally.rounds += 1;
        self.tally.last_error = None;
        self.state.round_succeeded(now);
        if self.restraint.until().is_none() {
            self.restraint.round_was_clean();
        }
        let interval = self.poll_interval();
        let rounds = self.discipline.rounds().saturating_add(1);
        let gap = schedule::poll_gap(rounds, interval, self.entropy);
        self.next_round = self.restraint.no_earlier(now + gap);
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
            self.next_round = self.restraint.no_earlier(now);
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
    pub(super) fn fail_round(&mut self, error: AttemptError, now: LocalTime) {
        self.log_round_end(now);
        let Some(round) = self.round.take() else { return };
        self.tally.last_error = Some(error);
        if round.purpose == Purpose::Manual {
            let attempt = self.state.attempts();
            self.events.push(Event::AttemptFailed { attempt, reason: error });
            self.next_round = self.restraint.no_earlier(self.next_round.max(now));
            return;
        }
        let attempt = self.state.attempt_failed();
        self.events.push(Event::AttemptFailed { attempt, reason: error });
        if attempt >= schedule::ATTEMPTS {
            let newly = self.lose(now);
            let pause = schedule::less_jitter(self.state.back_off(), self.entropy);
            self.next_round = self.restraint.no_earlier(now + pause);
            if newly {
                self.events.push(Event::Failed { reason: error, retry_at: self.next_round });
            }
            return;
        }
        // A clock that was never synchronised makes its attempts at once.
        let due = self.state.due().filter(|_| self.discipline.rounds() > 0);
        let retry = due.map_or(now, |due| schedule::retry_at(due, attempt, self.entropy).max(now));
        self.next_round = self.restraint.no_earlier(retry);
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

    /// The clock is failed: no readings from now on, or from the end of the holdover.
    pub(super) fn fail(&mut self, reason: AttemptError, now: LocalTime) {
        self.tally.last_error = Some(reason);
        if self.lose(now) {
            self.events.push(Event::Failed { reason, retry_at: self.next_round });
        }
    }

    /// The server counts as lost from now on. Returns whether it did not before.
    fn lose(&mut self, now: LocalTime) -> bool {
        if self.state.is_lost() {
            return false;
        }
        self.hold_over(now);
        self.state.lose(self.is_readable(now), now)
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

    /// Readings end where it is time for that.
    pub(super) fn expire(&mut self, now: LocalTime) {
        if !self.is_due(Deadline::Expiry, now) {
            return;
        }
        self.fail(self.expiry_reason(now), now);
        if !self.is_readable(now) {
            self.discipline.withdraw(now);
            self.state.readings_ended();
        }
    }

    /// Why readings end, or have ended unnoticed.
    pub(super) fn expiry_reason(&self, now: LocalTime) -> AttemptError {
        let kiss = self.restraint.reason(now).map(AttemptError::Kiss);
        self.tally.last_error.or(kiss).unwrap_or(AttemptError::Expired)
    }

    pub(super) fn tell_epoch(&mut self, reason: EpochReason) {
        self.events.push(Event::EpochChanged { epoch: self.discipline.epoch(), reason });
    }
}
