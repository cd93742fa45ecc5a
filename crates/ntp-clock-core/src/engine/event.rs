//! What the engine tells: events as they happen, and a status at any time.

use core::fmt;

use crate::exchange::{KissCode, Rejection};
use crate::packet::{Leap, ReferenceId};
use crate::time::{LocalTime, Span, UnixTime};

/// Something that users of a clock may want to know when it happens.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A round ended with at least one believed reply.
    Synchronised {
        /// Epoch of the readings.
        epoch: u64,
        /// Hard bound at this moment.
        max_error: Span,
        /// One standard deviation at this moment.
        est_error: Span,
        /// Smallest round trip in the window.
        delay: Span,
        /// Believed replies of this round.
        believed: u8,
        /// Requests of this round.
        sent: u8,
        /// The clock had no valid reading before this round.
        recovered: bool,
    },
    /// A round ended without a believed reply.
    AttemptFailed {
        /// Which attempt in a row, from 1.
        attempt: u32,
        /// Why.
        reason: AttemptError,
    },
    /// The clock has no reading any more (or never had one) and keeps trying.
    Failed {
        /// Why the last attempt failed.
        reason: AttemptError,
        /// When the next attempt is due.
        retry_at: LocalTime,
    },
    /// Readings may start earlier than before.
    EpochChanged {
        /// The new epoch.
        epoch: u64,
        /// What broke the old one.
        reason: EpochReason,
    },
    /// Offset and frequency were estimated afresh, within the old bound.
    EstimateRestarted,
    /// A reply was not believed.
    Rejected(Rejection),
    /// Replies come from another address of the server's name than before. Reported by the carrier;
    /// an epoch begins only where what that server says contradicts what was known.
    ServerChanged,
    /// The machine or this process was disturbed. Reported by the driver; where readings end for
    /// it, a new epoch follows, and in every case a round, if a kiss-o'-death does not forbid it.
    Disrupted(Disruption),
}

/// What disturbed the machine, the process, or the belief in its counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Disruption {
    /// The machine slept, and the counter stood still.
    Suspend,
    /// The host loaded this virtual machine from a snapshot.
    Restored,
    /// The host says that the counter was disturbed, as by a live migration.
    Moved,
    /// What the host says about the counter was being changed for too long to wait, or still is.
    HostUnclear,
    /// Counters that run alike ran apart.
    CountersApart,
    /// The process or the machine did not run for a while; the counter did.
    Paused,
    /// The wall clock was set, by more than the clock's own error.
    WallClockSet,
    /// The program that steers the kernel's clock gave it up, or steers it by force.
    KernelClock,
}

impl Disruption {
    /// The disruption in one word that stays the same from version to version.
    ///
    /// ```
    /// use ntp_clock_core::Disruption;
    /// assert_eq!(Disruption::Restored.name(), "restored");
    /// assert!(Disruption::Restored.ends_readings() && !Disruption::Paused.ends_readings());
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Disruption::Suspend => "suspend",
            Disruption::Restored => "restored",
            Disruption::Moved => "moved",
            Disruption::HostUnclear => "host_unclear",
            Disruption::CountersApart => "counters_apart",
            Disruption::Paused => "paused",
            Disruption::WallClockSet => "wall_clock_set",
            Disruption::KernelClock => "kernel_clock",
        }
    }

    /// Whether the counter may have lost or gained time, so that no reading stands.
    #[must_use]
    pub const fn ends_readings(self) -> bool {
        !matches!(self, Disruption::Paused | Disruption::WallClockSet | Disruption::KernelClock)
    }
}

impl fmt::Display for Disruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Disruption::Suspend => "the machine slept",
            Disruption::Restored => "the host restored this machine from a snapshot",
            Disruption::Moved => "the host says that the counter was disturbed (live migration)",
            Disruption::HostUnclear => {
                "what the host says about the counter (/dev/vmclock0) was being changed for too long"
            }
            Disruption::CountersApart => "the machine's counters ran apart",
            Disruption::Paused => "the process or the machine was paused",
            Disruption::WallClockSet => "the wall clock was set",
            Disruption::KernelClock => "the kernel's clock lost its source or is steered by force",
        })
    }
}

/// Why a round had no believed reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// Nothing came back in time.
    #[error("no reply within 2 s")]
    NoReply,
    /// Something came back and was not believed.
    #[error("{0}")]
    Rejected(Rejection),
    /// The request could not be sent; the carrier knows why (name resolution, no route ...).
    #[error("request could not be sent")]
    NotSent,
    /// Nobody asked the server in time: the process was stopped or starved, and the last readings
    /// ran out.
    #[error("readings expired before the server was asked again")]
    Expired,
    /// The server refused (DENY, RSTR) or asked for fewer requests (RATE).
    #[error("server sent kiss-o'-death {0}")]
    Kiss(KissCode),
}

impl AttemptError {
    /// How many codes there are.
    pub const COUNT: usize = 21;

    /// Each failure's stable code, in the order of [`AttemptError::index`].
    pub const CODES: [&'static str; AttemptError::COUNT] = [
        "no_reply",
        "not_sent",
        "expired",
        "kiss_deny",
        "kiss_rstr",
        "kiss_rate",
        "kiss_other",
        "rejected_malformed",
        "rejected_origin",
        "rejected_duplicate",
        "rejected_mode",
        "rejected_version",
        "rejected_unsynchronised",
        "rejected_root_distance",
        "rejected_zero_timestamp",
        "rejected_backward_timestamps",
        "rejected_negative_delay",
        "rejected_contradiction",
        "rejected_server",
        "rejected_unauthenticated",
        "rejected_nak",
    ];

    /// The code's place in [`AttemptError::CODES`], for those who hand on numbers.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            AttemptError::NoReply => 0,
            AttemptError::NotSent => 1,
            AttemptError::Expired => 2,
            AttemptError::Kiss(code) | AttemptError::Rejected(Rejection::Kiss(code)) => {
                match code {
                    KissCode::Deny => 3,
                    KissCode::Restrict => 4,
                    KissCode::Rate => 5,
                    KissCode::Other(_) => 6,
                }
            }
            AttemptError::Rejected(rejection) => match rejection.index() {
                // Kisses, which have codes of their own, stand in the midst of the reasons.
                index if index < Rejection::KISS => REJECTIONS_FROM + index,
                index => REJECTIONS_FROM + index - 1,
            },
        }
    }

    /// The failure in one word that stays the same from version to version, for programs that
    /// look up what to do: `"no_reply"`, `"kiss_deny"`, `"rejected_origin"` ...
    ///
    /// ```
    /// use ntp_clock_core::{AttemptError, Rejection};
    /// assert_eq!(AttemptError::NoReply.code(), "no_reply");
    /// assert_eq!(AttemptError::Rejected(Rejection::Origin).code(), "rejected_origin");
    /// ```
    #[must_use]
    pub const fn code(self) -> &'static str {
        AttemptError::CODES[self.index()]
    }
}

/// The first code of a reply that was not believed.
const REJECTIONS_FROM: usize = 7;

/// Why an epoch ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum EpochReason {
    /// What the server says now and what it said before cannot both be true: it stepped, it lied,
    /// a leap second happened, or the local oscillator left its allowance.
    ServerContradiction,
    /// The local counter lost time, or may have: the machine slept, or its host paused, moved or
    /// restored it. [`Event::Disrupted`] says which.
    Suspend,
}

impl fmt::Display for EpochReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EpochReason::ServerContradiction => "the server contradicted what it said before",
            EpochReason::Suspend => "the local counter lost time (suspend)",
        })
    }
}

/// Whether the clock tells the time, and if not, why not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum SyncState {
    /// Not synchronised yet (or not again since a suspend); the first attempts are under way.
    Unsynchronised,
    /// Readings are given.
    Synchronised,
    /// The server is lost, readings go on within a growing bound because the user asked for that.
    Holdover,
    /// Three attempts failed; no readings; attempts go on with growing pauses.
    Failed,
}

impl SyncState {
    /// The state in one word, as in status reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SyncState::Unsynchronised => "unsynchronised",
            SyncState::Synchronised => "synchronised",
            SyncState::Holdover => "holdover",
            SyncState::Failed => "failed",
        }
    }
}

/// Everything that the engine knows about itself at one moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct EngineStatus {
    /// Whether the clock tells the time.
    pub state: SyncState,
    /// Epoch of the current or next readings.
    pub epoch: u64,
    /// When the last believed reply arrived, by the counter.
    pub last_sync_local: Option<LocalTime>,
    /// When the last believed reply arrived, by the estimate of then.
    pub last_sync: Option<UnixTime>,
    /// Smallest round trip in the window.
    pub delay: Option<Span>,
    /// How much faster true time runs than the counter, parts per million.
    pub rate_ppm: Option<f64>,
    /// Leap indicator of the last believed reply.
    pub leap: Option<Leap>,
    /// Stratum of the last believed reply.
    pub stratum: Option<u8>,
    /// Reference id of the last believed reply.
    pub reference_id: Option<ReferenceId>,
    /// Attempts failed in a row; 0 while all is well.
    pub attempts: u32,
    /// Replies not believed since the start, by [`Rejection::index`].
    pub rejections: [u64; Rejection::COUNT],
    /// Requests sent since the start.
    pub requests: u64,
    /// Replies believed since the start.
    pub believed: u64,
    /// Successful rounds since the start.
    pub rounds: u64,
    /// Why the last attempt failed; `None` once one succeeds.
    pub last_error: Option<AttemptError>,
    /// When the next round is due; now or earlier while a scheduled one is under way.
    pub next_sync: LocalTime,
    /// A round is under way.
    pub in_round: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    const KISSES: [(KissCode, &str); 4] = [
        (KissCode::Deny, "kiss_deny"),
        (KissCode::Restrict, "kiss_rstr"),
        (KissCode::Rate, "kiss_rate"),
        (KissCode::Other(ReferenceId::NONE), "kiss_other"),
    ];
    const REJECTIONS: [Rejection; Rejection::COUNT - 1] = [
        Rejection::Malformed,
        Rejection::Origin,
        Rejection::Duplicate,
        Rejection::Mode,
        Rejection::Version,
        Rejection::Unsynchronised,
        Rejection::RootDistance,
        Rejection::ZeroTimestamp,
        Rejection::BackwardTimestamps,
        Rejection::NegativeDelay,
        Rejection::Contradiction,
        Rejection::Server,
        Rejection::Unauthenticated,
        Rejection::Nak,
    ];

    #[test]
    fn every_failure_has_a_code_of_its_own_that_names_the_rejection_or_the_kiss() {
        assert_eq!(AttemptError::NoReply.code(), "no_reply");
        assert_eq!(AttemptError::NotSent.code(), "not_sent");
        assert_eq!(AttemptError::Expired.code(), "expired");
        for (kiss, code) in KISSES {
            assert_eq!(AttemptError::Kiss(kiss).code(), code);
            assert_eq!(AttemptError::Rejected(Rejection::Kiss(kiss)).code(), code);
        }
        for rejection in REJECTIONS {
            let code = format!("rejected_{}", rejection.name());
            assert_eq!(AttemptError::Rejected(rejection).code(), code);
        }
        // Numbers are handed on: new codes come behind the old ones.
        assert_eq!(AttemptError::Rejected(Rejection::Server).index(), 18);
        assert_eq!(AttemptError::Rejected(Rejection::Nak).index(), 20);
        let distinct = std::collections::BTreeSet::from(AttemptError::CODES);
        assert_eq!(distinct.len(), AttemptError::COUNT);
        assert_eq!(AttemptError::COUNT, 3 + KISSES.len() + REJECTIONS.len());
    }

    #[test]
    fn every_disruption_has_a_word_and_a_sentence_of_its_own_and_three_end_nothing() {
        use Disruption::*;
        let ending = [Suspend, Restored, Moved, HostUnclear, CountersApart];
        let asking = [Paused, WallClockSet, KernelClock];
        assert!(ending.iter().all(|disruption| disruption.ends_readings()));
        assert!(!asking.iter().any(|disruption| disruption.ends_readings()));
        let all = || ending.into_iter().chain(asking);
        let words: std::collections::BTreeSet<_> = all().map(Disruption::name).collect();
        let sentences: std::collections::BTreeSet<_> = all().map(|d| format!("{d}")).collect();
        assert_eq!((words.len(), sentences.len()), (8, 8));
        assert_eq!((Paused.name(), Restored.name()), ("paused", "restored"));
        assert!(sentences.contains("the machine slept"));
    }

    #[test]
    fn states_and_reasons_have_their_words() {
        use SyncState::*;
        let names = [Unsynchronised, Synchronised, Holdover, Failed].map(SyncState::name);
        assert_eq!(names, ["unsynchronised", "synchronised", "holdover", "failed"]);
        let suspend = format!("{}", EpochReason::Suspend);
        assert_eq!(suspend, "the local counter lost time (suspend)");
        let contradiction = format!("{}", EpochReason::ServerContradiction);
        assert_eq!(contradiction, "the server contradicted what it said before");
    }
}
