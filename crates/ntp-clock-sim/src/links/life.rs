//! The counters of one machine, one after another.

use ntp_clock_core::{LocalTime, Span};

use super::system::Node;
use crate::counter::Counter;

/// A stretch of true time in which a machine runs and has one counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Life {
    pub(super) from_ns: i64,
    pub(super) to_ns: i64,
    /// What its counter shows more than the oscillator's.
    shift: Span,
}

/// A machine in a run.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    counter: Counter,
    resolution: Span,
    lives: Vec<Life>,
    node: Node,
}

impl Machine {
    pub(super) fn new(node: &Node, seed: u64) -> Self {
        let mut cuts: Vec<(i64, i64)> =
            node.oscillator.sleeps.iter().map(|sleep| (sleep.from_ns, sleep.to_ns)).collect();
        cuts.extend(node.restarts.iter().map(|at_ns| (*at_ns, at_ns + BOOT_NS)));
        cuts.sort_unstable();
        let mut lives = Vec::new();
        let mut from_ns = 0;
        for (down_ns, up_ns) in cuts {
            if down_ns > from_ns {
                lives.push(Life { from_ns, to_ns: down_ns, shift: Span::ZERO });
            }
            from_ns = from_ns.max(up_ns);
        }
        lives.push(Life { from_ns, to_ns: i64::MAX, shift: Span::ZERO });
        for (n, life) in lives.iter_mut().enumerate() {
            // Other counters begin elsewhere, so that mixing them up shows.
            life.shift = Span::from_secs(n as i64 * 1_234_567);
        }
        Machine {
            counter: Counter::new(&node.oscillator, seed),
            resolution: Span::from_nanos(node.oscillator.resolution_ns.max(1)),
            lives,
            node: node.clone(),
        }
    }

    /// What one step of the counter is.
    pub(super) fn resolution(&self) -> Span {
        self.resolution
    }

    pub(super) fn life(&self, place: usize) -> Life {
        self.lives[place]
    }

    /// Which life it lives at a moment; `None` while it sleeps.
    pub(super) fn life_at(&self, t_ns: i64) -> Option<usize> {
        let place = self.lives.partition_point(|life| life.to_ns <= t_ns);
        (self.lives[place].from_ns <= t_ns).then_some(place)
    }

    /// The first moment from here on at which it runs, and the life that it lives then.
    pub(super) fn runs_from(&self, t_ns: i64) -> (i64, usize) {
        let place = self.lives.partition_point(|life| life.to_ns <= t_ns);
        (self.lives[place].from_ns.max(t_ns), place)
    }

    /// What its counter of a life stands at, to the nanosecond: the truth.
    pub(super) fn exact(&mut self, life: usize, t_ns: i64) -> LocalTime {
        self.counter.fine(t_ns) + self.lives[life].shift
    }

    /// What it says that its counter stands at.
    pub(super) fn reading(&mut self, life: usize, t_ns: i64) -> LocalTime {
        let lie = self.node.lie.map_or(0, |lie| lie.at(t_ns));
        self.exact(life, t_ns) + Span::from_nanos(lie)
    }

    /// The stamp of something that happens now or later: what the counter shows, and what a liar
    /// makes of it.
    pub(super) fn stamp_before(&mut self, life: usize, t_ns: i64) -> LocalTime {
        let lie = self.node.lie.map_or(0, |lie| lie.at(t_ns));
        self.counter.local(t_ns) + self.lives[life].shift + Span::from_nanos(lie)
    }

    /// The stamp of something that happened now or earlier. A counter shows the beginning of its
    /// step, and it may have been any moment of it.
    pub(super) fn stamp_after(&mut self, life: usize, t_ns: i64) -> LocalTime {
        self.stamp_before(life, t_ns) + self.resolution
    }
}

/// For so long a machine that begins again does nothing.
const BOOT_NS: i64 = 2_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counter::{Oscillator, Sleep};
    use crate::duration::SECOND_NS;

    #[test]
    fn each_sleep_and_each_restart_begins_another_counter() {
        let sleep = Sleep { from_ns: 10 * SECOND_NS, to_ns: 20 * SECOND_NS };
        let oscillator = Oscillator { sleeps: vec![sleep], ..Oscillator::default() };
        let restarts = vec![30 * SECOND_NS];
        let node = Node { oscillator, steering_ppm: 0.0, restarts, lie: None };
        let machine = Machine::new(&node, 1);
        let at = |s: i64| machine.life_at(s * SECOND_NS);
        assert_eq!([at(0), at(9), at(10), at(19), at(20)], [Some(0), Some(0), None, None, Some(1)]);
        assert_eq!([at(29), at(31), at(32), at(9_999)], [Some(1), None, Some(2), Some(2)]);
        assert_eq!(machine.runs_from(15 * SECOND_NS), (20 * SECOND_NS, 1));
        assert_eq!(machine.runs_from(25 * SECOND_NS), (25 * SECOND_NS, 1));
    }
}
