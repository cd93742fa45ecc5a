//! What becomes of a reply that was proved, and of one that was not where it must be.

use super::SyncEngine;
use super::authentication::{Authenticated, Authentication};
use crate::exchange::{Exchange, Rejection};
use crate::time::LocalTime;

impl SyncEngine {
    /// The same engine, believing only such replies from now on. It is no part of the
    /// configuration: the caller that resumes an engine sets it again.
    #[must_use]
    pub fn with_authentication(self, authentication: Authentication) -> Self {
        SyncEngine { authentication, ..self }
    }

    /// A packet that was proved to be of our server arrived at `t4`. A kiss-o'-death is obeyed.
    ///
    /// # Errors
    /// The [`Rejection`] where it is not believed; it is counted here as well.
    pub fn handle_authenticated(
        &mut self,
        reply: Authenticated,
        t4: LocalTime,
        now: LocalTime,
    ) -> Result<Exchange, Rejection> {
        self.take_packet(reply.packet(), t4, now)
    }

    /// What arrived could not be proved, for this reason, which is counted and given back. It
    /// answers no request, so the real reply is still waited for, and nothing in it is obeyed.
    pub fn handle_unproved(&mut self, reason: Rejection, now: LocalTime) -> Rejection {
        let rejection = self.reject(reason);
        self.settle(now);
        rejection
    }

    /// Refuses whatever was not proved, where proof is required.
    pub(super) fn allow_plain(&mut self, now: LocalTime) -> Result<(), Rejection> {
        match self.authentication {
            Authentication::None => Ok(()),
            Authentication::Required => Err(self.handle_unproved(Rejection::Unauthenticated, now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, send};
    use super::super::{EngineConfig, SyncState};
    use super::*;
    use crate::exchange::KissCode;
    use crate::exchange::tests::reply_at;
    use crate::packet::{Mode, NtpTimestamp, Packet, ReferenceId};
    use crate::time::UnixTime;

    fn engine() -> SyncEngine {
        let engine = SyncEngine::new(EngineConfig::default(), at(0));
        engine.with_authentication(Authentication::Required)
    }

    fn packet(cookie: u64) -> Packet {
        let time = NtpTimestamp::from_unix(UnixTime::from_nanos(1_800_000_000_000_000_000));
        Packet {
            mode: Mode::Server,
            stratum: 1,
            origin_timestamp: NtpTimestamp::from_bits(cookie),
            receive_timestamp: time,
            ..Packet::request(time)
        }
    }

    fn kiss(cookie: u64, code: [u8; 4]) -> Packet {
        Packet { stratum: 0, reference_id: ReferenceId::from_bytes(code), ..packet(cookie) }
    }

    #[test]
    fn where_proof_is_required_nothing_else_is_believed_or_obeyed_or_takes_the_replys_place() {
        let mut engine = engine();
        send(&mut engine, 0, 7);
        let (t4, now) = (at(20), at(20));
        let plain = [packet(7), kiss(7, *b"DENY"), kiss(7, *b"RATE")];
        for packet in plain {
            let refused = engine.handle_datagram(&packet.encode(), t4, now);
            assert_eq!(refused, Err(Rejection::Unauthenticated));
        }
        let refused = engine.handle_response(7, reply_at(1, 2), t4, now);
        assert_eq!(refused, Err(Rejection::Unauthenticated));
        let refused = engine.handle_refusal(7, Rejection::Kiss(KissCode::Deny), t4, now);
        assert_eq!(refused, Rejection::Unauthenticated);
        let status = engine.status(now);
        assert_eq!(status.rejections[Rejection::Unauthenticated.index()], 5);
        assert_eq!((status.state, status.believed), (SyncState::Unsynchronised, 0));
        assert!(status.in_round && engine.mapping().is_none());

        let exchange = engine.handle_authenticated(Authenticated::vouch(packet(7)), t4, now);
        assert!(exchange.is_ok(), "{exchange:?}");
        assert!(engine.mapping().is_some());
        let again = engine.handle_authenticated(Authenticated::vouch(packet(7)), t4, now);
        assert_eq!(again, Err(Rejection::Duplicate));
    }

    #[test]
    fn a_kiss_that_was_proved_is_obeyed() {
        let mut engine = engine();
        send(&mut engine, 0, 7);
        let kiss = Authenticated::vouch(kiss(7, *b"DENY"));
        let refused = engine.handle_authenticated(kiss, at(20), at(20));
        assert_eq!(refused, Err(Rejection::Kiss(KissCode::Deny)));
        assert_eq!(engine.status(at(20)).state, SyncState::Failed);
    }

    #[test]
    fn a_nak_is_counted_gives_no_time_and_the_round_waits_for_the_real_reply() {
        let mut engine = engine();
        send(&mut engine, 0, 7);
        assert_eq!(engine.handle_unproved(Rejection::Nak, at(10)), Rejection::Nak);
        // Whatever the reason is, an unproved datagram is not obeyed.
        engine.handle_unproved(Rejection::Kiss(KissCode::Deny), at(10));
        let status = engine.status(at(10));
        assert_eq!(status.rejections[Rejection::Nak.index()], 1);
        assert!(status.in_round && status.state == SyncState::Unsynchronised);
        let reply = Authenticated::vouch(packet(7));
        assert!(engine.handle_authenticated(reply, at(20), at(20)).is_ok());
    }

    #[test]
    fn a_round_that_saw_nothing_proved_fails_with_that_reason_at_its_end() {
        let mut engine = engine();
        send(&mut engine, 0, 7);
        engine.handle_unproved(Rejection::Nak, at(10));
        engine.round.as_mut().expect("under way").stop_sending();
        // What comes when the round is over ends it.
        engine.handle_unproved(Rejection::Unauthenticated, at(2_001));
        let status = engine.status(at(2_001));
        let error = status.last_error.map(crate::engine::AttemptError::code);
        assert_eq!((status.in_round, error), (false, Some("rejected_unauthenticated")));
    }

    #[test]
    fn plain_ntp_believes_what_was_proved_too() {
        let mut engine = SyncEngine::new(EngineConfig::default(), at(0));
        send(&mut engine, 0, 7);
        let reply = Authenticated::vouch(packet(7));
        assert!(engine.handle_authenticated(reply, at(20), at(20)).is_ok());
    }
}
