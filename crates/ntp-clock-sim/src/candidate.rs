//! Ways of estimating time that are compared: all see the same exchanges.

use ntp_clock_core::{Estimator, Exchange, LocalTime, LogEntry, Replay, Span, UnixTime};

/// What a candidate says the time is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Answer {
    /// The estimate.
    pub time: UnixTime,
    /// The truth is claimed to be within this of it.
    pub max_error: Span,
    /// One standard deviation.
    pub est_error: Span,
    /// How long ago (by the counter) the bound was renewed; it grows from there.
    pub age: Span,
}

/// A way of estimating time. It receives what a live engine logged and is asked for the time.
pub trait Candidate {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// An exchange, handled at `now`.
    fn exchange(&mut self, exchange: &Exchange, now: LocalTime);

    /// A round of exchanges is over.
    fn round_end(&mut self, _at: LocalTime) {}

    /// A request had no answer.
    fn lost(&mut self, _sent_at: LocalTime) {}

    /// The counter lost an unknown length of time.
    fn suspend(&mut self, at: LocalTime);

    /// The counter may be another one.
    fn counter_changed(&mut self, at: LocalTime) {
        self.suspend(at);
    }

    /// The time at a moment of the counter.
    fn read(&mut self, at: LocalTime) -> Option<Answer>;

    /// Takes an entry of an engine's log.
    fn entry(&mut self, entry: &LogEntry) {
        match entry {
            LogEntry::Exchange { exchange, handled_at } => self.exchange(exchange, *handled_at),
            LogEntry::Lost { sent_at } => self.lost(*sent_at),
            LogEntry::RoundEnd { at } => self.round_end(*at),
            LogEntry::Suspend { at } => self.suspend(*at),
            LogEntry::CounterChanged { at } => self.counter_changed(*at),
            _ => {}
        }
    }
}

/// This project's own estimator and discipline, living off the log.
#[derive(Clone, Debug)]
pub struct Replayed {
    replay: Replay,
    last: LocalTime,
}

impl Replayed {
    /// One that has seen nothing, on a counter of this coarseness that may be steered by so much.
    #[must_use]
    pub fn new(resolution: Span, steering_ppm: u16) -> Self {
        let estimator = Estimator::new(resolution).steered(steering_ppm);
        Replayed { replay: Replay::with(estimator), last: LocalTime::MIN }
    }
}

impl Candidate for Replayed {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn exchange(&mut self, exchange: &Exchange, now: LocalTime) {
        if self.replay.exchange(exchange, now).is_ok() {
            self.last = now;
        }
    }

    fn round_end(&mut self, at: LocalTime) {
        self.replay.finish_round(at);
    }

    fn lost(&mut self, sent_at: LocalTime) {
        self.replay.lost(sent_at);
    }

    fn suspend(&mut self, at: LocalTime) {
        self.replay.suspend(at);
    }

    fn counter_changed(&mut self, at: LocalTime) {
        self.replay.counter_changed(at);
    }

    fn read(&mut self, at: LocalTime) -> Option<Answer> {
        let reading = self.replay.read(at)?;
        Some(Answer {
            time: reading.time(),
            max_error: reading.max_error(),
            est_error: reading.est_error(),
            age: at - self.last,
        })
    }
}
