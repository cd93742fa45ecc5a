//! What has certainly passed, and commit wait.

#![allow(unsafe_code)] // Only names that are exported.

use std::mem::MaybeUninit;

use ntp_clock::UnixTime;

use crate::handle::ntp_clock_t;
use crate::reading::{ntp_clock_reading_t, write};
use crate::result::{Refusal, explained, guarded, ntp_clock_error_t, ntp_clock_result_t};
use crate::sync::timeout;

/// The earliest that true time can be now: the reading's time less its max_error.
///
/// time_ns: receives it, nanoseconds since 1970-01-01 00:00:00 UTC. Returns
/// NTP_CLOCK_NOT_SYNCHRONISED while there is no time.
///
/// Any thread, at any time; it never waits.
///
/// ```c
/// int64_t earliest_ns, latest_ns;
/// if (ntp_clock_earliest(clock, &earliest_ns) == NTP_CLOCK_OK
///     && ntp_clock_latest(clock, &latest_ns) == NTP_CLOCK_OK) {
///     CHECK(earliest_ns <= latest_ns);
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_earliest(
    clock: Option<&ntp_clock_t>,
    time_ns: Option<&mut MaybeUninit<i64>>,
) -> ntp_clock_result_t {
    guarded(|| {
        let clock = ntp_clock_t::of(clock)?;
        write("time_ns", time_ns, || known(clock.earliest().map(UnixTime::as_nanos)))
    })
}

/// The latest that true time can be now, the reading's time plus its max_error: the time to give to
/// what is committed now.
///
/// time_ns: receives it, nanoseconds since 1970-01-01 00:00:00 UTC. Returns
/// NTP_CLOCK_NOT_SYNCHRONISED while there is no time.
///
/// Any thread, at any time; it never waits.
///
/// ```c
/// int64_t stamp_ns;
/// if (ntp_clock_latest(clock, &stamp_ns) == NTP_CLOCK_OK) {
///     printf("committed at %" PRId64 "\n", stamp_ns);
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_latest(
    clock: Option<&ntp_clock_t>,
    time_ns: Option<&mut MaybeUninit<i64>>,
) -> ntp_clock_result_t {
    guarded(|| {
        let clock = ntp_clock_t::of(clock)?;
        write("time_ns", time_ns, || known(clock.latest().map(UnixTime::as_nanos)))
    })
}

/// Whether a time has certainly passed.
///
/// time_ns: nanoseconds since 1970-01-01 00:00:00 UTC. is_past: receives the answer. Returns
/// NTP_CLOCK_NOT_SYNCHRONISED while there is no time: it is neither past nor future.
///
/// Any thread, at any time; it never waits.
///
/// ```c
/// bool expired;
/// if (ntp_clock_is_past(clock, INT64_C(1759639032000000000), &expired) == NTP_CLOCK_OK
///     && expired) {
///     puts("the lease has certainly ended");
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_is_past(
    clock: Option<&ntp_clock_t>,
    time_ns: i64,
    is_past: Option<&mut MaybeUninit<bool>>,
) -> ntp_clock_result_t {
    guarded(|| {
        let clock = ntp_clock_t::of(clock)?;
        write("is_past", is_past, || known(clock.is_past(UnixTime::from_nanos(time_ns))))
    })
}

/// Whether a time has certainly not come yet.
///
/// time_ns: nanoseconds since 1970-01-01 00:00:00 UTC. is_future: receives the answer. Returns
/// NTP_CLOCK_NOT_SYNCHRONISED while there is no time: it is neither past nor future.
///
/// Any thread, at any time; it never waits.
///
/// ```c
/// bool valid;
/// if (ntp_clock_is_future(clock, INT64_MAX, &valid) == NTP_CLOCK_OK && valid) {
///     puts("the lease is certainly ours");
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_is_future(
    clock: Option<&ntp_clock_t>,
    time_ns: i64,
    is_future: Option<&mut MaybeUninit<bool>>,
) -> ntp_clock_result_t {
    guarded(|| {
        let clock = ntp_clock_t::of(clock)?;
        write("is_future", is_future, || known(clock.is_future(UnixTime::from_nanos(time_ns))))
    })
}

/// Waits until a time has certainly passed (commit wait), as long as the error of the moment asks
/// for and no longer. It goes on through epochs and while there is no time.
///
/// time_ns: nanoseconds since 1970-01-01 00:00:00 UTC. timeout_ns: for so long at most; 0 looks once,
/// NTP_CLOCK_FOREVER waits as long as it takes. reading: receives the reading that says so; may be
/// null. error: receives what is missing where the call fails; may be null.
///
/// Returns NTP_CLOCK_TIMED_OUT, or NTP_CLOCK_TOO_FAR at once where no wait of that length can
/// reach the time. A caller that waited to commit must not commit then.
///
/// Any thread, also several at a time. Signals do not end the wait.
///
/// ```c
/// int64_t stamp_ns;
/// if (ntp_clock_latest(clock, &stamp_ns) == NTP_CLOCK_OK
///     && ntp_clock_wait_until_past(clock, stamp_ns, NTP_CLOCK_SECOND, NULL, NULL)
///            == NTP_CLOCK_OK) {
///     puts("committed: the stamp has passed on every clock");
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_wait_until_past(
    clock: Option<&ntp_clock_t>,
    time_ns: i64,
    timeout_ns: i64,
    reading: Option<&mut MaybeUninit<ntp_clock_reading_t>>,
    error: Option<&mut MaybeUninit<ntp_clock_error_t>>,
) -> ntp_clock_result_t {
    explained(error, || {
        let clock = ntp_clock_t::of(clock)?;
        let time = UnixTime::from_nanos(time_ns);
        let past = clock.wait_until_past(time, timeout(timeout_ns)?)?;
        reading.map_or(Ok(()), |place| write("reading", Some(place), || Ok(past.into())))
    })
}

fn known<T>(value: Option<T>) -> Result<T, Refusal> {
    value.ok_or_else(Refusal::not_synchronised)
}
