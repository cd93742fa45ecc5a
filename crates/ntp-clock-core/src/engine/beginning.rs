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
