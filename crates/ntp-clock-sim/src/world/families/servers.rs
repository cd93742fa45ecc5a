//! Servers: their clocks, their faults and what they refuse.

use ntp_clock_core::Span;

use crate::dice::Dice;
use crate::duration::{DAY_NS, SECOND_NS, seconds};
use crate::path::Episode;
use crate::server::{Refusal, Server, WrongTime};
use crate::world::grace::{BACK_OFF_NS, FORGOTTEN_NS};
use crate::world::{Fault, Setup};

pub(super) fn server_wander(w: &mut Setup, d: &mut Dice) {
    w.server.root_delay = Span::from_nanos(d.magnitude(2e5, 4e7) as i64);
    w.server.root_dispersion = Span::from_nanos(d.magnitude(2e5, 2e7) as i64);
    w.server.wander_ns = stated_ns(&w.server) * d.within(0.3, 0.95);
    // A server is disciplined itself: its clock turns at no more than 50 ppm.
    let slowest = w.server.wander_ns * 1.5 / 50e-6;
    w.server.wander_period_ns = (d.magnitude(600.0, 20_000.0) * 1e9).max(slowest * 16.0) as i64;
}

pub(super) fn server_step(w: &mut Setup, d: &mut Dice) {
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

pub(super) fn outages(w: &mut Setup, d: &mut Dice) {
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

pub(super) fn kisses(w: &mut Setup, d: &mut Dice) {
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

pub(super) fn leap(w: &mut Setup, d: &mut Dice) {
    let at_ns = d.moments(1, DAY_NS / 4, DAY_NS * 3 / 4)[0];
    w.start = w.start.next_month() - Span::from_nanos(at_ns);
    let seconds_more = if d.chance(0.8) { 1 } else { -1 };
    // A second is left out at the month's last second, and repeated after it.
    let at_ns = if seconds_more > 0 { at_ns } else { at_ns - SECOND_NS };
    w.server.leap = Some((at_ns, seconds_more));
    w.faults.push(Fault { from_ns: at_ns, to_ns: at_ns, grace_ns: seconds(900.0) });
}

pub(super) fn rate_limited(w: &mut Setup, d: &mut Dice) {
    w.server.least_gap_ns = seconds(d.within(0.5, 8.0));
    w.unlucky_ns = seconds(120.0);
}

/// How far the server's clock may be off by what it states, nanoseconds.
fn stated_ns(server: &Server) -> f64 {
    server.root_delay.as_nanos() as f64 / 2.0 + server.root_dispersion.as_nanos() as f64
}
