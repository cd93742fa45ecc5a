//! A small swarm over all worlds of several clocks; `cargo xtask sim -- links` runs large ones.

use ntp_clock_sim::{
    LinkPromise, LinkWorld, Profile, System, links_contest, links_swarm, run_links,
};

#[test]
fn no_world_makes_a_link_break_a_promise() {
    let swarm = links_swarm(LinkWorld::ALL, 1..6, 6_000, || {});
    assert_eq!(swarm.runs, 5 * LinkWorld::ALL.len() as u64);
    let total = swarm.total();
    assert!(total.comparisons > 600_000, "{} comparisons", total.comparisons);
    assert!(total.certain > 10_000, "{} certain orders", total.certain);
    let first: Vec<String> = swarm.violations.iter().take(3).map(ToString::to_string).collect();
    assert!(first.is_empty() && total.broken() == 0, "{first:#?}");
    // Who lies is found out, now and then.
    assert!(total.restarts_of_liars > 0);
}

#[test]
fn a_fixed_asymmetry_stays_inside_and_is_not_claimed_away() {
    let swarm = links_swarm(&[LinkWorld::Asymmetric], 1..21, 2_000, || {});
    let total = swarm.total();
    assert_eq!((total.misses, total.wrong), (0, 0), "{:?}", swarm.violations);
    // 5 ms one way and 25 the other: nothing is narrower than their sum.
    assert!(total.width.quantile(0.0) > 29.9e6, "{} ns", total.width.quantile(0.0));
    // The guess is off by half of the difference, as anybody's would be.
    assert!((9e6..12e6).contains(&total.error.quantile(0.5)));
}

#[test]
fn a_counter_that_is_steered_and_says_that_it_is_not_is_caught() {
    let mut broken = Vec::new();
    for seed in 1..=10 {
        let mut system = System::draw(LinkWorld::Steered, seed);
        system.nodes.iter_mut().for_each(|node| node.steering_ppm = 0.0);
        let outcome = run_links(&system, 2_000);
        broken.extend(outcome.violations.into_iter().map(|violation| violation.promise));
    }
    for promise in [LinkPromise::TruthInside, LinkPromise::NeverContradicts] {
        assert!(broken.contains(&promise), "{promise:?} was never found broken");
    }
}

#[test]
fn nothing_that_is_decided_by_links_is_decided_wrongly_and_other_ways_do_decide_wrongly() {
    for contest in links_contest(Profile::ALL, 1..3, || {}) {
        let profile = contest.profile;
        assert!(contest.traces > 100, "{profile}: {} traces", contest.traces);
        for standing in &contest.standings {
            let certain =
                standing.name.starts_with("ours") || standing.name.starts_with("absolute");
            assert_eq!(standing.wrong == 0, certain, "{profile}: {standing:?}");
        }
        let decided = |name: &str| {
            let of = |s: &&ntp_clock_sim::Standing| s.name == name;
            contest.standings.iter().find(of).map_or(0, |s| s.decided)
        };
        assert!(decided("ours") > 2 * decided("absolute bounds only"), "{profile}");
    }
}
