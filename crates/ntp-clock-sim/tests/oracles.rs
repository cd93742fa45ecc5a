//! The oracles can fail: worlds that break the clock's assumptions without saying so are caught.

use ntp_clock_sim::{Episode, Family, Options, Promise, Refusal, Setup, WrongTime, run};

fn broken_promises(setup: &Setup) -> Vec<Promise> {
    let mut promises: Vec<_> =
        run(setup, &mut [], Options::default()).violations.iter().map(|v| v.promise).collect();
    promises.sort();
    promises.dedup();
    promises
}

#[test]
fn a_server_that_lies_beyond_what_it_states_is_caught() {
    let mut setup = Setup::draw(Family::Lan, 1).lasting_hours(4.0);
    assert_eq!(broken_promises(&setup), []);
    let from_ns = 2 * 3_600_000_000_000;
    setup.server.wrong.push(WrongTime { from_ns, to_ns: i64::MAX, by_ns: 50_000_000 });
    assert_eq!(broken_promises(&setup), [Promise::TruthWithinBound]);
    setup.unchecked.push(Episode { from_ns, to_ns: i64::MAX, size: 0.0 });
    assert_eq!(broken_promises(&setup), []);
}

#[test]
fn a_frequency_beyond_the_allowance_is_caught() {
    let mut setup = Setup::draw(Family::Lan, 1).lasting_hours(4.0);
    let ramp = ntp_clock_sim::Part::Ramp { at_s: 7_200.0, over_s: 0.0, ppm: 300.0 };
    setup.oscillator.parts.push(ramp);
    assert_eq!(broken_promises(&setup), [Promise::TruthWithinBound]);
}

#[test]
fn an_outage_that_is_not_announced_as_a_fault_is_caught() {
    let mut setup = Setup::draw(Family::Wan, 1).lasting_hours(4.0);
    let (from_ns, to_ns) = (3_600_000_000_000, 7_200_000_000_000);
    setup.path.outages.push(Episode { from_ns, to_ns, size: 0.0 });
    assert_eq!(broken_promises(&setup), [Promise::Recovers]);
}

#[test]
fn a_refusal_that_is_not_announced_as_a_fault_is_caught() {
    let mut setup = Setup::draw(Family::Wan, 1).lasting_hours(4.0);
    setup.server.refusals.push(Refusal { from_ns: 0, to_ns: 60_000_000_000, code: *b"DENY" });
    assert_eq!(broken_promises(&setup), [Promise::Recovers]);
}

#[test]
fn a_violation_names_world_seed_time_reading_and_truth() {
    let mut setup = Setup::draw(Family::Lan, 7).lasting_hours(1.0);
    setup.server.wrong.push(WrongTime { from_ns: 0, to_ns: i64::MAX, by_ns: 50_000_000 });
    let outcome = run(&setup, &mut [], Options::default());
    let text = outcome.violations.first().expect("caught").to_string();
    for part in ["world lan", "seed 7", "reading 2025-10", "truth 2025-10", "epoch 1"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}
