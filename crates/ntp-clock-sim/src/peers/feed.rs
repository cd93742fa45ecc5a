//! Which exchanges of a round an estimator is given.

use super::Sample;

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
pub(super) struct Chooser {
    feed: Feed,
    best: Option<Sample>,
    rounds: u32,
}

impl Chooser {
    pub(super) fn new(feed: Feed) -> Self {
        Chooser { feed, best: None, rounds: 0 }
    }

    /// The sample that is to be taken now.
    pub(super) fn offer(&mut self, sample: Sample) -> Option<Sample> {
        if self.feed == Feed::Every || self.rounds == 0 {
            return Some(sample);
        }
        if self.best.is_none_or(|best| sample.delay_ns < best.delay_ns) {
            self.best = Some(sample);
        }
        None
    }

    pub(super) fn round_end(&mut self) -> Option<Sample> {
        self.rounds += 1;
        self.best.take()
    }
}
