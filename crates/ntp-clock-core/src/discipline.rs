//! The clock discipline: from believed exchanges to the mapping that readers use, and its epochs.
//!
//! Knows nothing of requests and schedules: a caller that has exchanges (the engine, a log that is
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
            let valid_from = Some(mapping.valid_from).filter(|from| *from != LocalTime::MAX);
            let since =
                valid_from.map_or(counter_whole_since, |from| from.max(counter_whole_since));
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
        let (claimed, error) = (reply.transmit_time, reply.max_error());
        let happening = |leap: UnixTime| {
            claimed + error >= leap && claimed - error < leap + LEAP_SECOND.times(3)
        };
        if self.leap.is_some_and(happening) {
            return;
        }
        self.leap = match reply.leap {
            // The month's last second is missing, or comes twice: then what is past for the first
            // time is so for good only the second time.
            Leap::Insert | Leap::Delete => Some(claimed.next_month() - LEAP_SECOND),
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
mod tests;
