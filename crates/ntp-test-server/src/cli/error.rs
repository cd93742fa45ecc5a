//! Why the command ended before its time.

use std::io;
use std::path::PathBuf;

use crate::error::{Error, ScriptError};

/// Why the command ended before its time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The script cannot be read.
    #[error("cannot read the script {}: {source}", path.display())]
    ReadScript {
        /// The script's path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The script is malformed.
    #[error("script {}: {source}", path.display())]
    Script {
        /// The script's path.
        path: PathBuf,
        /// The line and the reason.
        source: ScriptError,
    },
    /// The server could not start.
    #[error(transparent)]
    Server(#[from] Error),
    /// Standard input could not be read, or standard output not be written.
    #[error("standard input or output: {0}")]
    Io(#[from] io::Error),
}

impl CliError {
    /// The exit status that goes with it: 2 where the caller's input was wrong, as for a wrong
    /// option, else 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            CliError::ReadScript { .. } | CliError::Script { .. } => 2,
            CliError::Server(_) | CliError::Io(_) => 1,
        }
    }
}
