//! Paths between clocks.

use super::super::system::System;
use crate::dice::Dice;
use crate::duration::{DAY_NS, seconds};
use crate::path::{Direction, Path, RouteChange, Shift};

/// Draws a path.
pub(super) type Draw = fn(&mut Dice) -> Path;

pub(super) fn any_path(d: &mut Dice) -> Path {
    const KINDS: [Draw; 5] = [lan, lan, wifi, internet, mobile];
    KINDS[d.count(0, KINDS.len() as u64 - 1) as usize](d)
}

pub(super) fn paths(s: &mut System, d: &mut Dice, draw: Draw) {
    for leg in &mut s.legs {
        leg.path = draw(d);
    }
}

pub(super) fn both(d: &mut Dice, draw: impl Fn(&mut Dice) -> Direction) -> Path {
    Path { forth: draw(d), back: draw(d), outages: Vec::new() }
}

pub(super) fn lan(d: &mut Dice) -> Path {
    let base_ns = d.within(4e4, 1e5);
    both(d, |d| {
        let jitter_ns = d.magnitude(2e3, 5e4);
        Direction {
            base_ns,
            jitter_ns,
            tail_share: 0.01,
            tail_ns: jitter_ns * 5.0,
            tail_shape: 1.5,
            tail_cap_ns: 5e7,
            key: d.bits(),
            ..Direction::default()
        }
    })
}

pub(super) fn wifi(d: &mut Dice) -> Path {
    let base_ns = d.within(4e5, 1e6);
    both(d, |d| Direction {
        base_ns,
        jitter_ns: d.magnitude(1e5, 1e6),
        tail_share: 0.05,
        tail_ns: 2e6,
        tail_shape: 1.5,
        tail_cap_ns: 3e8,
        burst_share: d.within(0.05, 0.4),
        burst_slot_ns: seconds(d.magnitude(0.1, 10.0)),
        burst_ns: d.magnitude(5e6, 5e7),
        key: d.bits(),
        ..Direction::default()
    })
}

pub(super) fn internet(d: &mut Dice) -> Path {
    let base_ns = d.magnitude(2e6, 2e7);
    both(d, |d| Direction {
        base_ns,
        jitter_ns: d.magnitude(5e4, 1e6),
        tail_share: 0.02,
        tail_ns: 2e6,
        tail_shape: 1.5,
        tail_cap_ns: 3e8,
        key: d.bits(),
        ..Direction::default()
    })
}

pub(super) fn mobile(d: &mut Dice) -> Path {
    let base_ns = d.within(10e6, 20e6);
    both(d, |d| Direction {
        base_ns,
        jitter_ns: d.magnitude(1e6, 1e7),
        tail_share: d.within(0.02, 0.2),
        tail_ns: d.magnitude(5e6, 1e8),
        tail_shape: d.within(1.0, 2.0),
        tail_cap_ns: 3e9,
        duplicates: 0.002,
        loss: d.within(0.0, 0.03),
        key: d.bits(),
        ..Direction::default()
    })
}

pub(super) fn asymmetric(d: &mut Dice) -> Path {
    let mut path = both(d, |d| Direction {
        base_ns: 5e6,
        jitter_ns: d.magnitude(1e4, 5e5),
        key: d.bits(),
        ..Direction::default()
    });
    path.either(d).base_ns = 25e6;
    path
}

/// Anyone who moves delay from one way to the other at a constant round trip turns what the rate
/// seems to be.
pub(super) fn shifting(d: &mut Dice) -> Path {
    let half_ns = d.magnitude(5e4, 5e7);
    let jitter_ns = d.magnitude(1e3, 0.02 * half_ns.max(1e5));
    let mut path = both(d, |_| Direction { base_ns: half_ns, jitter_ns, ..Direction::default() });
    let (mut at_ns, mut shifted_ns) = (seconds(d.within(0.0, 3_600.0)), 0.0);
    while at_ns < DAY_NS {
        let to_ns = at_ns + seconds(d.magnitude(1.0, 14_400.0));
        let share = if d.chance(0.5) { d.sign() } else { d.within(-1.0, 1.0) };
        let by_ns = share * half_ns - shifted_ns;
        shifted_ns += by_ns;
        path.forth.shifts.push(Shift { from_ns: at_ns, to_ns, by_ns });
        path.back.shifts.push(Shift { from_ns: at_ns, to_ns, by_ns: -by_ns });
        at_ns = to_ns + seconds(d.magnitude(10.0, 3_600.0));
    }
    path
}

pub(super) fn route_changes(d: &mut Dice) -> Path {
    let mut path = any_path(d);
    let n = d.count(2, 20);
    for at_ns in d.moments(n, 0, DAY_NS) {
        for direction in [&mut path.forth, &mut path.back] {
            if d.chance(0.7) {
                let base_ns = direction.base_ns * d.magnitude(0.1, 10.0);
                direction.routes.push(RouteChange { at_ns, base_ns });
            }
        }
    }
    path
}

/// All of the delay on one way: truth stands at the end of the interval.
pub(super) fn corner(path: &mut Path, d: &mut Dice) {
    let quick = path.either(d);
    quick.base_ns = 500.0;
    quick.jitter_ns = d.magnitude(100.0, 2_000.0);
    quick.tail_share = 0.0;
}

pub(super) fn one_way(s: &mut System, d: &mut Dice) {
    for leg in &mut s.legs {
        let traffic = &mut leg.traffic;
        traffic.exchanges = false;
        let silent =
            if d.chance(0.5) { &mut traffic.to_b_per_hour } else { &mut traffic.to_a_per_hour };
        *silent = 0.0;
    }
}

/// Half of the paths become such that what an oscillator does too much would show.
pub(super) fn cornered_lans(s: &mut System, d: &mut Dice) {
    for leg in &mut s.legs {
        if d.chance(0.5) {
            leg.path = lan(d);
            corner(&mut leg.path, d);
        }
    }
}
