//! What each family of worlds draws.
//!
//! The oscillator's wander stays within the allowance that the estimator states (15 ppm from its
//! mean between any two samples of its window): thermal excursions within ±6 ppm, random walks
//! within ±3, swings up to 6, the sum of all in one world below 12.

use ntp_clock_core::{Authentication, EngineConfig, Span, UnixTime};

use super::{Family, Fault, Host, Setup, hostile};
use crate::counter::{Oscillator, Part, SECOND_NS, Sleep};
use crate::dice::Dice;
use crate::path::{Direction, Episode, Path, RouteChange, Shift};
use crate::server::{Refusal, Server, WrongTime};

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

pub(super) fn lan(w: &mut Setup, d: &mut Dice) {
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

fn mobile(w: &mut Setup, d: &mut Dice) {
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

fn asymmetric(w: &mut Setup, d: &mut Dice) {
    let extra_ns = d.magnitude(5e5, 5e7);
    w.path.direction(d).base_ns += extra_ns;
}

fn one_way_jitter(w: &mut Setup, d: &mut Dice) {
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

fn bufferbloat(w: &mut Setup, d: &mut Dice) {
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

fn lossy(w: &mut Setup, d: &mut Dice) {
    for direction in [&mut w.path.forth, &mut w.path.back] {
        direction.loss = d.within(0.03, 0.25);
        direction.loss_burst_share = d.within(0.0, 0.2);
        direction.loss_slot_ns = seconds(d.magnitude(0.5, 60.0));
        direction.duplicates = d.within(0.0, 0.1);
        direction.stragglers = d.within(0.0, 0.1);
    }
    w.unlucky_ns = UNLUCKY_NS;
}

fn route_changes(w: &mut Setup, d: &mut Dice) {
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

fn thermal_steps(w: &mut Setup, d: &mut Dice) {
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

fn daily_temperature(w: &mut Setup, d: &mut Dice) {
    let parts = &mut w.oscillator.parts;
    parts.push(Part::Swing { ppm: d.within(1.0, 5.0), period_s: DAY_S, phase: d.unit() });
    parts.push(Part::Swing {
        ppm: d.within(0.05, 1.0),
        period_s: d.magnitude(600.0, 7_200.0),
        phase: d.unit(),
    });
}

fn bad_crystal(w: &mut Setup, d: &mut Dice) {
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

fn server_wander(w: &mut Setup, d: &mut Dice) {
    w.server.root_delay = Span::from_nanos(d.magnitude(2e5, 4e7) as i64);
    w.server.root_dispersion = Span::from_nanos(d.magnitude(2e5, 2e7) as i64);
    w.server.wander_ns = stated_ns(&w.server) * d.within(0.3, 0.95);
    // A server is disciplined itself: its clock turns at no more than 50 ppm.
    let slowest = w.server.wander_ns * 1.5 / 50e-6;
    w.server.wander_period_ns = (d.magnitude(600.0, 20_000.0) * 1e9).max(slowest * 16.0) as i64;
}

fn server_step(w: &mut Setup, d: &mut Dice) {
    if d.chance(0.5) {
        w.server.root_dispersion = Span::from_nanos(d.magnitude(2e6, 3e7) as i64);
        w.server.wander_ns = 0.0;
        let n = d.count(1, 5);
        for from_ns in d.moments(n, seconds(1_800.0), DAY_NS) {
            let by_ns = d.within(-0.9, 0.9) * stated_ns(&w.server);
            // Each ends the one before, so that they do not add up beyond what is stated.
            if let Some(last) = w.server.wrong.last_mut() {
                last.to_ns = from_ns;
            }
            w.server.wrong.push(WrongTime { from_ns, to_ns: i64::MAX, by_ns: by_ns as i64 });
        }
        return;
    }
    let from_ns = d.moments(1, seconds(3_600.0), DAY_NS / 2)[0];
    let to_ns = from_ns + seconds(d.magnitude(600.0, 20_000.0));
    let by_ns = d.sign() * d.magnitude(1e6, 1e12);
    w.server.wrong.push(WrongTime { from_ns, to_ns, by_ns: by_ns as i64 });
    w.unchecked.push(Episode { from_ns, to_ns: to_ns + FORGOTTEN_NS, size: 0.0 });
    // Three contradictions in a row are needed to believe the server again.
    for at_ns in [from_ns, to_ns] {
        let change = Fault { from_ns: at_ns, to_ns: at_ns, grace_ns: seconds(900.0) };
        w.faults.push(change);
    }
}

fn outages(w: &mut Setup, d: &mut Dice) {
    let n = d.count(1, 4);
    let mut free_from = 0;
    for at_ns in d.moments(n, 0, DAY_NS) {
        let from_ns = at_ns.max(free_from);
        let to_ns = from_ns + seconds(d.magnitude(60.0, 15_000.0));
        free_from = to_ns + seconds(600.0);
        let unplugged = if d.chance(0.4) { 1.0 } else { 0.0 };
        w.path.outages.push(Episode { from_ns, to_ns, size: unplugged });
        w.faults.push(Fault { from_ns, to_ns, grace_ns: BACK_OFF_NS });
    }
}

fn coarse_counter(w: &mut Setup, d: &mut Dice) {
    let resolutions = [5_000, 20_000, 100_000, 100_000, 1_000_000, 1_000_000];
    w.oscillator.resolution_ns = resolutions[d.count(0, 5) as usize];
}

fn suspends(w: &mut Setup, d: &mut Dice) {
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

fn pauses(w: &mut Setup, d: &mut Dice) {
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

fn kisses(w: &mut Setup, d: &mut Dice) {
    let n = d.count(1, 2);
    let mut free_from = 0;
    for at_ns in d.moments(n, 0, DAY_NS * 3 / 4) {
        let from_ns = at_ns.max(free_from);
        let to_ns = from_ns + seconds(d.magnitude(60.0, 7_200.0));
        free_from = to_ns + seconds(4_000.0);
        let code = [*b"RATE", *b"DENY", *b"RSTR"][d.count(0, 2) as usize];
        w.server.refusals.push(Refusal { from_ns, to_ns, code });
        // The longest hold is an hour.
        w.faults.push(Fault { from_ns, to_ns, grace_ns: seconds(3_700.0) });
    }
}

fn leap(w: &mut Setup, d: &mut Dice) {
    let at_ns = d.moments(1, DAY_NS / 4, DAY_NS * 3 / 4)[0];
    w.start = w.start.next_month() - Span::from_nanos(at_ns);
    let seconds_more = if d.chance(0.8) { 1 } else { -1 };
    // A second is left out at the month's last second, and repeated after it.
    let at_ns = if seconds_more > 0 { at_ns } else { at_ns - SECOND_NS };
    w.server.leap = Some((at_ns, seconds_more));
    w.faults.push(Fault { from_ns: at_ns, to_ns: at_ns, grace_ns: seconds(900.0) });
}

/// Truth stands at the very end of what each exchange leaves possible, and a server that states
/// next to nothing leaves no room beyond.
fn cornered(w: &mut Setup, d: &mut Dice) {
    if d.chance(0.7) {
        lan(w, d);
    }
    cornered_path(w, d);
    moves(w, d);
}

fn cornered_path(w: &mut Setup, d: &mut Dice) {
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
pub(super) fn moves(w: &mut Setup, d: &mut Dice) {
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

/// A queue that stands for hours.
fn rush_hours(direction: &mut Direction, d: &mut Dice) {
    let n = d.count(1, 3);
    for from_ns in d.moments(n, 0, DAY_NS) {
        let to_ns = from_ns + seconds(d.within(1_800.0, 14_400.0));
        let size = d.magnitude(1e6, 5e7);
        direction.bloat.push(Episode { from_ns, to_ns, size });
    }
}

fn staircase(w: &mut Setup, d: &mut Dice) {
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
fn stairs(w: &mut Setup, d: &mut Dice, begin_s: f64) {
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

/// Takes wander and swing from the oscillator, so that what is added is all that it does.
pub(super) fn quiet(w: &mut Setup) {
    w.oscillator.parts.truncate(2);
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

/// Somebody on the way, or a route, moves delay from one direction to the other, at any speed.
fn shifting(w: &mut Setup, d: &mut Dice) {
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

fn rate_limited(w: &mut Setup, d: &mut Dice) {
    w.server.least_gap_ns = seconds(d.within(0.5, 8.0));
    w.unlucky_ns = seconds(120.0);
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
    // Faults may meet: whoever sleeps through the end of an outage needs its grace afterwards.
    w.merge_faults();
}

fn route_changes_once(w: &mut Setup, d: &mut Dice) {
    if w.path.forth.routes.is_empty() {
        route_changes(w, d);
    }
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

impl Path {
    fn direction(&mut self, d: &mut Dice) -> &mut Direction {
        if d.chance(0.5) { &mut self.forth } else { &mut self.back }
    }
}

/// How far the server's clock may be off by what it states, nanoseconds.
fn stated_ns(server: &Server) -> f64 {
    server.root_delay.as_nanos() as f64 / 2.0 + server.root_dispersion.as_nanos() as f64
}

pub(super) fn seconds(seconds: f64) -> i64 {
    (seconds * SECOND_NS as f64) as i64
}

/// How the names of families end in which replies must be proved.
const PROVED: &str = "-nts";
const DAY_S: f64 = 86_400.0;
pub(super) const DAY_NS: i64 = 86_400 * SECOND_NS;
/// Longest pause between the attempts of a failed clock, an attempt and a little more.
const BACK_OFF_NS: i64 = 310 * SECOND_NS;
/// Several attempts may fail by chance where much is lost.
pub(super) const UNLUCKY_NS: i64 = 1_800 * SECOND_NS;
/// So long a lie may be remembered: longer than any window of samples.
pub(super) const FORGOTTEN_NS: i64 = 8 * 3_600 * SECOND_NS;
