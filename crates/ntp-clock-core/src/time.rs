//! Three times that cannot be mixed up, and the span between two of one kind.
//!
//! | type | what it counts | steps? |
//! |---|---|---|
//! | [`LocalTime`] | a free-running counter of this machine | never |
//! | [`SystemTime`] | the system's wall clock | yes: anybody may set it |
//! | [`UnixTime`] | our estimate of UTC at the server, Unix nanoseconds | only in a new epoch |
//!
//! Times of two kinds do not subtract:
//!
//! ```compile_fail
//! use ntp_clock_core::{LocalTime, UnixTime};
//! let _ = UnixTime::from_nanos(5) - LocalTime::from_nanos(3);
//! ```
//!
//! All arithmetic saturates at the ends of `i64`: no input can make it panic or wrap.

use core::fmt;
use core::ops::{Add, AddAssign, Neg, Sub, SubAssign};

/// Nanoseconds in one second.
pub(crate) const NANOS_PER_SEC: i64 = 1_000_000_000;
const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_MICRO: i64 = 1_000;
const SECS_PER_DAY: i64 = 86_400;

/// A signed length of time in nanoseconds, within about ±292 years.
///
/// ```
/// use ntp_clock_core::Span;
/// assert_eq!(Span::from_millis(3) + Span::from_micros(5), Span::from_nanos(3_005_000));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);
    /// The longest span; arithmetic saturates here.
    pub const MAX: Span = Span(i64::MAX);
    /// The longest negative span; arithmetic saturates here.
    pub const MIN: Span = Span(i64::MIN);

    /// A span of this many nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Span(nanos)
    }

    /// A span of this many microseconds, saturating.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Span(micros.saturating_mul(NANOS_PER_MICRO))
    }

    /// A span of this many milliseconds, saturating.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Span(millis.saturating_mul(NANOS_PER_MILLI))
    }

    /// A span of this many seconds, saturating.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Span(secs.saturating_mul(NANOS_PER_SEC))
    }

    /// Rounds a number of nanoseconds up, saturating; NaN becomes [`Span::MAX`].
    ///
    /// Rounding up is right for errors: a bound must not lose its fraction.
    #[must_use]
    pub fn from_nanos_f64_ceil(nanos: f64) -> Self {
        if nanos.is_nan() {
            return Span::MAX;
        }
        // A float cast saturates in Rust, so the ends are covered.
        Span(libm::ceil(nanos) as i64)
    }

    /// This span in nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// This span in seconds, to the precision of a double.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SEC as f64
    }

    /// This span in milliseconds, to the precision of a double.
    #[must_use]
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_MILLI as f64
    }

    /// The length without its sign, saturating.
    #[must_use]
    pub const fn abs(self) -> Self {
        Span(self.0.saturating_abs())
    }

    /// Half the span, rounded towards positive infinity (for errors).
    #[must_use]
    pub const fn half_ceil(self) -> Self {
        Span((self.0 >> 1) + (self.0 & 1))
    }

    /// This span times a whole number, saturating.
    #[must_use]
    pub const fn times(self, factor: i64) -> Self {
        Span(self.0.saturating_mul(factor))
    }

    /// This span times a fraction of 2^64: `of_u64(u64::MAX)` is all but one part of it.
    ///
    /// Made for spreading by randomness: a uniform `u64` gives a uniform share of the span.
    #[must_use]
    pub const fn share(self, of_u64: u64) -> Self {
        // |i64| * u64 fits i128 with room to spare; the quotient is within i64 again.
        Span(((self.0 as i128 * of_u64 as i128) >> 64) as i64)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ns", self.0)
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(sum(self.0, other.0))
    }
}

impl Sub for Span {
    type Output = Span;
    fn sub(self, other: Span) -> Span {
        Span(difference(self.0, other.0))
    }
}

impl Neg for Span {
    type Output = Span;
    fn neg(self) -> Span {
        Span(self.0.saturating_neg())
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Span) {
        *self = *self + other;
    }
}

impl SubAssign for Span {
    fn sub_assign(&mut self, other: Span) {
        *self = *self - other;
    }
}

impl From<core::time::Duration> for Span {
    /// Saturates at [`Span::MAX`].
    fn from(duration: core::time::Duration) -> Self {
        Span(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl From<Span> for core::time::Duration {
    /// A negative span becomes zero.
    fn from(span: Span) -> Self {
        core::time::Duration::from_nanos(span.0.max(0) as u64)
    }
}

/// Saturating. Out of line in WebAssembly, where it is a tenth of the code otherwise.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline)]
fn sum(a: i64, b: i64) -> i64 {
    a.saturating_add(b)
}

/// As [`sum`].
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline)]
fn difference(a: i64, b: i64) -> i64 {
    a.saturating_sub(b)
}

macro_rules! time_type {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// The earliest time that can be said.
            pub const MIN: $name = $name(i64::MIN);
            /// The latest time that can be said.
            pub const MAX: $name = $name(i64::MAX);

            /// The time this many nanoseconds after this scale's zero.
            #[must_use]
            pub const fn from_nanos(nanos: i64) -> Self {
                $name(nanos)
            }

            /// Nanoseconds since this scale's zero.
            #[must_use]
            pub const fn as_nanos(self) -> i64 {
                self.0
            }
        }

        impl Add<Span> for $name {
            type Output = $name;
            fn add(self, span: Span) -> $name {
                $name(sum(self.0, span.0))
            }
        }

        impl Sub<Span> for $name {
            type Output = $name;
            fn sub(self, span: Span) -> $name {
                $name(difference(self.0, span.0))
            }
        }

        impl Sub for $name {
            type Output = Span;
            fn sub(self, other: $name) -> Span {
                Span(difference(self.0, other.0))
            }
        }
    };
}

time_type! {
    /// A reading of the machine's free-running counter, in nanoseconds since a zero of its own.
    ///
    /// It does not jump, and only compares with readings of the same counter in the same boot.
    #[derive(Debug)]
    LocalTime
}

time_type! {
    /// A reading of the system's wall clock, in nanoseconds since the Unix epoch as that clock
    /// believes it.
    ///
    /// Only used to report how far the wall clock is off; never to tell the time.
    #[derive(Debug)]
    SystemTime
}

time_type! {
    /// True time: UTC as the server has it, in nanoseconds since the Unix epoch, leap seconds not
    /// counted. Reaches from the year 1677 to 2262.
    ///
    /// `Display` writes ISO 8601 with six digits, floored to the microsecond:
    ///
    /// ```
    /// use ntp_clock_core::UnixTime;
    /// let t = UnixTime::from_nanos(1_759_639_032_768_445_999);
    /// assert_eq!(t.to_string(), "2025-10-05T04:37:12.768445+00:00");
    /// ```
    UnixTime
}

impl UnixTime {
    /// Milliseconds since the Unix epoch, floored (also before 1970).
    #[must_use]
    pub const fn as_millis_floor(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MILLI)
    }

    /// Seconds since the Unix epoch, to the precision of a double (about 0.2 µs today).
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        // Splitting first keeps the whole seconds exact.
        self.0.div_euclid(NANOS_PER_SEC) as f64
            + self.0.rem_euclid(NANOS_PER_SEC) as f64 / NANOS_PER_SEC as f64
    }

    /// The beginning of the next calendar month in UTC: where a leap second would be.
    ///
    /// RFC 5905 section 7.3 lets the leap indicator warn of "the last minute of the current month".
    #[must_use]
    pub fn next_month(self) -> UnixTime {
        let civil = Civil::from_unix(self);
        let (year, month) =
            if civil.month == 12 { (civil.year + 1, 1) } else { (civil.year, civil.month + 1) };
        let secs = days_from_civil(year, month, 1) * SECS_PER_DAY;
        UnixTime(secs.saturating_mul(NANOS_PER_SEC))
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Log lines are full of these: digits set into a pattern take a fifth of `write!`'s time.
        let mut text = *b"0000-00-00T00:00:00.000000+00:00";
        let c = Civil::from_unix(*self);
        let second = c.second_of_day;
        let micros = self.0.rem_euclid(NANOS_PER_SEC) / NANOS_PER_MICRO;
        set_digits(&mut text[0..4], c.year);
        set_digits(&mut text[5..7], c.month);
        set_digits(&mut text[8..10], c.day);
        set_digits(&mut text[11..13], second / 3600);
        set_digits(&mut text[14..16], second / 60 % 60);
        set_digits(&mut text[17..19], second % 60);
        set_digits(&mut text[20..26], micros);
        f.pad(core::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Writes the last digits of a number that is not negative.
fn set_digits(places: &mut [u8], mut number: i64) {
    for place in places.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl fmt::Debug for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnixTime({}ns {self})", self.0)
    }
}

/// A UTC calendar date with the second of its day.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
}

impl Civil {
    /// Proleptic Gregorian, counted in 400-year cycles that begin on a 1 March, so that the leap
    /// day is the last of its year.
    fn from_unix(time: UnixTime) -> Civil {
        let secs = time.0.div_euclid(NANOS_PER_SEC);
        let days = secs.div_euclid(SECS_PER_DAY) + DAYS_TO_1970_FROM_MARCH_0000;
        let cycle = days.div_euclid(DAYS_PER_CYCLE);
        let day_of_cycle = days.rem_euclid(DAYS_PER_CYCLE);
        let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524
            - day_of_cycle / 146_096)
            / 365;
        let day_of_year =
            day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Civil {
            year: year_of_cycle + cycle * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            second_of_day: secs.rem_euclid(SECS_PER_DAY),
        }
    }
}

const DAYS_PER_CYCLE: i64 = 146_097;
const DAYS_TO_1970_FROM_MARCH_0000: i64 = 719_468;

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let cycle = year.div_euclid(400);
    let year_of_cycle = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    cycle * DAYS_PER_CYCLE + day_of_cycle - DAYS_TO_1970_FROM_MARCH_0000
}

#[cfg(test)]
mod tests;
