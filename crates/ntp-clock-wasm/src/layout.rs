//! What crosses the border by position: names and places, once for both sides.
//!
//! The exports write numbers in the order of these lists. `cargo xtask js` runs the example
//! `layout`, which prints them, and the JavaScript module reads by what it printed.

use ntp_clock_core::{
    AttemptError, EngineStatus, EpochReason, Event, KissCode, ReferenceId, Rejection, SyncState,
};

use crate::millis;

/// An enum whose variants cross as their numbers and have these names in JavaScript.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            /// The names, in the order of their numbers.
            pub const NAMES: &'static [&'static str] = &[$($text),*];

            /// What crosses the border.
            #[must_use]
            pub const fn number(self) -> f64 {
                self as u8 as f64
            }
        }
    };
}

numbered! {
    /// Whether the clock tells the time.
    State {
        /// Not synchronised yet, or not again since a sleep.
        Unsynchronised = "unsynchronised",
        /// There are readings.
        Synchronised = "synchronised",
        /// There are readings still, though the server does not answer.
        Holdover = "holdover",
        /// The attempts have failed.
        Failed = "failed",
    }
}

numbered! {
    /// What an event is about.
    EventKind {
        /// There is no event left.
        None = "",
        /// A round ended with a believed reply.
        Synchronised = "synchronised",
        /// An attempt failed.
        Attempt = "attempt",
        /// The clock has no reading any more.
        Failed = "failed",
        /// A new epoch began.
        Epoch = "epoch",
        /// What JavaScript does not act on.
        Other = "other",
    }
}

numbered! {
    /// Why a new epoch began.
    NewEpoch {
        /// The server contradicted what it said before.
        Contradiction = "server_contradiction",
        /// Sleep, or a step of the wall clock.
        Suspend = "suspend",
        /// The relay began an epoch of its own.
        Relay = "relay_epoch",
        /// Another way to the time was chosen.
        Configured = "configured",
    }
}

numbered! {
    /// Why there is no reading, where no attempt has failed that would say so.
    Absence {
        /// The first answers are awaited.
        Awaited = "",
        /// The machine slept or its wall clock was set, and the server has not answered since.
        Suspended = "suspended",
        /// The wall clock stands still, so that nobody would notice sleep.
        WallClockStopped = "wall_clock_stopped",
        /// The last readings ran out.
        Expired = "expired",
    }
}

impl State {
    pub(crate) fn of(state: SyncState) -> State {
        match state {
            SyncState::Synchronised => State::Synchronised,
            SyncState::Holdover => State::Holdover,
            SyncState::Failed => State::Failed,
            // `SyncState` may grow.
            _ => State::Unsynchronised,
        }
    }
}

/// An event as JavaScript gets it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct EventNumbers {
    /// What it is about.
    pub kind: EventKind,
    /// Why the attempt failed.
    pub failure: Option<AttemptError>,
    /// The place of the failure's code, or the number of the new epoch's reason.
    pub code: f64,
    /// Whether the clock recovered, which attempt failed, or the new epoch.
    pub value: f64,
}

impl EventNumbers {
    /// An event of an engine that followed others with this many epochs, and whose counter was last
    /// taken for broken for this reason.
    pub(crate) fn of(event: Event, epochs_before: u64, suspended_for: NewEpoch) -> EventNumbers {
        let failed = |kind, reason: AttemptError, attempt| EventNumbers {
            kind,
            failure: Some(reason),
            code: reason.index() as f64,
            value: f64::from(attempt),
        };
        let other = |kind, code, value| EventNumbers { kind, failure: None, code, value };
        match event {
            Event::Synchronised { recovered, .. } => {
                other(EventKind::Synchronised, 0.0, f64::from(u8::from(recovered)))
            }
            Event::AttemptFailed { attempt, reason } => failed(EventKind::Attempt, reason, attempt),
            Event::Failed { reason, .. } => failed(EventKind::Failed, reason, 0),
            Event::EpochChanged { epoch, reason } => {
                let why = match reason {
                    EpochReason::ServerContradiction => NewEpoch::Contradiction,
                    _ => suspended_for,
                };
                other(EventKind::Epoch, why.number(), (epochs_before + epoch) as f64)
            }
            _ => other(EventKind::Other, 0.0, 0.0),
        }
    }
}

/// What an event says: the number of its reason's text, how many of the bytes are the server's own
/// word in it, its code's place, and a number.
pub const EVENT: [&str; 4] = ["text", "wordLength", "code", "value"];
/// Failures whose texts are those of all, in the order of [`text_of`]. JavaScript has the texts, and
/// not wasm, for what writes them is larger than they are. [`WORD`] stands for what a server may
/// say.
pub const FAILURES: [AttemptError; TEXTS] = {
    let word = KissCode::Other(ReferenceId::from_bytes(WORD));
    [
        AttemptError::NoReply,
        AttemptError::NotSent,
        AttemptError::Expired,
        AttemptError::Kiss(KissCode::Deny),
        AttemptError::Kiss(KissCode::Restrict),
        AttemptError::Kiss(KissCode::Rate),
        AttemptError::Kiss(word),
        AttemptError::Rejected(Rejection::Malformed),
        AttemptError::Rejected(Rejection::Origin),
        AttemptError::Rejected(Rejection::Duplicate),
        AttemptError::Rejected(Rejection::Mode),
        AttemptError::Rejected(Rejection::Version),
        AttemptError::Rejected(Rejection::Unsynchronised),
        AttemptError::Rejected(Rejection::RootDistance),
        AttemptError::Rejected(Rejection::ZeroTimestamp),
        AttemptError::Rejected(Rejection::BackwardTimestamps),
        AttemptError::Rejected(Rejection::NegativeDelay),
        AttemptError::Rejected(Rejection::Contradiction),
        AttemptError::Rejected(Rejection::Server),
        AttemptError::Rejected(Rejection::Unauthenticated),
        AttemptError::Rejected(Rejection::Nak),
        AttemptError::Rejected(Rejection::Kiss(KissCode::Deny)),
        AttemptError::Rejected(Rejection::Kiss(KissCode::Restrict)),
        AttemptError::Rejected(Rejection::Kiss(KissCode::Rate)),
        AttemptError::Rejected(Rejection::Kiss(word)),
    ]
};
/// What a server may say, in [`FAILURES`].
pub const WORD: [u8; 4] = *b"????";
/// Codes' own texts, and those of kisses that were not believed.
const TEXTS: usize = AttemptError::COUNT + 4;

/// Where a failure's text is in [`FAILURES`].
#[must_use]
pub const fn text_of(failure: AttemptError) -> usize {
    match failure {
        AttemptError::Rejected(Rejection::Kiss(_)) => KISSES_FROM + failure.index(),
        _ => failure.index(),
    }
}

/// The server's own word in it, if it is not in the text.
#[must_use]
pub const fn word_of(failure: AttemptError) -> Option<ReferenceId> {
    match failure {
        AttemptError::Kiss(KissCode::Other(word))
        | AttemptError::Rejected(Rejection::Kiss(KissCode::Other(word))) => Some(word),
        _ => None,
    }
}

/// From a kiss' code to the text of one that was not believed.
const KISSES_FROM: usize = AttemptError::COUNT - AttemptError::Kiss(KissCode::Deny).index();
/// Codes of failed attempts by their places.
pub const CODES: [&str; AttemptError::COUNT] = AttemptError::CODES;
/// Reasons not to believe a reply, in the order of their counts.
pub const REJECTIONS: [&str; Rejection::COUNT] = Rejection::NAMES;
/// Where the counts of rejections begin among a status' numbers.
pub const REJECTIONS_AT: usize = 16;

/// A reading for JavaScript, all in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Answer {
    /// Milliseconds since 1970.
    pub time_ms: f64,
    /// Hard bound on the distance of `time_ms` from the truth.
    pub max_error_ms: f64,
    /// One standard deviation.
    pub est_error_ms: f64,
    /// Readings of one epoch never decrease.
    pub epoch: f64,
}

/// The numbers of a reading beside their names.
pub(crate) fn reading_fields(answer: Answer) -> [(&'static str, f64); READING_FIELDS] {
    let Answer { time_ms, max_error_ms, est_error_ms, epoch } = answer;
    [
        ("timeMs", time_ms),
        ("maxErrorMs", max_error_ms),
        ("estErrorMs", est_error_ms),
        ("epoch", epoch),
    ]
}

/// The names of a reading's numbers, in their order.
#[must_use]
pub fn reading_names() -> [&'static str; READING_FIELDS] {
    let nothing = Answer { time_ms: 0.0, max_error_ms: 0.0, est_error_ms: 0.0, epoch: 0.0 };
    reading_fields(nothing).map(|(name, _)| name)
}

/// The numbers of a status beside their names; NaN for what is not known.
pub(crate) fn status_fields(
    status: &EngineStatus,
    state: State,
    epoch: u64,
    absence: Absence,
) -> [(&'static str, f64); STATUS_FIELDS] {
    [
        ("state", state.number()),
        ("epoch", epoch as f64),
        ("lastSyncLocal", status.last_sync_local.map_or(f64::NAN, millis::local_ms)),
        ("lastSync", status.last_sync.map_or(f64::NAN, millis::unix_ms)),
        ("delayMs", status.delay.map_or(f64::NAN, |delay| delay.as_millis_f64())),
        // The counter's drift: how much faster than true time it runs.
        ("driftPpm", status.rate_ppm.map_or(f64::NAN, |ppm| -ppm)),
        ("attempts", f64::from(status.attempts)),
        ("nextSync", millis::local_ms(status.next_sync)),
        ("stratum", status.stratum.map_or(f64::NAN, f64::from)),
        ("leap", status.leap.map_or(f64::NAN, |leap| f64::from(leap as u8))),
        ("requests", status.requests as f64),
        ("believed", status.believed as f64),
        ("absence", absence.number()),
    ]
}

const READING_FIELDS: usize = 4;
/// How many numbers a status has besides the counts of rejections.
pub const STATUS_FIELDS: usize = 13;
const _: () = assert!(STATUS_FIELDS <= REJECTIONS_AT);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_crosses_is_there_once() {
        let status = crate::Clock::status_names();
        for names in [&status[..], State::NAMES, EventKind::NAMES, NewEpoch::NAMES, &CODES] {
            let distinct: std::collections::BTreeSet<_> = names.iter().collect();
            assert_eq!(distinct.len(), names.len(), "{names:?}");
        }
        assert_eq!(State::NAMES[State::Failed as usize], "failed");
        assert_eq!(EventKind::NAMES[EventKind::Epoch as usize], "epoch");
    }

    #[test]
    fn states_and_events_cross_as_what_they_are() {
        assert_eq!(State::of(SyncState::Failed), State::Failed);
        assert_eq!(State::of(SyncState::Unsynchronised), State::Unsynchronised);
        let reason = AttemptError::NoReply;
        let numbers =
            EventNumbers::of(Event::AttemptFailed { attempt: 2, reason }, 0, NewEpoch::Relay);
        assert_eq!((numbers.kind, numbers.value), (EventKind::Attempt, 2.0));
        assert_eq!(CODES[numbers.code as usize], "no_reply");
    }

    #[test]
    fn each_failure_finds_its_text_and_brings_the_servers_own_word() {
        let failures = FAILURES.into_iter().map(|failure| match failure {
            AttemptError::Kiss(KissCode::Other(_)) => AttemptError::Kiss(other(*b"STEP")),
            AttemptError::Rejected(Rejection::Kiss(KissCode::Other(_))) => {
                AttemptError::Rejected(Rejection::Kiss(other([1, 20, 0, 254])))
            }
            failure => failure,
        });
        for (place, failure) in failures.enumerate() {
            assert_eq!(text_of(failure), place, "{failure}");
            assert_eq!(FAILURES[place].code(), failure.code());
            let word = word_of(failure).map_or_else(String::new, |word| word.to_string());
            let template = core::str::from_utf8(&WORD).expect("letters");
            let text = FAILURES[place].to_string().replace(template, &word);
            assert_eq!(text, failure.to_string());
        }
    }

    fn other(word: [u8; 4]) -> KissCode {
        KissCode::Other(ReferenceId::from_bytes(word))
    }

    #[test]
    fn a_new_epoch_says_what_the_suspend_was_for_and_counts_those_of_earlier_engines() {
        for (reason, why) in [
            (EpochReason::ServerContradiction, NewEpoch::Contradiction),
            (EpochReason::Suspend, NewEpoch::Relay),
        ] {
            let numbers =
                EventNumbers::of(Event::EpochChanged { epoch: 2, reason }, 3, NewEpoch::Relay);
            assert_eq!(
                (numbers.kind, numbers.code, numbers.value),
                (EventKind::Epoch, why.number(), 5.0)
            );
        }
    }
}
