//! The peers are fair opponents: each does what its description promises where that is easy.

use ntp_clock_sim::{Contest, Family, Options, Part, Setup, all_peers, run};

/// A constant frequency, a perfect server and a symmetric path with nothing but jitter.
fn calm() -> Setup {
    let mut setup = Setup::draw(Family::Wan, 4);
    setup.oscillator.parts = vec![Part::Constant { ppm: 31.0 }];
    setup.server.wander_ns = 0.0;
    for direction in [&mut setup.path.forth, &mut setup.path.back] {
        direction.jitter_ns = 200_000.0;
        direction.tail_share = 0.0;
    }
    setup
}

fn contest<'a>(contests: &'a [Contest], name: &str) -> &'a Contest {
    contests.iter().find(|contest| contest.name == name).expect("a candidate of this name")
}

#[test]
fn on_a_calm_day_all_that_learn_the_frequency_are_within_150_us() {
    let setup = calm();
    let contests = run(&setup, &mut all_peers(&setup), Options::default()).contests;
    for name in ["ours", "min-rtt", "chrony", "chrony-best", "kalman", "kalman-best"] {
        let p95 = contest(&contests, name).statistics.error.quantile(0.95);
        assert!(p95 < 150_000.0, "{name}: {p95} ns");
        assert_eq!(contest(&contests, name).statistics.misses, 0, "{name}");
    }
    // 31 ppm for 300 s are 9.3 ms.
    let held = contest(&contests, "sntp").statistics.error.max();
    assert!((8e6..10e6).contains(&held), "{held} ns");
}

#[test]
fn on_a_calm_day_a_regressions_own_sigma_is_of_the_right_size() {
    let setup = calm();
    let contests = run(&setup, &mut all_peers(&setup), Options::default()).contests;
    for name in ["chrony", "chrony-best"] {
        let share = contest(&contests, name).statistics.share_within_two();
        assert!(share > 0.6, "{name}: {share}");
    }
}

#[test]
fn where_one_direction_jitters_a_regression_finds_the_asymmetry() {
    let mut setup = calm();
    setup.path.forth.jitter_ns = 5e6;
    setup.path.back.jitter_ns = 1e4;
    let contests = run(&setup, &mut all_peers(&setup), Options::default()).contests;
    let p50 = |name| contest(&contests, name).statistics.error.quantile(0.5);
    assert!(p50("chrony") < p50("kalman") / 3.0, "{} {}", p50("chrony"), p50("kalman"));
}
