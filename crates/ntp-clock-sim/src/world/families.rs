//! What each family of worlds draws.
//!
//! The oscillator's wander stays within the allowance that the estimator states (15 ppm from its
//! mean between any two samples of its window): thermal excursions within ±6 ppm, random walks
//! within ±3, swings up to 6, the sum of all in one world below 12.

pub(super) mod machines;
pub(super) mod paths;
mod servers;

use machines::{
    bad_crystal, coarse_counter, daily_temperature, pauses, quiet, suspends, thermal_steps,
};
use paths::{
    asymmetric, bufferbloat, cornered, lan, lossy, mobile, moves, one_way_jitter, route_changes,
    route_changes_once, rush_hours, shifting, staircase, stairs,
};
use servers::{kisses, leap, outages, rate_limited, server_step, server_wander};

use ntp_clock_core::{Authentication, EngineConfig, Span, UnixTime};

use super::grace::UNLUCKY_NS;
use super::{Family, Fault, Host, Setup, hostile};
use crate::counter::{Oscillator, Part};
use crate::dice::Dice;
use crate::duration::{DAY_NS, DAY_S, SECOND_NS, seconds};
use crate::path::{Direction, Episode, Path, RouteChange};
use crate::server::Server;

/// Draws one world.
pub(super) fn draw(family: Family, seed: u64) -> Setup {
    // With proof required the same worlds are drawn as without.
    let name = family.name();
    let mut dice = Dice::new(seed, name.strip_suffix(PROVED).unwrap_or(name));
    let d = &mut dice;
    let mut w = ordinary(family, seed, d);
    match family {
        Family::Lan => lan(&mut w, d),
        Family::Wan => {}
        Family::Mobile => mobile(&mut w, d),
        Family::Asymmetric => asymmetric(&mut w, d),
        Family::UplinkJitter => one_way_jitter(&mut w, d),
        Family::Bufferbloat => bufferbloat(&mut w, d),
        Family::Lossy => lossy(&mut w, d),
        Family::RouteChange => route_changes(&mut w, d),
        Family::ThermalStep => thermal_steps(&mut w, d),
        Family::DailyTemperature => daily_temperature(&mut w, d),
        Family::BadCrystal => bad_crystal(&mut w, d),
        Family::ServerWander => server_wander(&mut w, d),
        Family::ServerStep => server_step(&mut w, d),
        Family::Outage => outages(&mut w, d),
        Family::CoarseCounter => coarse_counter(&mut w, d),
        Family::Suspend => suspends(&mut w, d),
        Family::Pauses => pauses(&mut w, d),
        Family::Kiss => kisses(&mut w, d),
        Family::Leap => leap(&mut w, d),
        Family::Cornered => cornered(&mut w, d),
        Family::Strange => strange(&mut w, d),
        Family::Staircase => staircase(&mut w, d),
        Family::Holdover => holdover(&mut w, d),
        Family::Shifting => shifting(&mut w, d),
        Family::Steered => steered(&mut w, d),
        Family::RateLimited => rate_limited(&mut w, d),
        Family::MixedRandom => mixed(&mut w, d),
        Family::Spoofer | Family::SpooferNts => hostile::spoofer(&mut w, d),
        Family::Replayer | Family::ReplayerNts => hostile::replayer(&mut w, d),
        Family::Delayer | Family::DelayerNts => hostile::delayer(&mut w, d),
        Family::Forger => hostile::forger(&mut w, d, false),
        Family::ForgerNts => hostile::forger(&mut w, d, true),
        Family::Frozen => hostile::frozen(&mut w, d, false),
        Family::FrozenNoticed => hostile::frozen(&mut w, d, true),
    }
    if name.ends_with(PROVED) {
        w.authentication = Authentication::Required;
    }
    w
}

/// A machine of today, an ordinary Internet path, a good server.
fn ordinary(family: Family, seed: u64, d: &mut Dice) -> Setup {
    let start = UnixTime::from_nanos(1_759_639_032_000_000_000 + (d.unit() * 6e14) as i64);
    let parts = vec![
        Part::Constant { ppm: 25.0 * d.normal().clamp(-4.0, 4.0) },
        Part::White { ppb: d.magnitude(0.3, 10.0) },
        Part::Walk { ppb: d.magnitude(0.01, 0.3), limit_ppm: 2.0 },
        Part::Swing { ppm: d.magnitude(0.02, 0.5), period_s: DAY_S, phase: d.unit() },
    ];
    let base_ns = d.magnitude(2e6, 40e6);
    let jitter_ns = d.magnitude(2e4, 5e5);
    let direction = |d: &mut Dice| Direction {
        base_ns,
        jitter_ns: jitter_ns * d.within(0.7, 1.4),
        tail_share: d.within(0.005, 0.05),
        tail_ns: jitter_ns * d.within(3.0, 20.0),
        tail_shape: d.within(1.3, 2.5),
        tail_cap_ns: 3e8,
        loss: 0.002,
        key: d.bits(),
        ..Direction::default()
    };
    let (forth, back) = (direction(d), direction(d));
    let root_delay = d.magnitude(1e5, 1e7);
    let root_dispersion = d.magnitude(2e4, 5e5);
    Setup {
        family,
        seed,
        start,
        duration_ns: DAY_NS,
        poll_interval: EngineConfig::default().poll_interval,
        holdover: EngineConfig::default().holdover,
        steering_ppm: EngineConfig::default().counter_steering_ppm,
        oscillator: Oscillator {
            parts,
            origin_ns: (d.unit() * 1e15) as i64,
            resolution_ns: 1,
            sleeps: Vec::new(),
            freezes: Vec::new(),
        },
        path: Path { forth, back, outages: Vec::new() },
        server: Server {
            root_delay: Span::from_nanos(root_delay as i64),
            root_dispersion: Span::from_nanos(root_dispersion as i64),
            // A good server is far better than what it states.
            wander_ns: root_dispersion * d.magnitude(0.005, 0.05),
            wander_period_ns: seconds(d.magnitude(300.0, 7_200.0)),
            hold_ns: d.magnitude(1e4, 2e5) as i64,
            key: d.bits(),
            ..Server::default()
        },
        attacker: None,
        authentication: Authentication::None,
        host: Host {
            stamp_ns: d.magnitude(500.0, 20_000.0),
            wake_ns: d.magnitude(20_000.0, 300_000.0),
            pauses: Vec::new(),
            kernel_stamps: d.chance(0.5),
        },
        faults: Vec::new(),
        unchecked: Vec::new(),
        unlucky_ns: seconds(30.0),
    }
}

fn strange(w: &mut Setup, d: &mut Dice) {
    let polls_s = [32, 64, 128, 300, 300, 300, 1_024];
    w.poll_interval = Span::from_secs(polls_s[d.count(0, 6) as usize]);
    if d.chance(0.4) {
        w.oscillator.parts.push(Part::Walk { ppb: d.magnitude(1.0, 50.0), limit_ppm: 2.0 });
    }
    if d.chance(0.5) {
        moves(w, d);
    }
    for direction in [&mut w.path.forth, &mut w.path.back] {
        if d.chance(0.5) {
            direction.tail_share = d.within(0.1, 0.5);
            direction.tail_ns = direction.jitter_ns;
            direction.tail_shape = d.within(0.6, 1.3);
        }
        if d.chance(0.4) {
            rush_hours(direction, d);
        }
    }
    if d.chance(0.3) {
        // What one way gains the other loses: the delay does not tell.
        let (forth_ns, back_ns) = (w.path.forth.base_ns, w.path.back.base_ns);
        let n = d.count(1, 4);
        for at_ns in d.moments(n, seconds(1_800.0), DAY_NS) {
            let shift_ns = d.sign() * d.within(0.0, 0.9) * forth_ns.min(back_ns);
            w.path.forth.routes.push(RouteChange { at_ns, base_ns: forth_ns + shift_ns });
            w.path.back.routes.push(RouteChange { at_ns, base_ns: back_ns - shift_ns });
        }
    }
    w.unlucky_ns = UNLUCKY_NS;
}

fn holdover(w: &mut Setup, d: &mut Dice) {
    quiet(w);
    let lost_s = d.within(3_700.0, 4.0 * 3_600.0);
    match d.count(0, 3) {
        0 => {
            let begin_s = lost_s - d.within(0.0, 1_800.0);
            stairs(w, d, begin_s);
        }
        1 => w.oscillator.parts.push(Part::Swing {
            ppm: d.within(2.0, 7.4),
            period_s: DAY_S * d.within(0.8, 1.2),
            phase: d.unit(),
        }),
        // A young crystal, or one that is being moved to a warmer place for a day.
        2 => w.oscillator.parts.push(Part::Ramp {
            at_s: lost_s,
            over_s: DAY_S,
            ppm: d.sign() * d.magnitude(0.1, 14.0),
        }),
        _ => {
            let parts = &mut w.oscillator.parts;
            let ppm = d.within(0.5, 4.0);
            parts.push(Part::Swing { ppm, period_s: DAY_S, phase: d.unit() });
            parts.push(Part::Walk { ppb: d.magnitude(0.1, 5.0), limit_ppm: 2.0 });
            let ppm = d.sign() * 3.0;
            parts.push(Part::Ramp { at_s: lost_s + d.within(0.0, 7_200.0), over_s: 0.0, ppm });
        }
    }
    if d.chance(0.6) {
        lan(w, d);
    }
    w.holdover = Span::from_secs(30 * 3_600);
    w.duration_ns = 30 * 3_600 * SECOND_NS;
    if d.chance(0.2) {
        w.poll_interval = Span::from_nanos(seconds(d.magnitude(6.0 * 3_600.0, DAY_S)));
        return;
    }
    let (from_ns, to_ns) = (seconds(lost_s), w.duration_ns);
    w.path.outages.push(Episode { from_ns, to_ns, size: 0.0 });
    w.faults.push(Fault { from_ns, to_ns, grace_ns: 0 });
}

/// What disciplines the system clock turns `CLOCK_MONOTONIC` with it: the kernel's limit is
/// 500 ppm besides ticks.
fn steered(w: &mut Setup, d: &mut Dice) {
    if d.chance(0.5) {
        lan(w, d);
    }
    w.steering_ppm = 500;
    let mut at_s = d.magnitude(1.0, 7_200.0);
    while at_s < DAY_S {
        let lasts_s = d.magnitude(1.0, 600.0);
        let ppm = d.sign() * if d.chance(0.5) { 500.0 } else { d.magnitude(5.0, 500.0) };
        for (at_s, ppm) in [(at_s, ppm), (at_s + lasts_s, -ppm)] {
            w.oscillator.parts.push(Part::Ramp { at_s, over_s: 0.0, ppm });
        }
        at_s += lasts_s + d.magnitude(1.0, 14_400.0);
    }
}

fn mixed(w: &mut Setup, d: &mut Dice) {
    type Ingredient = fn(&mut Setup, &mut Dice);
    let ways: [Ingredient; 6] = [lan, mobile, one_way_jitter, lossy, |_, _| {}, |_, _| {}];
    ways[d.count(0, 5) as usize](w, d);
    let oscillators: [Ingredient; 5] =
        [thermal_steps, daily_temperature, bad_crystal, |_, _| {}, |_, _| {}];
    oscillators[d.count(0, 4) as usize](w, d);
    let seasoning: [(f64, Ingredient); 9] = [
        (0.3, asymmetric),
        (0.3, bufferbloat),
        (0.3, route_changes_once),
        (0.3, server_wander),
        (0.2, outages),
        (0.2, coarse_counter),
        (0.2, suspends),
        (0.3, pauses),
        (0.1, kisses),
    ];
    for (probability, ingredient) in seasoning {
        if d.chance(probability) {
            ingredient(w, d);
        }
    }
    // Faults may meet: a machine that sleeps through the end of an outage needs its grace
    // afterwards.
    w.merge_faults();
}

impl Setup {
    /// Makes one fault of those that overlap, with the longest grace.
    fn merge_faults(&mut self) {
        self.faults.sort_by_key(|fault| fault.from_ns);
        let mut merged: Vec<Fault> = Vec::new();
        for fault in self.faults.drain(..) {
            match merged.last_mut() {
                Some(last) if fault.from_ns <= last.to_ns + last.grace_ns => {
                    last.to_ns = last.to_ns.max(fault.to_ns);
                    last.grace_ns = last.grace_ns.max(fault.grace_ns);
                }
                _ => merged.push(fault),
            }
        }
        self.faults = merged;
    }
}

/// How the names of families end in which replies must be proved.
const PROVED: &str = "-nts";
