//! What becomes of a reply: whether it is ours, whether it is believed, what a kiss asks for.

use super::event::{AttemptError, EpochReason, Event};
use super::{SyncEngine, schedule};
use crate::discipline::Effect;
use crate::exchange::{Exchange, Rejection, ServerReply};
use crate::log::LogEntry;
use crate::packet::Packet;
use crate::time::LocalTime;

impl SyncEngine {
    /// A packet in answer to the request whose cookie it returns.
    pub(super) fn take_packet(
        &mut self,
        packet: &Packet,
        t4: LocalTime,
        now: LocalTime,
    ) -> Result<Exchange, Rejection> {
        let cookie = packet.origin_timestamp.to_bits();
        match ServerReply::from_packet(packet) {
            Ok(reply) => self.take_reply(cookie, reply, t4, now),
            // Mode and version say nothing about which request is meant.
            Err(rejection @ (Rejection::Mode | Rejection::Version)) => Err(self.reject(rejection)),
            Err(rejection) => Err(self.take_refusal(cookie, rejection, t4, now)),
        }
    }

    /// The server's half of the exchange whose request had this cookie.
    pub(super) fn take_reply(
        &mut self,
        cookie: u64,
        reply: ServerReply,
        t4: LocalTime,
        now: LocalTime,
    ) -> Result<Exchange, Rejection> {
        let exchange = self
            .answer(cookie, t4)
            .and_then(|(t1, place)| Ok((Exchange::new(t1, reply, t4)?, place)))
            .map_err(|rejection| self.reject_or_obey(rejection, now));
        let believed = exchange.and_then(|(exchange, place)| self.weigh(exchange, place, now));
        self.settle(now);
        believed
    }

    /// A reply without a time to believe, to the request with this cookie.
    pub(super) fn take_refusal(
        &mut self,
        cookie: u64,
        rejection: Rejection,
        t4: LocalTime,
        now: LocalTime,
    ) -> Rejection {
        let answered = self.answer(cookie, t4);
        let rejection = self.reject_or_obey(answered.err().unwrap_or(rejection), now);
        self.settle(now);
        rejection
    }

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

#[cfg(test)]
mod tests {
    use super::super::SyncState;
    use super::super::tests::{at, engine, reply, send};
    use super::*;
    use crate::exchange::KissCode;

    fn kiss(engine: &mut SyncEngine, cookie: u64, code: KissCode, ms: i64) -> Rejection {
        engine.handle_refusal(cookie, Rejection::Kiss(code), at(ms), at(ms))
    }

    #[test]
    fn a_reply_is_in_time_until_its_rounds_deadline() {
        for (t4, error) in [(2_001, None), (2_002, Some(Rejection::Origin))] {
            let mut engine = engine();
            send(&mut engine, 0, 7);
            assert_eq!(engine.answer(7, at(t4)).err(), error);
        }
        assert_eq!(engine().answer(7, at(0)), Err(Rejection::Origin), "no round");
    }

    #[test]
    fn until_its_round_ends_a_believed_reply_serves_for_an_interval_and_two_minutes() {
        let mut engine = engine();
        send(&mut engine, 0, 7);
        reply(&mut engine, 0, 7).expect("believed");
        let valid_until = engine.mapping().expect("synchronised").valid_until;
        assert_eq!(valid_until, at(20 + 300_000 + 120_000));
        let status = engine.status(at(20));
        assert_eq!((status.believed, status.requests, status.stratum), (1, 1, Some(1)));
    }

    #[test]
    fn a_kiss_before_anything_was_believed_fails_the_clock_and_counts() {
        let mut engine = engine();
        send(&mut engine, 0, 7);
        assert_eq!(kiss(&mut engine, 7, KissCode::Deny, 30), Rejection::Kiss(KissCode::Deny));
        let status = engine.status(at(30));
        assert_eq!((status.state, status.attempts), (SyncState::Failed, 1));
        assert_eq!(status.rejections[Rejection::Kiss(KissCode::Deny).index()], 1);
        assert_eq!(status.next_sync, at(30) + schedule::DENY_HOLD);
        assert!(!status.in_round);
    }

    #[test]
    fn a_kiss_after_a_believed_reply_ends_the_round_and_the_clock_serves_on() {
        let mut engine = engine();
        send(&mut engine, 0, 7);
        reply(&mut engine, 0, 7).expect("believed");
        send(&mut engine, 51, 8);
        kiss(&mut engine, 8, KissCode::Rate, 80);
        let status = engine.status(at(80));
        assert_eq!((status.state, status.rounds), (SyncState::Synchronised, 1));
        assert_eq!(status.next_sync, at(80) + schedule::RATE_HOLD_MIN);
    }

    #[test]
    fn a_kiss_that_asks_for_nothing_is_counted_and_the_round_goes_on() {
        let mut engine = engine();
        send(&mut engine, 0, 7);
        let code = KissCode::Other(crate::packet::ReferenceId::from_bytes(*b"INIT"));
        kiss(&mut engine, 7, code, 30);
        assert!(engine.in_round() && engine.status(at(30)).rejections[5] == 1);
        let last = engine.round.as_ref().and_then(|round| round.last_rejection);
        assert_eq!(last, Some(Rejection::Kiss(code)));
    }
}
