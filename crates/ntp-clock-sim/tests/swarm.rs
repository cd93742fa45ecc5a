//! A small swarm over all families; `cargo xtask sim` runs large ones.

use ntp_clock_sim::{Family, swarm};

#[test]
fn no_world_makes_the_clock_break_a_promise() {
    let report = swarm(Family::ALL, 1..4, None, |_| {});
    assert_eq!(report.runs, 3 * Family::ALL.len() as u64);
    assert!(report.checks > 500_000, "{} checks", report.checks);
    let first: Vec<String> = report.violations.iter().take(3).map(ToString::to_string).collect();
    assert!(first.is_empty(), "{first:#?}");
    // No divergence.
    for family in &report.families {
        let (worst, p99) = (family.statistics.worst.max(), family.statistics.error.quantile(0.99));
        assert!(worst < 10.0 * p99, "{}: {worst} ns, p99 {p99} ns", family.family);
    }
}
