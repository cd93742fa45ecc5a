//! The clock discipline: from believed exchanges to the mapping that readers use, and its epochs.
//!
//! Knows nothing of requests and schedules: whoever has exchanges (the engine, a log that is
//! replayed, a simulation) gets the same answers from it.

use crate::drift;
use crate::estimator::{Estimate, Estimator, Verdict};
use crate::exchange::{Exchange, Rejection, ServerReply};
use crate::mapping::Mapping;
use crate::packet::Leap;
use crate::time::{LocalTime, Span, UnixTime};

#[derive(Clone, Debug)]
pub(crate) struct Discipline {
    estimator: Estimator,
    /// What readers may use now.
    mapping: Option<Mapping>,
    /// What readers used last in this epoch: readings must not fall behind it.
    published: Option<Mapping>,
    /// Earlier moments are not answered: the counter lost time since.
    counter_whole_since: LocalTime,
    epoch: u64,
    /// Rounds since the clock was last without any knowledge of its offset.
    rounds: u32,
    /// The second from which on truth may be a second off: an announced leap second's.
    leap: Option<UnixTime>,
}

/// What a believed exchange did to the estimate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    Refined,
    /// Offset and frequency started afresh, within the old bound.
    Restarted,
    /// The old bound was broken.
    NewEpoch,
}

impl Discipline {
    /// Knows no more than `estimator`. Moments of the counter before `counter_whole_since` will not
    /// be answered.
    pub(crate) fn new(estimator: Estimator, counter_whole_since: LocalTime) -> Self {
        Discipline {
            estimator,
            mapping: None,
            published: None,
            counter_whole_since,
            epoch: FIRST_EPOCH,
            rounds: 0,
            leap: None,
        }
    }

    /// Goes on from a mapping that another one made. One that has expired says what readers saw
    /// last; one that never gives a reading only tells the epoch.
    pub(crate) fn resume(
        estimator: Estimator,
        mapping: Mapping,
        counter_whole_since: LocalTime,
        now: LocalTime,
    ) -> Self {
        if !mapping.is_sound() {
            let told = Some(mapping.valid_from).filter(|from| *from != LocalTime::MAX);
            let since = told.map_or(counter_whole_since, |from| from.max(counter_whole_since));
            let fresh = Discipline::new(estimator, since);
            return Discipline { epoch: mapping.epoch.max(FIRST_EPOCH), ..fresh };
        }
        Discipline {
            estimator: estimator.resume(&mapping),
            mapping: Some(mapping).filter(|mapping| now <= mapping.valid_until),
            published: Some(mapping),
            counter_whole_since: mapping.valid_from,
            epoch: mapping.epoch,
            rounds: if mapping.slew_rate > SLEW_RATE { 1 } else { 2 },
            leap: None,
        }
    }

    /// What another one goes on from.
    pub(crate) fn legacy(&self) -> Mapping {
        self.mapping
            .or(self.published)
            .unwrap_or(Mapping::of_epoch(self.epoch, self.counter_whole_since))
    }

    /// Takes an exchange into account at `now`, no earlier than its arrival. Without another one
    /// the mapping expires at `valid_until`.
    pub(crate) fn weigh(
        &mut self,
        exchange: &Exchange,
        valid_until: LocalTime,
        now: LocalTime,
    ) -> Result<Effect, Rejection> {
        let effect = match self.estimator.add(exchange) {
            Verdict::Accepted => Effect::Refined,
            Verdict::Restarted => Effect::Restarted,
            Verdict::Contradiction => return Err(Rejection::Contradiction),
            Verdict::Broken => {
                // It may be the counter that broke, and not the server: then the new line says
                // nothing of moments before the exchanges that it rests on.
                if let Some(since) = self.estimator.known_since() {
                    self.counter_whole_since = self.counter_whole_since.max(since);
                }
                self.forget_before_leap(now);
                if self.begin_epoch() { Effect::NewEpoch } else { Effect::Refined }
            }
        };
        self.note_leap(exchange.reply());
        self.publish(valid_until, now);
        Ok(effect)
    }

    /// A round is over in which something was believed.
    pub(crate) fn finish_round(&mut self, valid_until: LocalTime, now: LocalTime) {
        self.rounds = self.rounds.saturating_add(1);
        self.publish(valid_until, now);
    }

    /// The counter lost an unknown length of time. Gives whether an epoch ended.
    pub(crate) fn suspend(&mut self, now: LocalTime) -> bool {
        self.estimator.forget_offset();
        self.begin_again(now)
    }

    /// The counter may be another one, of another frequency. Gives whether an epoch ended.
    pub(crate) fn counter_changed(&mut self, now: LocalTime) -> bool {
        self.estimator.forget();
        self.begin_again(now)
    }

    fn begin_again(&mut self, now: LocalTime) -> bool {
        self.counter_whole_since = now;
        let ended = self.begin_epoch();
        self.rounds = 0;
        ended
    }

    /// Readings stop; should they resume in this epoch, they do so no earlier than they stopped.
    pub(crate) fn withdraw(&mut self, now: LocalTime) {
        self.mapping = None;
        if let Some(published) = &mut self.published {
            published.valid_until = published.valid_until.min(now);
        }
    }

    /// Readings end at `until`, and not as said before.
    pub(crate) fn expire_at(&mut self, until: LocalTime) {
        if let Some(mapping) = &mut self.mapping {
            mapping.valid_until = until;
            self.published = self.mapping;
        }
    }

    /// What readers may use now.
    pub(crate) fn mapping(&self) -> Option<&Mapping> {
        self.mapping.as_ref()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Rounds since the clock was last without any knowledge of its offset.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds
    }

    /// The smallest delay among the exchanges in use.
    pub(crate) fn min_delay(&self) -> Option<Span> {
        self.estimator.min_delay()
    }

    /// Makes the estimate of now the mapping, continuing from what readers saw last.
    fn publish(&mut self, valid_until: LocalTime, now: LocalTime) {
        let Some(estimate) = self.estimator.estimate(now) else { return };
        let slew_rate = if self.rounds < 2 { SLEW_RATE_EARLY } else { SLEW_RATE };
        let mapping = Mapping {
            anchor: estimate.at,
            centre: estimate.centre,
            rate: estimate.rate,
            left_ns: self.left_to_slew(&estimate),
            slew_rate,
            upper_ns: estimate.upper_ns,
            lower_ns: estimate.lower_ns,
            growth: estimate.growth,
            variance: estimate.variance,
            valid_from: self.counter_whole_since,
            valid_until,
            leap_at: self.leap.map_or(LocalTime::MAX, |leap| earliest_arrival(leap, &estimate)),
            epoch: self.epoch,
        };
        self.mapping = Some(mapping);
        self.published = Some(mapping);
    }

    /// How far the reading stands from the new centre so that it neither jumps back nor, within
    /// the old bound, forward.
    fn left_to_slew(&self, estimate: &Estimate) -> f64 {
        let Some(old) = &self.published else { return 0.0 };
        if estimate.at > old.valid_until {
            // Nobody has read since it expired: only falling back would show.
            let floor = old.extrapolate(old.valid_until).time() - estimate.centre;
            return floor.max(Span::ZERO).as_nanos() as f64;
        }
        let reading = old.extrapolate(estimate.at);
        let left = reading.time() - estimate.centre;
        if left < -reading.max_error() { 0.0 } else { left.as_nanos() as f64 }
    }

    /// Remembers whether a leap second is announced. While one may be happening, what the server
    /// announces is ambiguous and the warning stands.
    fn note_leap(&mut self, reply: &ServerReply) {
        let (told, error) = (reply.transmit_time, reply.max_error());
        let happening =
            |leap: UnixTime| told + error >= leap && told - error < leap + LEAP_SECOND.times(3);
        if self.leap.is_some_and(happening) {
            return;
        }
        self.leap = match reply.leap {
            // The month's last second is missing, or comes twice: then what is past for the first
            // time is so for good only the second time.
            Leap::Insert | Leap::Delete => Some(told.next_month() - LEAP_SECOND),
            Leap::None | Leap::Unsynchronised => None,
        };
    }

    /// Before a leap second the new line does not hold: moments from which on the announced one
    /// is certainly over are all that a new epoch after it can tell.
    fn forget_before_leap(&mut self, now: LocalTime) {
        let Some(old) = self.published.filter(|old| old.leap_at <= now) else { return };
        // Both the moment of the leap and the beginning of the doubt are within the bound, of
        // which the leap second itself is a part by then.
        let over = old.leap_at + old.extrapolate(old.leap_at).max_error().times(2);
        self.counter_whole_since = self.counter_whole_since.max(over.min(now));
    }

    fn begin_epoch(&mut self) -> bool {
        if self.published.is_none() && self.mapping.is_none() {
            return false;
        }
        self.mapping = None;
        self.published = None;
        self.epoch += 1;
        self.rounds = 0;
        true
    }
}

/// The first moment of the counter at which truth may have come to `moment`.
fn earliest_arrival(moment: UnixTime, estimate: &Estimate) -> LocalTime {
    let ahead = (moment - estimate.centre).as_nanos() as f64 - estimate.upper_ns;
    let fastest = drift::mean_rate_at(estimate.growth, ahead.abs());
    let local = ahead / (1.0 + estimate.rate + if ahead < 0.0 { -fastest } else { fastest });
    estimate.at + Span::from_nanos(libm::floor(local) as i64)
}

const FIRST_EPOCH: u64 = 1;
const LEAP_SECOND: Span = Span::from_secs(1);
/// Slewing is at most 500 ppm, the rate of RFC 5905's clock discipline ...
const SLEW_RATE: f64 = 500e-6;
/// ... but 5 % until the second round is done, when corrections are still large.
const SLEW_RATE_EARLY: f64 = 0.05;

#[cfg(test)]
mod tests {
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
}
