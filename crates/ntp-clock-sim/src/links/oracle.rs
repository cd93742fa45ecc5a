//! What must hold at every comparison, whatever the world.

use ntp_clock_core::{Difference, LinkSnapshot, Span};
use ntp_clock_order::Relation;

use super::system::System;
use super::tally::{LinkPromise, LinkViolation, Tally};

/// Watches one run.
#[derive(Debug)]
pub(super) struct Oracle<'a> {
    system: &'a System,
    pub(super) tally: Tally,
    pub(super) violations: Vec<LinkViolation>,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(system: &'a System) -> Self {
        Oracle { system, tally: Tally::default(), violations: Vec::new() }
    }

    /// The difference at a moment, and what was said of it.
    pub(super) fn inside(&mut self, said: &Difference, truth: Span, t_ns: i64, about: &str) {
        self.tally.comparisons += 1;
        let above = said.upper.is_some_and(|upper| truth > upper + TRUTH_KNOWN);
        let below = said.lower.is_some_and(|lower| truth < lower - TRUTH_KNOWN);
        if above || below {
            self.tally.misses += 1;
            let off = |bound: Option<Span>| bound.map(|bound| (bound - truth).as_nanos());
            let (lower, upper) = (off(said.lower), off(said.upper));
            let detail = format!("{about}: truth is 0, said was {lower:?} to {upper:?} ns");
            self.broke(LinkPromise::TruthInside, t_ns, detail);
        }
    }

    /// The parts of an answer by themselves.
    pub(super) fn sane(&mut self, said: &Difference, t_ns: i64) {
        let bounds = said.lower.zip(said.upper);
        let estimate = said.estimate.zip(said.est_error);
        let sane = match (bounds, estimate) {
            (Some((lower, upper)), Some((estimate, error))) => {
                lower <= estimate && estimate <= upper && error >= Span::ZERO
            }
            (None, None) => said.estimate.is_none() && said.est_error.is_none(),
            _ => false,
        };
        if !sane {
            self.tally.insane += 1;
            self.broke(LinkPromise::Sane, t_ns, format!("{said:?}"));
        }
    }

    /// A snapshot that does not pass for one.
    pub(super) fn unsound(&mut self, snapshot: &LinkSnapshot, t_ns: i64) {
        self.tally.insane += 1;
        self.broke(LinkPromise::Sane, t_ns, format!("{snapshot:?}"));
    }

    /// What all evidence leaves is within what a part of it leaves.
    pub(super) fn narrows(&mut self, part: &Difference, all: &Difference, t_ns: i64) {
        let lower = part.lower.is_none_or(|p| all.lower.is_some_and(|a| a >= p - TRUTH_KNOWN));
        let upper = part.upper.is_none_or(|p| all.upper.is_some_and(|a| a <= p + TRUTH_KNOWN));
        if !(lower && upper) {
            self.tally.insane += 1;
            let detail = format!("exchanges alone say {part:?}, all evidence says {all:?}");
            self.broke(LinkPromise::Sane, t_ns, detail);
        }
    }

    /// How good a two-sided answer about now is.
    pub(super) fn measure(&mut self, said: &Difference, truth: Span) {
        let (Some(width), Some(estimate), Some(error)) =
            (said.width(), said.estimate, said.est_error)
        else {
            return;
        };
        self.tally.width.add(width.as_nanos() as f64);
        let off = (estimate - truth).abs();
        self.tally.error.add(off.as_nanos() as f64);
        self.tally.within[0] += u64::from(off <= error);
        self.tally.within[1] += u64::from(off <= error.times(2));
    }

    /// Whether it is as narrow as is aimed at, and where it is not, as evidence allows.
    pub(super) fn narrow_enough(
        &mut self,
        said: &Difference,
        aim_ns: f64,
        allowed_ns: impl Fn() -> f64,
        t_ns: i64,
    ) {
        self.tally.measured += 1;
        let width_ns = said.width().map_or(f64::INFINITY, |width| width.as_nanos() as f64);
        if width_ns <= aim_ns {
            return;
        }
        self.tally.beyond_aim += 1;
        let allowed_ns = allowed_ns();
        self.tally.widest = self.tally.widest.max(width_ns / allowed_ns);
        if width_ns > allowed_ns {
            self.tally.wide += 1;
            let detail = format!("{width_ns:.0} ns wide, {allowed_ns:.0} ns are allowed");
            self.broke(LinkPromise::NarrowEnough, t_ns, detail);
        }
    }

    /// Two stamps were put in order: `later` says which is so, if any is.
    pub(super) fn ordered(&mut self, certain: Option<bool>, second_is_later: bool, t_ns: i64) {
        self.tally.pairs += 1;
        let Some(said) = certain else { return };
        self.tally.certain += 1;
        if said != second_is_later {
            self.tally.wrong += 1;
            let detail = format!("the second was called certainly later: {said}");
            self.broke(LinkPromise::CertainIsSo, t_ns, detail);
        }
    }

    /// The true time from one stamp to another, and what was said of it.
    pub(super) fn apart(&mut self, said: &Relation, truth: Span, t_ns: i64) {
        self.tally.related += 1;
        let Relation { lower, upper, estimate, est_error, .. } = *said;
        self.inside(&Difference { lower, upper, estimate, est_error }, truth, t_ns, "relation");
    }

    /// A verdict rests on what a liar said, and says so.
    pub(super) fn listed(&mut self) {
        self.tally.listed += 1;
    }

    /// What links know was no input for a closure.
    pub(super) fn refused(&mut self, t_ns: i64, what: &str) {
        self.tally.insane += 1;
        self.broke(LinkPromise::Sane, t_ns, format!("refused: {what}"));
    }

    /// Evidence contradicted what was known.
    pub(super) fn contradicted(&mut self, t_ns: i64, honest: bool) {
        if honest {
            self.tally.restarts += 1;
            self.broke(LinkPromise::NeverContradicts, t_ns, "it started again".to_owned());
        } else {
            self.tally.restarts_of_liars += 1;
        }
    }

    fn broke(&mut self, promise: LinkPromise, t_ns: i64, detail: String) {
        if self.violations.len() < KEPT {
            let System { world, seed, .. } = *self.system;
            self.violations.push(LinkViolation { world, seed, t_ns, promise, detail });
        }
    }
}

/// Counters are whole nanoseconds, one of each: so well the truth is known.
const TRUTH_KNOWN: Span = Span::from_nanos(1);
/// The first ones tell enough.
const KEPT: usize = 5;
