//! What becomes of a reply: whether it is ours, whether it is believed, what a kiss asks for.

use super::event::{AttemptError, EpochReason, Event};
use super::{SyncEngine, schedule};
use crate::discipline::Effect;
use crate::exchange::{Exchange, Rejection};
use crate::log::LogEntry;
use crate::time::LocalTime;

impl SyncEngine {
    /// The T1 and the place of the request that a reply answers. One that arrives after its round's
    /// deadline answers nothing, also where the deadline has gone by unnoticed.
    pub(super) fn answer(
        &mut self,
        cookie: u64,
        t4: LocalTime,
    ) -> Result<(LocalTime, u8), Rejection> {
        let round = self.round.as_mut().filter(|round| t4 <= round.deadline());
        round.ok_or(Rejection::Origin)?.answer(cookie)
    }

    /// Believes the exchange with the request at `place` unless it contradicts what is known.
    pub(super) fn weigh(
        &mut self,
        exchange: Exchange,
        place: u8,
        now: LocalTime,
    ) -> Result<Exchange, Rejection> {
        self.log.push(LogEntry::Exchange { exchange, handled_at: now });
        if let Some(round) = &mut self.round {
            round.weighed(place);
        }
        // Until the round's end fixes the next poll, it is due an interval from now.
        let expiry = now + self.poll_interval() + schedule::EXPIRY_GRACE;
        match self.discipline.weigh(&exchange, expiry, now) {
            Ok(Effect::Refined) => {}
            Ok(Effect::Restarted) => self.events.push(Event::EstimateRestarted),
            Ok(Effect::NewEpoch) => self.tell_epoch(EpochReason::ServerContradiction),
            Err(rejection) => return Err(self.reject(rejection)),
        }
        let reply = exchange.reply();
        self.tally.believed += 1;
        self.tally.leap = Some(reply.leap);
        self.tally.stratum = Some(reply.stratum);
        self.tally.reference_id = Some(reply.reference_id);
        if let Some(round) = &mut self.round {
            round.believed = round.believed.saturating_add(1);
        }
        self.state.believed(now);
        self.tally.last_sync = self.mapping().map(|m| (now, m.extrapolate(now).time()));
        Ok(exchange)
    }

    /// Counts a reply that is not believed and, where it is a kiss-o'-death, does as it says.
    pub(super) fn reject_or_obey(&mut self, rejection: Rejection, now: LocalTime) -> Rejection {
        self.reject(rejection);
        let Rejection::Kiss(code) = rejection else { return rejection };
        let believed = self.round.as_ref().map_or(0, |round| round.believed);
        if self.restraint.obey(code, believed, now) {
            let error = AttemptError::Kiss(code);
            if believed > 0 {
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
}
