//! The way to the server and back: delay, loss, duplication, outages.

use crate::dice::{Dice, unit_at};
use crate::duration::SECOND_NS;

/// A stretch of true time, nanoseconds since the world's beginning.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Episode {
    /// Its beginning.
    pub from_ns: i64,
    /// Its end.
    pub to_ns: i64,
    /// How much of whatever it is about (for a queue: its greatest depth in nanoseconds).
    pub size: f64,
}

impl Episode {
    /// Whether a moment is in it.
    #[must_use]
    pub fn contains(&self, t_ns: i64) -> bool {
        self.from_ns <= t_ns && t_ns < self.to_ns
    }
}

/// From `at_ns` on the base delay is another.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RouteChange {
    /// When.
    pub at_ns: i64,
    /// The new base delay, nanoseconds.
    pub base_ns: f64,
}

/// The base delay moves gradually, and stays where it has come to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shift {
    /// When it begins to move, true nanoseconds since the world's beginning.
    pub from_ns: i64,
    /// When it has arrived.
    pub to_ns: i64,
    /// By how much it has become longer then, nanoseconds.
    pub by_ns: f64,
}

/// One direction of the path.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Direction {
    /// Time that every packet takes, nanoseconds.
    pub base_ns: f64,
    /// Mean of an exponential part, nanoseconds.
    pub jitter_ns: f64,
    /// Share of packets with a heavy-tailed (Pareto) part as well.
    pub tail_share: f64,
    /// Its scale, nanoseconds.
    pub tail_ns: f64,
    /// Its shape: the smaller, the heavier.
    pub tail_shape: f64,
    /// No tail is longer, nanoseconds.
    pub tail_cap_ns: f64,
    /// Share of stretches of `burst_slot_ns` in which a queue stands.
    pub burst_share: f64,
    /// How long a stretch is, nanoseconds.
    pub burst_slot_ns: i64,
    /// Mean wait in such a queue, nanoseconds.
    pub burst_ns: f64,
    /// Queues that fill and drain over minutes.
    pub bloat: Vec<Episode>,
    /// Changes of the base delay, in order.
    pub routes: Vec<RouteChange>,
    /// Gradual changes of the base delay, added to one another.
    pub shifts: Vec<Shift>,
    /// Share of packets lost.
    pub loss: f64,
    /// Share of stretches of `loss_slot_ns` in which nine in ten are lost.
    pub loss_burst_share: f64,
    /// How long such a stretch is, nanoseconds.
    pub loss_slot_ns: i64,
    /// Share of packets that come twice.
    pub duplicates: f64,
    /// Share of packets that wait while others overtake them.
    pub stragglers: f64,
    /// Noise that is asked for by moment.
    pub key: u64,
}

impl Direction {
    /// The times that a packet which leaves now takes: none where it is lost, two where it is
    /// duplicated.
    pub(crate) fn carry(&self, dice: &mut Dice, t_ns: i64) -> [Option<i64>; 2] {
        let in_burst = self.loss_burst_share > 0.0
            && unit_at(self.key ^ LOSSES, t_ns / self.loss_slot_ns.max(1)) < self.loss_burst_share;
        let loss = if in_burst { BURST_LOSS } else { self.loss };
        if dice.chance(loss) {
            return [None, None];
        }
        let first = self.delay(dice, t_ns);
        let second = dice.chance(self.duplicates).then(|| self.delay(dice, t_ns));
        [Some(first), second]
    }

    fn delay(&self, dice: &mut Dice, t_ns: i64) -> i64 {
        let mut delay = self.base_at(t_ns) + dice.exponential(self.jitter_ns);
        if dice.chance(self.tail_share) {
            delay += dice.pareto(self.tail_ns, self.tail_shape, self.tail_cap_ns);
        }
        if self.burst_share > 0.0
            && unit_at(self.key ^ BURSTS, t_ns / self.burst_slot_ns.max(1)) < self.burst_share
        {
            delay += dice.exponential(self.burst_ns);
        }
        for episode in &self.bloat {
            if episode.contains(t_ns) {
                delay += fill(episode, t_ns) * dice.within(0.7, 1.0);
            }
        }
        if dice.chance(self.stragglers) {
            delay += dice.within(0.05, 0.3) * SECOND_NS as f64;
        }
        delay as i64
    }

    fn base_at(&self, t_ns: i64) -> f64 {
        let current = self.routes.iter().rev().find(|route| route.at_ns <= t_ns);
        let base = current.map_or(self.base_ns, |route| route.base_ns);
        base + self.shifts.iter().map(|shift| shift.at(t_ns)).sum::<f64>()
    }
}

impl Shift {
    fn at(&self, t_ns: i64) -> f64 {
        let lasts = (self.to_ns - self.from_ns).max(1) as f64;
        self.by_ns * ((t_ns - self.from_ns) as f64 / lasts).clamp(0.0, 1.0)
    }
}

/// A buffer fills within seconds, stays full and drains again.
fn fill(episode: &Episode, t_ns: i64) -> f64 {
    let edge = (t_ns - episode.from_ns).min(episode.to_ns - t_ns) as f64;
    episode.size * (edge / FILL_NS).clamp(0.0, 1.0)
}

/// Both directions and what concerns the whole way.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Path {
    /// To the server.
    pub forth: Direction,
    /// From the server.
    pub back: Direction,
    /// Nothing passes; where the size is not zero, sending itself fails.
    pub outages: Vec<Episode>,
}

impl Path {
    /// One of both directions, either as likely.
    pub(crate) fn either(&mut self, d: &mut Dice) -> &mut Direction {
        if d.chance(0.5) { &mut self.forth } else { &mut self.back }
    }

    /// The outage that a moment falls into.
    #[must_use]
    pub fn outage(&self, t_ns: i64) -> Option<&Episode> {
        self.outages.iter().find(|outage| outage.contains(t_ns))
    }
}

const BURST_LOSS: f64 = 0.9;
const FILL_NS: f64 = 5e9;
/// Tell two noises of one direction apart.
const BURSTS: u64 = 0x6275_7273_7473;
const LOSSES: u64 = 0x6c6f_7373_6573;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_delays_loses_and_duplicates_as_set() {
        let direction = Direction {
            base_ns: 1e6,
            jitter_ns: 1e5,
            loss: 0.2,
            duplicates: 0.1,
            routes: vec![RouteChange { at_ns: 1_000, base_ns: 5e6 }],
            ..Direction::default()
        };
        let mut dice = Dice::new(1, "path");
        let carried: Vec<_> = (0..10_000).map(|_| direction.carry(&mut dice, 0)).collect();
        let lost = carried.iter().filter(|c| c[0].is_none()).count();
        let twice = carried.iter().filter(|c| c[1].is_some()).count();
        assert!((1_800..2_200).contains(&lost) && (700..900).contains(&twice), "{lost} {twice}");
        assert!(carried.iter().flatten().flatten().all(|d| *d >= 1_000_000));
        assert!(direction.delay(&mut dice, 2_000) >= 5_000_000);
    }

    #[test]
    fn a_shift_moves_the_base_delay_gradually_and_it_stays_there() {
        let shift = Shift { from_ns: 100, to_ns: 300, by_ns: 1e6 };
        let direction = Direction { base_ns: 5e6, shifts: vec![shift], ..Direction::default() };
        let at = |t_ns| direction.base_at(t_ns);
        assert_eq!([at(0), at(100), at(200), at(300), at(9_000)], [5e6, 5e6, 5.5e6, 6e6, 6e6]);
    }

    #[test]
    fn a_bloated_queue_fills_and_drains() {
        let episode = Episode { from_ns: 0, to_ns: 100 * SECOND_NS, size: 3e8 };
        assert_eq!(fill(&episode, 0), 0.0);
        assert_eq!(fill(&episode, 50 * SECOND_NS), 3e8);
        assert!(fill(&episode, 99 * SECOND_NS) < 1e8);
    }
}
