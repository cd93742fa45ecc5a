//! What a link is fed, and what becomes of it.

use crate::time::{LocalTime, Span};

/// The four readings of a request and its reply: T1 to T4 of RFC 5905 section 8, T1 and T4 by A's
/// counter, T2 and T3 by B's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkStamps {
    /// T1: A sent the request then, or later.
    pub sent_a: LocalTime,
    /// T2: B had received it then, or earlier.
    pub received_b: LocalTime,
    /// T3: B sent the reply then, or later.
    pub sent_b: LocalTime,
    /// T4: A had received it then, or earlier.
    pub received_a: LocalTime,
}

impl LinkStamps {
    /// Time on the way there and back: (T4 - T1) - (T3 - T2). Of two counters, it may be a little
    /// below zero.
    #[must_use]
    pub fn round_trip(&self) -> Span {
        (self.received_a - self.sent_a) - (self.sent_b - self.received_b)
    }
}

/// Where evidence comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// Requests and replies that are there to compare the counters.
    Exchange,
    /// Messages that went for another purpose, and were stamped.
    Message,
}

/// What an answer is to rest on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Evidence {
    /// [`Source::Exchange`] alone.
    Exchanges,
    /// All that there is.
    All,
}

/// What became of evidence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fed {
    /// It says something new.
    Kept,
    /// It says nothing that was not known.
    Dropped,
    /// It cannot be true if what was known is. That is forgotten, and the link starts again: with
    /// this alone, or, where this is older than the newest that was known, with nothing.
    Restarted,
}

/// Why evidence is refused. What the link knows stays as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A reply was received before its request was sent, or sent before that was received.
    #[error("the stamps of the exchange run backwards")]
    Backward,
    /// The reply was held for longer than the whole exchange took.
    #[error("the request was held for longer than the exchange took")]
    NegativeRoundTrip,
    /// It is older than all that is kept, by weeks.
    #[error("the stamps are weeks older than the link's newest")]
    TooOld,
}

impl Fed {
    /// Of two that were fed together.
    pub(super) fn with(self, other: Fed) -> Fed {
        match (self, other) {
            (Fed::Restarted, _) | (_, Fed::Restarted) => Fed::Restarted,
            (Fed::Dropped, Fed::Dropped) => Fed::Dropped,
            _ => Fed::Kept,
        }
    }
}

impl Evidence {
    /// Itself, after what is a part of it.
    pub(super) const fn parts(self) -> &'static [Evidence] {
        match self {
            Evidence::Exchanges => &[Evidence::Exchanges],
            Evidence::All => &[Evidence::Exchanges, Evidence::All],
        }
    }

    /// How many of the sources it uses.
    pub(super) const fn sources(self) -> usize {
        match self {
            Evidence::Exchanges => 1,
            Evidence::All => 2,
        }
    }
}
