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
    /// The log itself has reported its end.
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
    /// [`Rejection::Contradiction`] where it cannot be true if what was reported before is.
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

    /// The live clock ended its round at `now`. Without this call, a round ends with the first
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

    /// The counter may be another one since `now`, of another frequency.
    pub fn counter_changed(&mut self, now: LocalTime) {
        self.discipline.counter_changed(now);
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
            LogEntry::CounterChanged { at } => self.counter_changed(*at),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogEntry;
    use crate::exchange::tests::reply_at;
    use crate::time::UnixTime;

    const UNIX_NS: i64 = 1_800_000_000_000_000_000;

    fn at(ms: i64) -> LocalTime {
        LocalTime::from_nanos(ms * 1_000_000)
    }

    /// Sent then, with a server that is `ahead_ms` ahead; ten milliseconds there and back.
    fn exchange(ms: i64, ahead_ms: i64) -> Exchange {
        let arrived = UNIX_NS + (ms + 5 + ahead_ms) * 1_000_000;
        Exchange::new(at(ms), reply_at(arrived, arrived), at(ms + 10)).expect("possible")
    }

    fn synchronised() -> Replay {
        let mut replay = Replay::new(Span::from_nanos(1));
        assert_eq!(replay.exchange(&exchange(0, 0), at(10)), Ok(()));
        replay
    }

    #[test]
    fn three_rounds_without_a_believed_reply_fail_the_clock_until_the_next_one() {
        let mut replay = synchronised();
        for ms in [300_000, 600_000, 900_000] {
            assert!(replay.read(at(ms)).is_some(), "{ms}");
            replay.lost(at(ms));
        }
        // The third is over two seconds after its request.
        assert!(replay.read(at(901_999)).is_some());
        assert!(replay.read(at(902_000)).is_none());
        assert!(replay.read(at(1_199_000)).is_none());
        assert_eq!(replay.exchange(&exchange(1_200_000, 0), at(1_200_010)), Ok(()));
        let reading = replay.read(at(1_200_010)).expect("recovered");
        assert!(
            (reading.time() - UnixTime::from_nanos(UNIX_NS + 1_200_010_000_000)).abs()
                < Span::from_micros(10)
        );
        assert_eq!(reading.epoch(), 1);
    }

    #[test]
    fn a_believed_reply_ends_the_count_of_failed_rounds() {
        let mut replay = synchronised();
        for start in [300_000, 1_200_000] {
            replay.lost(at(start));
            replay.lost(at(start + 300_000));
            assert_eq!(replay.exchange(&exchange(start + 600_000, 0), at(start + 600_010)), Ok(()));
        }
        assert!(replay.read(at(1_900_000)).is_some());
    }

    #[test]
    fn a_request_within_1900_ms_of_the_last_belongs_to_its_round() {
        let fails = |gap_ms: i64| {
            let mut replay = synchronised();
            for request in 0..3 {
                replay.lost(at(300_000 + request * gap_ms));
            }
            replay.read(at(400_000)).is_none()
        };
        assert!(!fails(1_900));
        assert!(fails(1_901));
    }

    #[test]
    fn a_round_ends_once_when_the_log_says_so_and_the_next_request_begins_another() {
        let rounds = |count: i64| {
            let mut replay = synchronised();
            for round in 0..count {
                let start = 300_000 + round * 500;
                replay.lost(at(start));
                replay.finish_round(at(start + 200));
                replay.finish_round(at(start + 300));
            }
            replay.read(at(302_000)).is_some()
        };
        assert!(rounds(2));
        assert!(!rounds(3));
        let mut idle = Replay::new(Span::from_nanos(1));
        idle.finish_round(at(0));
        assert!(idle.read(at(0)).is_none());
    }

    #[test]
    fn a_reply_that_contradicts_is_refused_and_changes_no_reading() {
        let mut replay = synchronised();
        let lie = replay.exchange(&exchange(300_000, 10_000), at(300_010));
        assert_eq!(lie, Err(Rejection::Contradiction));
        let reading = replay.read(at(300_010)).expect("synchronised");
        assert!(
            (reading.time() - UnixTime::from_nanos(UNIX_NS + 300_010_000_000)).abs()
                < Span::from_millis(5)
        );
    }

    #[test]
    fn a_suspend_ends_the_epoch_and_the_round_under_way() {
        let mut replay = synchronised();
        for ms in [300_000, 600_000, 900_000] {
            replay.lost(at(ms));
        }
        replay.suspend(at(901_000));
        assert!(replay.read(at(901_000)).is_none());
        assert_eq!(replay.exchange(&exchange(901_000, 60_000), at(901_010)), Ok(()));
        // Neither the round of before nor its failures count.
        let reading = replay.read(at(910_000)).expect("synchronised");
        assert_eq!(reading.epoch(), 2);
        assert!(replay.read(at(900_000)).is_none(), "the counter lost time since");
    }

    #[test]
    fn an_entry_does_what_its_name_says() {
        let mut by_hand = synchronised();
        by_hand.lost(at(200));
        by_hand.finish_round(at(1_000));
        by_hand.exchange(&exchange(300_000, 0), at(300_500)).expect("believed");
        let mut logged = synchronised();
        for entry in [
            LogEntry::Lost { sent_at: at(200) },
            LogEntry::RoundEnd { at: at(1_000) },
            LogEntry::Exchange { exchange: exchange(300_000, 0), handled_at: at(300_500) },
        ] {
            logged.entry(&entry);
        }
        assert_eq!(logged.read(at(300_600)), by_hand.read(at(300_600)));
        assert!(logged.read(at(300_600)).is_some());
        for entry in
            [LogEntry::Suspend { at: at(301_000) }, LogEntry::CounterChanged { at: at(301_000) }]
        {
            let mut logged = logged.clone();
            logged.entry(&entry);
            assert!(logged.read(at(301_000)).is_none(), "{entry:?}");
        }
    }
}
