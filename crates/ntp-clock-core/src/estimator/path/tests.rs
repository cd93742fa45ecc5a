//! Paths whose asymmetry is known.

use super::super::envelope::tests::sample;
use super::*;

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs()
}

/// A path of 1 ms, known well; a round in which it takes 20 us more shows nothing.
fn known() -> Path {
    Path {
        typical_ns: 1_000.0,
        minima: [1e6; MINIMA],
        count: MINIMA,
        rounds: 20,
        base_ns: 1e6,
        settled_ns: 1e6,
        reference_ns: 1e6,
        ..Path::new()
    }
}

/// Rounds of a single exchange each, of these delays; what became of the path with the last.
fn after(path: Path, delays_ns: &[i64]) -> (Path, Change) {
    let rounds = delays_ns.iter().map(|delay| sample(0, 0, *delay));
    rounds.fold((path, Change::None), |(path, _), one| path.learn([one].iter(), 0.0))
}

fn summarised(path: &Path, round: &[Sample], resolution_ns: f64) -> Summary {
    path.summarise(round.iter(), &round[0], 0.0, resolution_ns)
}

#[test]
fn slopes_are_learnt_from_exchanges_together_with_the_fastest_alone() {
    let late = sample(2_000_000_000, 5_500, 1_011_000);
    let round = [sample(0, 0, 1_000_000), late];
    let (path, _) = Path { typical_ns: 10_000.0, ..known() }.learn(round.iter(), 0.0);
    assert_eq!((path.ordinary, path.large), (Ratio::UNKNOWN, Ratio::UNKNOWN));
}

#[test]
fn of_the_first_round_a_third_may_have_met_no_queue() {
    let round: [Sample; 7] = core::array::from_fn(|n| sample(0, 0, 1_000_000 + 10 * n as i64));
    let typical = |path: Path| path.learn(round.iter(), 0.0).0.typical_ns;
    assert_eq!(typical(Path::new()), 20.0);
    assert_eq!(typical(Path { typical_ns: 0.0, rounds: 1, ..known() }), 30.0);
}

#[test]
fn the_first_round_is_the_path_and_its_middle_excess_the_typical_one() {
    let round = [sample(0, 0, 1_040_000), sample(0, 0, 1_000_000), sample(0, 0, 1_010_000)];
    let (path, change) = Path::new().learn(round.iter(), 0.0);
    assert_eq!(change, Change::None);
    assert_eq!((path.typical_ns, path.count, path.rounds), (10_000.0, 1, 1));
    assert_eq!((path.base_ns, path.settled_ns, path.reference_ns), (1e6, 1e6, 1e6));
    assert_eq!(path.minima[MINIMA - 1], 1e6);
    let (empty, change) = path.learn([].iter(), 0.0);
    assert_eq!((empty.rounds, change), (1, Change::None));
}

#[test]
fn the_typical_excess_follows_the_middle_one_by_steps() {
    let typical = |rounds: u32, excess: i64| {
        let path = Path { typical_ns: 10_000.0, rounds, ..known() };
        let round = [sample(0, 0, 1_000_000), sample(0, 0, 1_000_000 + excess)];
        path.learn(round.iter(), 0.0).0.typical_ns
    };
    assert!(near(typical(20, 100_000), 11_000.0) && near(typical(20, 10_500), 10_500.0));
    assert!(near(typical(12, 1_000), 10_000.0 / 1.1) && near(typical(12, 9_500), 9_500.0));
    assert!(near(typical(11, 1_000), 10_000.0 / 1.5) && near(typical(11, 9_000), 9_000.0));
    let (single, _) = after(Path { typical_ns: 10_000.0, ..known() }, &[2_000_000]);
    assert_eq!(single.typical_ns, 10_000.0);
}

#[test]
fn slopes_are_learnt_from_what_exceeds_the_fastest_by_more_than_the_stamps_noise() {
    let learnt = |offset: i64, excess: i64| {
        let round = [sample(0, 7_000, 1_000_000), sample(0, 7_000 + offset, 1_000_000 + excess)];
        let (path, _) = Path { typical_ns: 10_000.0, ..known() }.learn(round.iter(), 0.0);
        (path.ordinary, path.large)
    };
    let of = |ratio: f64, weight: f64| {
        let mut expected = Ratio::UNKNOWN;
        expected.add(ratio, weight);
        expected
    };
    assert_eq!(learnt(500, 1_000), (Ratio::UNKNOWN, Ratio::UNKNOWN));
    // The typical excess becomes 11,000; a pair of just that counts 1 / (1 + 1/4).
    assert_eq!(learnt(5_500, 11_000), (of(0.5, 0.8), Ratio::UNKNOWN));
    assert_eq!(learnt(-5_500, 11_000), (of(-0.5, 0.8), Ratio::UNKNOWN));
    assert_eq!(learnt(500_000, 11_000), (of(1.0, 0.8), Ratio::UNKNOWN));
    // Five times the typical excess, and a weight of 1 / (1 + 1/100).
    assert_eq!(learnt(13_750, 55_000), (Ratio::UNKNOWN, of(0.25, 100.0 / 101.0)));
    assert_eq!(learnt(13_750, 54_999).1, Ratio::UNKNOWN);
}

#[test]
fn what_was_learnt_of_slopes_fades_with_each_round() {
    let mut path = known();
    path.ordinary.add(0.5, 10.0);
    path.large.add(0.25, 10.0);
    let mut faded = path;
    faded.ordinary.fade();
    faded.large.fade();
    let (next, _) = after(path, &[1_000_000]);
    assert_eq!((next.ordinary, next.large), (faded.ordinary, faded.large));
}

#[test]
fn by_chance_a_round_exceeds_the_path_by_four_typical_excesses_a_200th_or_20_us() {
    let noise = |typical_ns: f64, base_ns: f64| Path { typical_ns, base_ns, ..known() }.noise();
    assert_eq!(noise(1_000.0, 1e6), 20_000.0);
    assert_eq!(noise(10_000.0, 1e6), 40_000.0);
    assert_eq!(noise(10_000.0, 20e6), 100_000.0);
}

#[test]
fn a_known_path_that_gets_shorter_is_another_one_from_more_than_the_noise_on() {
    let longer = Path { longer_ns: 5.0, left_behind: 7.0, ..known() };
    let (path, change) = after(longer, &[980_000]);
    assert_eq!((change, path.longer_ns), (Change::None, 5.0));
    assert_eq!((path.base_ns, path.settled_ns, path.reference_ns), (980_000.0, 1e6, 1e6));
    let (path, change) = after(longer, &[979_999]);
    assert_eq!(change, Change::Other(20_001.0));
    assert_eq!((path.base_ns, path.settled_ns), (979_999.0, 979_999.0));
    assert_eq!((path.reference_ns, path.longer_ns, path.left_behind), (1e6, 0.0, 7.0));
}

#[test]
fn until_the_path_is_known_a_shorter_one_is_what_biases_are_counted_from() {
    let early = Path { rounds: 11, ..known() };
    let (path, change) = after(early, &[980_000]);
    assert_eq!(change, Change::None);
    assert_eq!((path.settled_ns, path.reference_ns), (980_000.0, 980_000.0));
    assert!(!path.is_known());
    let (path, change) = after(early, &[900_000]);
    assert_eq!((change, path.reference_ns), (Change::Shorter(100_000.0), 900_000.0));
    let (path, change) = after(Path { rounds: 12, ..known() }, &[900_000]);
    assert_eq!((change, path.reference_ns), (Change::Other(100_000.0), 1e6));
    assert!(path.is_known());
    // On a longer one meanwhile, a way back that is not all of it.
    let (path, change) = after(Path { base_ns: 1.2e6, ..early }, &[1_100_000]);
    assert_eq!((change, path.reference_ns), (Change::Other(100_000.0), 1e6));
}

#[test]
fn a_path_is_back_where_its_delay_is_that_of_the_first_within_the_noise() {
    let longer = Path { base_ns: 1.1e6, ..known() };
    assert_eq!(after(longer, &[1_020_000]).1, Change::Back(80_000.0));
    assert_eq!(after(longer, &[1_020_001]).1, Change::Other(79_999.0));
    assert_eq!(after(longer, &[980_000]).1, Change::Back(120_000.0));
    assert_eq!(after(longer, &[979_999]).1, Change::Other(120_001.0));
}

#[test]
fn four_rounds_that_are_all_longer_and_alike_show_a_longer_path() {
    let (path, change) = after(known(), &[1_500_000; 3]);
    assert_eq!((change, path.base_ns), (Change::None, 1e6));
    let (path, change) = after(known(), &[1_500_000; 4]);
    assert_eq!(change, Change::Other(500_000.0));
    assert_eq!((path.base_ns, path.settled_ns, path.longer_ns), (1.5e6, 1.5e6, 5e5));
    assert_eq!((path.count, path.reference_ns), (1, 1e6));
    // Longer by no more than the noise is the same path still.
    assert_eq!(after(known(), &[1_020_000; 4]).1, Change::None);
    assert_eq!(after(known(), &[1_020_001; 4]).1, Change::Other(20_001.0));
    // And back on the way by four of the old.
    let shorter = Path { base_ns: 8e5, minima: [8e5; MINIMA], ..known() };
    assert_eq!(after(shorter, &[1_000_000; 4]).1, Change::Back(200_000.0));
}

#[test]
fn rounds_in_a_standing_queue_differ_and_show_no_path() {
    let spread = |path: Path, level: i64, spread: i64| {
        after(path, &[level + spread, level, level + 1, level + 2]).1
    };
    // A sixteenth of the 500 us that it is longer ...
    assert_eq!(spread(known(), 1_500_000, 31_249), Change::Other(500_000.0));
    assert_eq!(spread(known(), 1_500_000, 31_250), Change::None);
    // ... at most twice the noise ...
    assert_eq!(spread(known(), 11_000_000, 39_999), Change::Other(10_000_000.0));
    assert_eq!(spread(known(), 11_000_000, 40_000), Change::None);
    // ... and no less than what is typical.
    let wide = Path { typical_ns: 40_000.0, ..known() };
    assert_eq!(spread(wide, 1_500_000, 39_999), Change::Other(500_000.0));
    assert_eq!(spread(wide, 1_500_000, 40_000), Change::None);
}

#[test]
fn a_path_that_has_just_changed_is_given_four_rounds_before_it_can_change_again() {
    let new = [3_000_000, 3_030_000, 3_030_000, 3_030_000];
    let (path, change) = after(known(), &new);
    assert_eq!(change, Change::Other(2_000_000.0));
    let (path, change) = after(path, &[3_030_000; 2]);
    assert_eq!((change, path.count), (Change::None, 3));
    assert_eq!(after(path, &[3_030_000]).1, Change::Other(30_000.0));
}

#[test]
fn a_change_by_less_than_shows_at_once_leaves_a_bias_of_which_the_variance_is_known() {
    let moved = Path { typical_ns: 8_000.0, minima: [1_010_000.0; MINIMA], ..known() };
    // 10 us less an eighth of the typical excess, of which 0.42 are bias.
    let bias = 9_000.0 * 0.42 * 9_000.0 * 0.42;
    assert!(near(moved.unnoticed(0), bias));
    assert!(near(Path { settled_ns: 1_020_000.0, ..moved }.unnoticed(0), bias));
    assert_eq!(Path { settled_ns: 1_009_500.0, ..moved }.unnoticed(0), 0.0);
    // It takes eight rounds, the newest apart.
    assert!(near(Path { count: 8, ..moved }.unnoticed(0), bias));
    assert_eq!(Path { count: 7, ..moved }.unnoticed(0), 0.0);
    assert_eq!(Path { count: 8, ..moved }.unnoticed(1), 0.0);
    // The smallest of the last eight: a ninth is too old, and the newest is not asked.
    let mut apart = moved;
    (apart.minima[MINIMA - 1], apart.minima[MINIMA - 10]) = (900_000.0, 800_000.0);
    assert!(near(apart.unnoticed(1), bias));
    // Once it changes visibly, that stays behind until the first path is back.
    let (shorter, _) = after(Path { left_behind: 100.0, ..moved }, &[900_000]);
    assert!(near(shorter.left_behind, 100.0 + bias));
    let (mut longer, _) = after(Path { left_behind: 100.0, ..moved }, &[1_500_000; 4]);
    assert!(near(longer.left_behind, 100.0 + bias));
    longer.restored();
    assert_eq!(longer.left_behind, 0.0);
}

#[test]
fn a_longer_path_may_yet_be_a_queue_for_sixteen_rounds() {
    let hesitation = |count: usize| Path { longer_ns: 320_000.0, count, ..known() }.hesitation();
    assert_eq!((hesitation(0), hesitation(1), hesitation(4)), (20_000.0, 20_000.0, 5_000.0));
    assert_eq!((hesitation(15), hesitation(16)), (320_000.0 / 240.0, 0.0));
    let path = Path { longer_ns: 320_000.0, count: 4, ..known() };
    assert_eq!(summarised(&path, &[sample(0, 0, 1_000_000)], 0.0).detour, 5_000.0);
}

#[test]
fn a_round_that_is_slow_as_a_whole_may_have_gone_another_way() {
    let detour = |delay: i64| summarised(&known(), &[sample(0, 0, delay)], 0.0).detour;
    assert_eq!((detour(1_020_000), detour(1_020_001)), (0.0, 20_001.0));
    assert_eq!(summarised(&Path::new(), &[sample(0, 0, 9_000_000)], 0.0).detour, 0.0);
}

#[test]
fn exchanges_without_excess_count_alike_and_the_envelope_as_one_more() {
    let path = Path { typical_ns: 40_000.0, ..known() };
    let round = [sample(9_000, 50, 1_000_000), sample(39_000, 110, 1_000_060)];
    let summary = summarised(&path, &round, 12_000.0);
    // Envelope: there at most 500,000, back at least 60 - 500,030 = -499,970; 15 in the middle.
    assert!(near(summary.offset_ns, (15.0 + 0.0 + 60.0) / 3.0), "{summary:?}");
    assert!(near(summary.mid_ns, 30_000.0 / 3.0), "{summary:?}");
    // Each has a variance of 40,000² / 400 + 12,000² / 24 = 4e6 + 6e6.
    assert!(near(summary.variance, 1e7 / 3.0), "{summary:?}");
    // And of at least a microsecond's.
    let quiet = summarised(&known(), &[sample(0, 0, 1_000_000)], 0.0);
    assert!(near(quiet.variance, 1e6 / 2.0), "{quiet:?}");
}

#[test]
fn an_exchange_with_excess_is_moved_by_the_slope_and_counts_by_the_scatter() {
    let mut path = Path { typical_ns: 20_000.0, ..known() };
    path.ordinary.add(0.25, 4.0);
    path.large.add(-0.5, 4.0);
    for (bin, excess) in [(path.ordinary, 99_999.0), (path.large, 100_000.0)] {
        // Beyond the smallest delay and what the counter's coarseness explains.
        let delay = 1_000_000 + 2_000 + excess as i64;
        let round = [sample(-60_000, 0, delay), sample(0, 0, 1_000_000)];
        let summary = path.summarise(round.iter(), &round[1], 0.0, 2_000.0);
        let floor = 1e6 + 2_000.0 * 2_000.0 / 24.0;
        let small = 1.0 / (floor + (bin.scatter() + bin.doubt()) * excess * excess);
        let all = 2.0 / floor + small;
        assert!(near(summary.offset_ns, -bin.slope() * excess * small / all), "{summary:?}");
        assert!(near(summary.variance, 1.0 / all), "{summary:?}");
        assert!(near(summary.mid_ns, -60_000.0 * small / all), "{summary:?}");
        // What all rounds share: the slope's doubt, and of a burst of two on a path of sixteen
        // rounds (20,000 / 2 + 1e6 / 400) / 66 and 1e6 / 4 / 62 / 62.
        let slope = bin.doubt().sqrt() * excess * small / all;
        let base = 12_500.0 / 66.0 + 1e6 / 4.0 / 62.0 / 62.0;
        assert!(near(summary.common, base * base + slope * slope), "{summary:?}");
    }
}

#[test]
fn what_is_not_known_of_the_smallest_delay_falls_with_the_exchanges_known() {
    let common = |path: &Path, delay: i64| {
        summarised(path, &[sample(0, 0, delay), sample(0, 0, delay)], 0.0).common.sqrt()
    };
    // Of two exchanges: a 400th of the round trip by two, and a quarter of it by two times two.
    assert!(near(common(&Path::new(), 4_000_000), 5_000.0 + 250_000.0));
    // After one more round: (40,000 / 2 + 36,000) / 6; nothing besides.
    let path = Path { typical_ns: 40_000.0, base_ns: 14.4e6, settled_ns: 14.4e6, ..known() };
    assert!(near(common(&Path { count: 1, ..path }, 14_400_000), 56e3 / 6.0 + 9e5));
    // After two: (20,000 + 36,000) / 10, and 14.4e6 / 4 by six times six.
    assert!(near(common(&Path { count: 2, ..path }, 14_400_000), 5_600.0 + 1e5));
    // A faster round is the smallest delay itself.
    assert!(near(common(&Path { count: 2, ..path }, 7_200_000), 3_800.0 + 5e4));
    // What paths before left behind is shared by all rounds, too.
    let biased = Path { count: 2, left_behind: 49e6, ..path };
    assert!(near(common(&biased, 14_400_000), (105_600f64 * 105_600.0 + 49e6).sqrt()));
    let moved = Path { minima: [14.5e6; MINIMA], settled_ns: 14.4e6, ..path };
    let alone = common(&Path { minima: [14.4e6; MINIMA], ..path }, 14_400_000);
    let bias = 0.42 * 95_000.0;
    let both = common(&moved, 14_400_000);
    assert!(near(both, (alone * alone + bias * bias).sqrt()), "{both}");
}
