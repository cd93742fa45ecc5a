//! Systems of several clocks: what links say of the difference of two counters, and the truth.
//!
//! One seed draws a [`System`]: machines with their oscillators, the paths between them, what
//! passes on these and what goes wrong. [`run_links`] feeds a real [`Link`](ntp_clock_core::Link)
//! for each two machines that speak with one another, as the server does: exchanges soon after a
//! connection and every ten seconds, whose T4 comes with the next request; messages as they pass.
//! Then it asks for differences, of now, of the past and of what is to come, and compares.

mod closures;
mod contest;
mod draw;
mod feed;
mod life;
mod oracle;
mod oscillators;
mod run;
mod swarm;
mod system;
mod tally;
mod width;
mod world;

pub use contest::{LinkContest, Profile, Standing, links_contest};
pub use run::{LinkOutcome, run_links};
pub use swarm::{LinkReport, LinkSwarm, links_swarm};
pub use system::{Leg, Lie, Node, System, Traffic};
pub use tally::{LinkPromise, LinkViolation, Tally};
pub use world::LinkWorld;
