//! Waiting for synchronisation, and asking for it.

#![allow(unsafe_code)] // Only names that are exported.

use std::mem::MaybeUninit;
use std::time::Duration;

use crate::handle::ntp_clock_t;
use crate::reading::{ntp_clock_reading_t, write};
use crate::result::ntp_clock_result_t::{NTP_CLOCK_BAD_ARGUMENT, NTP_CLOCK_TIMED_OUT};
use crate::result::{Refusal, explained, guarded, ntp_clock_error_t, ntp_clock_result_t};

/// A time-out that never passes.
pub const NTP_CLOCK_FOREVER: i64 = i64::MAX;

/// A time-out as C gives it.
pub(crate) fn timeout(nanos: i64) -> Result<Duration, Refusal> {
    match u64::try_from(nanos) {
        Ok(_) if nanos == NTP_CLOCK_FOREVER => Ok(Duration::MAX),
        Ok(nanos) => Ok(Duration::from_nanos(nanos)),
        Err(_) => {
            let message = format!("timeout_ns is negative: {nanos}");
            Err(Refusal::new(NTP_CLOCK_BAD_ARGUMENT, message))
        }
    }
}

/// Waits until there is a time.
///
/// timeout_ns: for so long at most; 0 does not wait, NTP_CLOCK_FOREVER waits as long as it takes.
/// Returns NTP_CLOCK_TIMED_OUT where there is none by then: ntp_clock_state() says why.
///
/// Any thread, also several at a time. Signals do not end the wait.
///
/// ```c
/// if (ntp_clock_wait_synced(clock, 5 * NTP_CLOCK_SECOND) != NTP_CLOCK_OK) {
///     ntp_clock_state_t state;
///     ntp_clock_error_t why;
///     if (ntp_clock_state(clock, &state, &why) == NTP_CLOCK_OK) {
///         fprintf(stderr, "no time: %s [%s]\n", why.text, why.code);
///     }
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_wait_synced(
    clock: Option<&ntp_clock_t>,
    timeout_ns: i64,
) -> ntp_clock_result_t {
    guarded(|| {
        let clock = ntp_clock_t::of(clock)?;
        if clock.wait_synced(timeout(timeout_ns)?) {
            return Ok(());
        }
        Err(Refusal::new(NTP_CLOCK_TIMED_OUT, "the time-out passed first"))
    })
}

/// Has the server asked now, and waits for the end of that, 15 s at most; joins a round that is
/// under way. A clock asks by itself: this is for who wants a fresh answer.
///
/// reading: receives the time then; null where nobody wants it. error: receives the reason where
/// the round fails, with its code; may be null. Returns NTP_CLOCK_SYNC_FAILED where it had no
/// believed reply, the server asked not to be asked for now, or another process of the machine
/// synchronises the clock (code "only_reads").
///
/// Any thread, also several at a time.
///
/// ```c
/// ntp_clock_reading_t fresh;
/// ntp_clock_error_t error;
/// if (ntp_clock_sync(clock, &fresh, &error) == NTP_CLOCK_SYNC_FAILED) {
///     fprintf(stderr, "%s [%s]\n", error.text, error.code);
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_sync(
    clock: Option<&ntp_clock_t>,
    reading: Option<&mut MaybeUninit<ntp_clock_reading_t>>,
    error: Option<&mut MaybeUninit<ntp_clock_error_t>>,
) -> ntp_clock_result_t {
    explained(error, || {
        let fresh = ntp_clock_t::of(clock)?.sync_now()?;
        reading.map_or(Ok(()), |place| write("reading", Some(place), || Ok(fresh.into())))
    })
}

/// Changes the pause between polls, from the next one on, or at once if it becomes shorter.
///
/// interval_ns: nanoseconds, 1 s to 1 day; else NTP_CLOCK_BAD_OPTION. error: receives the reason;
/// may be null.
///
/// Any thread, at any time.
///
/// ```c
/// if (ntp_clock_set_poll_interval(clock, 60 * NTP_CLOCK_SECOND, NULL) != NTP_CLOCK_OK) {
///     abort();
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_set_poll_interval(
    clock: Option<&ntp_clock_t>,
    interval_ns: i64,
    error: Option<&mut MaybeUninit<ntp_clock_error_t>>,
) -> ntp_clock_result_t {
    explained(error, || {
        let clock = ntp_clock_t::of(clock)?;
        // A negative pause is none, and refused as that.
        let interval = Duration::from_nanos(u64::try_from(interval_ns).unwrap_or(0));
        Ok(clock.set_poll_interval(interval)?)
    })
}
