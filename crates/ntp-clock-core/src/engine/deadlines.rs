//! What the engine waits for: every deadline by its name, in one table.

use super::SyncEngine;
use super::round::Purpose;
use crate::time::{LocalTime, Span};

/// A moment at which the engine wants to be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deadline {
    /// The next round begins. Only between rounds.
    NextRound,
    /// The round's next request may leave: the pause after the one before is over, and the first
    /// one has waited for the packet budget.
    NextRequest,
    /// A reply to the round's last request would be too late from here on.
    LastReply,
    /// Readings expire; where holdover is to take over without a gap, a little before that.
    Expiry,
}

impl Deadline {
    const ALL: [Deadline; 4] =
        [Deadline::NextRound, Deadline::NextRequest, Deadline::LastReply, Deadline::Expiry];
}

impl SyncEngine {
    /// Time has passed; to be called whenever [`SyncEngine::poll_timeout`] is reached.
    pub fn handle_timeout(&mut self, now: LocalTime) {
        self.settle(now);
        if self.is_due(Deadline::NextRound, now) {
            self.start_round(Purpose::Scheduled, now);
        }
        self.expire(now);
    }

    /// When the engine wants to be called again, through [`SyncEngine::handle_timeout`] and
    /// [`SyncEngine::poll_transmit`]. Any input may change it.
    #[must_use]
    pub fn poll_timeout(&self) -> LocalTime {
        let deadlines = Deadline::ALL.into_iter().filter_map(|deadline| self.deadline(deadline));
        deadlines.min().unwrap_or(LocalTime::MAX)
    }

    /// When a deadline is; `None` while nothing waits for it.
    pub(super) fn deadline(&self, which: Deadline) -> Option<LocalTime> {
        match (which, &self.round) {
            (Deadline::NextRound, None) => Some(self.next_round),
            (Deadline::NextRequest, Some(round)) => {
                let next = round.next_send()?;
                // A round that has begun does not wait for the budget: its requests belong together.
                let waits = round.requests_sent() == 0;
                Some(self.budget.free_at().filter(|_| waits).map_or(next, |free| next.max(free)))
            }
            (Deadline::LastReply, Some(round)) => round.has_begun().then(|| round.deadline()),
            (Deadline::Expiry, _) => {
                let expiry = self.mapping()?.valid_until + Span::from_nanos(1);
                let seamless = !self.state.is_lost() && self.config.holdover > Span::ZERO;
                Some(if seamless { expiry - HOLDOVER_LEAD } else { expiry })
            }
            (Deadline::NextRound, Some(_))
            | (Deadline::NextRequest | Deadline::LastReply, None) => None,
        }
    }

    /// Whether a deadline has come.
    pub(super) fn is_due(&self, which: Deadline, now: LocalTime) -> bool {
        self.deadline(which).is_some_and(|at| now >= at)
    }
}

/// Longer than any thread sleeps over its deadline on a machine that is well.
const HOLDOVER_LEAD: Span = Span::from_secs(1);

#[cfg(test)]
mod tests {
    use super::super::tests::{at, engine, reply, send};
    use super::*;

    fn due(engine: &SyncEngine) -> [Option<LocalTime>; 4] {
        Deadline::ALL.map(|deadline| engine.deadline(deadline))
    }

    #[test]
    fn each_deadline_is_there_while_something_waits_for_it() {
        let mut engine = engine();
        assert_eq!(due(&engine), [Some(at(0)), None, None, None]);
        assert!(engine.is_due(Deadline::NextRound, at(0)));
        assert!(!engine.is_due(Deadline::NextRound, at(-1)));
        engine.handle_timeout(at(0));
        assert_eq!(due(&engine), [None, Some(at(0)), None, None]);
        send(&mut engine, 0, 1);
        assert_eq!(due(&engine), [None, Some(at(51)), Some(at(2_001)), None]);
        assert!(!engine.is_due(Deadline::Expiry, LocalTime::MAX));
        reply(&mut engine, 0, 1).expect("believed");
        let expiry = engine.mapping().expect("synchronised").valid_until + Span::from_nanos(1);
        assert_eq!(due(&engine), [None, Some(at(51)), Some(at(2_001)), Some(expiry)]);
        assert_eq!(engine.poll_timeout(), at(51));
    }

    #[test]
    fn a_round_waits_for_the_packet_budget_before_its_first_request_alone() {
        let mut engine = engine();
        for _ in 0..8 {
            engine.budget.spend(at(0));
        }
        engine.handle_timeout(at(0));
        assert_eq!(engine.deadline(Deadline::NextRequest), Some(at(8_200)));
        assert!(engine.poll_transmit(at(8_199), 1).is_none());
        send(&mut engine, 8_200, 1);
        for _ in 0..8 {
            engine.budget.spend(at(8_200));
        }
        assert_eq!(engine.deadline(Deadline::NextRequest), Some(at(8_251)));
    }

    #[test]
    fn holdover_is_prepared_a_second_before_readings_would_expire() {
        let mut engine = engine();
        send(&mut engine, 0, 1);
        reply(&mut engine, 0, 1).expect("believed");
        let expiry = engine.deadline(Deadline::Expiry).expect("synchronised");
        engine.config.holdover = Span::from_secs(60);
        assert_eq!(engine.deadline(Deadline::Expiry), Some(expiry - Span::from_secs(1)));
        engine.state.lose(true, at(20));
        assert_eq!(engine.deadline(Deadline::Expiry), Some(expiry), "it is held over already");
    }
}
