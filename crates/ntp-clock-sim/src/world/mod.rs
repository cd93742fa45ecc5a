//! Worlds: everything about a run that the seed decides.

mod families;
mod family;
mod grace;
mod hostile;

pub use family::Family;
pub(crate) use family::families;

use ntp_clock_core::{Authentication, Span, UnixTime};

use crate::attack::Attacker;
use crate::counter::{Freeze, Oscillator};
use crate::duration::SECOND_NS;
use crate::path::{Episode, Path};
use crate::server::Server;
use crate::statistics::WARM_NS;

/// The machine that the clock runs on, its counter apart.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Host {
    /// Mean time between a packet's passing and its stamp, nanoseconds.
    pub stamp_ns: f64,
    /// Mean time between a thread's being due and its running, nanoseconds.
    pub wake_ns: f64,
    /// The thread does not run at all; readers do.
    pub pauses: Vec<Episode>,
    /// Packets are stamped when they come, though the thread be paused.
    pub kernel_stamps: bool,
}

/// A time during which the clock cannot be expected to be synchronised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Its beginning, true nanoseconds since the world's.
    pub from_ns: i64,
    /// Its end.
    pub to_ns: i64,
    /// So long after its end the clock is synchronised again.
    pub grace_ns: i64,
}

/// Everything about a run, drawn from a seed.
#[derive(Clone, PartialEq, Debug)]
pub struct Setup {
    /// Which family it is of.
    pub family: Family,
    /// What it was drawn from.
    pub seed: u64,
    /// True time at its beginning.
    pub start: UnixTime,
    /// How long it lasts, true nanoseconds.
    pub duration_ns: i64,
    /// Between the engine's polls.
    pub poll_interval: Span,
    /// For how long readings go on when the server is lost.
    pub holdover: Span,
    /// By how much its counter may be steered, as the engine is configured, parts per million.
    pub steering_ppm: u16,
    /// The local oscillator.
    pub oscillator: Oscillator,
    /// The way to the server and back.
    pub path: Path,
    /// The server.
    pub server: Server,
    /// Somebody who sends packets or changes them.
    pub attacker: Option<Attacker>,
    /// Whether replies must be proved.
    pub authentication: Authentication,
    /// The machine.
    pub host: Host,
    /// When the clock cannot be expected to be synchronised.
    pub faults: Vec<Fault>,
    /// When the truth cannot be expected to be inside the bound: the server lies, or what it said
    /// when it lied is still remembered.
    pub unchecked: Vec<Episode>,
    /// Longest time without a reading, faults apart, that bad luck with packets may cause.
    pub unlucky_ns: i64,
}

impl Setup {
    /// The world of this family and seed; most are a day long.
    #[must_use]
    pub fn draw(family: Family, seed: u64) -> Setup {
        families::draw(family, seed)
    }

    /// The same world, another length. What was drawn to happen stays where it is.
    #[must_use]
    pub fn lasting_hours(mut self, hours: f64) -> Setup {
        self.duration_ns = (hours * 3_600.0 * SECOND_NS as f64) as i64;
        self
    }

    /// The same world, of this length where one is given.
    #[must_use]
    pub(crate) fn lasting(self, hours: Option<f64>) -> Setup {
        match hours {
            Some(hours) => self.lasting_hours(hours),
            None => self,
        }
    }

    /// True time at a moment of the world.
    #[must_use]
    pub fn truth(&self, t_ns: i64) -> UnixTime {
        self.start + Span::from_nanos(t_ns + self.server.leap_shift_ns(t_ns))
    }

    /// Whether the truth must be inside the bound at a moment.
    #[must_use]
    pub fn is_checked(&self, t_ns: i64) -> bool {
        !self.unchecked.iter().any(|episode| episode.contains(t_ns))
    }

    /// Whether errors say something about the estimate: while a server lies nobody can be right,
    /// just after a leap second nobody can know, and a counter that may be another one has to become
    /// known as at the beginning.
    #[must_use]
    pub fn is_measured(&self, t_ns: i64) -> bool {
        let leaping =
            |(at_ns, _): (i64, i64)| (at_ns - LEAPING_NS..at_ns + LEAPING_NS).contains(&t_ns);
        let another = |f: &Freeze| (f.from_ns..f.to_ns + WARM_NS).contains(&t_ns);
        self.is_checked(t_ns)
            && !self.server.leap.is_some_and(leaping)
            && !self.oscillator.freezes.iter().any(another)
    }

    /// Whether a fault, or the time to recover from it, excuses a missing reading.
    #[must_use]
    pub fn is_excused(&self, t_ns: i64) -> bool {
        self.faults.iter().any(|f| f.from_ns <= t_ns && t_ns < f.to_ns + f.grace_ns)
    }

    /// The command that runs it again.
    #[must_use]
    pub fn replay_command(&self) -> String {
        let hours = self.duration_ns as f64 / (3_600.0 * SECOND_NS as f64);
        let own = Setup::draw(self.family, self.seed).duration_ns;
        let hours =
            if own == self.duration_ns { String::new() } else { format!(" --hours {hours}") };
        format!(
            "cargo run --release -p ntp-clock-sim -- run --world {} --seed {}{hours}",
            self.family, self.seed
        )
    }
}

/// Until the next polls have shown it.
const LEAPING_NS: i64 = 900 * SECOND_NS;
