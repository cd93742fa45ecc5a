//! Many seeds of many families.

use std::sync::Mutex;

use crate::oracle::Violation;
use crate::outcome::Options;
use crate::pool::in_parallel;
use crate::run::run;
use crate::statistics::Statistics;
use crate::world::{Family, Setup};

/// What became of one family.
#[derive(Clone, Debug)]
pub struct FamilyReport {
    /// The family.
    pub family: Family,
    /// How well the engine did, over all seeds.
    pub statistics: Statistics,
    /// Broken promises.
    pub broken: u64,
    /// Seeds in which any was.
    pub bad_seeds: u64,
}

/// What became of a swarm.
#[derive(Clone, Debug)]
pub struct SwarmReport {
    /// One for each family.
    pub families: Vec<FamilyReport>,
    /// Readings that the oracle checked.
    pub checks: u64,
    /// Runs made.
    pub runs: u64,
    /// The first broken promise of each run, in the order of families and seeds.
    pub violations: Vec<Violation>,
}

/// Runs every family's seeds, each for this long or for as long as its world lasts. Calls `progress` after each run.
///
/// # Panics
/// Where a run does.
pub fn swarm(
    families: &[Family],
    seeds: std::ops::Range<u64>,
    hours: Option<f64>,
    progress: impl Fn(&Setup) + Sync,
) -> SwarmReport {
    let report = Mutex::new(SwarmReport {
        families: families.iter().map(|family| FamilyReport::new(*family)).collect(),
        checks: 0,
        runs: 0,
        violations: Vec::new(),
    });
    // Seeds outermost: a swarm that is interrupted has seen all families.
    let jobs: Vec<_> = seeds.flat_map(|s| families.iter().map(move |f| (*f, s))).collect();
    in_parallel(&jobs, |(family, seed)| {
        let setup = Setup::draw(*family, *seed).lasting(hours);
        let outcome = run(&setup, &mut [], Options::default());
        let mut report = report.lock().expect("no run panicked");
        report.checks += outcome.checks;
        report.runs += 1;
        report.violations.extend(outcome.violations.into_iter().next());
        if let Some(mine) = report.families.iter_mut().find(|f| f.family == *family) {
            mine.statistics.merge(&outcome.statistics);
            mine.broken += outcome.broken;
            mine.bad_seeds += u64::from(outcome.broken > 0);
        }
        drop(report);
        progress(&setup);
    });
    let mut report = report.into_inner().expect("no run panicked");
    report.violations.sort_by_key(|violation| (violation.family, violation.seed));
    report
}

impl FamilyReport {
    fn new(family: Family) -> Self {
        FamilyReport { family, statistics: Statistics::default(), broken: 0, bad_seeds: 0 }
    }
}
