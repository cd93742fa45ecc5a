//! Whether replies must be proved, and those that somebody proved.

use crate::packet::Packet;

/// Which replies an engine believes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Authentication {
    /// Plain NTP: anyone who can change packets on the way can change the time.
    #[default]
    None,
    /// Only [`Authenticated`] ones. Whatever else comes in is counted as
    /// [`crate::Rejection::Unauthenticated`], so that no fault of a driver leads back to plain NTP.
    Required,
}

/// A packet of which every bit was proved to be of our server, in answer to our request: by
/// Network Time Security (RFC 8915), whose keys and ciphers are not the core's.
///
/// ```
/// use ntp_clock_core::{
///     Authenticated, Authentication, EngineConfig, LocalTime, NtpTimestamp, Packet, Rejection,
///     SyncEngine,
/// };
/// let now = LocalTime::from_nanos(0);
/// let engine = SyncEngine::new(EngineConfig::default(), now);
/// let mut engine = engine.with_authentication(Authentication::Required);
/// let packet = Packet::request(NtpTimestamp::from_bits(1));
/// let plain = engine.handle_datagram(&packet.encode(), now, now);
/// assert_eq!(plain, Err(Rejection::Unauthenticated));
/// // Proved, and still no server's reply.
/// let proved = engine.handle_authenticated(Authenticated::vouch(packet), now, now);
/// assert_eq!(proved, Err(Rejection::Mode));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Authenticated(Packet);

impl Authenticated {
    /// Says that this packet was proved. Nothing checks that again.
    #[must_use]
    pub const fn vouch(packet: Packet) -> Self {
        Authenticated(packet)
    }

    /// The packet.
    #[must_use]
    pub const fn packet(&self) -> &Packet {
        &self.0
    }
}
