//! Ways to put the stamps of a trace in order, on the same simulated traces.
//!
//! A browser asks a server, which asks two devices and answers. All four synchronise themselves
//! with one far NTP server, and each way between them is simulated; so for every two stamps by
//! different machines it is known which came first, and for every hop how long it took.

mod hull;
mod jaeger;
mod ours;
mod synchronised;
mod traces;

use crate::dice::Dice;
use crate::pool::in_parallel;
use crate::sketch::Sketch;

pub use traces::Profile;
use traces::{HOPS, MACHINE, Scene, Trace};

/// What one method made of all traces.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its name.
    pub name: &'static str,
    /// Pairs of stamps by different machines.
    pub pairs: u64,
    /// Those of which it says which came first.
    pub decided: u64,
    /// Those of which it says so wrongly.
    pub wrong: u64,
    /// One-way latencies, less the truth, nanoseconds.
    pub error: Sketch,
}

/// What all methods made of the traces over one kind of network.
#[derive(Clone, Debug)]
pub struct LinkContest {
    /// The network.
    pub profile: Profile,
    /// How many traces there were.
    pub traces: u64,
    /// One for each method.
    pub standings: Vec<Standing>,
}

/// What a method says of one trace.
struct Judgement {
    /// For the stamps `i < j`, whether `j` came last, where it says so: `order[i][j]`.
    order: Vec<Vec<Option<bool>>>,
    /// By hop, nanoseconds.
    latencies: Vec<Option<f64>>,
}

/// Simulates the seeds of each network, and has all methods judge every trace.
#[must_use]
pub fn links_contest(
    profiles: &[Profile],
    seeds: std::ops::Range<u64>,
    progress: impl Fn() + Sync,
) -> Vec<LinkContest> {
    let jobs: Vec<_> = profiles.iter().flat_map(|p| seeds.clone().map(|s| (*p, s))).collect();
    let results = in_parallel(&jobs, |(profile, seed)| {
        let contest = contest(*profile, *seed);
        progress();
        contest
    });
    let mut contests: Vec<LinkContest> = Vec::new();
    for result in results {
        match contests.iter_mut().find(|contest| contest.profile == result.profile) {
            None => contests.push(result),
            Some(contest) => contest.merge(&result),
        }
    }
    contests
}

fn contest(profile: Profile, seed: u64) -> LinkContest {
    let mut scene = Scene::draw(profile, seed, &mut Dice::new(seed, profile.name()));
    let traces = scene.traces();
    let lines = hull::lines(&mut scene, &traces);
    let ours = ours::judge(&mut scene, &traces, true);
    let by_clock = ours::judge(&mut scene, &traces, false);
    let position = |judge: &dyn Fn(&Trace) -> Positions| {
        traces.iter().map(|trace| judge(trace).judgement()).collect::<Vec<_>>()
    };
    let methods = [
        ("ours", ours),
        ("ours, by clock alone", by_clock),
        ("absolute bounds only", position(&bounds)),
        ("uncorrected NTP clocks", position(&uncorrected)),
        ("Jaeger's adjuster", position(&jaeger::adjusted)),
        ("convex hulls", position(&|trace| hull::converted(trace, &lines))),
    ];
    let standings = methods.map(|(name, judgements)| standing(name, &traces, &judgements));
    LinkContest { profile, traces: traces.len() as u64, standings: standings.into() }
}

fn standing(name: &'static str, traces: &[Trace], judgements: &[Judgement]) -> Standing {
    let error = Sketch::default();
    let mut standing = Standing { name, pairs: 0, decided: 0, wrong: 0, error };
    for (trace, judgement) in traces.iter().zip(judgements) {
        for (j, machine) in MACHINE.iter().enumerate() {
            for i in (0..j).filter(|i| MACHINE[*i] != *machine) {
                standing.pairs += 1;
                let said = judgement.order[i][j];
                standing.decided += u64::from(said.is_some());
                let truth = trace.t_ns[j] > trace.t_ns[i];
                standing.wrong += u64::from(said.is_some_and(|said| said != truth));
            }
        }
        for ((from, to), latency) in HOPS.iter().zip(&judgement.latencies) {
            if let Some(latency) = latency {
                standing.error.add(latency - (trace.t_ns[*to] - trace.t_ns[*from]) as f64);
            }
        }
    }
    standing
}

/// All stamps on one axis, each with the bound on its error.
struct Positions {
    at_ns: Vec<i64>,
    max_error_ns: Vec<i64>,
}

impl Positions {
    /// Of a method that states no bound: it believes in what it has.
    fn unbounded(at_ns: Vec<i64>) -> Self {
        Positions { max_error_ns: vec![0; at_ns.len()], at_ns }
    }

    fn judgement(&self) -> Judgement {
        let n = self.at_ns.len();
        let order = |i: usize, j: usize| {
            let apart = self.at_ns[j] - self.at_ns[i];
            let sure = apart.abs() > self.max_error_ns[i] + self.max_error_ns[j];
            sure.then_some(apart > 0)
        };
        let latency =
            |(from, to): &(usize, usize)| Some((self.at_ns[*to] - self.at_ns[*from]) as f64);
        Judgement {
            order: (0..n).map(|i| (0..n).map(|j| order(i, j)).collect()).collect(),
            latencies: HOPS.iter().map(latency).collect(),
        }
    }
}

/// Readings of this project's clock as of their own: certain where bounds do not touch.
fn bounds(trace: &Trace) -> Positions {
    Positions {
        at_ns: trace.readings.iter().map(|(at_ns, _)| *at_ns).collect(),
        max_error_ns: trace.readings.iter().map(|(_, max_error_ns)| *max_error_ns).collect(),
    }
}

/// What machines that run an NTP client have for time.
fn uncorrected(trace: &Trace) -> Positions {
    Positions::unbounded(trace.walls_ns.clone())
}

impl LinkContest {
    fn merge(&mut self, other: &LinkContest) {
        self.traces += other.traces;
        for (mine, others) in self.standings.iter_mut().zip(&other.standings) {
            mine.pairs += others.pairs;
            mine.decided += others.decided;
            mine.wrong += others.wrong;
            mine.error.merge(&others.error);
        }
    }
}
