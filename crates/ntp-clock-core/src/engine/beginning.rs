//! Which round begins: how many requests it may send.

use super::round::{Purpose, Round};
use super::transmit::RequestId;
use super::{SyncEngine, schedule};
use crate::time::LocalTime;

impl SyncEngine {
    pub(super) fn start_round(&mut self, purpose: Purpose, now: LocalTime) {
        self.state.attempt_begins(now);
        self.restraint.lift();
        self.round_number += 1;
        let known = self.discipline.rounds() > 0;
        let probes = match purpose {
            Purpose::Scheduled => schedule::probes(known, self.state.attempts()),
            Purpose::Manual => schedule::LATER_BURST,
        };
        let burst = if known { schedule::LATER_BURST } else { schedule::FIRST_BURST };
        let [probes, burst] = [probes, burst].map(|requests| self.restraint.of_burst(requests));
        self.round = Some(Round::new(purpose, now, probes, burst, self.is_readable(now)));
    }

    pub(super) fn round_of(&mut self, id: RequestId) -> Option<&mut Round> {
        let current = self.round_number;
        self.round.as_mut().filter(|_| id.round == current)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, engine, reply, send};
    use super::*;

    /// Requests of a round in which nothing is answered.
    fn unanswered(engine: &mut SyncEngine, purpose: Purpose, ms: i64) -> u8 {
        engine.round = None;
        engine.budget = schedule::Budget::new();
        engine.start_round(purpose, at(ms));
        for later in (ms..ms + 2_000).step_by(10) {
            if let Some(transmit) = engine.poll_transmit(at(later), 1) {
                engine.handle_sent(transmit.token, at(later));
            }
        }
        engine.round.as_ref().map_or(0, |round| round.requests_sent())
    }

    #[test]
    fn a_round_sends_what_its_purpose_and_its_attempt_allow() {
        let mut engine = engine();
        assert_eq!(unanswered(&mut engine, Purpose::Scheduled, 0), 6);
        engine.state.attempt_failed();
        assert_eq!(unanswered(&mut engine, Purpose::Scheduled, 10_000), 1);
        assert_eq!(unanswered(&mut engine, Purpose::Manual, 20_000), 4);
        assert_eq!(engine.round_number(), 3);
        engine.restraint.obey(crate::exchange::KissCode::Rate, 2, at(30_000));
        assert_eq!(unanswered(&mut engine, Purpose::Manual, 30_000), 2, "the server wants no more");
        assert!(engine.restraint.until().is_none(), "a round lifts the pause before it");
    }

    #[test]
    fn a_synchronised_clock_sends_three_requests_unanswered_and_four_answered() {
        let mut engine = engine();
        send(&mut engine, 0, 7);
        reply(&mut engine, 0, 7).expect("believed");
        engine.handle_timeout(at(60_000));
        engine.state.round_succeeded(at(60_000));
        assert!(engine.discipline.rounds() > 0);
        assert_eq!(unanswered(&mut engine, Purpose::Scheduled, 60_000), 3);
        engine.round = None;
        engine.budget = schedule::Budget::new();
        engine.start_round(Purpose::Scheduled, at(70_000));
        assert!(engine.round.as_ref().is_some_and(|round| round.began_synchronised));
        for request in 0..4 {
            let ms = 70_000 + request * 60;
            send(&mut engine, ms, request as u64);
            reply(&mut engine, ms, request as u64).expect("believed");
        }
        assert!(!engine.in_round(), "four were answered");
    }

    #[test]
    fn a_request_of_a_round_that_is_over_belongs_to_none() {
        let mut engine = engine();
        let id = send(&mut engine, 0, 1);
        assert!(engine.round_of(id).is_some());
        engine.start_round(Purpose::Manual, at(5_000));
        assert!(engine.round_of(id).is_none());
    }
}
