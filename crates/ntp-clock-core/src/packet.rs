//! The NTPv4 packet (RFC 5905 section 7.3): bytes to fields and back, nothing believed yet.
//!
//! The header is 48 bytes, followed by extension fields (RFC 7822) and a MAC, both of which are
//! stepped over with their lengths checked:
//!
//! ```text
//!  0  leap:2 version:3 mode:3 | stratum | poll | precision
//!  4  root delay (16.16 s)        24  origin timestamp (32.32 s)
//!  8  root dispersion (16.16 s)   32  receive timestamp
//! 12  reference id                40  transmit timestamp
//! 16  reference timestamp         48  extension fields, MAC
//! ```

use core::fmt;

use crate::time::{NANOS_PER_SEC, Span, UnixTime};

/// An NTPv4 header (RFC 5905 figure 8), each field as it stands on the wire.
///
/// ```
/// use ntp_clock_core::{NtpTimestamp, Packet};
/// let request = Packet::request(NtpTimestamp::from_bits(0x1234));
/// assert_eq!(Packet::decode(&request.encode()), Ok(request));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Warning of a leap second, or "not synchronised".
    pub leap: Leap,
    /// Protocol version, 0 to 7.
    pub version: u8,
    /// Who speaks to whom.
    pub mode: Mode,
    /// 0 kiss-o'-death, 1 primary server, 2 to 15 secondary, 16 unsynchronised.
    pub stratum: u8,
    /// Longest interval between messages, log2 seconds.
    pub poll_log2_s: i8,
    /// Precision of the server's clock, log2 seconds.
    pub precision_log2_s: i8,
    /// Round trip to the primary source.
    pub root_delay: NtpShort,
    /// Dispersion (maximum error due to frequency) to the primary source.
    pub root_dispersion: NtpShort,
    /// The server's source, or the kiss code where the stratum is 0.
    pub reference_id: ReferenceId,
    /// When the server's clock was last set.
    pub reference_timestamp: NtpTimestamp,
    /// The transmit timestamp of the request this answers.
    pub origin_timestamp: NtpTimestamp,
    /// When the server received the request.
    pub receive_timestamp: NtpTimestamp,
    /// When the server sent the reply.
    pub transmit_timestamp: NtpTimestamp,
}

impl Packet {
    /// Bytes of the header, and of every packet that we send.
    pub const LEN: usize = 48;

    /// A client's request that tells the server nothing but a number to return: the transmit
    /// field carries randomness instead of a time, as the data minimisation draft advises.
    #[must_use]
    pub const fn request(cookie: NtpTimestamp) -> Self {
        Packet {
            leap: Leap::None,
            version: NTP_VERSION,
            mode: Mode::Client,
            stratum: 0,
            poll_log2_s: 0,
            precision_log2_s: 0,
            root_delay: NtpShort::ZERO,
            root_dispersion: NtpShort::ZERO,
            reference_id: ReferenceId::NONE,
            reference_timestamp: NtpTimestamp::ZERO,
            origin_timestamp: NtpTimestamp::ZERO,
            receive_timestamp: NtpTimestamp::ZERO,
            transmit_timestamp: cookie,
        }
    }

    /// Reads a header and steps over what follows it.
    ///
    /// # Errors
    /// [`DecodeError`] where the datagram is too short for a header or where what follows the
    /// header is neither extension fields nor a MAC.
    pub fn decode(datagram: &[u8]) -> Result<Self, DecodeError> {
        let (header, rest) = datagram
            .split_first_chunk::<{ Packet::LEN }>()
            .ok_or(DecodeError::Truncated { len: datagram.len() })?;
        check_extensions(rest)?;
        let mut cursor = Cursor(header);
        let [flags, stratum, poll, precision] = cursor.take();
        Ok(Packet {
            leap: Leap::from_bits(flags >> 6),
            version: (flags >> 3) & 0b111,
            mode: Mode::from_bits(flags),
            stratum,
            poll_log2_s: poll as i8,
            precision_log2_s: precision as i8,
            root_delay: NtpShort(u32::from_be_bytes(cursor.take())),
            root_dispersion: NtpShort(u32::from_be_bytes(cursor.take())),
            reference_id: ReferenceId(cursor.take()),
            reference_timestamp: NtpTimestamp(u64::from_be_bytes(cursor.take())),
            origin_timestamp: NtpTimestamp(u64::from_be_bytes(cursor.take())),
            receive_timestamp: NtpTimestamp(u64::from_be_bytes(cursor.take())),
            transmit_timestamp: NtpTimestamp(u64::from_be_bytes(cursor.take())),
        })
    }

    /// Writes the header.
    #[must_use]
    pub fn encode(&self) -> [u8; Packet::LEN] {
        let mut out = [0; Packet::LEN];
        let flags = (self.leap as u8) << 6 | (self.version & 0b111) << 3 | self.mode as u8;
        let head = [flags, self.stratum, self.poll_log2_s as u8, self.precision_log2_s as u8];
        let fields: [&[u8]; 8] = [
            &head,
            &self.root_delay.0.to_be_bytes(),
            &self.root_dispersion.0.to_be_bytes(),
            &self.reference_id.0,
            &self.reference_timestamp.0.to_be_bytes(),
            &self.origin_timestamp.0.to_be_bytes(),
            &self.receive_timestamp.0.to_be_bytes(),
            &self.transmit_timestamp.0.to_be_bytes(),
        ];
        for (slot, byte) in out.iter_mut().zip(fields.into_iter().flatten()) {
            *slot = *byte;
        }
        out
    }
}

/// Why a datagram is not an NTP packet. The peer (or the path) broke the rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Fewer bytes than a header has.
    #[error("datagram of {len} bytes is shorter than an NTP header (48 bytes)")]
    Truncated {
        /// Length of the datagram in bytes.
        len: usize,
    },
    /// An extension field's length is no multiple of 4, less than 16, or more than is there
    /// (RFC 7822 section 3).
    #[error("extension field at byte {offset} claims an impossible length of {len} bytes")]
    ExtensionLength {
        /// Where the field begins, in bytes from the start of the datagram.
        offset: usize,
        /// The length that it claims, in bytes.
        len: usize,
    },
    /// What follows the header has the length of neither an extension field nor a MAC.
    #[error("{len} stray bytes at byte {offset}, after the header")]
    TrailingBytes {
        /// Where they begin, in bytes from the start of the datagram.
        offset: usize,
        /// How many there are.
        len: usize,
    },
}

/// Steps over extension fields and a MAC. A rest of 4 (crypto-NAK), 20 or 24 bytes (key id and
/// digest) is a MAC: RFC 7822 section 3 makes the last extension field without a MAC at least 28
/// bytes long so that the two cannot be confused.
fn check_extensions(mut rest: &[u8]) -> Result<(), DecodeError> {
    let total = rest.len();
    loop {
        let offset = Packet::LEN + (total - rest.len());
        match rest {
            [] => return Ok(()),
            _ if MAC_LENGTHS.contains(&rest.len()) => return Ok(()),
            [_, _, high, low, ..] => {
                let len = usize::from(u16::from_be_bytes([*high, *low]));
                if len < EXTENSION_LEN_MIN || !len.is_multiple_of(4) {
                    return Err(DecodeError::ExtensionLength { offset, len });
                }
                rest = rest.get(len..).ok_or(DecodeError::ExtensionLength { offset, len })?;
            }
            _ => return Err(DecodeError::TrailingBytes { offset, len: rest.len() }),
        }
    }
}

/// A fixed header that is consumed from the front; a field that does not fit reads as zeros,
/// which the header's constant length rules out.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((head, tail)) = self.0.split_first_chunk::<N>() else { return [0; N] };
        self.0 = tail;
        *head
    }
}

/// A time on the wire: 32 bits of seconds since an era's start, 32 bits of fraction (2^-32 s).
/// Era 0 began on 1 January 1900 and ends on 7 February 2036 (RFC 5905 section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct NtpTimestamp(u64);

impl NtpTimestamp {
    /// "Unknown": all bits zero.
    pub const ZERO: NtpTimestamp = NtpTimestamp(0);

    /// The timestamp with these 64 bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        NtpTimestamp(bits)
    }

    /// The 64 bits.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The Unix time meant, in the 136 years from 1 January 1990 on, rounded to the nearest
    /// nanosecond (a nanosecond is 4.3 units).
    ///
    /// The wire says no era. Where RFC 5905 resolves it by the system clock, we take a fixed
    /// window: the answer never depends on a clock that may be wrong.
    ///
    /// ```
    /// use ntp_clock_core::{NtpTimestamp, UnixTime};
    /// // One second after era 1 began, in 2036.
    /// let t = NtpTimestamp::from_bits(1 << 32).to_unix();
    /// assert_eq!(t.to_string(), "2036-02-07T06:28:17.000000+00:00");
    /// assert_eq!(NtpTimestamp::from_unix(t).to_bits(), 1 << 32);
    /// ```
    #[must_use]
    pub const fn to_unix(self) -> UnixTime {
        let secs = (self.0 >> 32) as u32;
        // Wrapping distance from the window's start: era arithmetic without eras.
        let after_start = secs.wrapping_sub(ERA_WINDOW_START_NTP_S as u32) as i64;
        let unix_secs = after_start + ERA_WINDOW_START_UNIX_S;
        let fraction = self.0 & 0xffff_ffff;
        let nanos = (fraction * NANOS_PER_SEC as u64 + (1 << 31)) >> 32;
        // unix_secs is below 4.9e9, so the product stays below 4.9e18 < 2^63.
        UnixTime::from_nanos(unix_secs * NANOS_PER_SEC + nanos as i64)
    }

    /// The timestamp of a Unix time, its era dropped, rounded up to the next unit of 2^-32 s so
    /// that [`NtpTimestamp::to_unix`] gives the same nanosecond back.
    #[must_use]
    pub const fn from_unix(time: UnixTime) -> Self {
        let nanos = time.as_nanos();
        let secs = nanos.div_euclid(NANOS_PER_SEC) + NTP_TO_UNIX_S;
        let sub = nanos.rem_euclid(NANOS_PER_SEC) as u64;
        let fraction = (sub << 32).div_ceil(NANOS_PER_SEC as u64);
        NtpTimestamp((secs as u64) << 32 | fraction)
    }
}

/// An unsigned span on the wire: 16 bits of seconds, 16 bits of fraction (RFC 5905 section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct NtpShort(u32);

impl NtpShort {
    /// No time at all.
    pub const ZERO: NtpShort = NtpShort(0);

    /// The span with these 32 bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        NtpShort(bits)
    }

    /// The 32 bits.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// The span in nanoseconds, rounded up: these are errors.
    #[must_use]
    pub const fn to_span(self) -> Span {
        Span::from_nanos((self.0 as u64 * NANOS_PER_SEC as u64).div_ceil(1 << 16) as i64)
    }

    /// The nearest span on the wire that is no shorter; negative becomes zero, more than 65,535 s
    /// the longest.
    #[must_use]
    pub const fn from_span_ceil(span: Span) -> Self {
        let nanos = span.as_nanos();
        if nanos <= 0 {
            return NtpShort::ZERO;
        }
        let units = ((nanos as u128) << 16).div_ceil(NANOS_PER_SEC as u128);
        NtpShort(if units > u32::MAX as u128 { u32::MAX } else { units as u32 })
    }
}

/// Leap indicator (RFC 5905 figure 9).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
#[repr(u8)]
pub enum Leap {
    /// No warning.
    #[default]
    None = 0,
    /// The last minute of the current month has 61 seconds.
    Insert = 1,
    /// The last minute of the current month has 59 seconds.
    Delete = 2,
    /// The server is not synchronised.
    Unsynchronised = 3,
}

impl Leap {
    /// The indicator in the lowest two bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0 => Leap::None,
            1 => Leap::Insert,
            2 => Leap::Delete,
            _ => Leap::Unsynchronised,
        }
    }
}

/// Association mode (RFC 5905 figure 10).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Mode {
    Reserved = 0,
    SymmetricActive = 1,
    SymmetricPassive = 2,
    Client = 3,
    Server = 4,
    Broadcast = 5,
    Control = 6,
    Private = 7,
}

impl Mode {
    const fn from_bits(bits: u8) -> Self {
        match bits & 0b111 {
            0 => Mode::Reserved,
            1 => Mode::SymmetricActive,
            2 => Mode::SymmetricPassive,
            3 => Mode::Client,
            4 => Mode::Server,
            5 => Mode::Broadcast,
            6 => Mode::Control,
            _ => Mode::Private,
        }
    }
}

/// Reference identifier: a primary server's source in ASCII, a secondary server's upstream
/// address, or a kiss code (RFC 5905 section 7.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ReferenceId([u8; 4]);

impl ReferenceId {
    /// All zeros.
    pub const NONE: ReferenceId = ReferenceId([0; 4]);

    /// The identifier with these four bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        ReferenceId(bytes)
    }

    /// Its four bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    /// The most ASCII characters that its text has: those of a dotted quad.
    pub const TEXT_MAX: usize = 15;

    /// Writes what `Display` shows, in ASCII, and gives its length: for programs to which all of
    /// `core::fmt` would be too much.
    ///
    /// ```
    /// use ntp_clock_core::ReferenceId;
    /// let mut text = [0; ReferenceId::TEXT_MAX];
    /// let len = ReferenceId::from_bytes([10, 0, 0, 123]).write_text(&mut text);
    /// assert_eq!(&text[..len], b"10.0.0.123");
    /// ```
    #[must_use]
    pub fn write_text(self, to: &mut [u8; ReferenceId::TEXT_MAX]) -> usize {
        let letters = self.0.iter().position(|b| *b == 0).unwrap_or(4);
        let (text, padding) = self.0.split_at(letters);
        let printable = letters > 0 && text.iter().all(|b| b.is_ascii_graphic());
        let mut len = 0;
        let mut push = |character| {
            if let Some(place) = to.get_mut(len) {
                *place = character;
                len += 1;
            }
        };
        if printable && padding.iter().all(|b| *b == 0) {
            text.iter().for_each(|b| push(*b));
            return len;
        }
        for (place, byte) in self.0.into_iter().enumerate() {
            if place > 0 {
                push(b'.');
            }
            for unit in [100, 10, 1] {
                if byte >= unit || unit == 1 {
                    push(b'0' + byte / unit % 10);
                }
            }
        }
        len
    }
}

impl fmt::Display for ReferenceId {
    /// Printable ASCII (padded with zeros) as text, anything else as a dotted quad.
    ///
    /// ```
    /// use ntp_clock_core::ReferenceId;
    /// assert_eq!(ReferenceId::from_bytes(*b"GPS\0").to_string(), "GPS");
    /// assert_eq!(ReferenceId::from_bytes([10, 0, 0, 1]).to_string(), "10.0.0.1");
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; ReferenceId::TEXT_MAX];
        let len = self.write_text(&mut text);
        f.write_str(core::str::from_utf8(&text[..len]).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for ReferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReferenceId({self})")
    }
}

/// The protocol version that we speak.
pub(crate) const NTP_VERSION: u8 = 4;
/// From 1900 to 1970: 70 years with 17 leap days.
const NTP_TO_UNIX_S: i64 = (70 * 365 + 17) * 86_400;
/// 1 January 1990.
const ERA_WINDOW_START_UNIX_S: i64 = 631_152_000;
const ERA_WINDOW_START_NTP_S: i64 = ERA_WINDOW_START_UNIX_S + NTP_TO_UNIX_S;
const EXTENSION_LEN_MIN: usize = 16;
const MAC_LENGTHS: [usize; 3] = [4, 20, 24];

#[cfg(test)]
mod tests;
