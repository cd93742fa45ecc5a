//! Doubles of milliseconds, as JavaScript counts, and nanoseconds.

use ntp_clock_core::{LocalTime, Span, UnixTime};

/// A moment of `performance.now()`; later ones never come out earlier. NaN is the counter's zero.
pub(crate) fn local(ms: f64) -> LocalTime {
    // A cast, for the library's floor takes as long as all the rest of a reading.
    LocalTime::from_nanos((ms * NANOS_PER_MILLI + 0.5) as i64)
}

/// A moment of the counter in milliseconds.
pub(crate) fn local_ms(at: LocalTime) -> f64 {
    at.as_nanos() as f64 / NANOS_PER_MILLI
}

/// Milliseconds since 1970, right to a double's last bit (a quarter of a microsecond today).
#[inline]
pub(crate) fn unix_ms(time: UnixTime) -> f64 {
    // A double's quotient is one too large at most, and costs a fraction of an integer's: this
    // is in every reading.
    let nanos = time.as_nanos();
    let mut millis = (nanos as f64 / NANOS_PER_MILLI) as i64;
    let mut rest = nanos - millis * 1_000_000;
    if rest < 0 {
        millis -= 1;
        rest += 1_000_000;
    }
    millis as f64 + rest as f64 / NANOS_PER_MILLI
}

/// The inverse of [`unix_ms`], for numbers between the years 1970 and 2200; none for any other.
pub(crate) fn unix(ms: f64) -> Option<UnixTime> {
    if !(0.0..YEAR_2200_MS).contains(&ms) {
        return None;
    }
    // Whole milliseconds apart, so that their fraction keeps all its bits.
    let whole = libm::floor(ms);
    let fraction = libm::floor((ms - whole) * NANOS_PER_MILLI + 0.5);
    Some(UnixTime::from_nanos(whole as i64 * 1_000_000 + fraction as i64))
}

/// A length that says how wrong something may be, rounded up; none below zero, NaN or infinite.
pub(crate) fn error(ms: f64) -> Option<Span> {
    (ms >= 0.0 && ms.is_finite()).then(|| Span::from_nanos_f64_ceil(ms * NANOS_PER_MILLI))
}

/// How far a time of this age is from its double.
pub(crate) const DOUBLE_ERROR: Span = Span::from_nanos(123);

const NANOS_PER_MILLI: f64 = 1e6;
const YEAR_2200_MS: f64 = 7_258_118_400_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_from_its_double_within_the_doubles_error() {
        for nanos in [0, 999_999, 1_759_639_032_768_445_123, 1_800_000_000_000_000_001] {
            let time = UnixTime::from_nanos(nanos);
            let back = unix(unix_ms(time)).expect("in range");
            assert!((back - time).abs() <= DOUBLE_ERROR, "{nanos}");
        }
    }

    #[test]
    fn a_time_is_cut_into_whole_milliseconds_and_the_rest_around_each_of_them() {
        for millis in [0_i64, 1, 1_759_639_032_768, 1_795_523_889_127, 9_000_000_000_000] {
            for beside in -300..300 {
                let nanos = millis * 1_000_000 + beside;
                let whole = nanos.div_euclid(1_000_000) as f64;
                let rest = nanos.rem_euclid(1_000_000) as f64;
                let ms = unix_ms(UnixTime::from_nanos(nanos));
                assert_eq!(ms, whole + rest / 1e6, "{nanos}");
            }
        }
    }

    #[test]
    fn what_is_no_time_of_ours_is_none() {
        for ms in [f64::NAN, f64::INFINITY, -1.0, 1e13, -f64::INFINITY, 1e300] {
            assert_eq!(unix(ms), None, "{ms}");
        }
        for ms in [f64::NAN, f64::INFINITY, -1e-9] {
            assert_eq!(error(ms), None, "{ms}");
        }
    }

    #[test]
    fn later_moments_of_the_counter_never_come_out_earlier() {
        let mut last = LocalTime::MIN;
        for step in 0..10_000 {
            let now = local(f64::from(step) * 0.000_333 + 86_400_000.0);
            assert!(now >= last);
            last = now;
        }
    }
}
