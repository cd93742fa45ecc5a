//! Which exchanges of a round an estimator is given, and the shell that gives them to it.

use std::fmt::Debug;

use ntp_clock_core::{Exchange, LocalTime};

use super::Sample;
use crate::candidate::{Answer, Candidate};

/// What differs between the peers that live in a [`Fed`].
pub(super) trait Method: Debug {
    /// Its name in tables, by what it is fed.
    fn name(feed: Feed) -> &'static str;

    /// Takes a sample into account.
    fn take(&mut self, sample: Sample);

    /// The counter lost time: no offset holds any more.
    fn forget(&mut self);

    /// The time at a moment of the counter.
    fn answer(&self, at: LocalTime) -> Option<Answer>;
}

/// A method, fed with each exchange or with the best of each round.
#[derive(Clone, Debug)]
pub(super) struct Fed<M> {
    chooser: Chooser,
    method: M,
}

impl<M: Method> Fed<M> {
    pub(super) fn new(feed: Feed, method: M) -> Self {
        Fed { chooser: Chooser::new(feed), method }
    }
}

impl<M: Method> Candidate for Fed<M> {
    fn name(&self) -> &'static str {
        M::name(self.chooser.feed)
    }

    fn exchange(&mut self, exchange: &Exchange, _now: LocalTime) {
        if let Some(sample) = self.chooser.offer(Sample::new(exchange)) {
            self.method.take(sample);
        }
    }

    fn round_end(&mut self, _at: LocalTime) {
        if let Some(sample) = self.chooser.round_end() {
            self.method.take(sample);
        }
    }

    fn suspend(&mut self, _at: LocalTime) {
        self.chooser = Chooser::new(self.chooser.feed);
        self.method.forget();
    }

    fn read(&mut self, at: LocalTime) -> Option<Answer> {
        self.method.answer(at)
    }
}

/// Whether an estimator takes every exchange or the best of each round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Feed {
    /// Each as it comes.
    Every,
    /// The one with the smallest delay, at the round's end. Those of the first round come at
    /// once, for the first reading.
    BestOfRound,
}

/// The choice among the exchanges of the round under way.
#[derive(Clone, Debug)]
struct Chooser {
    feed: Feed,
    best: Option<Sample>,
    rounds: u32,
}

impl Chooser {
    fn new(feed: Feed) -> Self {
        Chooser { feed, best: None, rounds: 0 }
    }

    /// The sample that is to be taken now.
    fn offer(&mut self, sample: Sample) -> Option<Sample> {
        if self.feed == Feed::Every || self.rounds == 0 {
            return Some(sample);
        }
        if self.best.is_none_or(|best| sample.delay_ns < best.delay_ns) {
            self.best = Some(sample);
        }
        None
    }

    fn round_end(&mut self) -> Option<Sample> {
        self.rounds += 1;
        self.best.take()
    }
}
