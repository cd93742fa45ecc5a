//! What a clock tells about itself.

use std::net::SocketAddr;

use ntp_clock_core::{
    AttemptError, Disruption, Leap, Reading, ReferenceId, Rejection, Span, SyncState, UnixTime,
};

use crate::counter_id::CounterId;
use crate::failure::Failure;
use crate::host::SharingStatus;
use crate::moment::Beside;
use crate::nts_status::NtsStatus;
use crate::proof::Security;
use crate::runtime::Thread;
use crate::shared::Shared;
use crate::watches::host_name;

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
    /// How often the machine or the process was found disturbed: asleep, moved, restored, paused.
    pub disruptions: u64,
    /// How it was the last time.
    pub last_disruption: Option<Disruption>,
    /// Whether the host is watched, which says in `/dev/vmclock0` when it moves or restores this
    /// machine: `"watched"`; `"unclear"` while it changes what it says; else why not: `"absent"`,
    /// `"unreadable"`, `"may_shrink"`, `"no_vmclock"`, `"other_version"`, `"too_short"`.
    pub vmclock: &'static str,
    /// What is looked at besides sleep and the wall clock, to notice that the machine was
    /// disturbed: `"vmclock"`, `"vmclock_bell"` (the host wakes the clock), `"monotonic"`,
    /// `"processor"` (its own counter), `"kernel_clock"`.
    pub watches: Vec<&'static str>,
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
    /// The local counter in use: `"TSC"` or `"CNTVCT_EL0"` where it is the processor's own, or the
    /// system's, such as `"CLOCK_MONOTONIC_RAW"`.
    pub counter: &'static str,
    /// Why it is not the processor's own: `"chosen"`, or nobody chose; `"unsuitable"` or `"rate_unknown"`, for what
    /// the processor and the system have; `"clock_source"`: the kernel uses another one;
    /// `"forbidden"` to this program; `"apart"`: it ran apart from the system's;
    /// `"shared"`, with other processes; `"misspelt"`, of the environment variable `PORTACODE_NTP_COUNTER`.
    pub counter_reason: Option<&'static str>,
    /// Which one that is among those of all machines and boots.
    pub counter_id: CounterId,
    /// Whether readings are given now, of replies that were proved: somebody on the way can delay
    /// them, but not change them. `false` with plain NTP, always.
    pub authenticated: bool,
    /// This process's part in the machine's clock: who synchronises, and whether this process only
    /// reads; `None` where the clock is not to be shared.
    pub sharing: Option<SharingStatus>,
    /// What is known of the keys, where the clock requires proof; `None` with plain NTP.
    pub nts: Option<NtsStatus>,
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

impl Status {
    /// What is known at the moment of `reading`, which it does not contradict.
    pub(crate) fn of(shared: &Shared, reading: Option<Reading>) -> Self {
        let wall = Beside::read(|| shared.counters.local(), || shared.counters.system());
        let local = wall.middle();
        let counter_id = shared.stamp().counter_id;
        let state = shared.runtime().lock();
        let engine = state.status;
        // The thread may have said nothing yet, as in a child.
        let required = shared.security.as_ref().ok().and_then(Security::status);
        let nts = required.map(|before| state.nts.clone().unwrap_or(before));
        let next_at = engine.map(|e| e.next_sync).or_else(|| shared.writers_due());
        let next_in = next_at.map(|at| (at - local).max(Span::ZERO));
        let mapping = shared.mapping();
        // A clock set by hand, or inherited by a forked child, knows only its mapping.
        let made = mapping.and_then(|m| Some((m.anchor(), m.read(m.anchor())?.time())));
        let replied = engine.and_then(|e| e.last_sync_local.zip(e.last_sync));
        let (last_sync_local, last_sync) = replied.or(made).unzip();
        let state_reported = engine.map(|e| e.state);
        // The thread may not have noticed yet what the reading shows, or was stopped itself.
        let expired = reading.is_none()
            && matches!(state_reported, Some(SyncState::Synchronised | SyncState::Holdover));
        Status {
            server: match &shared.server {
                Ok(server) => server.to_string(),
                Err(error) => error.text().to_owned(),
            },
            state: match (reading, state_reported) {
                (Some(_), Some(SyncState::Holdover)) => SyncState::Holdover,
                (Some(_), _) => SyncState::Synchronised,
                (None, Some(SyncState::Unsynchronised)) => SyncState::Unsynchronised,
                (None, None) if shared.runtime().thread() != Thread::None => {
                    SyncState::Unsynchronised
                }
                (None, _) => SyncState::Failed,
            },
            is_synced: reading.is_some(),
            // By the time that belongs to the wall clock's reading, not that of a moment ago.
            offset: reading.map(|r| {
                let then = mapping.and_then(|m| m.read(local));
                let then = then.filter(|then| then.epoch() == r.epoch()).unwrap_or(r);
                Span::from_nanos(then.time().as_nanos()) - Span::from_nanos(wall.other.as_nanos())
            }),
            last_sync: last_sync.filter(|_| reading.is_some()),
            time_since_sync: last_sync_local.map(|at| local - at),
            max_error: reading.map(|r| r.max_error()),
            est_error: reading.map(|r| r.est_error()),
            delay: engine.and_then(|e| e.delay),
            // Not `-rate`: a rate of zero would be shown as -0.0.
            drift_ppm: mapping.map(|m| 0.0 - m.rate_ppm()),
            stratum: engine.and_then(|e| e.stratum),
            reference_id: engine.and_then(|e| e.reference_id),
            leap: engine.and_then(|e| e.leap),
            address: state.address,
            server_changes: state.server_changes,
            disruptions: state.disruptions,
            last_disruption: state.last_disruption,
            vmclock: host_name(shared.counters.host()),
            watches: state.watches.names(shared.counters.host()),
            attempts: engine.map_or(0, |e| e.attempts),
            rejection_counts: engine.map_or([0; Rejection::COUNT], |e| e.rejections),
            requests: engine.map_or(0, |e| e.requests),
            believed: engine.map_or(0, |e| e.believed),
            last_error: if expired {
                Some(Failure::of_attempt(AttemptError::Expired, None))
            } else {
                state.last_error.clone()
            },
            next_sync: reading.zip(next_in).map(|(r, wait)| r.time() + wait),
            next_sync_in: next_in,
            epoch: reading.map(|r| r.epoch()).or(engine.map(|e| e.epoch)).unwrap_or(1),
            counter: shared.counters.name(),
            counter_reason: shared.counters.reason(),
            counter_id,
            authenticated: reading.is_some() && nts.is_some(),
            sharing: shared.sharing_status(&state),
            nts,
        }
    }
}
