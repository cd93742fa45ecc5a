//! The sans-I/O core of a synchronised clock.
//!
//! Everything hard lives here and nothing that touches the outside: no clock, no socket, no
//! randomness, no allocation, no unsafe code. Times and entropy are arguments.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod discipline;
mod drift;
mod engine;
mod estimator;
mod exchange;
mod hybrid;
mod link;
mod log;
mod mapping;
mod packet;
mod queue;
mod replay;
mod time;
mod whole_seconds;

pub use engine::{
    AttemptError, Authenticated, Authentication, Disruption, EngineConfig, EngineStatus,
    EpochReason, Event, Held, RequestId, SendToken, SyncEngine, SyncState, Transmit,
};
pub use estimator::{Estimate, Estimator, Verdict};
pub use exchange::{Exchange, KissCode, Rejection, ServerReply};
pub use hybrid::{HybridError, HybridTextError, HybridTime};
pub use link::{
    Difference, Evidence, Fed, Link, LinkError, LinkSnapshot, LinkStamps, Oscillator, Source,
};
pub use log::LogEntry;
pub use mapping::{Mapping, Reading};
pub use packet::{DecodeError, Leap, Mode, NtpShort, NtpTimestamp, Packet, ReferenceId};
pub use replay::Replay;
pub use time::{LocalTime, Span, SystemTime, UnixTime};
pub use whole_seconds::{Stamped, WholeSeconds};
