//! A clock that lives off a log: the same discipline as the engine's, on the log's own schedule.

use crate::discipline::Discipline;
use crate::engine::schedule::{ATTEMPTS, REPLY_TIMEOUT};
use crate::estimator::{Estimator, ROUND_GAP};
use crate::exchange::{Exchange, Rejection};
use crate::log::LogEntry;
use crate::mapping::Reading;
use crate::time::{LocalTime, Span};

/// Feeds recorded exchanges through the estimator and the mapping of a live clock.
///
/// Nothing expires by itself: the clock fails only through what the log says was lost. Requests
/// within 1.9 s of the one before belong to one round, and three rounds in a row without a believed
/// reply fail the clock, until the next believed one.
///
/// ```
/// use ntp_clock_core::*;
/// let reply = ServerReply {
///     receive_time: UnixTime::from_nanos(1_800_000_000_000_010_000),
///     transmit_time: UnixTime::from_nanos(1_800_000_000_000_012_000),
///     root_delay: Span::ZERO,
///     root_dispersion: Span::from_micros(10),
///     precision_log2_s: -25,
///     leap: Leap::None,
///     stratum: 1,
///     reference_id: ReferenceId::NONE,
/// };
/// let exchange =
///     Exchange::new(LocalTime::from_nanos(0), reply, LocalTime::from_nanos(22_000)).unwrap();
/// let mut replay = Replay::new(Span::from_nanos(1));
/// assert!(replay.read(LocalTime::from_nanos(22_000)).is_none());
/// replay.exchange(&exchange, exchange.received_at()).unwrap();
/// let reading = replay.read(LocalTime::from_nanos(22_000)).unwrap();
/// assert_eq!(reading.time(), UnixTime::from_nanos(1_800_000_000_000_022_000));
/// ```
#[derive(Clone, Debug)]
pub struct Replay {
    discipline: Discipline,
    round: Option<Round>,
    /// Rounds in a row without a believed reply, the current one not counted.
    failed_rounds: u32,
}

#[derive(Clone, Copy, Debug)]
struct Round {
    last_request: LocalTime,
    believed: bool,
    /// The log itself has told its end.
    finished: bool,
}

impl Replay {
    /// A clock that has seen nothing yet, on a counter of this coarseness.
    #[must_use]
    pub fn new(resolution: Span) -> Self {
        Replay::with(Estimator::new(resolution))
    }

    /// A clock that knows no more than this estimator.
    #[must_use]
    pub fn with(estimator: Estimator) -> Self {
        Replay {
            discipline: Discipline::new(estimator, LocalTime::MIN),
            round: None,
            failed_rounds: 0,
        }
    }

    /// An exchange, taken into account at `now`: when its reply was handled, no earlier than it
    /// arrived.
    ///
    /// # Errors
    /// [`Rejection::Contradiction`] where it cannot be true if what was told before is.
    pub fn exchange(&mut self, exchange: &Exchange, now: LocalTime) -> Result<(), Rejection> {
        self.request(exchange.sent_at());
        self.discipline.weigh(exchange, LocalTime::MAX, now.max(exchange.received_at()))?;
        if let Some(round) = &mut self.round {
            round.believed = true;
        }
        self.failed_rounds = 0;
        Ok(())
    }

    /// A request, sent at `t1`, whose reply never came or was not believed.
    pub fn lost(&mut self, t1: LocalTime) {
        self.request(t1);
    }

    /// The live clock ended its round at `now`. Without being told, a round ends with the first
    /// request of the next.
    pub fn finish_round(&mut self, now: LocalTime) {
        let Some(round) = &mut self.round else { return };
        if core::mem::replace(&mut round.finished, true) {
            return;
        }
        if round.believed {
            self.discipline.finish_round(LocalTime::MAX, now);
        } else {
            self.count_failure(now);
        }
    }

    /// The counter lost time at `now`, as after a suspend.
    pub fn suspend(&mut self, now: LocalTime) {
        self.discipline.suspend(now);
        self.round = None;
        self.failed_rounds = 0;
    }

    /// Takes an entry that a live engine has logged.
    pub fn entry(&mut self, entry: &LogEntry) {
        match entry {
            // A contradiction was one for the live clock, too.
            LogEntry::Exchange { exchange, handled_at } => {
                let _ = self.exchange(exchange, *handled_at);
            }
            LogEntry::Lost { sent_at } => self.lost(*sent_at),
            LogEntry::RoundEnd { at } => self.finish_round(*at),
            LogEntry::Suspend { at } => self.suspend(*at),
        }
    }

    /// The reading of a moment; none while the clock is not synchronised.
    #[must_use]
    pub fn read(&mut self, at: LocalTime) -> Option<Reading> {
        if let Some(round) = self.round
            && !round.believed
            && at >= round.deadline()
        {
            self.finish_round(round.deadline());
        }
        self.discipline.mapping()?.read(at)
    }

    /// A request belongs to the round under way or begins the next.
    fn request(&mut self, t1: LocalTime) {
        if let Some(round) = &mut self.round
            && !round.finished
            && t1 - round.last_request <= ROUND_GAP
        {
            round.last_request = round.last_request.max(t1);
            return;
        }
        if let Some(round) = self.round {
            self.finish_round(if round.believed { t1 } else { t1.min(round.deadline()) });
        }
        self.round = Some(Round { last_request: t1, believed: false, finished: false });
    }

    fn count_failure(&mut self, now: LocalTime) {
        self.failed_rounds = self.failed_rounds.saturating_add(1);
        if self.failed_rounds >= ATTEMPTS {
            self.discipline.withdraw(now);
        }
    }
}

impl Round {
    /// From when on a reply would have been too late.
    fn deadline(&self) -> LocalTime {
        self.last_request + REPLY_TIMEOUT
    }
}
