//! One exchange with the server: four timestamps and the server's own error, whatever carried
//! them (a UDP packet, a WebSocket message, a line of a log).

use crate::packet::{Leap, Mode, NTP_VERSION, NtpTimestamp, Packet, ReferenceId};
use crate::time::{LocalTime, NANOS_PER_SEC, Span, UnixTime};

/// The server's half of an exchange: when it received and sent, and how far it may be off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerReply {
    /// T2: when the request reached the server, by its clock.
    pub receive_time: UnixTime,
    /// T3: when the reply left the server, by its clock.
    pub transmit_time: UnixTime,
    /// Round trip from the server to its primary source.
    pub root_delay: Span,
    /// Error that the server has gathered on the way to its primary source, delay not counted.
    pub root_dispersion: Span,
    /// Precision of the server's clock, log2 seconds.
    pub precision_log2_s: i8,
    /// Leap warning, or "not synchronised".
    pub leap: Leap,
    /// Distance from the primary source, 1 to 15; 16 is unsynchronised.
    pub stratum: u8,
    /// What the server is synchronised to.
    pub reference_id: ReferenceId,
}

impl ServerReply {
    /// The server's half out of an NTP packet.
    ///
    /// # Errors
    /// A [`Rejection`] where the packet is no server's reply in version 4, is a kiss-o'-death, or
    /// leaves a timestamp out (RFC 5905 section 8, packet sanity tests 2 and 3).
    pub fn from_packet(packet: &Packet) -> Result<Self, Rejection> {
        if packet.mode != Mode::Server {
            return Err(Rejection::Mode);
        }
        if packet.version != NTP_VERSION {
            return Err(Rejection::Version);
        }
        if packet.stratum == 0 {
            return Err(Rejection::of_stratum_zero(packet.reference_id));
        }
        let (t2, t3) = (packet.receive_timestamp, packet.transmit_timestamp);
        if t2 == NtpTimestamp::ZERO || t3 == NtpTimestamp::ZERO {
            return Err(Rejection::ZeroTimestamp);
        }
        Ok(ServerReply {
            receive_time: t2.to_unix(),
            transmit_time: t3.to_unix(),
            root_delay: packet.root_delay.to_span(),
            root_dispersion: packet.root_dispersion.to_span(),
            precision_log2_s: packet.precision_log2_s,
            leap: packet.leap,
            stratum: packet.stratum,
            reference_id: packet.reference_id,
        })
    }

    /// The furthest that the server's clock is from UTC by its own account: half the root delay,
    /// the root dispersion and its precision (RFC 5905 section 4, root distance).
    #[must_use]
    pub fn max_error(&self) -> Span {
        self.root_delay.half_ceil() + self.root_dispersion + precision_span(self.precision_log2_s)
    }
}

/// A believed exchange. Impossible values cannot be constructed.
///
/// ```
/// use ntp_clock_core::{Exchange, LocalTime, ServerReply, Span, UnixTime, Leap, ReferenceId};
/// let reply = ServerReply {
///     receive_time: UnixTime::from_nanos(1_000_010_000),
///     transmit_time: UnixTime::from_nanos(1_000_012_000),
///     root_delay: Span::ZERO,
///     root_dispersion: Span::from_micros(10),
///     precision_log2_s: -25,
///     leap: Leap::None,
///     stratum: 1,
///     reference_id: ReferenceId::from_bytes(*b"GPS\0"),
/// };
/// let exchange =
///     Exchange::new(LocalTime::from_nanos(0), reply, LocalTime::from_nanos(22_000)).unwrap();
/// assert_eq!(exchange.delay(), Span::from_micros(20));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exchange {
    t1: LocalTime,
    reply: ServerReply,
    t4: LocalTime,
}

impl Exchange {
    /// Puts our two timestamps around the server's half.
    ///
    /// # Errors
    /// A [`Rejection`] where the server is not synchronised, claims an error beyond
    /// [`Exchange::MAX_ROOT_DISTANCE`], or where time runs backwards: ours, the server's, or the
    /// path's (a server that holds a request for longer than we waited, by more than its own
    /// error explains).
    pub fn new(t1: LocalTime, reply: ServerReply, t4: LocalTime) -> Result<Self, Rejection> {
        if reply.leap == Leap::Unsynchronised || reply.stratum > MAX_STRATUM {
            return Err(Rejection::Unsynchronised);
        }
        if reply.stratum == 0 {
            return Err(Rejection::of_stratum_zero(reply.reference_id));
        }
        if reply.root_delay < Span::ZERO || reply.root_dispersion < Span::ZERO {
            return Err(Rejection::RootDistance);
        }
        if reply.max_error() > Exchange::MAX_ROOT_DISTANCE {
            return Err(Rejection::RootDistance);
        }
        if t4 < t1 || reply.transmit_time < reply.receive_time {
            return Err(Rejection::BackwardTimestamps);
        }
        let exchange = Exchange { t1, reply, t4 };
        // Both stamps of the server may be wrong by its error, in opposite directions.
        if exchange.delay() < -(reply.max_error().times(2) + DELAY_SLACK) {
            return Err(Rejection::NegativeDelay);
        }
        Ok(exchange)
    }

    /// The largest error of its own that a server may state and still be believed
    /// (MAXDIST of RFC 5905 section A.1).
    pub const MAX_ROOT_DISTANCE: Span = Span::from_secs(1);

    /// T1: when the request left, by our counter.
    #[must_use]
    pub const fn sent_at(&self) -> LocalTime {
        self.t1
    }

    /// T4: when the reply arrived, by our counter.
    #[must_use]
    pub const fn received_at(&self) -> LocalTime {
        self.t4
    }

    /// The server's half.
    #[must_use]
    pub const fn reply(&self) -> &ServerReply {
        &self.reply
    }

    /// Time on the path, both ways: (T4 - T1) - (T3 - T2), RFC 5905 section 8. May be a little
    /// below zero where the clocks' resolution is coarser than the path.
    #[must_use]
    pub fn delay(&self) -> Span {
        (self.t4 - self.t1) - (self.reply.transmit_time - self.reply.receive_time)
    }
}

/// Why a well-formed reply is not believed. Each is counted and shown in the status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The datagram is no NTP packet at all.
    #[error("malformed packet")]
    Malformed,
    /// It answers none of our outstanding requests: a spoof, or a reply much too late.
    #[error("reply to none of our requests (wrong origin timestamp)")]
    Origin,
    /// It answers a request that was answered before.
    #[error("duplicate reply")]
    Duplicate,
    /// It is not a server's reply.
    #[error("not a server's reply (wrong mode)")]
    Mode,
    /// It is not in NTP version 4.
    #[error("not in NTP version 4")]
    Version,
    /// The server asks us to go away or to slow down (RFC 5905 section 7.4).
    #[error("kiss-o'-death {0}")]
    Kiss(KissCode),
    /// The server says that it is not synchronised (leap indicator 3 or stratum 16).
    #[error("server is not synchronised")]
    Unsynchronised,
    /// The server states an error of its own beyond [`Exchange::MAX_ROOT_DISTANCE`].
    #[error("server's own error is over 1 s (root distance)")]
    RootDistance,
    /// The receive or transmit timestamp is missing.
    #[error("timestamp missing (zero)")]
    ZeroTimestamp,
    /// The server sent before it received, or we received before we sent.
    #[error("timestamps run backwards")]
    BackwardTimestamps,
    /// The server held the request for longer than we waited for the reply.
    #[error("server claims to have held the request longer than the round trip took")]
    NegativeDelay,
    /// The time cannot be true if what the server said before was.
    #[error("contradicts what the server said before")]
    Contradiction,
    /// The reply names another server than the first one did.
    #[error("reply of another server than the one configured")]
    Server,
    /// It carries no proof that it is our server's, or a wrong one, and proof is required.
    #[error("reply without proof that it is of our server, or changed on the way")]
    Unauthenticated,
    /// The server cannot read our cookie (NTS-NAK, RFC 8915 section 5.7), or somebody says so in
    /// its name.
    #[error("server does not know our keys any more (NTS-NAK)")]
    Nak,
}

impl Rejection {
    /// Stratum 0 with a code is a kiss-o'-death (RFC 5905 section 7.4); without one it says
    /// "unspecified" (section 7.3), as chrony does before it has the time.
    fn of_stratum_zero(code: ReferenceId) -> Self {
        if code == ReferenceId::NONE {
            return Rejection::Unsynchronised;
        }
        Rejection::Kiss(KissCode::from_reference_id(code))
    }

    /// How many reasons there are.
    pub const COUNT: usize = 15;

    /// The place of [`Rejection::Kiss`] in a table of counts.
    pub(crate) const KISS: usize = 5;

    /// Each reason's short name, in the order of [`Rejection::index`].
    pub const NAMES: [&'static str; Rejection::COUNT] = [
        "malformed",
        "origin",
        "duplicate",
        "mode",
        "version",
        "kiss",
        "unsynchronised",
        "root_distance",
        "zero_timestamp",
        "backward_timestamps",
        "negative_delay",
        "contradiction",
        "server",
        "unauthenticated",
        "nak",
    ];

    /// The reason's place in a table of counts, below [`Rejection::COUNT`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Rejection::Malformed => 0,
            Rejection::Origin => 1,
            Rejection::Duplicate => 2,
            Rejection::Mode => 3,
            Rejection::Version => 4,
            Rejection::Kiss(_) => Rejection::KISS,
            Rejection::Unsynchronised => 6,
            Rejection::RootDistance => 7,
            Rejection::ZeroTimestamp => 8,
            Rejection::BackwardTimestamps => 9,
            Rejection::NegativeDelay => 10,
            Rejection::Contradiction => 11,
            Rejection::Server => 12,
            Rejection::Unauthenticated => 13,
            Rejection::Nak => 14,
        }
    }

    /// The reason's short name, as in status reports: `"origin"`, `"kiss"` ...
    #[must_use]
    pub const fn name(self) -> &'static str {
        Rejection::NAMES[self.index()]
    }
}

/// What a kiss-o'-death packet asks for (RFC 5905 section 7.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum KissCode {
    /// `DENY`: access refused. We stop asking for an hour.
    Deny,
    /// `RSTR`: access refused by policy. We stop asking for an hour.
    Restrict,
    /// `RATE`: we ask too often. We back off.
    Rate,
    /// Any other code: nothing to obey, nothing to believe.
    Other(ReferenceId),
}

impl KissCode {
    const fn from_reference_id(id: ReferenceId) -> Self {
        match &id.to_bytes() {
            b"DENY" => KissCode::Deny,
            b"RSTR" => KissCode::Restrict,
            b"RATE" => KissCode::Rate,
            _ => KissCode::Other(id),
        }
    }
}

impl core::fmt::Display for KissCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            KissCode::Deny => f.write_str("DENY"),
            KissCode::Restrict => f.write_str("RSTR"),
            KissCode::Rate => f.write_str("RATE"),
            KissCode::Other(id) => id.fmt(f),
        }
    }
}

/// 2^`log2_s` seconds in nanoseconds, rounded up, at least 1 ns and at most some 34 years.
fn precision_span(log2_s: i8) -> Span {
    let exponent = i32::from(log2_s);
    if exponent >= 0 {
        return Span::from_secs(1 << exponent.min(30));
    }
    let divisor = 1_i64 << (-exponent).min(62);
    Span::from_nanos((NANOS_PER_SEC + divisor - 1) / divisor)
}

const MAX_STRATUM: u8 = 15;
/// Resolution of two clocks on a path shorter than it.
const DELAY_SLACK: Span = Span::from_micros(1);

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::string::ToString;

    pub(crate) fn reply_at(t2_ns: i64, t3_ns: i64) -> ServerReply {
        ServerReply {
            receive_time: UnixTime::from_nanos(t2_ns),
            transmit_time: UnixTime::from_nanos(t3_ns),
            root_delay: Span::ZERO,
            root_dispersion: Span::from_micros(10),
            precision_log2_s: -25,
            leap: Leap::None,
            stratum: 1,
            reference_id: ReferenceId::from_bytes(*b"TEST"),
        }
    }

    fn exchange(reply: ServerReply) -> Result<Exchange, Rejection> {
        Exchange::new(LocalTime::from_nanos(0), reply, LocalTime::from_nanos(1_000_000))
    }

    #[test]
    fn each_impossible_reply_is_rejected_for_its_own_reason() {
        let good = reply_at(5_000_000, 5_100_000);
        assert!(exchange(good).is_ok());
        let cases = [
            (ServerReply { leap: Leap::Unsynchronised, ..good }, Rejection::Unsynchronised),
            (ServerReply { stratum: 16, ..good }, Rejection::Unsynchronised),
            (ServerReply { root_dispersion: Span::from_secs(2), ..good }, Rejection::RootDistance),
            (ServerReply { root_delay: Span::from_secs(-2), ..good }, Rejection::RootDistance),
            (ServerReply { precision_log2_s: 127, ..good }, Rejection::RootDistance),
            (reply_at(5_000_000, 4_999_999), Rejection::BackwardTimestamps),
            (reply_at(5_000_000, 6_030_000), Rejection::NegativeDelay),
            (
                ServerReply { stratum: 0, ..good },
                Rejection::Kiss(KissCode::Other(good.reference_id)),
            ),
        ];
        for (reply, rejection) in cases {
            assert_eq!(exchange(reply), Err(rejection));
        }
        let backwards = Exchange::new(LocalTime::from_nanos(1), good, LocalTime::from_nanos(0));
        assert_eq!(backwards, Err(Rejection::BackwardTimestamps));
    }

    #[test]
    fn a_delay_below_zero_within_the_servers_error_is_possible() {
        let reply = reply_at(5_000_000, 6_010_000);
        assert_eq!(exchange(reply).map(|e| e.delay()), Ok(Span::from_micros(-10)));
    }

    #[test]
    fn a_packet_that_is_no_reply_is_rejected_before_its_times_are_read() {
        let reply = Packet {
            mode: Mode::Server,
            stratum: 1,
            receive_timestamp: NtpTimestamp::from_bits(1 << 32),
            ..Packet::request(NtpTimestamp::from_bits(1 << 33))
        };
        assert!(ServerReply::from_packet(&reply).is_ok());
        let kiss = Packet { stratum: 0, reference_id: ReferenceId::from_bytes(*b"RATE"), ..reply };
        let timeless = Packet { stratum: 0, reference_id: ReferenceId::NONE, ..reply };
        let cases = [
            (Packet { mode: Mode::Client, ..reply }, Rejection::Mode),
            (Packet { version: 3, ..reply }, Rejection::Version),
            (kiss, Rejection::Kiss(KissCode::Rate)),
            (timeless, Rejection::Unsynchronised),
            (Packet { receive_timestamp: NtpTimestamp::ZERO, ..reply }, Rejection::ZeroTimestamp),
        ];
        for (packet, rejection) in cases {
            assert_eq!(ServerReply::from_packet(&packet), Err(rejection));
        }
    }

    #[test]
    fn precision_is_rounded_up_and_never_overflows() {
        assert_eq!(precision_span(-1), Span::from_millis(500));
        assert_eq!(precision_span(-20), Span::from_nanos(954));
        assert_eq!(precision_span(-128), Span::from_nanos(1));
        assert_eq!(precision_span(0), Span::from_secs(1));
        assert!(precision_span(127) > Span::from_secs(1 << 20));
    }

    #[test]
    fn each_kiss_code_is_known_by_its_letters_and_shown_by_them() {
        let cases = [
            (*b"DENY", KissCode::Deny),
            (*b"RSTR", KissCode::Restrict),
            (*b"RATE", KissCode::Rate),
            (*b"INIT", KissCode::Other(ReferenceId::from_bytes(*b"INIT"))),
        ];
        for (letters, code) in cases {
            let id = ReferenceId::from_bytes(letters);
            assert_eq!(KissCode::from_reference_id(id), code);
            assert_eq!(code.to_string(), id.to_string());
        }
    }

    #[test]
    fn rejections_have_names_of_their_own_and_messages_that_say_what_was_wrong() {
        let names: BTreeSet<_> = Rejection::NAMES.into_iter().collect();
        assert_eq!(names.len(), Rejection::COUNT);
        assert_eq!(Rejection::Nak.index(), Rejection::COUNT - 1);
        assert_eq!(Rejection::Kiss(KissCode::Deny).to_string(), "kiss-o'-death DENY");
        assert_eq!(Rejection::Kiss(KissCode::Rate).name(), "kiss");
    }
}
