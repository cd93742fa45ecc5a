//! From a time that the SDK took to true time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ntp_clock_history::{Dated, Traced};
use opentelemetry::KeyValue;

/// What knows true time.
pub(crate) trait Times: fmt::Debug + Send + Sync {
    /// Looks at both clocks, if the last look is some time ago; gives what the SDK's clock showed
    /// at the last look, milliseconds.
    fn look(&self) -> i64;
    /// Looks at both clocks, so that what is dated next lies between two looks.
    fn look_now(&self);
    /// Whether the SDK's clock was stepped between a look of which this is true and the next one.
    fn stepped_after(&self, is_look: &dyn Fn(i64) -> bool) -> bool;
    /// Whether the clock has ever been synchronised in this process.
    fn synchronised(&self) -> bool;
    /// True time of the moment at which the SDK's clock showed this.
    fn date(&self, system_ns: i64) -> Option<Dated>;
    /// The same, of a moment that was not earlier than another one, at which the clock showed
    /// `before_ns`.
    fn date_after(&self, system_ns: i64, before_ns: i64) -> Option<Dated>;
    /// The moments of the counter at which the SDK's clock can have shown this.
    fn trace(&self, system_ns: i64) -> Option<Traced>;
    /// The time server.
    fn server(&self) -> Arc<str>;
}

pub(crate) fn unix_ns(time: SystemTime) -> Option<i64> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|ns| -ns),
    }
}

pub(crate) fn system_time(unix_ns: i64) -> SystemTime {
    let distance = Duration::from_nanos(unix_ns.unsigned_abs());
    if unix_ns < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

/// Re-dates the times of one span or record and keeps the largest of their errors.
pub(crate) struct Redating<'a> {
    times: &'a dyn Times,
    errors: Option<(i64, i64, u64)>,
}

impl<'a> Redating<'a> {
    pub(crate) fn new(times: &'a dyn Times) -> Self {
        Redating { times, errors: None }
    }

    pub(crate) fn date(&mut self, time: SystemTime) -> Option<SystemTime> {
        self.times.date(unix_ns(time)?).map(|dated| self.keep(dated))
    }

    pub(crate) fn date_after(
        &mut self,
        time: SystemTime,
        before: SystemTime,
    ) -> Option<SystemTime> {
        self.times.date_after(unix_ns(time)?, unix_ns(before)?).map(|dated| self.keep(dated))
    }

    /// Keeps the errors of a time that was dated.
    pub(crate) fn keep(&mut self, dated: Dated) -> SystemTime {
        let (max, est, epoch) = self.errors.unwrap_or_default();
        let max = max.max(dated.max_error_ns);
        self.errors = Some((max, est.max(dated.est_error_ns), epoch.max(dated.epoch)));
        system_time(dated.time_ns)
    }

    /// A time moved so that an order is kept is that much farther from what was measured.
    pub(crate) fn moved(&mut self, by: Duration) {
        if let Some((max, _, _)) = &mut self.errors {
            *max = max.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX));
        }
    }

    /// The attributes that say how right the times are.
    pub(crate) fn attributes(&self) -> Vec<KeyValue> {
        let Some((max, est, epoch)) = self.errors else {
            return vec![KeyValue::new(SYNCHRONISED, false)];
        };
        vec![
            KeyValue::new(SYNCHRONISED, true),
            KeyValue::new("ntp_clock.server", self.times.server()),
            KeyValue::new("ntp_clock.max_error_ns", max),
            KeyValue::new("ntp_clock.est_error_ns", est),
            KeyValue::new("ntp_clock.epoch", i64::try_from(epoch).unwrap_or(i64::MAX)),
        ]
    }
}

/// Whether the times are true time. An item that says so already is passed on untouched.
pub(crate) const SYNCHRONISED: &str = "ntp_clock.synchronised";
