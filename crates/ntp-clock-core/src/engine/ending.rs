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
            // A machine that sleeps through the end of a round does not get readings that last
            // longer.
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

#[cfg(test)]
mod tests {
    use super::super::tests::{at, engine, reply, send};
    use super::super::{EngineConfig, SyncState};
    use super::*;
    use std::vec::Vec;

    /// Lets time pass until then, with a server that answers nothing.
    fn pass(engine: &mut SyncEngine, until: LocalTime) {
        for _ in 0..1_000 {
            let now = engine.poll_timeout();
            if now > until {
                return;
            }
            engine.handle_timeout(now);
            if let Some(transmit) = engine.poll_transmit(now, 0) {
                engine.handle_sent(transmit.token, now);
            }
        }
        panic!("time stands still");
    }

    /// The round under way is answered as far as it will be.
    fn stop(engine: &mut SyncEngine) {
        engine.round.as_mut().expect("under way").stop_sending();
        engine.entropy = 0;
    }

    /// After a round of one exchange; the next is due at 300 s, readings expire at 420 s.
    fn synchronised(holdover: Span) -> SyncEngine {
        let config = EngineConfig { holdover, ..EngineConfig::default() };
        let mut engine = SyncEngine::new(config, at(0));
        send(&mut engine, 0, 7);
        reply(&mut engine, 0, 7).expect("believed");
        stop(&mut engine);
        engine.handle_timeout(at(30));
        engine.next_round = at(300_000);
        engine.discipline.expire_at(at(420_000));
        events(&mut engine);
        log(&mut engine);
        engine
    }

    fn events(engine: &mut SyncEngine) -> Vec<Event> {
        core::iter::from_fn(|| engine.poll_event()).collect()
    }

    fn log(engine: &mut SyncEngine) -> Vec<LogEntry> {
        core::iter::from_fn(|| engine.poll_log()).collect()
    }

    fn expiry(engine: &SyncEngine) -> Option<LocalTime> {
        engine.mapping().map(|mapping| mapping.valid_until)
    }

    #[test]
    fn a_round_with_a_believed_reply_schedules_the_next_and_how_long_readings_last() {
        let mut engine = engine();
        send(&mut engine, 0, 7);
        reply(&mut engine, 0, 7).expect("believed");
        stop(&mut engine);
        engine.handle_timeout(at(30));
        // Ten seconds later the first time, and two minutes of grace.
        let status = engine.status(at(30));
        assert_eq!((status.next_sync, expiry(&engine)), (at(10_030), Some(at(130_030))));
        assert_eq!((status.rounds, status.in_round, status.attempts), (1, false, 0));
        let seen = events(&mut engine);
        let [Event::Synchronised { epoch: 1, delay, believed: 1, sent: 1, recovered: true, .. }] =
            seen[..]
        else {
            panic!("{seen:?}");
        };
        assert_eq!(delay, Span::from_millis(19));
        let logged = log(&mut engine);
        let [LogEntry::Exchange { .. }, LogEntry::RoundEnd { at: end }] = logged[..] else {
            panic!("{logged:?}");
        };
        assert_eq!(end, at(30));
    }

    #[test]
    fn a_sleep_through_the_end_of_a_round_does_not_make_readings_last_longer() {
        let noticed = |ms: i64| {
            let mut engine = engine();
            send(&mut engine, 0, 7);
            reply(&mut engine, 0, 7).expect("believed");
            engine.discipline.expire_at(at(50_000));
            engine.entropy = 0;
            engine.handle_timeout(at(ms));
            let synchronised = |event: &Event| matches!(event, Event::Synchronised { .. });
            assert_eq!(events(&mut engine).iter().any(synchronised), engine.mapping().is_some());
            expiry(&engine)
        };
        // Its deadline is at 2,001 ms; two seconds later is late.
        assert_eq!(noticed(4_001), Some(at(4_001 + 10_000 + 120_000)));
        assert_eq!(noticed(4_002), Some(at(50_000)));
        assert_eq!(noticed(50_000), Some(at(50_000)));
        assert_eq!(noticed(50_001), None);
    }

    #[test]
    fn a_clock_that_was_never_synchronised_fails_after_three_attempts_at_once_and_backs_off() {
        let mut engine = engine();
        pass(&mut engine, at(12_000));
        let status = engine.status(at(12_000));
        assert_eq!((status.state, status.attempts), (SyncState::Failed, 3));
        assert_eq!(status.last_error, Some(AttemptError::NoReply));
        let seen = events(&mut engine);
        let numbers = seen.iter().filter_map(|event| match event {
            Event::AttemptFailed { attempt, reason: AttemptError::NoReply } => Some(*attempt),
            _ => None,
        });
        assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3]);
        let Some(Event::Failed { retry_at, .. }) = seen.last() else { panic!("{seen:?}") };
        assert_eq!((*retry_at, seen.len()), (status.next_sync, 4));
        // Six requests within 1,150 ms, and three times two seconds; then 15 s, less a tenth.
        let pause = status.next_sync - at(1_150 + 3 * 2_000);
        assert!(pause > Span::from_millis(13_500) && pause <= Span::from_secs(15), "{pause:?}");
        // The fourth is an event, too, but not that the clock has failed.
        pass(&mut engine, status.next_sync + Span::from_secs(4));
        let seen = events(&mut engine);
        assert!(matches!(seen[..], [Event::AttemptFailed { attempt: 4, .. }]), "{seen:?}");
    }

    #[test]
    fn a_synchronised_clock_tries_again_15_and_60_s_after_its_poll_was_due() {
        let mut engine = synchronised(Span::ZERO);
        engine.handle_timeout(at(300_000));
        for (began, next) in [(300_000, 315_000), (315_000, 360_000)] {
            stop(&mut engine);
            engine.handle_timeout(at(began + 2_000));
            let status = engine.status(at(began + 2_000));
            assert_eq!((status.state, status.next_sync), (SyncState::Synchronised, at(next)));
            engine.handle_timeout(at(next));
        }
        stop(&mut engine);
        engine.handle_timeout(at(400_000));
        assert_eq!(engine.status(at(400_000)).state, SyncState::Failed);
        assert_eq!(expiry(&engine), None);
    }

    #[test]
    fn a_round_of_the_users_that_fails_is_no_attempt_and_leaves_no_trace_in_the_log() {
        let mut engine = synchronised(Span::ZERO);
        engine.request_sync(at(60_000)).expect("allowed");
        send(&mut engine, 60_000, 8);
        stop(&mut engine);
        engine.handle_timeout(at(62_001));
        let status = engine.status(at(62_001));
        assert_eq!((status.attempts, status.in_round, status.next_sync), (0, false, at(300_000)));
        assert_eq!(status.last_error, Some(AttemptError::NoReply));
        assert!(matches!(events(&mut engine)[..], [Event::AttemptFailed { attempt: 0, .. }]));
        assert_eq!(log(&mut engine), []);
        // A scheduled one leaves its request and its end.
        send(&mut engine, 300_000, 9);
        stop(&mut engine);
        engine.handle_timeout(at(302_001));
        let (sent_at, end) = (at(300_001), at(302_001));
        assert_eq!(log(&mut engine), [LogEntry::Lost { sent_at }, LogEntry::RoundEnd { at: end }]);
    }

    #[test]
    fn readings_go_on_for_the_holdover_after_failure_and_then_end() {
        let mut engine = synchronised(Span::from_secs(600));
        engine.state.attempt_failed();
        engine.handle_timeout(at(300_000));
        engine.state.attempt_failed();
        stop(&mut engine);
        engine.handle_timeout(at(302_000));
        let until = at(302_000 + 600_000);
        let state = engine.status(at(302_000)).state;
        assert_eq!((state, expiry(&engine)), (SyncState::Holdover, Some(until)));
        let seen = events(&mut engine);
        assert!(matches!(
            seen[..],
            [Event::AttemptFailed { attempt: 3, .. }, Event::Failed { .. }]
        ));
        engine.next_round = LocalTime::MAX;
        engine.handle_timeout(until);
        assert_eq!(expiry(&engine), Some(until));
        engine.handle_timeout(until + Span::from_nanos(1));
        assert_eq!((engine.status(until).state, expiry(&engine)), (SyncState::Failed, None));
        assert_eq!(events(&mut engine), [], "that it failed was an event already");
    }

    #[test]
    fn without_an_attempt_holdover_begins_a_second_before_the_expiry() {
        let mut engine = synchronised(Span::from_secs(600));
        engine.next_round = LocalTime::MAX;
        let before = at(419_000) + Span::from_nanos(1);
        engine.handle_timeout(before - Span::from_nanos(1));
        assert_eq!(engine.status(before).state, SyncState::Synchronised);
        engine.handle_timeout(before);
        let status = engine.status(before);
        assert_eq!(
            (status.state, status.last_error),
            (SyncState::Holdover, Some(AttemptError::Expired))
        );
        assert_eq!(expiry(&engine), Some(before + Span::from_secs(600)));
    }

    #[test]
    fn a_round_that_has_used_up_the_packet_budget_sends_no_more() {
        let mut engine = engine();
        send(&mut engine, 0, 7);
        reply(&mut engine, 0, 7).expect("believed");
        for _ in 0..8 {
            engine.budget.spend(at(20));
        }
        engine.handle_timeout(at(50));
        assert!(engine.in_round(), "its next request is not due yet");
        engine.handle_timeout(at(51));
        assert!(!engine.in_round(), "nothing is to come, and all is answered");
        // One that has not begun waits.
        let mut waiting = super::super::tests::engine();
        for _ in 0..8 {
            waiting.budget.spend(at(0));
        }
        waiting.handle_timeout(at(0));
        waiting.handle_timeout(at(10));
        assert!(waiting.in_round() && waiting.poll_timeout() == at(8_200));
    }
}
