//! What a clock says about itself.

#![allow(unsafe_code)] // Only names that are exported.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use ntp_clock::SyncState;

use crate::handle::ntp_clock_t;
use crate::reading::write;
use crate::result::{error_of, guarded, ntp_clock_error_t, ntp_clock_result_t};
use crate::text::given;

/// Whether a clock has a time, and if not, why not (docs/STATUS.md).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ntp_clock_state_t {
    /// Not yet: the first attempts are under way.
    NTP_CLOCK_STATE_UNSYNCHRONISED = 0,
    /// It has.
    NTP_CLOCK_STATE_SYNCHRONISED = 1,
    /// The server is lost; readings go on, with growing errors, because holdover was asked for.
    NTP_CLOCK_STATE_HOLDOVER = 2,
    /// Three attempts failed. It goes on trying.
    NTP_CLOCK_STATE_FAILED = 3,
}

impl From<SyncState> for ntp_clock_state_t {
    fn from(state: SyncState) -> Self {
        match state {
            SyncState::Unsynchronised => ntp_clock_state_t::NTP_CLOCK_STATE_UNSYNCHRONISED,
            SyncState::Synchronised => ntp_clock_state_t::NTP_CLOCK_STATE_SYNCHRONISED,
            SyncState::Holdover => ntp_clock_state_t::NTP_CLOCK_STATE_HOLDOVER,
            // And whatever has no time for another reason yet to be named.
            _ => ntp_clock_state_t::NTP_CLOCK_STATE_FAILED,
        }
    }
}

/// Whether the clock has a time, and why its last attempt failed.
///
/// state: receives it. last_error: receives why the last attempt failed, empty texts where it did
/// not; may be null.
///
/// Any thread, at any time. It takes a lock for a moment: for log lines, not for every reading.
///
/// ```c
/// ntp_clock_state_t state;
/// ntp_clock_error_t last_error;
/// if (ntp_clock_state(clock, &state, &last_error) == NTP_CLOCK_OK
///     && state == NTP_CLOCK_STATE_FAILED) {
///     fprintf(stderr, "no time: %s [%s]\n", last_error.text, last_error.code);
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_state(
    clock: Option<&ntp_clock_t>,
    state: Option<&mut MaybeUninit<ntp_clock_state_t>>,
    last_error: Option<&mut MaybeUninit<ntp_clock_error_t>>,
) -> ntp_clock_result_t {
    guarded(|| {
        let status = ntp_clock_t::of(clock)?.status();
        write("state", state, || Ok(status.state.into()))?;
        if let Some(place) = last_error {
            place.write(error_of(status.last_error.as_ref()));
        }
        Ok(())
    })
}

/// Everything about the clock at this moment: a JSON object with the keys of `ntp-clock status
/// --json` and of Python's get_status(), which name their units; null is what is not known.
///
/// Returns a text in UTF-8 to be freed by ntp_clock_text_free(), or null where clock is null.
///
/// Any thread, at any time. It takes a lock for a moment.
///
/// ```c
/// char *status = ntp_clock_status_json(clock);
/// if (status != NULL) {
///     puts(status);
/// }
/// ntp_clock_text_free(status);
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_status_json(clock: Option<&ntp_clock_t>) -> *mut c_char {
    let mut text = std::ptr::null_mut();
    let _ = guarded(|| {
        text = given(ntp_clock_t::of(clock)?.status().to_json().to_string());
        Ok(())
    });
    text
}
