//! A system of several clocks: everything about a run that the seed decides.

use crate::counter::Oscillator;
use crate::dice::unit_at;
use crate::path::Path;

use super::LinkWorld;

/// A machine and its counter.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// What drives its counter. Where it sleeps, the counter that it wakes with is another.
    pub oscillator: Oscillator,
    /// By how much others know that the counter may be steered, parts per million.
    pub steering_ppm: f64,
    /// When it begins again with another counter, true nanoseconds since the world's beginning.
    pub restarts: Vec<i64>,
    /// What it adds to its stamps.
    pub lie: Option<Lie>,
}

/// Stamps that are made up.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Lie {
    /// Wrong by so much from a moment on, true nanoseconds.
    Step {
        /// When it begins.
        at_ns: i64,
        /// By how much, nanoseconds.
        by_ns: i64,
    },
    /// A counter that gains so much, far beyond what any oscillator does.
    Drift {
        /// Parts per million.
        ppm: f64,
    },
    /// Each second wrong by something else.
    Noise {
        /// Up to so much either way, nanoseconds.
        most_ns: f64,
        /// Decides by how much.
        key: u64,
    },
}

impl Node {
    /// What others know of its counter.
    pub(crate) fn reported(&self) -> ntp_clock_core::Oscillator {
        ntp_clock_core::Oscillator::steered(self.steering_ppm)
    }
}

impl Lie {
    /// What is added to a stamp taken at a true moment, nanoseconds.
    pub(crate) fn at(&self, t_ns: i64) -> i64 {
        match *self {
            Lie::Step { at_ns, by_ns } => {
                if t_ns < at_ns {
                    0
                } else {
                    by_ns
                }
            }
            Lie::Drift { ppm } => (t_ns as f64 * ppm * 1e-6) as i64,
            Lie::Noise { most_ns, key } => {
                ((2.0 * unit_at(key, t_ns / 1_000_000_000) - 1.0) * most_ns) as i64
            }
        }
    }
}

/// Two nodes that send each other messages. `a` asks, `b` (the hub, where there is one) keeps the
/// link.
#[derive(Clone, PartialEq, Debug)]
pub struct Leg {
    /// The one that asks.
    pub a: usize,
    /// The one that answers.
    pub b: usize,
    /// From `a` to `b`, and back.
    pub path: Path,
    /// What passes.
    pub traffic: Traffic,
}

/// What passes between two nodes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Traffic {
    /// Exchanges: at 0, 0.5, 1, 2, 4 and 8 s after a connection, then every 10 s.
    pub exchanges: bool,
    /// Messages in an hour from `a` to `b`.
    pub to_b_per_hour: f64,
    /// Messages in an hour from `b` to `a`.
    pub to_a_per_hour: f64,
    /// Share of messages that wait in an outbox after they were stamped.
    pub outbox_share: f64,
    /// No longer than this, nanoseconds.
    pub outbox_most_ns: f64,
}

/// Everything about a run, drawn from a seed.
#[derive(Clone, PartialEq, Debug)]
pub struct System {
    /// Which world it is of.
    pub world: LinkWorld,
    /// What it was drawn from.
    pub seed: u64,
    /// How long it lasts, true nanoseconds.
    pub duration_ns: i64,
    /// The machines.
    pub nodes: Vec<Node>,
    /// Who speaks with whom.
    pub legs: Vec<Leg>,
}

impl System {
    /// The system of this world and seed: ten minutes to a day of it.
    #[must_use]
    pub fn draw(world: LinkWorld, seed: u64) -> System {
        super::draw::draw(world, seed)
    }

    /// Whether what both ends of a leg say is so.
    #[must_use]
    pub fn is_honest(&self, leg: &Leg) -> bool {
        self.nodes[leg.a].lie.is_none() && self.nodes[leg.b].lie.is_none()
    }

    /// The command that runs it again.
    #[must_use]
    pub fn replay_command(&self) -> String {
        format!(
            "cargo xtask sim -- links --world {} --first-seed {} --seeds 1",
            self.world, self.seed
        )
    }
}
