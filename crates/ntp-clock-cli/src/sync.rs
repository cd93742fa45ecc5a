//! Waiting for a clock's first reading, no longer than makes sense.

use std::time::{Duration, Instant};

use ntp_clock::{Builder, Clock, SyncState};

use crate::failure::Failure;

/// The clock, unless something that was given for it cannot be followed.
pub(crate) fn start(clock: Builder) -> Result<Clock, Failure> {
    clock.build().map_err(|error| Failure::Usage(error.to_string()))
}

/// Waits until there are readings, the time is over, or the clock has failed.
pub(crate) fn wait(clock: &Clock, timeout: Duration) -> Result<(), Failure> {
    let deadline = Instant::now().checked_add(timeout);
    loop {
        let left = deadline.map_or(LOOK, |at| at.saturating_duration_since(Instant::now()));
        if clock.wait_synced(left.min(LOOK)) {
            return Ok(());
        }
        if left.is_zero() || clock.status().state == SyncState::Failed {
            return Err(Failure::Failed(why_not(clock, timeout)));
        }
    }
}

/// Why the clock is not synchronised, in words.
pub(crate) fn why_not(clock: &Clock, timeout: Duration) -> String {
    let status = clock.status();
    let reason = match status.last_error {
        Some(failure) => failure.to_string(),
        None => format!("no believed reply within {timeout:?}"),
    };
    format!("not synchronised with {}: {reason}", status.server)
}

const LOOK: Duration = Duration::from_millis(100);
