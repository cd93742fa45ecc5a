//! Readings.

#![allow(unsafe_code)] // Only names that are exported.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use ntp_clock::{LocalTime, Reading, Span, UnixTime};

use crate::field::copied;
use crate::handle::ntp_clock_t;
use crate::result::{Refusal, guarded, ntp_clock_result_t};

/// What the time is, and how wrong that can be.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ntp_clock_reading_t {
    /// True time: UTC as the server has it, nanoseconds since 1970-01-01 00:00:00 UTC, leap seconds
    /// not counted (Unix's scale).
    pub time_ns: i64,
    /// Hard bound: the truth is certainly within time_ns - max_error_ns and time_ns + max_error_ns.
    /// Nanoseconds, never negative.
    pub max_error_ns: i64,
    /// How wrong it probably is: one standard deviation, nanoseconds, at most max_error_ns.
    pub est_error_ns: i64,
    /// Readings of one clock and one epoch never decrease, in all processes that share it; where
    /// another epoch begins, time may jump. From 1 where the clock is not shared.
    pub epoch: u64,
}

/// A moment by the local counter and, where there is one, by the clock: both of one look.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ntp_clock_stamp_t {
    /// The local counter, nanoseconds since a moment that means nothing.
    pub counter_ns: i64,
    /// Which counter that is, 16 hexadecimal digits: moments of the same one can be compared,
    /// whichever process read them. Another one after the machine slept.
    pub counter_id: [c_char; 17],
    /// Whether there is a reading.
    pub is_synced: bool,
    /// The time at that moment; all zero where is_synced is false.
    pub reading: ntp_clock_reading_t,
}

impl From<Reading> for ntp_clock_reading_t {
    #[inline]
    fn from(reading: Reading) -> Self {
        ntp_clock_reading_t {
            time_ns: reading.time().as_nanos(),
            max_error_ns: reading.max_error().as_nanos(),
            est_error_ns: reading.est_error().as_nanos(),
            epoch: reading.epoch(),
        }
    }
}

impl From<&ntp_clock_reading_t> for Reading {
    fn from(reading: &ntp_clock_reading_t) -> Self {
        Reading::new(
            UnixTime::from_nanos(reading.time_ns),
            Span::from_nanos(reading.max_error_ns),
            Span::from_nanos(reading.est_error_ns),
            reading.epoch,
        )
    }
}

/// Writes what there is, or says why not.
#[inline]
pub(crate) fn write<T>(
    name: &str,
    place: Option<&mut MaybeUninit<T>>,
    value: impl FnOnce() -> Result<T, Refusal>,
) -> Result<(), Refusal> {
    let place = place.ok_or_else(|| Refusal::null(name))?;
    place.write(value()?);
    Ok(())
}

/// The time now, with its errors. It never waits, locks or allocates.
///
/// reading: receives it. Returns NTP_CLOCK_NOT_SYNCHRONISED while there is no time.
///
/// Any thread, at any time.
///
/// ```c
/// ntp_clock_reading_t now;
/// if (ntp_clock_now(clock, &now) == NTP_CLOCK_OK) {
///     printf("%" PRId64 " ns, off by at most %" PRId64 " ns\n", now.time_ns, now.max_error_ns);
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_now(
    clock: Option<&ntp_clock_t>,
    reading: Option<&mut MaybeUninit<ntp_clock_reading_t>>,
) -> ntp_clock_result_t {
    guarded(|| {
        let clock = ntp_clock_t::of(clock)?;
        write("reading", reading, || {
            clock.now().map(Into::into).ok_or_else(Refusal::not_synchronised)
        })
    })
}

/// The local counter now, nanoseconds since a moment that means nothing: to be dated later by
/// ntp_clock_at(). It is there also without synchronised time, and never waits.
///
/// Any thread, at any time.
///
/// ```c
/// int64_t begun_ns;
/// if (ntp_clock_counter(clock, &begun_ns) == NTP_CLOCK_OK) {
///     // ... later, once the clock is synchronised:
///     ntp_clock_reading_t begun;
///     if (ntp_clock_at(clock, begun_ns, &begun) == NTP_CLOCK_OK) {
///         printf("begun at %" PRId64 "\n", begun.time_ns);
///     }
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_counter(
    clock: Option<&ntp_clock_t>,
    counter_ns: Option<&mut MaybeUninit<i64>>,
) -> ntp_clock_result_t {
    guarded(|| {
        let clock = ntp_clock_t::of(clock)?;
        write("counter_ns", counter_ns, || Ok(clock.local_now().as_nanos()))
    })
}

/// The time at another moment of the local counter, also from before the first synchronisation.
///
/// counter_ns: from ntp_clock_counter() or ntp_clock_stamp(). reading: receives the time then.
/// Returns NTP_CLOCK_NOT_SYNCHRONISED while there is no time, for moments before the machine last
/// slept, and for those beyond the time for which the clock can speak.
///
/// Any thread, at any time; it never waits.
///
/// ```c
/// int64_t then_ns;
/// ntp_clock_reading_t then;
/// if (ntp_clock_counter(clock, &then_ns) == NTP_CLOCK_OK
///     && ntp_clock_at(clock, then_ns, &then) == NTP_CLOCK_OK) {
///     printf("then it was %" PRId64 "\n", then.time_ns);
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_at(
    clock: Option<&ntp_clock_t>,
    counter_ns: i64,
    reading: Option<&mut MaybeUninit<ntp_clock_reading_t>>,
) -> ntp_clock_result_t {
    guarded(|| {
        let clock = ntp_clock_t::of(clock)?;
        let local = LocalTime::from_nanos(counter_ns);
        write("reading", reading, || {
            clock.at(local).map(Into::into).ok_or_else(Refusal::not_synchronised)
        })
    })
}

/// The local counter, which counter it is, and the time now: what to keep of an event that others
/// are to compare with theirs. It succeeds also without synchronised time.
///
/// Any thread, at any time; it never waits.
///
/// ```c
/// ntp_clock_stamp_t stamp;
/// if (ntp_clock_stamp(clock, &stamp) == NTP_CLOCK_OK) {
///     printf("%" PRId64 " of counter %s, %s\n", stamp.counter_ns, stamp.counter_id,
///            stamp.is_synced ? "with the time" : "without the time");
/// }
/// ```
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_stamp(
    clock: Option<&ntp_clock_t>,
    stamp: Option<&mut MaybeUninit<ntp_clock_stamp_t>>,
) -> ntp_clock_result_t {
    guarded(|| {
        let clock = ntp_clock_t::of(clock)?;
        write("stamp", stamp, || {
            let stamp = clock.stamp();
            Ok(ntp_clock_stamp_t {
                counter_ns: stamp.counter.as_nanos(),
                counter_id: copied(&stamp.counter_id.to_string()),
                is_synced: stamp.reading.is_some(),
                reading: stamp.reading.map(Into::into).unwrap_or_default(),
            })
        })
    })
}

/// Whether one moment certainly came before another, wherever each was read: their bounds do not
/// meet. False where either is null.
///
/// Any thread, at any time.
///
/// ```c
/// ntp_clock_reading_t a = {1000, 10, 3, 1}, b = {1021, 10, 3, 1}, c = {1020, 10, 3, 1};
/// CHECK(ntp_clock_definitely_before(&a, &b));
/// CHECK(!ntp_clock_definitely_before(&a, &c));
/// ```
#[unsafe(no_mangle)]
pub extern "C" fn ntp_clock_definitely_before(
    one: Option<&ntp_clock_reading_t>,
    other: Option<&ntp_clock_reading_t>,
) -> bool {
    one.zip(other)
        .is_some_and(|(one, other)| Reading::from(one).definitely_before(&Reading::from(other)))
}
