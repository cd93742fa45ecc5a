//! Opening clocks, and closing them.

#![allow(unsafe_code)] // Only names that are exported.

use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ntp_clock::Clock;

use crate::options::{builder, ntp_clock_options_t};
use crate::result::{Refusal, explained, guarded, ntp_clock_error_t, ntp_clock_result_t};

/// A clock. Opened by ntp_clock_open() or ntp_clock_open_global(), closed by ntp_clock_close().
/// Threads may share it without a lock.
#[derive(Debug)]
pub struct ntp_clock_t(Clock);

impl ntp_clock_t {
    /// The clock, if there is one.
    pub(crate) fn of(clock: Option<&Self>) -> Result<&Clock, Refusal> {
        Ok(&clock.ok_or_else(|| Refusal::null("clock"))?.0)
    }
}

/// Opens a clock of its own, which asks its server at once, on a thread of its own. It does not
/// wait for the answer: readings begin one round trip later.
///
/// options: null for the defaults. clock: receives the handle, or null where the call fails. error:
/// receives what is wrong where the call fails; null where nobody wants to know.
///
/// Returns NTP_CLOCK_BAD_SERVER, NTP_CLOCK_BAD_OPTION, NTP_CLOCK_NO_NTS (with nts_ca, its file is
/// read now), or NTP_CLOCK_BAD_ARGUMENT where clock is null or options.size is not set.
///
/// Any thread, at any time.
///
/// ```c
/// ntp_clock_options_t options = NTP_CLOCK_OPTIONS_INIT;
/// options.server = "localhost:11123";
/// options.holdover_ns = 600 * NTP_CLOCK_SECOND;
///
/// ntp_clock_t *mine;
/// ntp_clock_error_t error;
/// if (ntp_clock_open(&options, &mine, &error) != NTP_CLOCK_OK) {
///     fprintf(stderr, "cannot open the clock: %s\n", error.text);
///     exit(1);
/// }
/// ntp_clock_close(mine);
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_open(
    options: *const ntp_clock_options_t,
    clock: Option<&mut MaybeUninit<Option<Box<ntp_clock_t>>>>,
    error: Option<&mut MaybeUninit<ntp_clock_error_t>>,
) -> ntp_clock_result_t {
    explained(error, || {
        let clock = clock.ok_or_else(|| Refusal::null("clock"))?.write(None);
        *clock = Some(Box::new(ntp_clock_t(builder(options)?.build()?)));
        Ok(())
    })
}

/// Opens the clock that all of the program shares, Rust's part of it too: with
/// time.cloudflare.com, or as the environment variables PORTACODE_NTP_SERVER, PORTACODE_NTP_NTS,
/// PORTACODE_NTP_NTS_CA and PORTACODE_NTP_SHARED say. It runs from the first call on until the program ends; every handle to
/// it is closed for itself.
///
/// clock: receives the handle. A variable that cannot be followed leaves the clock unsynchronised,
/// and ntp_clock_state() says why.
///
/// Returns NTP_CLOCK_BAD_ARGUMENT where clock is null.
///
/// Any thread, at any time.
///
/// ```c
/// ntp_clock_t *shared;
/// if (ntp_clock_open_global(&shared) == NTP_CLOCK_OK) {
///     ntp_clock_close(shared);
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_open_global(
    clock: Option<&mut MaybeUninit<Option<Box<ntp_clock_t>>>>,
) -> ntp_clock_result_t {
    guarded(|| {
        let clock = clock.ok_or_else(|| Refusal::null("clock"))?.write(None);
        *clock = Some(Box::new(ntp_clock_t(Clock::global().clone())));
        Ok(())
    })
}

/// Closes a clock: its thread ends by itself, soon, and is not waited for. Null is allowed.
///
/// Any thread, once, when no other thread uses the handle or will.
///
/// ```c
/// ntp_clock_t *mine = NULL;
/// ntp_clock_close(mine);
/// ```
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_close(clock: Option<Box<ntp_clock_t>>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(clock)));
}
