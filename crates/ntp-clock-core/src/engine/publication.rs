//! From estimates to the mapping that readers use.

use super::event::{AttemptError, EpochReason, Event};
use super::{SyncEngine, schedule};
use crate::estimator::Estimate;
use crate::exchange::ServerReply;
use crate::mapping::Mapping;
use crate::packet::Leap;
use crate::time::{LocalTime, Span, UnixTime};

impl SyncEngine {
    /// Makes the estimate of now the mapping, continuing from what readers saw last.
    pub(super) fn publish(&mut self, next_poll: LocalTime, now: LocalTime) {
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
            valid_until: next_poll + schedule::EXPIRY_GRACE,
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
    pub(super) fn note_leap(&mut self, reply: &ServerReply) {
        let (told, error) = (reply.transmit_time, reply.max_error());
        let happening =
            |leap: UnixTime| told + error >= leap && told - error < leap + LEAP_SECOND.times(2);
        if self.leap.is_some_and(happening) {
            return;
        }
        self.leap = match reply.leap {
            Leap::Insert => Some(told.next_month()),
            // The month's last minute is a second short.
            Leap::Delete => Some(told.next_month() - LEAP_SECOND),
            Leap::None | Leap::Unsynchronised => None,
        };
    }

    /// Before a leap second the new line does not hold: moments from which on the announced one
    /// is certainly over are all that a new epoch after it can tell.
    pub(super) fn forget_before_leap(&mut self, now: LocalTime) {
        let Some(old) = self.published.filter(|old| old.leap_at <= now) else { return };
        // Both the moment of the leap and the beginning of the doubt are within the bound, of
        // which the leap second itself is a part by then.
        let over = old.leap_at + old.extrapolate(old.leap_at).max_error().times(2);
        self.counter_whole_since = self.counter_whole_since.max(over.min(now));
    }

    /// Readings end at the end of the holdover, which begins with failure or, where no attempt
    /// was possible, with expiry.
    pub(super) fn hold_over(&mut self, now: LocalTime) {
        let Some(mapping) = &mut self.mapping else { return };
        let until = mapping.valid_until.min(now) + self.config.holdover.max(Span::ZERO);
        if until <= now {
            self.withdraw(now);
            return;
        }
        mapping.valid_until = until;
        self.published = self.mapping;
    }

    /// From when on an input makes the expiry known: a little ahead of it where holdover is to
    /// take over without a gap.
    pub(super) fn expiry_due(&self) -> Option<LocalTime> {
        let expiry = self.mapping?.valid_until + Span::from_nanos(1);
        let seamless = !self.failed && self.config.holdover > Span::ZERO;
        Some(if seamless { expiry - HOLDOVER_LEAD } else { expiry })
    }

    pub(super) fn expire(&mut self, now: LocalTime) {
        if self.expiry_due().is_none_or(|due| now < due) {
            return;
        }
        self.fail(self.tally.last_error.unwrap_or(AttemptError::Expired), now);
        if self.mapping.is_some_and(|mapping| now > mapping.valid_until) {
            self.withdraw(now);
        }
    }

    /// Readings stop; should they resume in this epoch, they do so no earlier than they stopped.
    fn withdraw(&mut self, now: LocalTime) {
        self.mapping = None;
        if let Some(published) = &mut self.published {
            published.valid_until = published.valid_until.min(now);
        }
    }

    pub(super) fn begin_epoch(&mut self, reason: EpochReason) {
        if self.published.is_none() && self.mapping.is_none() {
            return;
        }
        self.mapping = None;
        self.published = None;
        self.epoch += 1;
        self.rounds = 0;
        self.events.push(Event::EpochChanged { epoch: self.epoch, reason });
    }
}

/// The first moment of the counter at which truth may have come to `moment`.
fn earliest_arrival(moment: UnixTime, estimate: &Estimate) -> LocalTime {
    let ahead = (moment - estimate.centre).as_nanos() as f64 - estimate.upper_ns;
    let growth = if ahead < 0.0 { -estimate.growth } else { estimate.growth };
    let local = ahead / (1.0 + estimate.rate + growth);
    estimate.at + Span::from_nanos(libm::floor(local) as i64)
}

const LEAP_SECOND: Span = Span::from_secs(1);
/// Longer than any thread sleeps over its deadline on a machine that is well.
const HOLDOVER_LEAD: Span = Span::from_secs(1);
/// Slewing is at most 500 ppm, the rate of RFC 5905's clock discipline ...
pub(super) const SLEW_RATE: f64 = 500e-6;
/// ... but 5 % until the second round is done, when corrections are still large.
const SLEW_RATE_EARLY: f64 = 0.05;
