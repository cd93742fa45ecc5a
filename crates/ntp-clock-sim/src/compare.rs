//! Candidates side by side.

use ntp_clock_core::{Span, UnixTime};

use crate::candidate::{Answer, Candidate};
use crate::outcome::Options;
use crate::pool::in_parallel;
use crate::run::run;
use crate::statistics::Statistics;
use crate::world::{Family, Setup};

/// What was measured of one candidate.
#[derive(Clone, Debug)]
pub struct Contest {
    /// The candidate's name.
    pub name: &'static str,
    /// How well it did.
    pub statistics: Statistics,
    /// The smallest growth of its bound, on top of its own, with which no reading would have
    /// missed, parts per million.
    pub needed_ppm: f64,
    /// Claimed bound and its age of each warm reading, nanoseconds and seconds.
    claims: Vec<(f32, f32)>,
}

impl Contest {
    pub(crate) fn new(name: &'static str) -> Self {
        Contest { name, statistics: Statistics::default(), needed_ppm: 0.0, claims: Vec::new() }
    }

    pub(crate) fn read(
        &mut self,
        answer: Option<Answer>,
        truth: UnixTime,
        warm: bool,
        checked: bool,
    ) {
        let Some(answer) = answer else {
            self.statistics.unreadable += 1;
            return;
        };
        let error = answer.time - truth;
        self.statistics.read((error, answer.max_error, answer.est_error), warm, checked);
        if !checked {
            return; // No growth helps against lies.
        }
        let age = answer.age.max(Span::from_millis(1));
        let missing = (error.abs() - answer.max_error).as_nanos() as f64;
        self.needed_ppm = self.needed_ppm.max(missing / age.as_nanos() as f64 * 1e6);
        if warm {
            let claim = (answer.max_error.as_nanos() as f32, age.as_secs_f64() as f32);
            self.claims.push(claim);
        }
    }

    fn merge(&mut self, other: &Contest) {
        self.statistics.merge(&other.statistics);
        self.needed_ppm = self.needed_ppm.max(other.needed_ppm);
        self.claims.extend_from_slice(&other.claims);
    }

    /// The median bound, were it to grow by so much as no reading would have missed: nanoseconds.
    #[must_use]
    pub fn honest_bound_p50(&self) -> f64 {
        let mut bounds: Vec<f64> = self
            .claims
            .iter()
            .map(|(claimed_ns, age_s)| {
                f64::from(*claimed_ns) + self.needed_ppm * 1e3 * f64::from(*age_s)
            })
            .collect();
        if bounds.is_empty() {
            return f64::NAN;
        }
        let middle = bounds.len() / 2;
        *bounds.select_nth_unstable_by(middle, f64::total_cmp).1
    }
}

/// All candidates in one family of worlds.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The family.
    pub family: Family,
    /// One for each candidate, in the order of the factory.
    pub contests: Vec<Contest>,
}

/// Runs every family's seeds, all candidates beside the engine in each.
pub fn compare(
    families: &[Family],
    seeds: std::ops::Range<u64>,
    hours: Option<f64>,
    candidates: impl Fn(&Setup) -> Vec<Box<dyn Candidate>> + Sync,
    progress: impl Fn() + Sync,
) -> Vec<Comparison> {
    let jobs: Vec<_> = families.iter().flat_map(|f| seeds.clone().map(|s| (*f, s))).collect();
    let results = in_parallel(&jobs, |(family, seed)| {
        let setup = Setup::draw(*family, *seed).lasting(hours);
        let outcome = run(&setup, &mut candidates(&setup), Options::default());
        progress();
        (*family, outcome.contests)
    });
    let mut comparisons: Vec<Comparison> = Vec::new();
    for (family, contests) in results {
        match comparisons.iter_mut().find(|c| c.family == family) {
            None => comparisons.push(Comparison { family, contests }),
            Some(comparison) => {
                for (mine, theirs) in comparison.contests.iter_mut().zip(&contests) {
                    mine.merge(theirs);
                }
            }
        }
    }
    comparisons
}
