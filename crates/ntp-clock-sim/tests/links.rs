//! A small swarm over all worlds of several clocks; `cargo xtask sim -- links` runs large ones.

use ntp_clock_sim::{LinkWorld, links_swarm};

#[test]
fn no_world_makes_a_link_break_a_promise() {
    let swarm = links_swarm(LinkWorld::ALL, 1..9, 10_000, || {});
    assert_eq!(swarm.runs, 8 * LinkWorld::ALL.len() as u64);
    let total = swarm.total();
    assert!(total.comparisons > 1_500_000, "{} comparisons", total.comparisons);
    assert!(total.certain > 10_000, "{} certain orders", total.certain);
    let first: Vec<String> = swarm.violations.iter().take(3).map(ToString::to_string).collect();
    assert!(first.is_empty() && total.broken() == 0, "{first:#?}");
    // Who lies is found out, now and then.
    assert!(total.restarts_of_liars > 0);
}
