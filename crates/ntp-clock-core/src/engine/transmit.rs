//! Requests on their way out.

use crate::packet::{NtpTimestamp, Packet};
use crate::time::LocalTime;

/// A request to be sent now.
#[derive(Debug)]
#[must_use = "the token goes back through handle_sent or handle_send_failed"]
pub struct Transmit {
    /// Goes back to the engine with the moment of sending.
    pub token: SendToken,
    /// Names the request when a better timestamp for it turns up later.
    pub id: RequestId,
    /// What the reply must return to be believed: 64 random bits.
    pub cookie: u64,
}

impl Transmit {
    /// The request as an NTP packet.
    #[must_use]
    pub fn ntp_request(&self) -> [u8; Packet::LEN] {
        Packet::request(NtpTimestamp::from_bits(self.cookie)).encode()
    }
}

/// Proof that a request was handed out; given back exactly once.
#[derive(Debug)]
pub struct SendToken {
    pub(super) id: RequestId,
    /// Which packet of the budget it is.
    pub(super) slot: usize,
}

/// Which request of which round.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct RequestId {
    pub(super) round: u64,
    pub(super) place: u8,
}

/// A kiss-o'-death forbids asking for now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the server asked for a pause, and nothing is sent before its end (kiss-o'-death)")]
pub struct Held {
    /// When asking is allowed again.
    pub until: LocalTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_as_a_packet_carries_its_cookie() {
        let id = RequestId { round: 1, place: 0 };
        let cookie = 0x0123_4567_89ab_cdef;
        let transmit = Transmit { token: SendToken { id, slot: 0 }, id, cookie };
        let packet = Packet::decode(&transmit.ntp_request()).expect("a packet");
        assert_eq!(packet, Packet::request(NtpTimestamp::from_bits(cookie)));
    }
}
