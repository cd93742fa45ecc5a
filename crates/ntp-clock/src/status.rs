//! What a clock tells about itself.

use std::net::SocketAddr;

use ntp_clock_core::{Leap, ReferenceId, Rejection, Span, SyncState, UnixTime};

use crate::failure::Failure;

/// Everything about a clock at one moment. Values that only a synchronised clock has are `None`
/// while it is not.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The configured server, with its port where it is not 123.
    pub server: String,
    /// Whether the clock tells the time, and if not, why not.
    pub state: SyncState,
    /// Whether readings are given now.
    pub is_synced: bool,
    /// Synchronised time less the system's wall clock, now.
    pub offset: Option<Span>,
    /// True time of the last believed reply.
    pub last_sync: Option<UnixTime>,
    /// Time since then.
    pub time_since_sync: Option<Span>,
    /// Hard bound on a reading's error, now.
    pub max_error: Option<Span>,
    /// One standard deviation of a reading, now.
    pub est_error: Option<Span>,
    /// Smallest round trip among the exchanges in use.
    pub delay: Option<Span>,
    /// How much faster than true time the local counter runs, parts per million.
    pub drift_ppm: Option<f64>,
    /// The server's distance from its primary source, 1 to 15.
    pub stratum: Option<u8>,
    /// What the server is synchronised to.
    pub reference_id: Option<ReferenceId>,
    /// The server's leap warning.
    pub leap: Option<Leap>,
    /// The address that answered last or, while none did, the one asked last.
    pub address: Option<SocketAddr>,
    /// How often replies began to come from another address of the server's name.
    pub server_changes: u64,
    /// Attempts failed in a row; 0 while all is well.
    pub attempts: u32,
    /// Replies not believed since the start, by [`Rejection::index`]; see [`Status::rejections`].
    pub rejection_counts: [u64; Rejection::COUNT],
    /// Requests sent since the start.
    pub requests: u64,
    /// Replies believed since the start.
    pub believed: u64,
    /// Why the last attempt failed; `None` once one succeeds.
    pub last_error: Option<Failure>,
    /// True time of the next poll.
    pub next_sync: Option<UnixTime>,
    /// Time until the next poll; zero while one is under way, `None` without a running clock.
    pub next_sync_in: Option<Span>,
    /// Epoch of the current or next readings.
    pub epoch: u64,
    /// The local counter in use.
    pub counter: &'static str,
}

impl Status {
    /// The code of the last failure, see [`FailureKind::code`](crate::FailureKind::code).
    #[must_use]
    pub fn last_error_code(&self) -> Option<&'static str> {
        self.last_error.as_ref().map(Failure::code)
    }

    /// The reasons for which replies were not believed, with their counts, zero ones left out.
    pub fn rejections(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Rejection::NAMES.into_iter().zip(self.rejection_counts).filter(|(_, count)| *count > 0)
    }
}
