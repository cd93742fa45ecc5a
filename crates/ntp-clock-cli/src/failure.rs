//! Why a command did not do what it was asked to, and the exit status that goes with it.

use std::io;

/// A command that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The caller's mistake: an argument, an environment variable, a file that is no log.
    Usage(String),
    /// The world's: not synchronised, the server failed, the disk is full.
    Failed(String),
    /// The reader of our output has read enough.
    ClosedPipe,
}

impl Failure {
    /// Writing there failed.
    pub(crate) fn output(to: &str, error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::ClosedPipe;
        }
        Failure::Failed(format!("cannot write {to}: {error}"))
    }

    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Failure::Usage(message) | Failure::Failed(message) => Some(message),
            Failure::ClosedPipe => None,
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => USAGE,
            Failure::Failed(_) => FAILED,
            Failure::ClosedPipe => 0,
        }
    }
}

pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
