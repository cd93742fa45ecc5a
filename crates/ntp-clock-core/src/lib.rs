//! The sans-I/O core of a synchronised clock.
//!
//! Everything hard lives here and nothing that touches the outside: no clock, no socket, no
//! randomness, no allocation, no unsafe code. Times and entropy are arguments.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod exchange;
mod mapping;
mod packet;
mod time;

pub use exchange::{Exchange, KissCode, Rejection, ServerReply};
pub use mapping::{Mapping, Reading};
pub use packet::{DecodeError, Leap, Mode, NtpShort, NtpTimestamp, Packet, ReferenceId};
pub use time::{LocalTime, Span, SystemTime, UnixTime};
