//! What a clock may be configured to, and what it may not.

use std::time::Duration;

use ntp_clock_core::Span;

use crate::nts_choice::NtsError;

/// A value that no clock can have.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The pause between polls is too short to be polite or too long to be of use.
    #[error("poll interval of {0:?} is outside 1 s to 1 day; 300 s is the usual one")]
    PollInterval(Duration),
    /// Readings would go on for longer than their bound means anything.
    #[error("holdover of {0:?} is longer than 30 days")]
    Holdover(Duration),
    /// The log of a recording is of one process's clock.
    #[error("a clock that is shared with other processes cannot be recorded")]
    SharedRecording,
    /// No counter is called that.
    #[error("counter {0:?} is none of \"auto\", \"system\" and \"processor\"")]
    Counter(String),
    /// Network Time Security is required and cannot be had.
    #[error(transparent)]
    Nts(#[from] NtsError),
}

pub(crate) fn check_poll_interval(interval: Duration) -> Result<Span, ConfigError> {
    if (POLL_INTERVAL_MIN..=POLL_INTERVAL_MAX).contains(&interval) {
        Ok(Span::from(interval))
    } else {
        Err(ConfigError::PollInterval(interval))
    }
}

pub(crate) const DEFAULT_POLL_INTERVAL: Duration = Duration::from_secs(300);
const POLL_INTERVAL_MIN: Duration = Duration::from_secs(1);
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(86_400);
pub(crate) const HOLDOVER_MAX: Duration = Duration::from_secs(30 * 86_400);
