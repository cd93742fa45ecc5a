//! Arithmetic and formats of times.

use super::*;
use proptest::prelude::*;
use std::string::ToString;

#[test]
fn iso_text_always_has_six_digits_and_floors() {
    let cases = [
        (0, "1970-01-01T00:00:00.000000+00:00"),
        (-1, "1969-12-31T23:59:59.999999+00:00"),
        (951_782_400_000_000_000, "2000-02-29T00:00:00.000000+00:00"),
        (2_085_978_496_000_001_999, "2036-02-07T06:28:16.000001+00:00"),
        (i64::MAX, "2262-04-11T23:47:16.854775+00:00"),
        (i64::MIN, "1677-09-21T00:12:43.145224+00:00"),
    ];
    for (nanos, text) in cases {
        assert_eq!(UnixTime::from_nanos(nanos).to_string(), text);
    }
}

#[test]
fn every_fourth_year_has_a_leap_day_but_for_three_centuries_of_four() {
    let cases = [
        (-8_515_324_800, "1700-02-28"),
        (-8_515_238_400, "1700-03-01"),
        (-2_203_977_600, "1900-02-28"),
        (-2_203_891_200, "1900-03-01"),
        (4_107_456_000, "2100-02-28"),
        (4_107_542_400, "2100-03-01"),
        (1_709_164_800, "2024-02-29"),
        (1_709_251_200, "2024-03-01"),
    ];
    for (secs, day) in cases {
        let text = UnixTime::from_nanos(secs * NANOS_PER_SEC).to_string();
        assert_eq!(text, std::format!("{day}T00:00:00.000000+00:00"));
    }
}

#[test]
fn next_month_is_midnight_of_its_first_day() {
    let cases = [
        ("2016-12-31", 1_483_228_799, "2017-01-01T00:00:00.000000+00:00"),
        ("2024-02-29", 1_709_164_800, "2024-03-01T00:00:00.000000+00:00"),
        ("2012-06-30", 1_341_100_799, "2012-07-01T00:00:00.000000+00:00"),
    ];
    for (day, secs, next) in cases {
        let time = UnixTime::from_nanos(secs * NANOS_PER_SEC);
        assert!(time.to_string().starts_with(day));
        assert_eq!(time.next_month().to_string(), next);
    }
}

#[test]
fn sums_saturate_instead_of_wrapping() {
    assert_eq!(LocalTime::MAX + Span::from_nanos(1), LocalTime::MAX);
    assert_eq!(LocalTime::MIN - LocalTime::MAX, Span::MIN);
    assert_eq!(-Span::MIN, Span::MAX);
    assert_eq!(Span::from_nanos_f64_ceil(f64::NAN), Span::MAX);
    assert_eq!(Span::from_nanos_f64_ceil(0.1), Span::from_nanos(1));
}

#[test]
fn half_a_span_is_rounded_up() {
    for (whole, half) in [(4, 2), (3, 2), (0, 0), (-3, -1), (-4, -2)] {
        assert_eq!(Span::from_nanos(whole).half_ceil(), Span::from_nanos(half));
    }
    assert_eq!(Span::MAX.half_ceil(), Span::from_nanos(1 << 62));
}

#[test]
fn spans_are_shown_and_converted_in_their_units() {
    let span = Span::from_nanos(1_500_250_000);
    assert_eq!((span.as_secs_f64(), span.as_millis_f64()), (1.500_25, 1_500.25));
    assert_eq!(std::format!("{span:?}"), "1500250000ns");
    let duration = core::time::Duration::from_nanos(1_500_250_000);
    assert_eq!((Span::from(duration), core::time::Duration::from(span)), (span, duration));
    assert_eq!(Span::from(core::time::Duration::MAX), Span::MAX);
    assert_eq!(core::time::Duration::from(-span), core::time::Duration::ZERO);
}

#[test]
fn a_sum_in_place_is_the_sum() {
    let mut span = Span::from_nanos(5);
    span += Span::from_nanos(3);
    assert_eq!(span, Span::from_nanos(8));
    span -= Span::from_nanos(10);
    assert_eq!(span, Span::from_nanos(-2));
}

#[test]
fn unix_times_are_floored_to_milliseconds_and_exact_in_whole_seconds() {
    let time = UnixTime::from_nanos(1_759_639_032_768_999_999);
    assert_eq!(time.as_millis_floor(), 1_759_639_032_768);
    assert!((time.as_secs_f64() - 1_759_639_032.769).abs() < 3e-7);
    let early = UnixTime::from_nanos(-1_250_000_000);
    assert_eq!((early.as_millis_floor(), early.as_secs_f64()), (-1_250, -1.25));
    assert_eq!(UnixTime::from_nanos(-1).as_millis_floor(), -1);
    let shown = std::format!("{:?}", UnixTime::from_nanos(1_000));
    assert_eq!(shown, "UnixTime(1000ns 1970-01-01T00:00:00.000001+00:00)");
}

#[test]
fn a_share_is_within_its_span() {
    assert_eq!(Span::from_nanos(100).share(0), Span::ZERO);
    assert_eq!(Span::from_nanos(100).share(u64::MAX), Span::from_nanos(99));
    assert_eq!(Span::from_nanos(100).share(1 << 63), Span::from_nanos(50));
}

proptest! {
    #[test]
    fn every_time_has_a_date_that_counts_back_to_its_day(nanos: i64) {
        let time = UnixTime::from_nanos(nanos);
        let c = Civil::from_unix(time);
        let days = days_from_civil(c.year, c.month, c.day);
        prop_assert_eq!(days, nanos.div_euclid(NANOS_PER_SEC * SECS_PER_DAY));
        prop_assert!((1..=12).contains(&c.month) && (1..=31).contains(&c.day));
    }
}
