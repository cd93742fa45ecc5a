//! Machines: oscillators, counters, sleeps and pauses.

use crate::counter::{Part, Sleep};
use crate::dice::Dice;
use crate::duration::{DAY_NS, DAY_S, seconds};
use crate::path::Episode;
use crate::world::grace::UNLUCKY_NS;
use crate::world::{Fault, Setup};

pub(super) fn thermal_steps(w: &mut Setup, d: &mut Dice) {
    let n = d.count(2, 10);
    let mut level = 0.0_f64;
    for at_ns in d.moments(n, seconds(1_800.0), DAY_NS) {
        let mut ppm = d.within(1.0, 5.0) * d.sign();
        if (level + ppm).abs() > 5.0 {
            ppm = -ppm;
        }
        level += ppm;
        let over_s = d.magnitude(30.0, 600.0);
        w.oscillator.parts.push(Part::Ramp { at_s: at_ns as f64 * 1e-9, over_s, ppm });
    }
}

pub(super) fn daily_temperature(w: &mut Setup, d: &mut Dice) {
    let parts = &mut w.oscillator.parts;
    parts.push(Part::Swing { ppm: d.within(1.0, 5.0), period_s: DAY_S, phase: d.unit() });
    parts.push(Part::Swing {
        ppm: d.within(0.05, 1.0),
        period_s: d.magnitude(600.0, 7_200.0),
        phase: d.unit(),
    });
}

pub(super) fn bad_crystal(w: &mut Setup, d: &mut Dice) {
    let parts = &mut w.oscillator.parts;
    parts[0] = Part::Constant { ppm: d.sign() * d.within(50.0, 200.0) };
    parts[1] = Part::White { ppb: d.magnitude(5.0, 100.0) };
    parts[2] = Part::Walk { ppb: d.magnitude(0.5, 5.0), limit_ppm: 3.0 };
    let n = d.count(0, 4);
    for at_ns in d.moments(n, seconds(600.0), DAY_NS) {
        let ppm = d.sign() * d.magnitude(0.1, 1.5);
        parts.push(Part::Ramp { at_s: at_ns as f64 * 1e-9, over_s: 0.0, ppm });
    }
}

pub(super) fn coarse_counter(w: &mut Setup, d: &mut Dice) {
    let resolutions = [5_000, 20_000, 100_000, 100_000, 1_000_000, 1_000_000];
    w.oscillator.resolution_ns = resolutions[d.count(0, 5) as usize];
}

pub(super) fn suspends(w: &mut Setup, d: &mut Dice) {
    let n = d.count(1, 6);
    let mut free_from = 0;
    for at_ns in d.moments(n, seconds(60.0), DAY_NS) {
        let from_ns = at_ns.max(free_from);
        let to_ns = from_ns + seconds(d.magnitude(1.0, 8_000.0));
        free_from = to_ns + seconds(120.0);
        w.oscillator.sleeps.push(Sleep { from_ns, to_ns });
        w.faults.push(Fault { from_ns, to_ns, grace_ns: seconds(12.0) });
    }
}

pub(super) fn pauses(w: &mut Setup, d: &mut Dice) {
    w.host.wake_ns = d.magnitude(1e5, 3e7);
    w.host.stamp_ns = d.magnitude(1e4, 5e6);
    let n = d.count(20, 400);
    w.host.pauses = d
        .moments(n, 0, DAY_NS)
        .into_iter()
        .map(|from_ns| {
            let to_ns = from_ns + seconds(d.magnitude(0.01, 60.0));
            Episode { from_ns, to_ns, size: 0.0 }
        })
        .collect();
    w.unlucky_ns = UNLUCKY_NS;
}

/// Takes wander and swing from the oscillator, so that what is added is all that it does.
pub(in crate::world) fn quiet(w: &mut Setup) {
    w.oscillator.parts.truncate(2);
}
