//! What keeps its order, and counters that begin lower than the one before them read.

use ntp_clock_history::{Dated, History, Limits, Sample, Traced, Window};

const SECOND_NS: i64 = 1_000_000_000;
const WORLDS: u64 = 60;

/// A clock that is only steered, and a synchronised one whose error shrinks and grows.
struct Undisturbed {
    random: fastrand::Rng,
    resolution_ns: i64,
    /// Hard bounds of the synchronised clock, each for a tenth of a second.
    errors_ns: Vec<i64>,
}

impl Undisturbed {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let resolution_ns = if random.bool() { 1 } else { 1_000_000 };
        let errors_ns = (0..400).map(|_| random.i64(1_000..20_000_000)).collect();
        Undisturbed { random, resolution_ns, errors_ns }
    }

    /// What the SDK's clock shows: it is steered to and fro.
    fn shown_ns(&self, counter_ns: i64) -> i64 {
        let seconds = counter_ns as f64 / SECOND_NS as f64;
        let aside_ns = (seconds.sin() * 400_000.0) as i64;
        (1_700_000_000 * SECOND_NS + counter_ns + aside_ns).div_euclid(self.resolution_ns)
            * self.resolution_ns
    }

    /// The synchronised clock: its times never decrease.
    fn reading(&self, counter_ns: i64) -> Option<Dated> {
        let seconds = counter_ns as f64 / SECOND_NS as f64;
        let time_ns = 1_900_000_000 * SECOND_NS + counter_ns + (seconds.cos() * 50_000.0) as i64;
        let tenth = usize::try_from(counter_ns / (SECOND_NS / 10)).ok()?;
        let max_error_ns = *self.errors_ns.get(tenth)?;
        Some(Dated { time_ns, max_error_ns, est_error_ns: max_error_ns / 4, epoch: 1 })
    }
}

#[test]
fn two_times_of_an_undisturbed_clock_keep_their_order() {
    let first = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("seeds from {first}: SEED=... chooses others");
    for seed in first..first + WORLDS {
        let mut world = Undisturbed::new(seed);
        let samples = if world.random.bool() { 4_096 } else { 60 };
        let mut history = History::new(Limits { samples, ..Limits::default() });
        let (mut counter_ns, mut taken) = (0, Vec::new());
        while counter_ns < 30 * SECOND_NS {
            let width_ns = world.random.i64(0..50_000);
            let looked_ns = counter_ns + world.random.i64(0..=width_ns);
            let sparse = world.random.u8(0..4) == 0;
            let reading = world.reading(counter_ns).filter(|_| sparse);
            history.sample(Sample {
                counter_ns,
                width_ns,
                system_ns: world.shown_ns(looked_ns),
                resolution_ns: world.resolution_ns,
                counter: 1,
                reading,
            });
            // Many of them just before the next look and in it.
            let next_ns = counter_ns + world.random.i64(width_ns + 1..SECOND_NS / 4);
            taken.extend((0..8).map(|_| world.random.i64(counter_ns..next_ns)));
            taken.extend((0..8).map(|_| next_ns + world.random.i64(-60_000..60_000)));
            counter_ns = next_ns;
        }
        taken.sort_unstable();
        let latest_ns = |by_clock: bool| {
            let mut last: Option<Dated> = None;
            for &moment_ns in &taken {
                let shown_ns = world.shown_ns(moment_ns);
                let traced = history.trace(shown_ns, world.resolution_ns, Window::default());
                let Some(traced) = traced else { continue };
                let at = |counter_ns| world.reading(counter_ns).filter(|_| by_clock);
                let dated = history.date(traced, at).expect("the clock is synchronised");
                let before_ns = last.map_or(i64::MIN, |last| last.time_ns);
                let back_ns = before_ns.saturating_sub(dated.time_ns);
                assert!(back_ns <= 0, "seed {seed}, {moment_ns}: {back_ns} ns back to {dated:?}");
                last = Some(dated);
            }
            last.expect("some are dated").time_ns
        };
        assert!(latest_ns(true) > 1_900_000_000 * SECOND_NS);
        assert!(latest_ns(false) > 1_900_000_000 * SECOND_NS);
    }
}

fn sample(counter: u64, counter_ns: i64, system_ns: i64) -> Sample {
    let reading = Some(Dated {
        time_ns: system_ns + SECOND_NS,
        max_error_ns: 1_000,
        est_error_ns: 100,
        epoch: counter,
    });
    Sample { counter_ns, width_ns: 0, system_ns, resolution_ns: 1, counter, reading }
}

/// Ten seconds of one counter from 100 s on, an hour away, ten seconds of another from 0 s on.
fn restarted() -> History {
    let mut history = History::new(Limits::default());
    for second in 0..10 {
        let counter_ns = (100 + second) * SECOND_NS;
        history.sample(sample(1, counter_ns, counter_ns));
    }
    for second in 0..10 {
        history.sample(sample(2, second * SECOND_NS, (4_000 + second) * SECOND_NS));
    }
    history
}

fn trace(history: &History, system_ns: i64) -> Option<Traced> {
    history.trace(system_ns, 1, Window::default())
}

#[test]
fn a_counter_that_begins_lower_goes_on_at_once_and_what_was_before_it_is_still_dated() {
    let history = restarted();
    assert_eq!(history.len(), 20);
    assert_eq!(history.oldest().map(|oldest| oldest.counter), Some(1));
    for (counter, system_ns) in [(1, 104_500_000_000), (2, 4_004_500_000_000)] {
        let traced = trace(&history, system_ns).expect("shown");
        assert_eq!((traced.earliest.counter, traced.latest.counter), (counter, counter));
        assert!(!traced.ambiguous);
        let dated = history.date(traced, |_| None).expect("remembered");
        assert!((dated.time_ns - system_ns - SECOND_NS).abs() <= dated.max_error_ns);
        assert!(dated.max_error_ns < SECOND_NS / 1_000, "{dated:?}");
        assert_eq!(dated.epoch, counter);
    }
    // Somewhere between the two: from the last of the one to the first of the other.
    let traced = trace(&history, 2_000 * SECOND_NS).expect("between");
    assert_eq!((traced.earliest.counter, traced.latest.counter), (1, 2));
    let dated = history.date(traced, |_| None).expect("remembered");
    assert!((dated.time_ns - 2_001 * SECOND_NS).abs() <= dated.max_error_ns);
    assert_eq!(trace(&history, 99 * SECOND_NS), None);
    assert_eq!(trace(&history, 4_020 * SECOND_NS), None);
}

#[test]
fn a_late_sample_of_a_counter_that_was_left_is_dropped() {
    let mut history = restarted();
    history.sample(sample(1, 111 * SECOND_NS, 111 * SECOND_NS));
    history.sample(sample(2, 8 * SECOND_NS, 4_008 * SECOND_NS));
    assert_eq!(history.len(), 20);
}

#[test]
fn a_window_is_by_the_present_counter_and_what_was_before_it_began_is_earlier() {
    let history = restarted();
    let within = |not_before_ns, not_after_ns, system_ns| {
        history.trace(system_ns, 1, Window { not_before_ns, not_after_ns })
    };
    assert_eq!(within(Some(0), None, 104_500_000_000), None);
    assert!(within(None, Some(0), 104_500_000_000).is_some());
    assert!(within(Some(0), Some(5 * SECOND_NS), 4_004_500_000_000).is_some());
    assert_eq!(within(Some(6 * SECOND_NS), None, 4_004_500_000_000), None);
}

#[test]
fn thinned_samples_of_one_millisecond_are_traced_for_no_other_time() {
    let mut history = History::new(Limits { samples: 16, ..Limits::default() });
    for count in 0..60 {
        let counter_ns = count * 200_000;
        let system_ns = 100 * SECOND_NS + counter_ns / 1_000_000 * 1_000_000;
        history.sample(Sample { resolution_ns: 1_000_000, ..sample(1, counter_ns, system_ns) });
    }
    for system_ns in [99 * SECOND_NS, 101 * SECOND_NS, 0] {
        assert_eq!(history.trace(system_ns, 1_000_000, Window::default()), None, "{system_ns}");
    }
}

#[test]
fn a_moment_by_its_counter_is_of_the_counter_that_began_last() {
    let history = restarted();
    let moment = history.moment(5 * SECOND_NS + 1).expect("the counter read that");
    assert_eq!((moment.earliest.counter, moment.latest.counter), (2, 2));
    assert_eq!(history.moment(104 * SECOND_NS), None);
}
