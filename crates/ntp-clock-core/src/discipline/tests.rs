//! Lines that meet, step forwards, or begin an epoch.

use super::*;
use crate::exchange::tests::reply_at;
use crate::mapping::tests::mapping;

const UNIX_NS: i64 = 1_800_000_000_000_000_000;

fn at(ms: i64) -> LocalTime {
    LocalTime::from_nanos(ms * 1_000_000)
}

fn discipline() -> Discipline {
    Discipline::new(Estimator::new(Span::from_nanos(1)), at(-1_000))
}

/// Weighs an exchange of ten milliseconds with a server that is so far ahead, for ever.
fn weigh(discipline: &mut Discipline, ms: i64, ahead_us: i64) -> Result<Effect, Rejection> {
    let arrived = UNIX_NS + (ms + 5) * 1_000_000 + ahead_us * 1_000;
    let exchange = Exchange::new(at(ms), reply_at(arrived, arrived), at(ms + 10));
    discipline.weigh(&exchange.expect("possible"), LocalTime::MAX, at(ms + 10))
}

fn read(discipline: &Discipline, ms: i64) -> UnixTime {
    discipline.mapping().expect("published").read(at(ms)).expect("valid").time()
}

fn near(a: UnixTime, b_ms: i64) -> bool {
    (a - UnixTime::from_nanos(UNIX_NS + b_ms * 1_000_000)).abs() < Span::from_nanos(10)
}

/// At the counter's second 100, truth is `UNIX_NS` give or take a microsecond.
fn estimate() -> Estimate {
    Estimate {
        at: at(100_000),
        centre: UnixTime::from_nanos(UNIX_NS),
        rate: 0.0,
        upper_ns: 1_000.0,
        lower_ns: 1_000.0,
        growth: 4e-6,
        variance: [0.0; 3],
    }
}

/// A mapping that reads `ahead_ns` more than the estimate's centre at its moment.
fn published(ahead_ns: i64) -> Mapping {
    Mapping {
        anchor: at(99_000),
        centre: UnixTime::from_nanos(UNIX_NS + ahead_ns - 1_000_000_000),
        rate: 0.0,
        growth: 0.0,
        upper_ns: 5_000.0,
        lower_ns: 5_000.0,
        valid_until: at(100_000),
        ..mapping()
    }
}

fn left(published: Mapping, at: LocalTime) -> f64 {
    let discipline = Discipline { published: Some(published), ..discipline() };
    discipline.left_to_slew(&Estimate { at, ..estimate() })
}

#[test]
fn corrections_are_fast_until_the_second_round_is_done() {
    let mut clock = discipline();
    assert_eq!(weigh(&mut clock, 0, 0), Ok(Effect::Refined));
    for (rounds, slew_rate) in [(0, 0.05), (1, 0.05), (2, 500e-6)] {
        assert_eq!((clock.rounds(), clock.mapping().unwrap().slew_rate), (rounds, slew_rate));
        clock.finish_round(LocalTime::MAX, at(20));
    }
    assert_eq!((clock.epoch(), clock.min_delay()), (1, Some(Span::from_millis(10))));
}

#[test]
fn a_mapping_takes_all_of_the_estimate_and_the_validity_that_it_is_given() {
    let mut clock = discipline();
    assert!(clock.mapping().is_none() && clock.min_delay().is_none());
    weigh(&mut clock, 0, 0).expect("believed");
    clock.finish_round(at(900), at(20));
    let estimate = clock.estimator.estimate(at(20)).expect("fed");
    let mapping = clock.mapping().expect("published");
    assert_eq!((mapping.anchor, mapping.centre), (at(20), estimate.centre));
    assert_eq!((mapping.upper_ns, mapping.lower_ns), (estimate.upper_ns, estimate.lower_ns));
    assert_eq!((mapping.growth, mapping.variance), (estimate.growth, estimate.variance));
    assert_eq!((mapping.valid_from, mapping.valid_until), (at(-1_000), at(900)));
    assert_eq!((mapping.leap_at, mapping.epoch), (LocalTime::MAX, 1));
}

#[test]
fn a_correction_within_the_bound_is_slewed_from_where_readings_stood() {
    assert_eq!(left(published(3_000), at(100_000)), 3_000.0);
    assert_eq!(left(published(-3_000), at(100_000)), -3_000.0);
    assert_eq!(discipline().left_to_slew(&estimate()), 0.0);
    // Beyond the old bound of 5 us and the rounding of 2 ns readings jump forward, never back.
    assert_eq!(left(published(-5_002), at(100_000)), -5_002.0);
    assert_eq!(left(published(-5_003), at(100_000)), 0.0);
    assert_eq!(left(published(9_000), at(100_000)), 9_000.0);
}

#[test]
fn after_readings_had_expired_only_falling_back_would_show() {
    let later = at(100_000) + Span::from_nanos(1);
    assert_eq!(left(published(3_000), later), 3_000.0);
    assert_eq!(left(published(-3_000), later), 0.0);
}

#[test]
fn withdrawn_readings_resume_no_earlier_than_they_stopped() {
    let mut clock = discipline();
    weigh(&mut clock, 0, 0).expect("believed");
    clock.withdraw(at(500));
    assert!(clock.mapping().is_none());
    assert_eq!(clock.legacy().valid_until, at(500));
    clock.withdraw(at(700));
    assert_eq!(clock.legacy().valid_until, at(500));
    weigh(&mut clock, 1_000, 0).expect("believed");
    assert!(near(read(&clock, 1_010), 1_010) && clock.epoch() == 1);
}

#[test]
fn readings_end_when_they_are_said_to() {
    let mut clock = discipline();
    clock.expire_at(at(5));
    assert!(clock.mapping().is_none());
    weigh(&mut clock, 0, 0).expect("believed");
    clock.expire_at(at(500));
    assert_eq!(clock.mapping().expect("published").valid_until, at(500));
    clock.withdraw(at(700));
    assert_eq!(clock.legacy().valid_until, at(500));
}

#[test]
fn a_suspend_ends_the_epoch_where_there_was_one_and_all_moments_before_it() {
    let mut clock = discipline();
    assert!(!clock.suspend(at(0)));
    assert_eq!(clock.epoch(), 1);
    weigh(&mut clock, 100, 0).expect("believed");
    clock.finish_round(LocalTime::MAX, at(200));
    assert!(clock.suspend(at(300)));
    assert!(clock.mapping().is_none());
    assert_eq!((clock.epoch(), clock.rounds()), (2, 0));
    weigh(&mut clock, 400, 9_000_000).expect("believed");
    let mapping = clock.mapping().expect("published");
    assert_eq!((mapping.valid_from, mapping.epoch, mapping.left_ns), (at(300), 2, 0.0));
}

#[test]
fn a_withdrawn_clock_has_an_epoch_to_end_all_the_same() {
    let mut clock = discipline();
    weigh(&mut clock, 0, 0).expect("believed");
    clock.withdraw(at(500));
    assert!(clock.suspend(at(600)) && clock.epoch() == 2);
}

#[test]
fn an_epoch_that_a_contradiction_began_tells_of_no_moment_before_its_first_exchange() {
    let mut clock = discipline();
    weigh(&mut clock, 0, 0).expect("believed");
    // The counter stood for a minute and nobody said so, or the server jumped by as much.
    for (ms, effect) in [(1_000, None), (1_100, None), (1_200, Some(Effect::NewEpoch))] {
        assert_eq!(weigh(&mut clock, ms, 60_000_000).ok(), effect);
    }
    let readable = |ms| clock.mapping().expect("published").read(at(ms)).is_some();
    assert!(readable(1_000) && !readable(999) && !readable(0));
}

#[test]
fn three_contradictions_that_agree_begin_an_epoch() {
    let mut clock = discipline();
    weigh(&mut clock, 0, 0).expect("believed");
    let lie = |clock: &mut Discipline, ms| weigh(clock, ms, 60_000_000);
    assert_eq!(lie(&mut clock, 1_000), Err(Rejection::Contradiction));
    assert_eq!(lie(&mut clock, 1_100), Err(Rejection::Contradiction));
    assert!(near(read(&clock, 1_110), 1_110));
    assert_eq!(lie(&mut clock, 1_200), Ok(Effect::NewEpoch));
    assert!(near(read(&clock, 1_210), 61_210) && clock.epoch() == 2);
}

#[test]
fn a_sound_mapping_is_gone_on_from_in_its_epoch() {
    let resume = |mapping: Mapping, now: LocalTime| {
        Discipline::resume(Estimator::new(Span::from_nanos(1)), mapping, at(7), now)
    };
    let old = Mapping { valid_from: at(3), ..mapping() };
    let clock = resume(old, old.valid_until);
    assert_eq!((clock.mapping(), clock.epoch(), clock.rounds()), (Some(&old), 3, 2));
    assert_eq!(clock.counter_whole_since, at(3));
    assert!(clock.min_delay().is_some());
    let early = resume(Mapping { slew_rate: 0.05, ..old }, at(0));
    assert_eq!(early.rounds(), 1);
    let expired = resume(old, old.valid_until + Span::from_nanos(1));
    assert!(expired.mapping().is_none() && expired.legacy() == old);
}

#[test]
fn an_unsound_mapping_only_tells_the_epoch_and_since_when_the_counter_is_whole() {
    let resume = |mapping: Mapping| {
        Discipline::resume(Estimator::new(Span::from_nanos(1)), mapping, at(7), at(100))
    };
    let clock = resume(Mapping::of_epoch(5, at(9)));
    assert!(clock.mapping().is_none() && clock.min_delay().is_none());
    assert_eq!((clock.epoch(), clock.counter_whole_since), (5, at(9)));
    assert_eq!(resume(Mapping::of_epoch(5, at(2))).counter_whole_since, at(7));
    let never = resume(Mapping::from_words(Mapping::UNSYNCHRONISED));
    assert_eq!((never.epoch(), never.counter_whole_since), (1, at(7)));
    let legacy = clock.legacy();
    assert_eq!((legacy.epoch, legacy.valid_from), (5, at(9)));
}

/// 31 December 2016, some seconds before its leap second.
fn before_new_year(seconds: i64) -> UnixTime {
    UnixTime::from_nanos((1_483_228_800 - seconds) * 1_000_000_000)
}

fn noted(known: Option<UnixTime>, at: UnixTime, leap: Leap) -> Option<UnixTime> {
    let mut clock = Discipline { leap: known, ..discipline() };
    // Its own error is 10,030 ns.
    clock.note_leap(&ServerReply { transmit_time: at, leap, ..reply_at(0, 0) });
    clock.leap
}

#[test]
fn a_leap_second_is_announced_for_the_months_end_and_taken_back() {
    let (hour_before, last_second) = (before_new_year(3_600), before_new_year(1));
    assert_eq!(noted(None, hour_before, Leap::Insert), Some(last_second));
    assert_eq!(noted(None, hour_before, Leap::Delete), Some(last_second));
    assert_eq!(noted(Some(last_second), hour_before, Leap::None), None);
    assert_eq!(noted(Some(last_second), hour_before, Leap::Unsynchronised), None);
}

#[test]
fn while_a_leap_second_may_be_happening_its_warning_stands() {
    let begins = before_new_year(1);
    let error = Span::from_nanos(10_030);
    let stands = |at: UnixTime| noted(Some(begins), at, Leap::None).is_some();
    assert!(stands(begins - error) && !stands(begins - error - Span::from_nanos(1)));
    // Some servers run through the month's last second twice, some through the next one.
    let over = before_new_year(-2) + error;
    assert!(stands(over - Span::from_nanos(1)) && !stands(over));
}

#[test]
fn the_doubt_begins_when_truth_can_have_come_to_the_leap_second() {
    let after = |seconds: i64, rate: f64, growth: f64| {
        let moment = UnixTime::from_nanos(UNIX_NS) + Span::from_secs(seconds);
        (earliest_arrival(moment, &Estimate { rate, growth, ..estimate() }) - at(100_000))
            .as_nanos()
    };
    // Truth may be a microsecond ahead already; of 99.999999 s a counter that is slow by 20 ppm,
    // or by that and 30 more, takes so much less.
    assert_eq!(after(100, 0.0, 0.0), 99_999_999_000);
    assert!((after(100, 20e-6, 0.0) - 99_997_999_040).abs() <= 1);
    assert!((after(100, 20e-6, 30e-6) - 99_994_999_250).abs() <= 1);
    // Of a moment that is over, it came by at the slowest.
    assert!((after(-100, 20e-6, 30e-6) + 100_001_001_010).abs() <= 1);
    // Beyond ten minutes the mean rate may be 11 ppm further.
    assert!((after(1_000, 0.0, 4e-6) - 999_984_999_225).abs() <= 2);
}

#[test]
fn a_new_epoch_after_a_leap_second_dates_nothing_from_before_it() {
    let whole_since = |leap_at: LocalTime, now: LocalTime| {
        let published = Some(Mapping { leap_at, ..published(0) });
        let mut clock = Discipline { published, ..discipline() };
        clock.forget_before_leap(now);
        clock.counter_whole_since
    };
    // The bound at the leap is 5,002 ns and its second; twice that after it all is over.
    let over = at(99_500) + Span::from_nanos(2 * (1_000_000_000 + 5_002));
    assert_eq!(whole_since(at(99_500), at(110_000)), over);
    assert_eq!(whole_since(at(99_500), at(99_500)), at(99_500));
    assert_eq!(whole_since(at(99_500), at(99_499)), at(-1_000));
}
