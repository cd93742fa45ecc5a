//! What can be wrong with a log.

use std::io;

use super::input::LINE_BYTES_MAX;

/// Why a log could not be replayed to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A line is malformed. What came before it was replayed.
    #[error("line {line}: {reason}")]
    Malformed {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        reason: LineError,
    },
    /// The log could not be read.
    #[error("cannot read the log: {0}")]
    Read(#[source] io::Error),
    /// The answers could not be written.
    #[error("cannot write the answers: {0}")]
    Write(#[source] io::Error),
}

/// What is wrong with a line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is longer than [`LINE_BYTES_MAX`].
    #[error("longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// It is no text.
    #[error("not valid UTF-8 from byte {0} on")]
    NotUtf8(usize),
    /// It is no JSON.
    #[error("not valid JSON: {0}")]
    Json(String),
    /// It ends in the middle of its JSON.
    #[error("cut off: the JSON object does not end")]
    CutOff,
    /// It is JSON, but no object.
    #[error("not a JSON object")]
    NotAnObject,
    /// It has no member of this name.
    #[error("member \"{0}\" is missing")]
    Missing(&'static str),
    /// It has two members of this name.
    #[error("member \"{0}\" occurs twice")]
    Twice(&'static str),
    /// The member's value is not what it should be.
    #[error("member \"{member}\" must be {expected}, but is {found}")]
    Value {
        /// Its name.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// No line is of this type.
    #[error(
        "unknown type {0:?}: there are \"exchange\", \"lost\", \"read\", \"round_end\", \"suspend\" \
         and \"counter_changed\""
    )]
    UnknownType(String),
}
