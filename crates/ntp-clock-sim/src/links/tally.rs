//! What was counted in runs of systems of several clocks.

use std::fmt;

use crate::sketch::Sketch;

use super::LinkWorld;

/// What must hold of a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum LinkPromise {
    /// The difference of the counters is inside the interval.
    TruthInside,
    /// What is called certain is so.
    CertainIsSo,
    /// The interval is as narrow as the exchanges allow.
    NarrowEnough,
    /// Errors are numbers, the estimate is inside, more evidence leaves no more.
    Sane,
    /// Evidence that is true does not contradict itself.
    NeverContradicts,
}

/// A promise that was broken, and where.
#[derive(Clone, PartialEq, Debug)]
pub struct LinkViolation {
    /// The world.
    pub world: LinkWorld,
    /// Its seed.
    pub seed: u64,
    /// True nanoseconds since the world's beginning, of the moment that was asked for.
    pub t_ns: i64,
    /// What was promised.
    pub promise: LinkPromise,
    /// What happened instead.
    pub detail: String,
}

impl fmt::Display for LinkViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LinkViolation { world, seed, promise, detail, .. } = self;
        let t_s = self.t_ns as f64 * 1e-9;
        write!(f, "{promise:?} broken in world {world}, seed {seed}, at {t_s:.3} s: {detail}")
    }
}

/// How well links did, in one run or in many.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Intervals compared with the truth.
    pub comparisons: u64,
    /// Of them, with the truth outside.
    pub misses: u64,
    /// Of the comparisons, those of two stamps by all links together.
    pub related: u64,
    /// Verdicts that name a liar.
    pub listed: u64,
    /// Pairs of stamps put in order.
    pub pairs: u64,
    /// Of them, in a certain order.
    pub certain: u64,
    /// Of the certain ones, those that are not so.
    pub wrong: u64,
    /// Full widths of two-sided intervals of now, nanoseconds.
    pub width: Sketch,
    /// Distances of estimates from the truth of now, nanoseconds.
    pub error: Sketch,
    /// How many of them were within `est_error`, and within twice that.
    pub within: [u64; 2],
    /// Widths compared with what exchanges leave.
    pub measured: u64,
    /// Of them, wider than is aimed at.
    pub beyond_aim: u64,
    /// Of those, wider than evidence allows.
    pub wide: u64,
    /// The largest ratio to that.
    pub widest: f64,
    /// Evidence that was fed.
    pub fed: u64,
    /// Links that started again because of a contradiction, between honest ends.
    pub restarts: u64,
    /// The same where an end lies.
    pub restarts_of_liars: u64,
    /// Answers that were not sane.
    pub insane: u64,
}

impl Tally {
    /// Promises broken.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.misses + self.wrong + self.wide + self.restarts + self.insane
    }

    /// Adds what was counted in other runs.
    pub fn merge(&mut self, other: &Tally) {
        self.width.merge(&other.width);
        self.error.merge(&other.error);
        for (mine, others) in self.within.iter_mut().zip(other.within) {
            *mine += others;
        }
        self.widest = self.widest.max(other.widest);
        for (mine, others) in [
            (&mut self.comparisons, other.comparisons),
            (&mut self.misses, other.misses),
            (&mut self.related, other.related),
            (&mut self.listed, other.listed),
            (&mut self.pairs, other.pairs),
            (&mut self.certain, other.certain),
            (&mut self.wrong, other.wrong),
            (&mut self.measured, other.measured),
            (&mut self.beyond_aim, other.beyond_aim),
            (&mut self.wide, other.wide),
            (&mut self.fed, other.fed),
            (&mut self.restarts, other.restarts),
            (&mut self.restarts_of_liars, other.restarts_of_liars),
            (&mut self.insane, other.insane),
        ] {
            *mine += others;
        }
    }
}
