//! What a user chooses.

use crate::estimator::Estimator;
use crate::time::{LocalTime, Span};

/// What can be chosen about an engine.
///
/// ```
/// use ntp_clock_core::{EngineConfig, Span};
/// let config = EngineConfig { poll_interval: Span::from_secs(60), ..EngineConfig::default() };
/// assert_eq!(config.holdover, Span::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EngineConfig {
    /// Pause between rounds once the frequency is learnt; 300 s by default. What is shorter than
    /// [`EngineConfig::POLL_INTERVAL_MIN`] (or negative) counts as that.
    pub poll_interval: Span,
    /// For how long after failure readings go on, with growing bounds; zero by default. Failure
    /// is noticed by [`SyncEngine::handle_timeout`]: readings whose thread has died expire 120 s
    /// after their next poll was due, whatever this says.
    ///
    /// [`SyncEngine::handle_timeout`]: crate::SyncEngine::handle_timeout
    pub holdover: Span,
    /// Coarseness of the local counter, at most a second; 1 ns by default.
    pub counter_resolution: Span,
    /// By how much the operating system may turn the counter's rate, parts per million; none by
    /// default. CLOCK_MONOTONIC, which is what browsers and Node count with on Linux, is steered
    /// by whatever disciplines the system clock. `max_error` grows by up to twice as
    /// much more: a rate that was learnt while it was steered one way may be steered the other.
    pub counter_steering_ppm: u16,
    /// Before this moment the counter is not known to have run without a pause; the beginning of
    /// time by default. Readings of earlier moments are refused.
    pub counter_whole_since: LocalTime,
}

impl EngineConfig {
    /// Rounds come no closer together than this, however short an interval is asked for; the
    /// budget of 8 packets in 8 s applies besides.
    pub const POLL_INTERVAL_MIN: Span = Span::from_secs(1);

    pub(super) fn estimator(&self) -> Estimator {
        Estimator::new(self.counter_resolution).steered(self.counter_steering_ppm)
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            poll_interval: Span::from_secs(300),
            holdover: Span::ZERO,
            counter_resolution: Span::from_nanos(1),
            counter_steering_ppm: 0,
            counter_whole_since: LocalTime::MIN,
        }
    }
}
