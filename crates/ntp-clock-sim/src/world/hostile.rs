//! Worlds with somebody on the way or off it, and with a host that stops the machine.

use ntp_clock_core::Span;

use super::families::machines::quiet;
use super::families::paths::{lan, moves};
use super::grace::{FORGOTTEN_NS, UNLUCKY_NS};
use super::{Fault, Setup};
use crate::attack::Attacker;
use crate::counter::{Freeze, Part};
use crate::dice::Dice;
use crate::duration::{DAY_NS, SECOND_NS, seconds};
use crate::path::{Direction, Episode, RouteChange, Shift};

/// Forged packets from off the path, up to a hundred a second.
pub(super) fn spoofer(w: &mut Setup, d: &mut Dice) {
    let off_ns = d.sign() * d.magnitude(1e6, 1e14);
    let packets = d.count(1, 200);
    w.attacker = Some(Attacker::Spoofer { packets, off_ns: off_ns as i64 });
}

/// Old replies, now and then also kisses from when the server refused.
pub(super) fn replayer(w: &mut Setup, d: &mut Dice) {
    w.attacker = Some(Attacker::Replayer { copies: d.count(1, 8) });
    w.unlucky_ns = UNLUCKY_NS;
}

/// Replies with other times. Where no proof is required they are believed, so nothing can be
/// expected of readings from then on.
pub(super) fn forger(w: &mut Setup, d: &mut Dice, proved: bool) {
    let from_ns = d.moments(1, 0, DAY_NS / 2)[0];
    let to_ns = from_ns + seconds(d.magnitude(600.0, 40_000.0));
    let size = d.sign() * d.magnitude(1e6, 1e12);
    let drops = d.chance(0.5);
    w.attacker = Some(Attacker::Forger { episode: Episode { from_ns, to_ns, size }, drops });
    w.unlucky_ns = UNLUCKY_NS;
    if !proved {
        w.unchecked.push(Episode { from_ns, to_ns: to_ns + FORGOTTEN_NS, size: 0.0 });
    }
    if drops || !proved {
        // Readings end where nothing real passes; forged ones contradict at both ends.
        // Keys are exchanged an hour and a tenth apart at last.
        let grace_ns = seconds(if proved { 4_600.0 } else { 900.0 });
        w.faults.push(Fault { from_ns, to_ns, grace_ns });
    }
}

/// Somebody who owns all of the delay and moves it between the directions, the round trip being
/// constant. They may know the oscillator.
pub(super) fn delayer(w: &mut Setup, d: &mut Dice) {
    quiet(w);
    if d.chance(0.6) {
        lan(w, d);
    }
    for direction in [&mut w.path.forth, &mut w.path.back] {
        // What is beside theirs is short and says next to nothing.
        direction.base_ns = d.magnitude(2e3, 2e5);
        direction.jitter_ns = d.magnitude(1e2, 2e4);
        direction.tail_share = 0.0;
    }
    if d.chance(0.7) {
        w.server.root_delay = Span::ZERO;
        w.server.root_dispersion = Span::from_nanos(d.magnitude(1e3, 2e4) as i64);
        w.server.wander_ns = 0.0;
    }
    w.host.stamp_ns = d.magnitude(100.0, 2_000.0);
    w.host.wake_ns = d.magnitude(1_000.0, 50_000.0);
    let polls_s = [64, 128, 300, 300, 300, 300, 600, 1_024];
    w.poll_interval = Span::from_secs(polls_s[d.count(0, 7) as usize]);
    match d.count(0, 5) {
        0 => drifting(w, d, (600.0, 86_400.0)),
        1 => drifting(w, d, (1.0, 600.0)),
        2 => stepping(w, d),
        3 => swinging(w, d),
        _ => hiding(w, d),
    }
}

/// When they begin: with the first packet, or when the path has been seen good for hours.
fn beginning(d: &mut Dice, latest_s: f64) -> i64 {
    if d.chance(0.5) { 0 } else { seconds(d.within(3_600.0, latest_s)) }
}

/// They begin by adding their delay at once to one direction.
fn add_delay(direction: &mut Direction, at_ns: i64, delay_ns: f64) {
    let base_ns = direction.base_ns + delay_ns;
    direction.routes.push(RouteChange { at_ns, base_ns });
}

/// From one end to the other and back, or anywhere, with pauses.
fn drifting(w: &mut Setup, d: &mut Dice, lasts_s: (f64, f64)) {
    if d.chance(0.5) {
        moves(w, d);
    }
    let delay_ns = d.magnitude(1e5, 1e9);
    let mut at_ns = beginning(d, 36_000.0);
    add_delay(&mut w.path.forth, at_ns, delay_ns);
    let mut moved_ns = 0.0;
    while at_ns < w.duration_ns {
        let to_ns = at_ns + seconds(d.magnitude(lasts_s.0, lasts_s.1));
        let aim_ns = if d.chance(0.6) {
            if moved_ns > delay_ns / 2.0 { 0.0 } else { delay_ns }
        } else {
            d.unit() * delay_ns
        };
        shift(w, at_ns, to_ns, moved_ns - aim_ns);
        moved_ns = aim_ns;
        at_ns = to_ns + seconds(d.magnitude(1.0, 7_200.0));
    }
}

/// All of it at once, between two rounds or many.
fn stepping(w: &mut Setup, d: &mut Dice) {
    if d.chance(0.5) {
        moves(w, d);
    }
    let delay_ns = d.magnitude(1e5, 1e9);
    let mut at_ns = beginning(d, 36_000.0);
    add_delay(&mut w.path.forth, at_ns, delay_ns);
    let mut sign = -1.0;
    while at_ns < w.duration_ns {
        at_ns += seconds(d.magnitude(10.0, 14_400.0));
        shift(w, at_ns, at_ns + 1, sign * delay_ns);
        sign = -sign;
    }
}

/// To and fro in a sinusoid, of straight pieces.
fn swinging(w: &mut Setup, d: &mut Dice) {
    if d.chance(0.5) {
        moves(w, d);
    }
    let delay_ns = d.magnitude(1e5, 1e9);
    let from_ns = beginning(d, 36_000.0);
    add_delay(&mut w.path.forth, from_ns, delay_ns);
    let period_ns = seconds(d.magnitude(1_200.0, 86_400.0));
    let piece_ns = (period_ns / 24).max(seconds(60.0));
    let place = |t_ns: i64| {
        let phase = (t_ns - from_ns) as f64 / period_ns as f64;
        delay_ns * (1.0 - libm::cos(std::f64::consts::TAU * phase)) / 2.0
    };
    let mut at_ns = from_ns;
    while at_ns < w.duration_ns {
        shift(w, at_ns, at_ns + piece_ns, place(at_ns) - place(at_ns + piece_ns));
        at_ns += piece_ns;
    }
}

/// The worst that can be: they know when the oscillator steps, and move delay exactly so that the
/// offset which exchanges show goes on in a straight line, from one end to the other, until none is
/// left to be moved. From then on truth runs away from the very end of what is certain.
fn hiding(w: &mut Setup, d: &mut Dice) {
    let hours = 3_600.0;
    let begin_s = d.within(4.0 * hours, 12.0 * hours);
    let gap_s = 900.0 * d.within(1.0, 1.3);
    let sign = d.sign();
    let steps = d.count(3, 5);
    let steps_s: Vec<f64> = (0..steps).map(|step| begin_s + gap_s * step as f64).collect();
    for at_s in &steps_s {
        w.oscillator.parts.push(Part::Ramp { at_s: *at_s, over_s: 0.0, ppm: 3.0 * sign });
    }
    // They stop where the delay is used up: during the last steps, or a while after them.
    let end_s = begin_s + gap_s * d.within(1.5, steps as f64 + 1.0);
    let hidden_ns: f64 = steps_s.iter().map(|at_s| 3_000.0 * (end_s - at_s).max(0.0)).sum();
    // A counter that runs faster is met by more delay on the way there.
    let direction = if sign > 0.0 { &mut w.path.back } else { &mut w.path.forth };
    add_delay(direction, beginning(d, begin_s), hidden_ns);
    for at_s in steps_s.iter().filter(|at_s| **at_s < end_s) {
        shift(w, seconds(*at_s), seconds(end_s), sign * 3_000.0 * (end_s - at_s));
    }
}

/// So much of the delay from the way back to the way there.
fn shift(w: &mut Setup, from_ns: i64, to_ns: i64, by_ns: f64) {
    let move_delay = |direction: &mut Direction, by_ns| {
        direction.shifts.push(Shift { from_ns, to_ns, by_ns });
    };
    move_delay(&mut w.path.forth, by_ns);
    move_delay(&mut w.path.back, -by_ns);
}

/// A host that freezes the machine, restores it, or moves it to where counters run otherwise.
pub(super) fn frozen(w: &mut Setup, d: &mut Dice, noticed: bool) {
    if d.chance(0.5) {
        lan(w, d);
    }
    let n = d.count(1, 6);
    let (mut free_ns, mut stood_ns, mut moved_ppm) = (0, 0, 0.0);
    for at_ns in d.moments(n, seconds(60.0), DAY_NS) {
        let from_ns = at_ns.max(free_ns);
        let stands_ns = seconds(d.magnitude(FROZEN_MIN_S, 20_000.0));
        let moved = d.chance(0.5);
        // What the counter of the other host is ahead by; never so that the loss is made up for.
        let ahead_ns = stands_ns + seconds(d.magnitude(FROZEN_MIN_S, 100_000.0));
        let jump_ns = if moved && d.chance(0.5) { ahead_ns } else { 0 };
        let to_ns =
            if moved && jump_ns > 0 { from_ns + seconds(0.05) } else { from_ns + stands_ns };
        w.oscillator.freezes.push(Freeze { from_ns, to_ns, jump_ns, noticed });
        if moved {
            let other_ppm = d.sign() * d.magnitude(1.0, 200.0);
            let at_s = (from_ns - stood_ns) as f64 / SECOND_NS as f64;
            let ppm = other_ppm - moved_ppm;
            moved_ppm = other_ppm;
            w.oscillator.parts.push(Part::Ramp { at_s, over_s: 0.0, ppm });
        }
        stood_ns += to_ns - from_ns;
        free_ns = to_ns + seconds(900.0);
        w.faults.push(Fault { from_ns, to_ns, grace_ns: seconds(420.0) });
    }
}

/// A shorter one is not noticed by itself where the bound is as wide.
const FROZEN_MIN_S: f64 = 0.5;
