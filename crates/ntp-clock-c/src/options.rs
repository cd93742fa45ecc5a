//! How a clock is chosen, in a struct that may grow.

#![allow(unsafe_code)] // Reads a struct of which only its caller knows the size.

use std::ffi::c_char;
use std::mem::offset_of;
use std::path::PathBuf;
use std::time::Duration;

use ntp_clock::{Builder, Clock, Nts, Server, Sharing};

use crate::result::Refusal;
use crate::result::ntp_clock_result_t::{NTP_CLOCK_BAD_ARGUMENT, NTP_CLOCK_BAD_OPTION};
use crate::text::taken;

/// How a clock is to be. Begin with NTP_CLOCK_OPTIONS_INIT, or with all bytes zero and `size` set;
/// every other member's zero is its default. Texts are UTF-8 and read during the call alone.
///
/// Later versions have more members at the end; `size` says which of them the program knows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ntp_clock_options_t {
    /// sizeof(ntp_clock_options_t).
    pub size: usize,
    /// The one server, host[:port]; null: time.cloudflare.com.
    pub server: *const c_char,
    /// Network Time Security: "off" or "required"; null: off. There is no way back to plain NTP.
    pub nts: *const c_char,
    /// File of certificates (PEM) that are trusted instead of the platform's; null: the platform's.
    /// It goes with nts "required" alone.
    pub nts_ca: *const c_char,
    /// Pause between polls, nanoseconds: 1 s to 1 day; 0: 5 minutes.
    pub poll_interval_ns: i64,
    /// For how long readings go on, with growing errors, once the server is lost, nanoseconds: at
    /// most 30 days; 0: not at all.
    pub holdover_ns: i64,
    /// Whether processes of this machine have one clock: an ntp_clock_sharing_t; 0: a clock of its
    /// own. Where sharing is not possible it is one of its own, and ntp_clock_status_json() says
    /// why.
    pub sharing: i32,
    /// Directory in which they meet; null: one of the user's. It goes with sharing alone.
    pub sharing_directory: *const c_char,
    /// The id of a user whose pages are believed besides our own and root's; null: nobody's. It
    /// goes with sharing alone.
    pub sharing_operator: *const u32,
}

/// How processes of this machine have one clock (Linux; docs/HOST_CLOCK.md).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ntp_clock_sharing_t {
    /// A clock of its own.
    NTP_CLOCK_NOT_SHARED = 0,
    /// One of them synchronises, all of them read what it writes, and another one goes on when it
    /// ends.
    NTP_CLOCK_SHARED = 1,
    /// The same, but this process never asks a server: it has no time where no other has.
    NTP_CLOCK_SHARED_ONLY_READS = 2,
}

/// What is chosen.
///
/// # Errors
/// [`Refusal`] of the member that cannot be followed.
pub(crate) fn builder(options: *const ntp_clock_options_t) -> Result<Builder, Refusal> {
    let mut builder = Clock::builder();
    if options.is_null() {
        return Ok(builder);
    }
    let options = read(options)?;
    if let Some(server) = taken("options.server", options.server)? {
        builder = builder.server(server.parse::<Server>()?);
    }
    let nts = taken("options.nts", options.nts)?;
    let roots = taken("options.nts_ca", options.nts_ca)?.map(PathBuf::from);
    builder = builder.nts(Nts::from_words(nts.as_deref().unwrap_or("off"), roots)?);
    if options.poll_interval_ns != 0 {
        builder = builder.poll_interval(option("poll_interval_ns", options.poll_interval_ns)?);
    }
    builder = builder.holdover(option("holdover_ns", options.holdover_ns)?);
    Ok(match sharing(&options)? {
        Some(sharing) => builder.shared(sharing),
        None => builder,
    })
}

/// How the clock is to be shared, if it is.
fn sharing(options: &ntp_clock_options_t) -> Result<Option<Sharing>, Refusal> {
    let directory = taken("options.sharing_directory", options.sharing_directory)?;
    // SAFETY: the caller's part is that it is null or points to a number.
    let operator = unsafe { options.sharing_operator.as_ref() };
    let only_reads = match options.sharing {
        NOT_SHARED if directory.is_none() && operator.is_none() => return Ok(None),
        NOT_SHARED => {
            let message =
                "options.sharing_directory or sharing_operator is set, but sharing is not";
            return Err(Refusal::new(NTP_CLOCK_BAD_OPTION, message));
        }
        SHARED => false,
        SHARED_ONLY_READS => true,
        other => {
            let message =
                format!("options.sharing is {other}, which is not an ntp_clock_sharing_t");
            return Err(Refusal::new(NTP_CLOCK_BAD_OPTION, message));
        }
    };
    let mut sharing = directory.map_or_else(Sharing::of_user, Sharing::in_directory);
    if let Some(user) = operator {
        sharing = sharing.operator(*user);
    }
    Ok(Some(if only_reads { sharing.only_read() } else { sharing }))
}

/// The members that the program knows; its others are zero.
fn read(options: *const ntp_clock_options_t) -> Result<ntp_clock_options_t, Refusal> {
    let bytes = options.cast::<u8>();
    // SAFETY: the caller's part is that there is a struct, of which every version has this member.
    let size = unsafe { (*options).size };
    if !(SIZE_MIN..=SIZE_MAX).contains(&size) {
        let message = format!("options.size is {size}; begin with NTP_CLOCK_OPTIONS_INIT");
        return Err(Refusal::new(NTP_CLOCK_BAD_ARGUMENT, message));
    }
    // SAFETY: the struct has this many bytes, all of them set; it is not written to meanwhile.
    let given = unsafe { std::slice::from_raw_parts(bytes, size) };
    let known = size.min(size_of::<ntp_clock_options_t>());
    if given[known..].iter().any(|byte| *byte != 0) {
        let message = "an option is set that this version of libntp_clock does not know";
        return Err(Refusal::new(NTP_CLOCK_BAD_OPTION, message));
    }
    let mut options = ntp_clock_options_t {
        size,
        server: std::ptr::null(),
        nts: std::ptr::null(),
        nts_ca: std::ptr::null(),
        poll_interval_ns: 0,
        holdover_ns: 0,
        sharing: NOT_SHARED,
        sharing_directory: std::ptr::null(),
        sharing_operator: std::ptr::null(),
    };
    // SAFETY: both have `known` bytes, and all bits of every member mean something.
    unsafe { std::ptr::copy_nonoverlapping(bytes, (&raw mut options).cast(), known) };
    Ok(options)
}

fn option(name: &str, nanos: i64) -> Result<Duration, Refusal> {
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| {
        Refusal::new(NTP_CLOCK_BAD_OPTION, format!("options.{name} is negative: {nanos}"))
    })
}

const NOT_SHARED: i32 = ntp_clock_sharing_t::NTP_CLOCK_NOT_SHARED as i32;
const SHARED: i32 = ntp_clock_sharing_t::NTP_CLOCK_SHARED as i32;
const SHARED_ONLY_READS: i32 = ntp_clock_sharing_t::NTP_CLOCK_SHARED_ONLY_READS as i32;
/// Of the first version, which ends with `sharing_operator`.
const SIZE_MIN: usize = offset_of!(ntp_clock_options_t, sharing_operator) + size_of::<*const u32>();
/// No version will have more; a greater size is of memory that nobody has set.
const SIZE_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::null;

    /// A struct of a later version, with members that this one does not know.
    #[repr(C)]
    struct Later {
        known: ntp_clock_options_t,
        more: u64,
    }

    fn options() -> ntp_clock_options_t {
        ntp_clock_options_t {
            size: size_of::<ntp_clock_options_t>(),
            server: c"localhost:11123".as_ptr(),
            nts: null(),
            nts_ca: null(),
            poll_interval_ns: 0,
            holdover_ns: 0,
            sharing: NOT_SHARED,
            sharing_directory: null(),
            sharing_operator: null(),
        }
    }

    fn refused(options: &ntp_clock_options_t) -> String {
        format!("{:?}", builder(options).expect_err("refused"))
    }

    #[test]
    fn no_options_and_options_that_are_zero_are_the_defaults() {
        let defaults = format!("{:?}", Clock::builder());
        assert_eq!(format!("{:?}", builder(null()).unwrap()), defaults);
        let zero = ntp_clock_options_t { server: null(), ..options() };
        assert_eq!(format!("{:?}", builder(&zero).unwrap()), defaults);
    }

    #[test]
    fn a_size_that_no_struct_has_is_refused_and_so_is_an_option_of_a_later_version_that_is_set() {
        for size in [0, 8, SIZE_MIN - 1, SIZE_MAX + 1, usize::MAX] {
            let message = refused(&ntp_clock_options_t { size, ..options() });
            assert!(message.contains("NTP_CLOCK_OPTIONS_INIT"), "{message}");
        }
        let size = size_of::<Later>();
        let mut later = Later { known: ntp_clock_options_t { size, ..options() }, more: 0 };
        assert!(builder((&raw const later).cast()).is_ok());
        later.more = 1;
        let refusal = builder((&raw const later).cast()).expect_err("not known");
        assert!(format!("{refusal:?}").contains("does not know"));
    }

    #[test]
    fn every_member_is_followed_or_refused_by_its_name() {
        let chosen = ntp_clock_options_t {
            nts: c"required".as_ptr(),
            nts_ca: c"ca.pem".as_ptr(),
            poll_interval_ns: 60_000_000_000,
            holdover_ns: 600_000_000_000,
            ..options()
        };
        let built = format!("{:?}", builder(&chosen).unwrap());
        for part in ["localhost", "11123", "ca.pem", "60s", "600s"] {
            assert!(built.contains(part), "{part} is not in {built}");
        }
        let with = |nts, nts_ca| refused(&ntp_clock_options_t { nts, nts_ca, ..options() });
        assert!(with(c"maybe".as_ptr(), null()).contains("NO_NTS"));
        assert!(with(null(), c"ca.pem".as_ptr()).contains("NO_NTS"));
        assert!(
            refused(&ntp_clock_options_t { holdover_ns: -1, ..options() }).contains("holdover")
        );
        let negative = ntp_clock_options_t { poll_interval_ns: -1, ..options() };
        assert!(refused(&negative).contains("poll_interval_ns"));
        let nowhere = ntp_clock_options_t { server: c"a b".as_ptr(), ..options() };
        assert!(refused(&nowhere).contains("BAD_SERVER"));
    }

    #[test]
    fn sharing_is_followed_and_what_goes_with_it_alone_is_refused_without_it() {
        let user = 1234_u32;
        let shared = |sharing, sharing_directory, sharing_operator| {
            let more = ntp_clock_options_t { sharing_directory, sharing_operator, ..options() };
            builder(&ntp_clock_options_t { sharing, ..more }).map(|built| format!("{built:?}"))
        };
        let built = shared(SHARED_ONLY_READS, c"/run/clock".as_ptr(), &user).unwrap();
        for part in ["/run/clock", "1234", "only_reads: true"] {
            assert!(built.contains(part), "{part} is not in {built}");
        }
        let built = shared(SHARED, null(), null()).unwrap();
        assert!(built.contains("only_reads: false"), "{built}");
        for refused in [
            shared(NOT_SHARED, c"/run/clock".as_ptr(), null()),
            shared(NOT_SHARED, null(), &user),
            shared(3, null(), null()),
            shared(-1, null(), null()),
        ] {
            let refusal = format!("{:?}", refused.expect_err("refused"));
            assert!(refusal.contains("BAD_OPTION") && refusal.contains("sharing"), "{refusal}");
        }
    }
}
