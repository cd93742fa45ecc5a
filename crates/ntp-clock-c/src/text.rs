//! Texts between C and Rust.

#![allow(unsafe_code)] // Reads C's texts, and frees ours.

use std::ffi::{CStr, CString, c_char};

use ntp_clock::UnixTime;

use crate::field::copied;
use crate::result::{Refusal, guarded, ntp_clock_result_t};

/// Room for a time as text, its end included.
pub const NTP_CLOCK_TEXT_SIZE: usize = 33;

/// A time as text in ISO 8601, UTC, microseconds rounded down:
/// "2025-10-05T04:37:12.768445+00:00".
///
/// time_ns: nanoseconds since 1970-01-01 00:00:00 UTC. text, size: where it is written, and the room
/// there, NTP_CLOCK_TEXT_SIZE at least; else nothing is written, and the result is
/// NTP_CLOCK_BAD_ARGUMENT.
///
/// Any thread, at any time.
///
/// ```c
/// char text[NTP_CLOCK_TEXT_SIZE];
/// if (ntp_clock_format(INT64_C(1759639032768445999), text, sizeof text) == NTP_CLOCK_OK) {
///     puts(text);
///     CHECK(strcmp(text, "2025-10-05T04:37:12.768445+00:00") == 0);
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_format(
    time_ns: i64,
    text: *mut c_char,
    size: usize,
) -> ntp_clock_result_t {
    guarded(|| {
        if text.is_null() || size < NTP_CLOCK_TEXT_SIZE {
            let message = "text is a null pointer, or has too little room";
            return Err(Refusal::new(ntp_clock_result_t::NTP_CLOCK_BAD_ARGUMENT, message));
        }
        let field: [c_char; NTP_CLOCK_TEXT_SIZE] =
            copied(&UnixTime::from_nanos(time_ns).to_string());
        // SAFETY: the caller's part is that there is so much room; it is enough, as seen above.
        unsafe { text.copy_from_nonoverlapping(field.as_ptr(), field.len()) };
        Ok(())
    })
}

/// The version of the library that runs, as "2.0.0"; NTP_CLOCK_VERSION is that of the header.
///
/// Any thread, at any time.
///
/// ```c
/// printf("libntp_clock %s\n", ntp_clock_version());
/// ```
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_version() -> *const c_char {
    VERSION.as_ptr()
}

/// Frees a text that the library gave; null is allowed.
///
/// Any thread, once for each text.
///
/// ```c
/// char *status = ntp_clock_status_json(clock);
/// ntp_clock_text_free(status);
/// ```
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_text_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: the caller's part is that it is from `given`, and not freed yet.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// A text for C to keep until it frees it.
pub(crate) fn given(text: String) -> *mut c_char {
    CString::new(text).map_or(std::ptr::null_mut(), CString::into_raw)
}

/// A text of C's, or `None` for a null pointer.
///
/// # Errors
/// `NTP_CLOCK_BAD_ARGUMENT` where it is not UTF-8.
pub(crate) fn taken(what: &str, text: *const c_char) -> Result<Option<String>, Refusal> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's part is that it ends with a NUL.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => {
            let shown = String::from_utf8_lossy(bytes);
            let message = format!("{what} is not UTF-8: {shown:?}");
            Err(Refusal::new(ntp_clock_result_t::NTP_CLOCK_BAD_ARGUMENT, message))
        }
    }
}

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("a version has no NUL"),
    };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_c_is_taken_as_it_is_and_what_is_not_utf8_is_refused() {
        assert!(matches!(taken("server", std::ptr::null()), Ok(None)));
        assert_eq!(taken("server", c"örtchen".as_ptr()).unwrap().as_deref(), Some("örtchen"));
        assert!(taken("server", c"\xff\xfe".as_ptr()).is_err());
    }

    #[test]
    fn a_text_that_is_given_can_be_read_and_freed() {
        let text = given("{}".to_owned());
        // SAFETY: just made.
        assert_eq!(unsafe { CStr::from_ptr(text) }, c"{}");
        ntp_clock_text_free(text);
        ntp_clock_text_free(std::ptr::null_mut());
    }
}
