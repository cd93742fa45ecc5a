//! Waiting for a clock's first reading, no longer than makes sense.

use std::time::{Duration, Instant};

use ntp_clock::{Builder, Clock, Span, Status, SyncState};

use crate::failure::Failure;

/// The clock, unless something that was given for it cannot be followed.
pub(crate) fn start(clock: Builder) -> Result<Clock, Failure> {
    clock.build().map_err(|error| Failure::Usage(error.to_string()))
}

/// Waits until there are readings, the time is over, or the clock has failed and no keys are to
/// come that would help it.
pub(crate) fn wait(clock: &Clock, timeout: Duration) -> Result<(), Failure> {
    let deadline = Instant::now().checked_add(timeout);
    loop {
        let left = deadline.map_or(LOOK, |at| at.saturating_duration_since(Instant::now()));
        if clock.wait_synced(left.min(LOOK)) {
            return Ok(());
        }
        let status = clock.status();
        if left.is_zero() || status.state == SyncState::Failed && !may_have_keys_soon(&status) {
            return Err(Failure::Failed(why_not(clock, timeout)));
        }
    }
}

/// Whether keys are being exchanged, or have come and are about to be used.
fn may_have_keys_soon(status: &Status) -> bool {
    let asks = status.next_sync_in == Some(Span::ZERO);
    status.nts.as_ref().is_some_and(|nts| nts.exchanging || nts.cookies > 0 && asks)
}

/// Why the clock is not synchronised, in words.
pub(crate) fn why_not(clock: &Clock, timeout: Duration) -> String {
    let status = clock.status();
    // The attempt says at most that it has waited for keys, the exchange why there are none.
    let of_keys = status.nts.and_then(|nts| nts.last_error);
    let reason = match of_keys.or(status.last_error) {
        Some(failure) => failure.to_string(),
        None => format!("no believed reply within {timeout:?}"),
    };
    format!("not synchronised with {}: {reason}", status.server)
}

const LOOK: Duration = Duration::from_millis(100);
