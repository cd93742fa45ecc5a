//! Many seeds of many worlds of several clocks.

use std::sync::Mutex;

use super::{LinkViolation, LinkWorld, System, Tally, run_links};
use crate::pool::in_parallel;

/// What became of one world.
#[derive(Clone, Debug)]
pub struct LinkReport {
    /// The world.
    pub world: LinkWorld,
    /// What was counted, over all seeds.
    pub tally: Tally,
}

/// What became of a swarm.
#[derive(Clone, Debug)]
pub struct LinkSwarm {
    /// One for each world.
    pub worlds: Vec<LinkReport>,
    /// Runs made.
    pub runs: u64,
    /// The first broken promise of each run, in the order of worlds and seeds.
    pub violations: Vec<LinkViolation>,
}

impl LinkSwarm {
    /// What was counted in all worlds.
    #[must_use]
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        self.worlds.iter().for_each(|world| total.merge(&world.tally));
        total
    }
}

/// Runs every world's seeds with about this many comparisons each. `progress` hears of each run
/// that is over.
///
/// # Panics
/// Where a run does.
pub fn links_swarm(
    worlds: &[LinkWorld],
    seeds: std::ops::Range<u64>,
    comparisons: u32,
    progress: impl Fn() + Sync,
) -> LinkSwarm {
    let report = |world: &LinkWorld| LinkReport { world: *world, tally: Tally::default() };
    let swarm = Mutex::new(LinkSwarm {
        worlds: worlds.iter().map(report).collect(),
        runs: 0,
        violations: Vec::new(),
    });
    // Seeds outermost: a swarm that is interrupted has seen all worlds.
    let jobs: Vec<_> = seeds.flat_map(|s| worlds.iter().map(move |w| (*w, s))).collect();
    in_parallel(&jobs, |(world, seed)| {
        let outcome = run_links(&System::draw(*world, *seed), comparisons);
        let mut swarm = swarm.lock().expect("no run panicked");
        swarm.runs += 1;
        swarm.violations.extend(outcome.violations.into_iter().next());
        if let Some(mine) = swarm.worlds.iter_mut().find(|report| report.world == *world) {
            mine.tally.merge(&outcome.tally);
        }
        drop(swarm);
        progress();
    });
    let mut swarm = swarm.into_inner().expect("no run panicked");
    swarm.violations.sort_by_key(|violation| (violation.world, violation.seed));
    swarm
}
