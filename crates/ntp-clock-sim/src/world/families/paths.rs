//! Paths: delays, queues, losses, and routes that change.

use ntp_clock_core::Span;

use super::machines::quiet;
use crate::counter::Part;
use crate::dice::Dice;
use crate::duration::{DAY_NS, seconds};
use crate::path::{Direction, Episode, RouteChange, Shift};
use crate::world::Setup;
use crate::world::grace::UNLUCKY_NS;

pub(in crate::world) fn lan(w: &mut Setup, d: &mut Dice) {
    let (base_ns, jitter_ns) = (d.magnitude(4e4, 5e5), d.magnitude(2e3, 5e4));
    for direction in [&mut w.path.forth, &mut w.path.back] {
        direction.base_ns = base_ns;
        direction.jitter_ns = jitter_ns;
        direction.tail_ns = jitter_ns * 5.0;
        direction.tail_cap_ns = 2e7;
        direction.loss = 0.0;
    }
    w.server.root_delay = Span::from_nanos(d.magnitude(1e3, 1e6) as i64);
    w.server.root_dispersion = Span::from_nanos(d.magnitude(1e3, 1e5) as i64);
    w.server.wander_ns = w.server.root_dispersion.as_nanos() as f64 * d.magnitude(0.005, 0.05);
}

pub(super) fn mobile(w: &mut Setup, d: &mut Dice) {
    let base_ns = d.within(15e6, 60e6);
    for direction in [&mut w.path.forth, &mut w.path.back] {
        direction.base_ns = base_ns;
        direction.jitter_ns = d.magnitude(2e6, 2e7);
        direction.tail_share = d.within(0.02, 0.15);
        direction.tail_ns = d.magnitude(5e6, 1e8);
        direction.tail_cap_ns = 1.5e9;
        direction.burst_share = d.within(0.02, 0.2);
        direction.burst_slot_ns = seconds(d.within(2.0, 30.0));
        direction.burst_ns = d.magnitude(3e7, 3e8);
        direction.loss = d.within(0.005, 0.05);
        direction.duplicates = 0.002;
    }
    w.unlucky_ns = UNLUCKY_NS;
    route_changes(w, d);
}

pub(super) fn asymmetric(w: &mut Setup, d: &mut Dice) {
    let extra_ns = d.magnitude(5e5, 5e7);
    w.path.either(d).base_ns += extra_ns;
}

pub(super) fn one_way_jitter(w: &mut Setup, d: &mut Dice) {
    for direction in [&mut w.path.forth, &mut w.path.back] {
        direction.jitter_ns = d.magnitude(1e4, 5e4);
        direction.tail_share = 0.0;
    }
    // The uplink, mostly.
    let jittery = if d.chance(0.8) { &mut w.path.forth } else { &mut w.path.back };
    jittery.jitter_ns = d.magnitude(1e6, 2e7);
    jittery.tail_share = d.within(0.0, 0.1);
    jittery.tail_ns = d.magnitude(1e6, 3e7);
    jittery.burst_share = d.within(0.0, 0.3);
    jittery.burst_slot_ns = seconds(d.within(1.0, 60.0));
    jittery.burst_ns = d.magnitude(5e6, 5e7);
}

pub(super) fn bufferbloat(w: &mut Setup, d: &mut Dice) {
    let uplink_only = d.chance(0.6);
    for (direction, chosen) in [(&mut w.path.forth, true), (&mut w.path.back, !uplink_only)] {
        if !chosen {
            continue;
        }
        let n = d.count(4, 30);
        direction.bloat = d
            .moments(n, 0, DAY_NS)
            .into_iter()
            .map(|from_ns| Episode {
                from_ns,
                to_ns: from_ns + seconds(d.magnitude(60.0, 2_400.0)),
                size: d.magnitude(3e7, 8e8),
            })
            .collect();
    }
    w.unlucky_ns = UNLUCKY_NS;
}

pub(super) fn lossy(w: &mut Setup, d: &mut Dice) {
    for direction in [&mut w.path.forth, &mut w.path.back] {
        direction.loss = d.within(0.03, 0.25);
        direction.loss_burst_share = d.within(0.0, 0.2);
        direction.loss_slot_ns = seconds(d.magnitude(0.5, 60.0));
        direction.duplicates = d.within(0.0, 0.1);
        direction.stragglers = d.within(0.0, 0.1);
    }
    w.unlucky_ns = UNLUCKY_NS;
}

pub(super) fn route_changes(w: &mut Setup, d: &mut Dice) {
    let n = d.count(2, 10);
    let (mut forth, mut back) = (w.path.forth.base_ns, w.path.back.base_ns);
    let (forth_first, back_first) = (forth, back);
    for at_ns in d.moments(n, seconds(1_800.0), DAY_NS) {
        let which = d.count(0, 2);
        let mut other =
            |first: f64| (first + d.sign() * d.magnitude(5e5, 0.8 * first.max(1e6))).max(1e5);
        match which {
            0 => forth = other(forth_first),
            1 => back = other(back_first),
            _ => {
                // Both ways alike: the delay moves, the offset does not.
                forth = other(forth_first);
                back = back_first + (forth - forth_first);
            }
        }
        w.path.forth.routes.push(RouteChange { at_ns, base_ns: forth.max(1e5) });
        w.path.back.routes.push(RouteChange { at_ns, base_ns: back.max(1e5) });
    }
}

/// Truth stands at the very end of what each exchange leaves possible, and a server that states
/// next to nothing leaves no room beyond.
pub(super) fn cornered(w: &mut Setup, d: &mut Dice) {
    if d.chance(0.7) {
        lan(w, d);
    }
    cornered_path(w, d);
    moves(w, d);
}

pub(super) fn cornered_path(w: &mut Setup, d: &mut Dice) {
    let (slow, quick) = if d.chance(0.5) {
        (&mut w.path.forth, &mut w.path.back)
    } else {
        (&mut w.path.back, &mut w.path.forth)
    };
    slow.base_ns *= 2.0;
    quick.base_ns = 2_000.0;
    quick.jitter_ns = d.magnitude(1e3, 2e4);
    quick.tail_share = 0.0;
    w.server.root_delay = Span::ZERO;
    w.server.root_dispersion = Span::from_nanos(d.magnitude(2e3, 5e4) as i64);
    w.server.wander_ns = 0.0;
    w.host.stamp_ns = d.magnitude(500.0, 5_000.0);
}

/// Steps of 3 ppm and ramps of 4 ppm within two minutes, either way, at least ten minutes apart.
pub(in crate::world) fn moves(w: &mut Setup, d: &mut Dice) {
    let n = d.count(2, 24);
    let (mut level, mut free_s) = (0.0_f64, 0.0);
    for at_ns in d.moments(n, seconds(1_200.0), DAY_NS) {
        let at_s = (at_ns as f64 * 1e-9).max(free_s);
        free_s = at_s + 900.0;
        let (size, over_s) = if d.chance(0.5) { (3.0, 0.0) } else { (4.0, 120.0) };
        let mut ppm = size * d.sign();
        if (level + ppm).abs() > 6.0 {
            ppm = -ppm;
        }
        level += ppm;
        w.oscillator.parts.push(Part::Ramp { at_s, over_s, ppm });
    }
}

/// A queue that stands for hours.
pub(super) fn rush_hours(direction: &mut Direction, d: &mut Dice) {
    let n = d.count(1, 3);
    for from_ns in d.moments(n, 0, DAY_NS) {
        let to_ns = from_ns + seconds(d.within(1_800.0, 14_400.0));
        let size = d.magnitude(1e6, 5e7);
        direction.bloat.push(Episode { from_ns, to_ns, size });
    }
}

pub(super) fn staircase(w: &mut Setup, d: &mut Dice) {
    if d.chance(0.6) {
        lan(w, d);
    }
    if d.chance(0.3) {
        cornered_path(w, d);
    }
    let begin_s = d.within(3_600.0, 64_800.0);
    stairs(w, d, begin_s);
}

/// Up to five steps of 3 ppm that follow one another as closely as they may, all one way or with a
/// turn; with the quiet rest of the oscillator they stay within the 15 ppm that are allowed for.
pub(super) fn stairs(w: &mut Setup, d: &mut Dice, begin_s: f64) {
    quiet(w);
    let sign = d.sign();
    let gap_s = d.within(900.0, 2_400.0);
    let mut at_s = begin_s;
    for step in 0..d.count(3, 5) {
        let ppm = if step == 2 && d.chance(0.1) { -3.0 } else { 3.0 };
        w.oscillator.parts.push(Part::Ramp { at_s, over_s: 0.0, ppm: ppm * sign });
        at_s += gap_s * d.within(1.0, 1.1);
    }
}

/// Somebody on the way, or a route, moves delay from one direction to the other, at any speed.
pub(super) fn shifting(w: &mut Setup, d: &mut Dice) {
    let half_ns = d.magnitude(5e4, 2e8);
    let jitter_ns = d.magnitude(1e3, 0.02 * half_ns.max(1e5));
    for direction in [&mut w.path.forth, &mut w.path.back] {
        direction.base_ns = half_ns;
        direction.jitter_ns = jitter_ns;
        direction.tail_ns = jitter_ns * 5.0;
    }
    if d.chance(0.5) {
        w.server.root_delay = Span::ZERO;
        w.server.root_dispersion = Span::from_micros(5);
        w.server.wander_ns = 0.0;
    }
    if d.chance(0.3) {
        moves(w, d);
    }
    let (mut at_ns, mut shifted_ns) = (seconds(d.within(0.0, 28_800.0)), 0.0);
    while at_ns < DAY_NS {
        let to_ns = at_ns + seconds(d.magnitude(1.0, 43_200.0));
        // From one end to the other as often as not: there is no more than all of it.
        let share = if d.chance(0.5) { d.sign() } else { d.within(-1.0, 1.0) };
        let aim_ns = share * half_ns;
        let by_ns = aim_ns - shifted_ns;
        shifted_ns = aim_ns;
        w.path.forth.shifts.push(Shift { from_ns: at_ns, to_ns, by_ns });
        w.path.back.shifts.push(Shift { from_ns: at_ns, to_ns, by_ns: -by_ns });
        at_ns = to_ns + seconds(d.magnitude(60.0, 14_400.0));
    }
}

pub(super) fn route_changes_once(w: &mut Setup, d: &mut Dice) {
    if w.path.forth.routes.is_empty() {
        route_changes(w, d);
    }
}
