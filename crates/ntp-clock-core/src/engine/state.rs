//! Where an engine stands, and how that changes.
//!
//! ```text
//!                    reply believed                     three attempts failed,
//!  Unsynchronised ------------------> Synchronised      or readings expired
//!     |   ^   ^                        |   |    ^ |
//!     |   |   '--- counter lost time --'   |    | '-----------------.
//!     |   |        (from any state)        |    |                   |
//!     |   |                                |    |  reply believed   |
//!     |   |           holdover wanted      v    |                   | no holdover
//!     |   |                            Holdover-'                   | wanted
//!     |   |                                |                        |
//!     |   |              end of holdover   |                        |
//!     |   |                                v                        |
//!     '---+-------------------------->  Failed <--------------------'
//!      three attempts failed, or kiss      |
//!                                          '---- reply believed ---> Synchronised
//! ```

use super::event::SyncState;
use super::schedule::{self, Backoff};
use crate::time::LocalTime;

/// Where an engine stands. What only one state needs stands in it.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// No reading has been given yet, or none since the counter lost time. The first attempts
    /// follow one another at once.
    Unsynchronised {
        /// Attempts failed in a row.
        attempts: u32,
    },
    /// Readings are given.
    Synchronised {
        /// Attempts failed in a row since the poll was due; they come 0, 15 and 60 s after it.
        attempts: u32,
        /// When the poll under way, or the last one, was due.
        due: LocalTime,
    },
    /// The server is lost, and readings go on for as long as the user asked for.
    Holdover(Lost),
    /// The server is lost; no readings.
    Failed(Lost),
}

/// A server that does not answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    /// Attempts failed in a row.
    attempts: u32,
    /// When the poll was due whose attempts failed.
    due: LocalTime,
    /// Pauses between further attempts.
    backoff: Backoff,
}

impl State {
    /// Attempts failed in a row; 0 while all is well.
    pub(super) fn attempts(&self) -> u32 {
        match self {
            State::Unsynchronised { attempts } | State::Synchronised { attempts, .. } => *attempts,
            State::Holdover(lost) | State::Failed(lost) => lost.attempts,
        }
    }

    /// Whether the server is lost, readings or not.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, State::Holdover(_) | State::Failed(_))
    }

    /// A scheduled round begins.
    pub(super) fn attempt_begins(&mut self, now: LocalTime) {
        match self {
            State::Synchronised { attempts: 0, due } => *due = now,
            State::Holdover(lost) | State::Failed(lost) if lost.attempts == 0 => lost.due = now,
            _ => {}
        }
    }

    /// A scheduled round ended without a believed reply. Returns how many have in a row.
    pub(super) fn attempt_failed(&mut self) -> u32 {
        let attempts = match self {
            State::Unsynchronised { attempts } | State::Synchronised { attempts, .. } => attempts,
            State::Holdover(lost) | State::Failed(lost) => &mut lost.attempts,
        };
        *attempts = attempts.saturating_add(1);
        *attempts
    }

    /// A reply was believed. The attempts count until its round is over.
    pub(super) fn believed(&mut self, now: LocalTime) {
        *self = match *self {
            State::Unsynchronised { attempts } => State::Synchronised { attempts, due: now },
            State::Synchronised { .. } => return,
            State::Holdover(lost) | State::Failed(lost) => {
                State::Synchronised { attempts: lost.attempts, due: lost.due }
            }
        };
    }

    /// A round ended in which something was believed.
    pub(super) fn round_succeeded(&mut self, now: LocalTime) {
        let due = self.due().unwrap_or(now);
        *self = State::Synchronised { attempts: 0, due };
    }

    /// The server is lost, from now on. Returns whether it was not before.
    pub(super) fn lose(&mut self, readings: bool, now: LocalTime) -> bool {
        if self.is_lost() {
            return false;
        }
        let due = self.due().unwrap_or(now);
        let lost = Lost { attempts: self.attempts(), due, backoff: Backoff::FAILED };
        *self = if readings { State::Holdover(lost) } else { State::Failed(lost) };
        true
    }

    /// There are no readings any more.
    pub(super) fn readings_ended(&mut self) {
        if let State::Holdover(lost) = *self {
            *self = State::Failed(lost);
        }
    }

    /// The pause before the next attempt at a server that is lost.
    pub(super) fn back_off(&mut self) -> crate::time::Span {
        match self {
            State::Holdover(lost) | State::Failed(lost) => lost.backoff.step(),
            State::Unsynchronised { .. } | State::Synchronised { .. } => schedule::FIRST_BACKOFF,
        }
    }

    /// When the poll was due to which attempts belong.
    pub(super) fn due(&self) -> Option<LocalTime> {
        match self {
            State::Unsynchronised { .. } => None,
            State::Synchronised { due, .. } => Some(*due),
            State::Holdover(lost) | State::Failed(lost) => Some(lost.due),
        }
    }

    /// What the status calls it; `readable` where there is a reading at that very moment, which
    /// may have ended since anything else happened.
    pub(super) fn shown(&self, readable: bool) -> SyncState {
        match (self, readable) {
            (State::Unsynchronised { .. }, _) => SyncState::Unsynchronised,
            (State::Synchronised { .. }, true) => SyncState::Synchronised,
            (State::Holdover(_) | State::Failed(_), true) => SyncState::Holdover,
            (_, false) => SyncState::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    const NOW: LocalTime = LocalTime::from_nanos(5);
    const LATER: LocalTime = LocalTime::from_nanos(9);

    #[test]
    fn a_lost_server_keeps_its_attempts_and_when_the_poll_was_due() {
        let mut state = State::Synchronised { attempts: 0, due: NOW };
        state.attempt_begins(LATER);
        assert_eq!((state.attempt_failed(), state.attempt_failed()), (1, 2));
        state.attempt_begins(LATER + Span::from_secs(15));
        assert!(state.lose(true, LATER), "it is lost now");
        assert!(!state.lose(true, LATER), "it was lost before");
        assert_eq!((state.attempts(), state.due()), (2, Some(LATER)));
        assert_eq!(state.shown(true), SyncState::Holdover);
        state.readings_ended();
        assert!(matches!(state, State::Failed(_)));
        assert_eq!(state.attempt_failed(), 3);
        assert_eq!(state.back_off(), Span::from_secs(15));
        assert_eq!(state.back_off(), Span::from_secs(30));
    }

    #[test]
    fn a_believed_reply_ends_a_failure_at_once_and_the_attempts_with_its_round() {
        let mut state = State::Unsynchronised { attempts: 0 };
        assert_eq!(state.attempt_failed(), 1);
        assert!(state.lose(false, NOW));
        assert_eq!((state.shown(false), state.due()), (SyncState::Failed, Some(NOW)));
        state.believed(LATER);
        assert_eq!((state.shown(true), state.attempts()), (SyncState::Synchronised, 1));
        state.round_succeeded(LATER);
        assert_eq!((state.attempts(), state.due()), (0, Some(NOW)));
        // After a recovery pauses begin with the shortest.
        state.lose(false, LATER);
        assert_eq!(state.back_off(), Span::from_secs(15));
    }

    #[test]
    fn a_poll_is_due_when_its_first_attempt_begins_and_not_with_later_ones() {
        let mut state = State::Unsynchronised { attempts: 0 };
        state.attempt_begins(NOW);
        assert_eq!(state.due(), None);
        state.believed(NOW);
        assert_eq!(state.due(), Some(NOW));
        state.attempt_begins(LATER);
        assert_eq!(state.due(), Some(LATER));
        state.attempt_failed();
        state.attempt_begins(NOW);
        assert_eq!(state.due(), Some(LATER));
        let mut lost = State::Synchronised { attempts: 0, due: NOW };
        lost.lose(false, NOW);
        lost.attempt_begins(LATER);
        assert_eq!(lost.due(), Some(LATER));
        lost.attempt_failed();
        lost.attempt_begins(NOW);
        assert_eq!(lost.due(), Some(LATER));
    }

    #[test]
    fn readings_that_have_ended_unnoticed_are_shown_as_failed() {
        let state = State::Synchronised { attempts: 0, due: NOW };
        assert_eq!(state.shown(true), SyncState::Synchronised);
        assert_eq!(state.shown(false), SyncState::Failed);
        let never = State::Unsynchronised { attempts: 2 };
        assert_eq!(never.shown(false), SyncState::Unsynchronised);
        assert!(!state.is_lost() && !never.is_lost());
    }
}
