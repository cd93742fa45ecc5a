//! The filter against sums worked by hand.

use super::*;

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs()
}

fn model(probability: f64, state: [f64; 3], covariance: [[f64; 3]; 3]) -> Model {
    Model { probability, filter: Kalman { state, covariance } }
}

fn diagonal(a: f64, b: f64, c: f64) -> [[f64; 3]; 3] {
    [[a, 0.0, 0.0], [0.0, b, 0.0], [0.0, 0.0, c]]
}

/// Two models of which something is known; the others are impossible.
fn two() -> Bank {
    let nothing = model(0.0, [0.0; 3], [[0.0; 3]; 3]);
    let mut models = [nothing; MODELS];
    models[1] = model(0.5, [8.0, 2.0, 4.0], [[4.0, 1.0, 2.0], [1.0, 9.0, 3.0], [2.0, 3.0, 5.0]]);
    models[JUMP] = model(1.5, [0.0, -2.0, 0.0], diagonal(8.0, 1.0, 1.0));
    Bank { models, noise: 1.0 }
}

/// All models alike, apart from how probable they are.
fn alike(state: [f64; 3], covariance: [[f64; 3]; 3], noise: f64) -> Bank {
    Bank { models: PRIOR.map(|probability| model(probability, state, covariance)), noise }
}

fn measurement(offset_ns: f64, dt_ns: f64) -> Measurement {
    Measurement { dt_ns, offset_ns, variance: 16.0, detour: 4.0, jump_ns: 4.0 }
}

#[test]
fn a_new_bank_knows_what_it_was_given_and_mixes_the_strengths_by_their_prior() {
    let mixture = Bank::new(3e-6, 4e-12, 9.0).mixture();
    assert_eq!((mixture.offset_ns, mixture.variance[1]), (0.0, 0.0));
    assert!(near(mixture.rate, 3e-6) && near(mixture.variance[2], 4e-12));
    assert!(near(mixture.variance[0], 9.0) && near(mixture.measured_variance, 9.0));
    assert!(near(mixture.jumped, 0.001));
    // Squares of 2e-11 to 2e-7 a root second and of 2e-10, by prior: 3.7696614e-16 a second.
    assert!(near(mixture.restlessness, 3.769_661_4e-25), "{}", mixture.restlessness);
}

#[test]
fn a_mixture_has_the_mean_and_the_spread_of_its_models_worked_by_hand() {
    let mixture = two().mixture();
    // Shares 1/4 and 3/4; means 2, -1 and, with the biases, (8 + 4)/4 = 3.
    assert!(near(mixture.offset_ns, 2.0) && near(mixture.rate, -1.0));
    assert!(near(mixture.measured_ns, 3.0) && near(mixture.jumped, 0.75));
    // (4 + 6²)/4 + 3 (8 + 2²)/4; (1 + 6 x 3)/4 + 3 (0 + 2)/4; (9 + 3²)/4 + 3 (1 + 1)/4.
    assert!(near(mixture.variance[0], 19.0), "{mixture:?}");
    assert!(near(mixture.variance[1], 6.25), "{mixture:?}");
    assert!(near(mixture.variance[2], 6.0), "{mixture:?}");
    // (4 + 2 x 2 + 5 + 9²)/4 + 3 (8 + 1 + 3²)/4.
    assert!(near(mixture.measured_variance, 37.0), "{mixture:?}");
    assert!(near(mixture.restlessness, (1e-20 / 4.0 + 4e-20 * 0.75) / 1e9), "{mixture:?}");
}

#[test]
fn any_model_may_take_over_from_any_other_and_a_jump_does_not_stay() {
    let mixed = two().mix();
    // To model 1: 0.98 x 0.5 from itself and 0.02 x 0.35 x 1.5 from the jump.
    let (own, jump) = (0.49, 0.0105);
    let Model { probability, filter } = mixed.models[1];
    assert!(near(probability, own + jump), "{probability}");
    let (u, v) = (own / (own + jump), jump / (own + jump));
    assert!(near(filter.state[0], 8.0 * u) && near(filter.state[1], 2.0 * u - 2.0 * v));
    assert!(near(filter.state[2], 4.0 * u));
    // Two points at a distance d from each other spread by u v d².
    assert!(near(filter.covariance[0][0], 4.0 * u + 8.0 * v + 64.0 * u * v), "{filter:?}");
    assert!(near(filter.covariance[0][1], u + 32.0 * u * v), "{filter:?}");
    assert!(near(filter.covariance[1][2], 3.0 * u + 16.0 * u * v), "{filter:?}");
    // To the quietest model, as to the jump, by its prior alone.
    for (to, prior) in [(0, 0.25), (JUMP, 0.001)] {
        let Model { probability, filter } = mixed.models[to];
        assert!(near(probability, 0.02 * prior * 2.0), "{to}: {probability}");
        assert!(near(filter.state[0], 2.0) && near(filter.covariance[0][0], 19.0), "{to}");
    }
}

#[test]
fn a_round_moves_each_model_by_its_gain_and_its_probability_by_how_well_it_foresaw_it() {
    let next = alike([0.0; 3], diagonal(4.0, 0.0, 0.0), 0.5).step(&measurement(8.0, 0.0));
    // R = 16 x 0.5 + 4 = 12: s = 16 and a gain of 1/4; the jump has 4 + 4² = 20, s = 32, 5/8.
    for model in &next.models[..JUMP] {
        assert!(near(model.filter.state[0], 2.0) && near(model.filter.covariance[0][0], 3.0));
    }
    let jump = next.models[JUMP];
    assert!(near(jump.filter.state[0], 5.0) && near(jump.filter.covariance[0][0], 7.5));
    // ln L is -(64/16 + ln 16)/2 and -(64/32 + ln 32)/2: the jump's L is e / sqrt 2 larger.
    let larger = core::f64::consts::E / core::f64::consts::SQRT_2;
    // Before it, model 3 of prior 0.1 had 0.098 and 0.02 x 0.1 x 0.9; the jump 0.02 x 0.001.
    let odds = jump.probability / next.models[3].probability;
    assert!(near(odds, 2e-5 * larger / (0.098 + 0.0018)), "{odds}");
    let sum: f64 = next.models.iter().map(|model| model.probability).sum();
    assert!(near(sum, 1.0), "{sum}");
}

#[test]
fn what_jumps_twice_in_a_row_has_a_wrong_rate() {
    let next = alike([0.0; 3], diagonal(4.0, 0.0, 0.0), 1.0).step(&measurement(0.0, 0.0));
    // 100 ppm squared, by the probability of 0.001 that it had just jumped.
    assert!(near(next.models[JUMP].filter.covariance[1][1], 1e-11));
    assert_eq!(next.models[0].filter.covariance[1][1], 0.0);
}

#[test]
fn a_round_is_weighed_where_the_rate_has_brought_the_offset_by_then() {
    let bank = alike([10.0, 2.0, 0.0], diagonal(4.0, 0.0, 0.0), 1.0);
    let next = bank.step(&measurement(16.0, 3.0));
    let mixture = next.mixture();
    assert!(near(mixture.offset_ns, 16.0) && near(mixture.rate, 2.0), "{mixture:?}");
    // Nor is there an innovation: of the 4 + 16 + 4 expected 16 are the path's.
    assert!(near(next.noise, 1.0 - 0.1 * 16.0 / 24.0), "{}", next.noise);
}

#[test]
fn the_paths_noise_follows_the_innovations_as_far_as_they_are_the_paths() {
    let noise = |noise: f64, offset_ns: f64| {
        alike([0.0; 3], diagonal(4.0, 0.0, 0.0), noise).step(&measurement(offset_ns, 0.0)).noise
    };
    // Of the 4 + 8 + 4 expected 8 are the path's: a tenth of a half for each unit over 1.
    assert!(near(noise(0.5, 0.0), 0.5 * 0.95));
    assert!(near(noise(0.5, 4.0), 0.5), "an innovation as expected says nothing");
    assert!(near(noise(0.5, 32f64.sqrt()), 0.5 * 1.05));
    // Where it is the oscillator's, it is no more than 4 expected ones.
    assert!(near(noise(0.5, 8.0), 0.5 * 1.15) && near(noise(0.5, 1e6), 0.5 * 1.15));
    assert_eq!((noise(1.0, 1e6), noise(0.1, 0.0)), (1.0, 0.1));
}

#[test]
fn a_measurement_is_foreseen_within_three_deviations_of_the_line_by_then() {
    let mut bank = alike([10.0, 2.0, 7.0], diagonal(5.0, 0.0, 100.0), 0.5);
    let foresaw = |bank: &Bank, off: f64| bank.foresaw(&measurement(10.0 + 2.0 * 5.0 + off, 5.0));
    // 5 + 16 + 4 are 5²; the bias does not count.
    for (off, foreseen) in [(14.9, true), (-14.9, true), (15.1, false), (-15.1, false)] {
        assert_eq!(foresaw(&bank, off), foreseen, "{off}");
    }
    // Three deviations themselves are not.
    let mut only = two();
    only.models[JUMP].probability = 0.0;
    only.models[1] = model(1.0, [10.0, 0.0, 0.0], diagonal(5.0, 0.0, 0.0));
    assert!(!only.foresaw(&measurement(25.0, 0.0)) && only.foresaw(&measurement(24.9, 0.0)));
    bank.correct(20.0, 1e-9);
    assert!(foresaw(&bank, 10.0 - 13.0) && !foresaw(&bank, 10.0 + 13.5));
}

#[test]
fn half_of_a_paths_change_is_its_bias_at_most() {
    let mut bank = two();
    bank.path_changed(10.0);
    assert_eq!(bank.models[1].filter.covariance[2], [2.0, 3.0, 5.0 + 25.0]);
    assert_eq!(bank.models[JUMP].filter.covariance, diagonal(8.0, 1.0, 26.0));
}

#[test]
fn back_on_the_first_path_there_is_no_bias_and_on_a_shorter_one_the_offset_is_in_doubt() {
    let mut restored = two();
    restored.path_restored();
    let filter = restored.models[1].filter;
    assert_eq!(filter.state, [8.0, 2.0, 0.0]);
    assert_eq!(filter.covariance, [[4.0, 1.0, 0.0], [1.0, 9.0, 0.0], [0.0; 3]]);
    let mut shortened = two();
    shortened.path_shortened(10.0);
    let filter = shortened.models[1].filter;
    assert_eq!(filter.state, [8.0, 2.0, 0.0]);
    assert_eq!(filter.covariance, [[29.0, 1.0, 0.0], [1.0, 9.0, 0.0], [0.0; 3]]);
}

#[test]
fn a_correction_of_the_offset_holds_whatever_the_bias() {
    let mut bank = alike([0.0, 0.0, 50.0], diagonal(4.0, 0.0, 9.0), 1.0);
    bank.correct(8.0, 4.0);
    let mixture = bank.mixture();
    assert!(near(mixture.offset_ns, 4.0) && near(mixture.variance[0], 2.0), "{mixture:?}");
    assert!(near(mixture.measured_ns, 54.0), "{mixture:?}");
}

#[test]
fn a_round_that_no_model_can_explain_leaves_numbers_behind() {
    let absurd = measurement(1e150, 0.0);
    let once = alike([0.0; 3], diagonal(1.0, 0.0, 0.0), 1.0).step(&absurd);
    assert!(once.mixture().jumped > 0.9, "{once:?}");
    let twice = once.step(&absurd);
    assert!(twice.models.iter().all(|model| model.probability >= PROBABILITY_MIN));
    assert!(near(twice.mixture().offset_ns, 1e150), "{twice:?}");
}
