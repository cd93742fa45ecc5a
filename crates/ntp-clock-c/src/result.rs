//! What every function returns, and what is said of it.

#![allow(unsafe_code)] // Only names that are exported.

use std::any::Any;
use std::borrow::Cow;
use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ntp_clock::{ConfigError, Failure, NtsError, ServerError, SyncError, WaitError};

use crate::field::copied;

/// How a call ended. All that a function writes to (a reading, a handle's place) is written to only
/// where it returns NTP_CLOCK_OK, unless it says otherwise.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ntp_clock_result_t {
    /// Done.
    NTP_CLOCK_OK = 0,
    /// There is no time now, and none is guessed: ntp_clock_state() says why. It comes back by
    /// itself.
    NTP_CLOCK_NOT_SYNCHRONISED = 1,
    /// The time-out passed first.
    NTP_CLOCK_TIMED_OUT = 2,
    /// That time is further ahead than the time-out: it was not waited for.
    NTP_CLOCK_TOO_FAR = 3,
    /// The round that was asked for gave no time.
    NTP_CLOCK_SYNC_FAILED = 4,
    /// A pointer that is needed is null, a time-out is negative, or a text is not UTF-8.
    NTP_CLOCK_BAD_ARGUMENT = 5,
    /// The server's name is malformed.
    NTP_CLOCK_BAD_SERVER = 6,
    /// An option has a value that no clock can have.
    NTP_CLOCK_BAD_OPTION = 7,
    /// Network Time Security is required and cannot be had, or is chosen by another word than
    /// "off" and "required".
    NTP_CLOCK_NO_NTS = 8,
    /// A fault of the library's own. The handle may still be used.
    NTP_CLOCK_INTERNAL_ERROR = 9,
}

use ntp_clock_result_t::*;

/// Why something failed, in memory of the caller's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ntp_clock_error_t {
    /// One word for programs, that stays from version to version: "no_reply", "refused",
    /// "no_address" ... (docs/STATUS.md has them all). Empty where the result says it all.
    pub code: [c_char; 32],
    /// What happened, to what and what to do, UTF-8. It may change between versions, and is cut
    /// where it is longer.
    pub text: [c_char; 480],
}

/// The result in words, a constant. Never null, whatever the result.
///
/// Any thread, at any time.
///
/// ```c
/// ntp_clock_reading_t now;
/// ntp_clock_result_t result = ntp_clock_now(clock, &now);
/// if (result != NTP_CLOCK_OK) {
///     fprintf(stderr, "no time: %s\n", ntp_clock_result_text(result));
/// }
/// ```
// By its number: C may pass what is none of them.
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_result_text(result: i32) -> *const c_char {
    let text: &'static CStr = match result {
        0 => c"done",
        1 => c"the clock is not synchronised",
        2 => c"the time-out passed first",
        3 => c"that time is further ahead than the time-out",
        4 => c"the round gave no time",
        5 => c"a pointer is null, a time-out negative, or a text not UTF-8",
        6 => c"the server's name is malformed",
        7 => c"an option has a value that no clock can have",
        8 => c"Network Time Security is required and cannot be had",
        9 => c"a fault of libntp_clock's own",
        _ => c"a result that this version of libntp_clock does not know",
    };
    text.as_ptr()
}

/// Why a call ends otherwise than well.
#[derive(Debug)]
pub(crate) struct Refusal {
    result: ntp_clock_result_t,
    code: &'static str,
    text: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(result: ntp_clock_result_t, text: impl Into<Cow<'static, str>>) -> Self {
        Refusal { result, code: "", text: text.into() }
    }

    pub(crate) fn null(what: &str) -> Self {
        Refusal::new(NTP_CLOCK_BAD_ARGUMENT, format!("{what} is a null pointer"))
    }

    pub(crate) fn not_synchronised() -> Self {
        Refusal::new(NTP_CLOCK_NOT_SYNCHRONISED, "the clock is not synchronised")
    }
}

impl From<ServerError> for Refusal {
    fn from(error: ServerError) -> Self {
        Refusal::new(NTP_CLOCK_BAD_SERVER, error.to_string())
    }
}

impl From<NtsError> for Refusal {
    fn from(error: NtsError) -> Self {
        Refusal::new(NTP_CLOCK_NO_NTS, error.to_string())
    }
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Nts(error) => error.into(),
            other => Refusal::new(NTP_CLOCK_BAD_OPTION, other.to_string()),
        }
    }
}

impl From<SyncError> for Refusal {
    fn from(error: SyncError) -> Self {
        let code = error.failure().code();
        Refusal { result: NTP_CLOCK_SYNC_FAILED, code, text: error.to_string().into() }
    }
}

impl From<WaitError> for Refusal {
    fn from(error: WaitError) -> Self {
        let result = match error {
            WaitError::TooFar { .. } => NTP_CLOCK_TOO_FAR,
            _ => NTP_CLOCK_TIMED_OUT,
        };
        Refusal::new(result, error.to_string())
    }
}

/// What a failure of the clock's is to C; empty where there is none.
pub(crate) fn error_of(failure: Option<&Failure>) -> ntp_clock_error_t {
    let (code, text) = failure.map_or(("", ""), |failure| (failure.code(), failure.detail()));
    ntp_clock_error_t { code: copied(code), text: copied(text) }
}

/// The result of what a function does; a panic ends here.
pub(crate) fn guarded(act: impl FnOnce() -> Result<(), Refusal>) -> ntp_clock_result_t {
    explained(None, act)
}

/// The same, with what is to be said of a failure.
pub(crate) fn explained(
    error: Option<&mut MaybeUninit<ntp_clock_error_t>>,
    act: impl FnOnce() -> Result<(), Refusal>,
) -> ntp_clock_result_t {
    // What it was at is given up: nothing is seen half-done.
    let refusal = match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(())) => return NTP_CLOCK_OK,
        Ok(Err(refusal)) => refusal,
        Err(panic) => Refusal::new(NTP_CLOCK_INTERNAL_ERROR, text_of(panic)),
    };
    if let Some(error) = error {
        error.write(ntp_clock_error_t { code: copied(refusal.code), text: copied(&refusal.text) });
    }
    refusal.result
}

/// What a panic said.
fn text_of(panic: Box<dyn Any + Send>) -> String {
    let words = match panic.downcast::<String>() {
        Ok(text) => return *text,
        Err(panic) => panic.downcast::<&'static str>(),
    };
    words.map_or_else(|_| "a panic without words".to_owned(), |text| (*text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::read;
    use ntp_clock::AttemptError;

    fn result_text(result: i32) -> String {
        let text = ntp_clock_result_text(result);
        // SAFETY: a constant.
        unsafe { CStr::from_ptr(text) }.to_str().expect("ASCII").to_owned()
    }

    #[test]
    fn a_panic_ends_at_the_border_as_a_result_with_its_words() {
        let mut error = MaybeUninit::uninit();
        let result = explained(Some(&mut error), || panic!("the {} broke", "latch"));
        assert_eq!(result, NTP_CLOCK_INTERNAL_ERROR);
        // SAFETY: written, for the call failed.
        let error = unsafe { error.assume_init() };
        assert_eq!(
            (read(&error.code), read(&error.text)),
            (String::new(), "the latch broke".into())
        );
        assert_eq!(guarded(|| std::panic::panic_any(7)), NTP_CLOCK_INTERNAL_ERROR);
    }

    #[test]
    fn every_code_has_room_in_an_error() {
        for code in AttemptError::CODES {
            let error = ntp_clock_error_t { code: copied(code), text: [0; 480] };
            assert_eq!(read(&error.code), code);
        }
    }

    #[test]
    fn every_result_has_words_of_its_own_and_any_other_number_has_some_too() {
        let known: Vec<String> = (0..=NTP_CLOCK_INTERNAL_ERROR as i32).map(result_text).collect();
        for (at, text) in known.iter().enumerate() {
            assert!(!known[..at].contains(text), "{text}");
        }
        for unknown in [-1, 10, i32::MAX, i32::MIN] {
            assert!(result_text(unknown).contains("does not know"), "{unknown}");
        }
    }
}
