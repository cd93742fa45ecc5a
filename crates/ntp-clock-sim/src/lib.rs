//! Worlds in which the truth is known, simulated around the real engine of `ntp-clock-core`.
//!
//! One seed draws a [`Setup`]: the oscillator, the path, the server and what goes wrong with them.
//! [`run`] lets a real [`SyncEngine`](ntp_clock_core::SyncEngine) live through it, drives it only
//! by its public inputs and outputs, and checks at every reading what the clock promises
//! ([`Violation`]) while measuring how well it does ([`Statistics`]). Other ways of estimating
//! time ([`Candidate`]) see the same exchanges and are measured beside it.
//!
//! The same seed gives the same run on every machine, to the last bit: randomness comes from the
//! seed, and floating point is `+ - * /`, square roots and the `libm` crate only.
//!
//! ```
//! use ntp_clock_sim::{Family, Options, Setup, run};
//! let setup = Setup::draw(Family::Lan, 1).lasting_hours(1.0);
//! let outcome = run(&setup, &mut [], Options::default());
//! assert_eq!(outcome.violations, []);
//! assert!(outcome.statistics.reads > 100);
//! ```

#![forbid(unsafe_code)]

mod attack;
mod candidate;
mod compare;
mod cost;
mod counter;
mod dice;
mod duration;
mod fleet;
mod links;
mod nts;
mod oracle;
mod outcome;
mod path;
mod peers;
mod plot;
mod pool;
mod run;
mod server;
mod sketch;
mod statistics;
mod swarm;
mod table;
mod world;

pub use attack::Attacker;
pub use candidate::{Answer, Candidate, Replayed};
pub use compare::{Comparison, Contest, compare};
pub use cost::{Cost, cost};
pub use counter::{Counter, Freeze, Oscillator, Part, Sleep};
pub use dice::Dice;
pub use fleet::{FleetPlan, FleetReport, Window, fleet};
pub use links::{
    Leg, Lie, LinkContest, LinkOutcome, LinkPromise, LinkReport, LinkSwarm, LinkViolation,
    LinkWorld, Node, Profile, Standing, System, Tally, Traffic, links_contest, links_swarm,
    run_links,
};
pub use oracle::{Promise, Violation};
pub use outcome::{Options, Outcome, Record, TracePoint};
pub use path::{Direction, Episode, Path, RouteChange, Shift};
pub use peers::{Chrony, Feed, Kalman, MinimumRtt, Sntp, all_peers};
pub use plot::svg;
pub use pool::in_parallel;
pub use run::run;
pub use server::{Refusal, Server, WrongTime};
pub use sketch::Sketch;
pub use statistics::{Aged, Statistics};
pub use swarm::{FamilyReport, SwarmReport, swarm};
pub use table::{Table, duration};
pub use world::{Family, Fault, Host, Setup};
