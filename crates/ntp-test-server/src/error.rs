//! What can go wrong, by whom: the system ([`Error`]) or the text given ([`ParseError`],
//! [`ScriptError`]).

use std::io;
use std::net::SocketAddr;

/// Why a server could not start. The system refused something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is in use, not ours, or not permitted.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}

/// Why a piece of text (an option's value, a change) means nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Not a number with a unit of time.
    #[error("'{0}' is not a length of time such as 10ms, 1.5s or 20us")]
    Duration(String),
    /// A length of time that must not be negative.
    #[error("'{0}' must not be negative")]
    Negative(String),
    /// Not a number between 0 and 1.
    #[error("'{0}' is not a probability such as 0.25 or 25%")]
    Probability(String),
    /// Not a number of the kind and range that belongs here.
    #[error("'{text}' is not {expected}")]
    Value {
        /// What would have been right.
        expected: &'static str,
        /// What was there.
        text: String,
    },
    /// A word that names no change.
    #[error("'{0}' is not a change (try: {known})", known = crate::names::CHANGES)]
    UnknownChange(String),
    /// A word that names no fault.
    #[error("'{0}' is not a fault (try: {known})", known = crate::names::FAULTS)]
    UnknownFault(String),
    /// The text ends where something had to follow.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The text goes on where it had to end.
    #[error("'{0}' is too much")]
    Extra(String),
}

/// Why a script is refused: the first line that means nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ScriptError {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    #[source]
    pub reason: ParseError,
}
