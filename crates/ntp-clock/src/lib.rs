//! A synchronised clock for distributed tracing: in-process, no root, no daemon, nothing to
//! configure, and an honest error on every reading.
//!
//! There is one time source, `time.cloudflare.com`. A reading is either right within its stated
//! error or it is `None`; nothing is ever guessed, and the system's clock is never a substitute.
//!
//! Three kinds of time are kept apart by type: [`LocalTime`] is a free-running counter of this
//! machine, [`SystemTime`] its wall clock, [`UnixTime`] true time.
//!
//! ```no_run
//! use ntp_clock::Clock;
//! let reading = Clock::global().now(); // `None` until the first reply, one round trip later
//! ```

#[cfg(test)]
mod address_tests;
mod bridge;
mod builder;
mod carrier;
mod clock;
mod compared;
mod config;
mod counter_choice;
mod counter_id;
#[cfg(all(test, target_os = "linux"))]
mod counter_tests;
mod counters;
#[cfg(all(test, target_os = "linux"))]
mod disruption_tests;
#[cfg(test)]
mod disturbance_tests;
mod driver;
mod environment;
mod event;
mod failure;
mod fork;
mod host;
mod hybrid_clock;
mod journal;
mod keeper;
mod last_stamp;
mod latch;
#[cfg(feature = "log")]
pub mod log;
#[cfg(test)]
mod machine;
mod manual;
mod moment;
#[cfg(feature = "nts")]
pub mod nts;
mod nts_choice;
mod nts_status;
mod os;
mod page;
mod past;
mod proof;
mod publisher;
mod recording;
mod report;
mod runtime;
mod server;
mod shared;
mod stamp;
mod status;
#[cfg(feature = "json")]
mod status_json;
mod system_counter;
mod text;
#[cfg(feature = "tracing-subscriber")]
mod tracing_time;
mod true_time;
mod watchdog;
mod watches;

pub use builder::Builder;
pub use clock::{Clock, SyncError, SyncTicket};
pub use config::ConfigError;
pub use counter_choice::CounterChoice;
pub use counter_id::CounterId;
pub use environment::EnvironmentError;
pub use event::{ClockEvent, Events};
pub use failure::{Failure, FailureKind};
pub use host::{SharedPart, Sharing, SharingStatus};
pub use hybrid_clock::HybridClock;
pub use journal::{Missed, Recorded};
pub use manual::ManualClock;
pub use ntp_clock_core::{
    AttemptError, Disruption, EpochReason, Event, Exchange, HybridError, HybridTextError,
    HybridTime, KissCode, Leap, LocalTime, LogEntry, Mapping, Reading, ReferenceId, Rejection,
    Replay, ServerReply, Span, SyncState, SystemTime, UnixTime,
};
pub use nts_choice::{Nts, NtsError, NtsRoots};
pub use nts_status::NtsStatus;
pub use recording::Recording;
pub use server::{Server, ServerError};
pub use stamp::Stamp;
pub use status::Status;
#[cfg(feature = "tracing-subscriber")]
pub use tracing_time::NtpTime;
pub use true_time::{Look, WaitError};
