//! A simulated SDK clock whose truth is known: steps, steering and sleeps, in seeded worlds.

use std::cell::Cell;

use ntp_clock_history::{Dated, History, Limits, Moment, Sample, Traced, Window};

const SECOND_NS: i64 = 1_000_000_000;
const WORLDS: u64 = 400;

/// A clock that is read at moments that only go forward.
struct World {
    random: fastrand::Rng,
    resolution_ns: i64,
    counter: u64,
    counter_ns: i64,
    truth_ns: i64,
    /// What the SDK's clock shows, with a fraction.
    shown: f64,
    rate: f64,
    /// How much faster than true time the counter runs.
    counter_rate: f64,
}

/// A time that the SDK took, and what is true of it.
struct Taken {
    system_ns: i64,
    counter: u64,
    counter_ns: i64,
    truth_ns: i64,
}

impl Taken {
    /// Whether it is of a moment that was traced. A later counter has a higher number.
    fn is_in(&self, traced: Traced) -> bool {
        let order = |moment: Moment| (moment.counter, moment.counter_ns);
        let this = (self.counter, self.counter_ns);
        order(traced.earliest) <= this && this <= order(traced.latest)
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let resolution_ns = if random.bool() { 1 } else { 1_000_000 };
        let rate = 1.0 + random.f64() * 0.0008 - 0.0004;
        let counter_rate = random.f64() * 0.0002 - 0.0001;
        let shown = 1_700_000_000e6 + random.f64() * 1e12;
        World {
            random,
            resolution_ns,
            counter: 1,
            counter_ns: 1_000,
            truth_ns: 1_900_000_000 * SECOND_NS,
            shown,
            rate,
            counter_rate,
        }
    }

    fn pass(&mut self, ns: i64) {
        self.counter_ns += ns;
        self.shown += ns as f64 * self.rate;
        self.truth_ns += (ns as f64 / (1.0 + self.counter_rate)) as i64;
    }

    /// What happens at most once between two samples.
    fn disturb(&mut self) {
        match self.random.u8(0..13) {
            0 => self.shown += self.random.f64() * 1e13,
            1 => self.shown -= self.random.f64() * 1e13,
            2 => self.shown += self.random.f64() * 4e6 - 2e6,
            3 => self.rate = 1.0 + self.random.f64() * 0.001 - 0.0005,
            4 => {
                let slept_ns = self.random.i64(1..100) * SECOND_NS;
                self.truth_ns += slept_ns;
                self.shown += slept_ns as f64;
                self.counter += 1;
            }
            5 => {
                let away_ns = self.random.i64(1..100) * SECOND_NS;
                self.truth_ns += away_ns;
                self.shown += away_ns as f64;
                self.counter += 1;
                self.counter_ns = self.random.i64(0..1_000_000);
            }
            _ => {}
        }
    }

    fn shown_ns(&self) -> i64 {
        (self.shown as i64).div_euclid(self.resolution_ns) * self.resolution_ns
    }

    fn taken(&self) -> Taken {
        let (counter_ns, truth_ns) = (self.counter_ns, self.truth_ns);
        Taken { system_ns: self.shown_ns(), counter: self.counter, counter_ns, truth_ns }
    }

    fn sample(&mut self, synchronised: bool) -> Sample {
        let counter_ns = self.counter_ns;
        let error_ns = self.random.i64(-2_000_000..2_000_000);
        let reading = synchronised.then(|| Dated {
            time_ns: self.truth_ns + error_ns,
            max_error_ns: 2_000_000,
            est_error_ns: 1_000_000,
            epoch: self.counter,
        });
        let width_ns = self.random.i64(100..20_000);
        let first_ns = self.random.i64(0..width_ns);
        self.pass(first_ns);
        let system_ns = self.shown_ns();
        self.pass(width_ns - first_ns);
        let (resolution_ns, counter) = (self.resolution_ns, self.counter);
        Sample { counter_ns, width_ns, system_ns, resolution_ns, counter, reading }
    }
}

/// Calls `check` with the history, its world and all times that were taken.
fn in_worlds(limits: Limits, check: impl Fn(u64, &History, &World, &[Taken])) {
    let first = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("seeds from {first}: SEED=... chooses others");
    for seed in first..first + WORLDS {
        let mut world = World::new(seed);
        let mut history = History::new(limits);
        let mut taken = Vec::new();
        // Never synchronised at first.
        let sample = world.sample(false);
        history.sample(sample);
        for step in 0..120 {
            let parts = world.random.usize(1..5);
            let disturbed = world.random.usize(0..parts);
            for part in 0..parts {
                let ns = world.random.i64(1_000..SECOND_NS);
                world.pass(ns);
                if part == disturbed {
                    world.disturb();
                }
                taken.push(world.taken());
            }
            let sample = world.sample(step > 20);
            history.sample(sample);
        }
        check(seed, &history, &world, &taken);
    }
}

/// Each piece is disturbed once; steering that changes beside a step is not promised.
const LIMITS: Limits =
    Limits { samples: 4_096, reach_ns: i64::MAX, due_ns: 50_000_000, counter_ppm: 500 };

#[test]
fn the_moment_at_which_a_time_was_taken_is_always_among_those_traced() {
    in_worlds(LIMITS, |seed, history, world, taken| {
        for time in taken {
            let traced = history.trace(time.system_ns, world.resolution_ns, Window::default());
            let traced = traced.unwrap_or_else(|| panic!("seed {seed}: nothing traced"));
            assert!(time.is_in(traced), "seed {seed}: {} {traced:?}", time.counter_ns);
        }
    });
}

#[test]
fn thinning_loses_no_moment_and_bounds_the_memory() {
    let few = Limits { samples: 40, ..LIMITS };
    in_worlds(few, |seed, history, world, taken| {
        assert!(history.len() <= few.samples, "seed {seed}");
        for time in taken {
            let traced = history.trace(time.system_ns, world.resolution_ns, Window::default());
            let Some(traced) = traced else { continue };
            // A time from before the first sample may have been shown once more later.
            let dropped = history.oldest().is_none_or(|oldest| {
                (time.counter, time.counter_ns) <= (oldest.counter, oldest.counter_ns)
            });
            assert!(
                dropped || time.is_in(traced),
                "seed {seed}: {} is not in {traced:?}",
                time.counter_ns
            );
        }
    });
}

#[test]
fn the_truth_is_within_the_error_of_every_time_that_is_dated() {
    let (dated, all) = (Cell::new(0), Cell::new(0));
    in_worlds(LIMITS, |seed, history, world, taken| {
        for time in taken {
            let window = Window::default();
            let Some(traced) = history.trace(time.system_ns, world.resolution_ns, window) else {
                continue;
            };
            // The clock speaks for no moment any more: the remembered readings have to do.
            let Some(answer) = history.date(traced, |_| None) else { continue };
            dated.set(dated.get() + 1);
            let error_ns = answer.time_ns.abs_diff(time.truth_ns);
            assert!(
                error_ns <= answer.max_error_ns.unsigned_abs(),
                "seed {seed}: {answer:?} is wrong by {error_ns} ns"
            );
        }
        all.set(all.get() + taken.len());
    });
    // The others can have been taken before a sleep of which no reading is remembered.
    assert!(dated.get() > all.get() / 2, "only {} of {} could be dated", dated.get(), all.get());
}

#[test]
fn a_time_that_the_clock_never_showed_is_not_traced() {
    let mut history = History::new(Limits::default());
    assert_eq!(history.trace(0, 1, Window::default()), None);
    for counter_ns in [0, SECOND_NS] {
        history.sample(Sample {
            counter_ns,
            width_ns: 0,
            system_ns: 10 * SECOND_NS + counter_ns,
            resolution_ns: 1,
            counter: 1,
            reading: None,
        });
    }
    for system_ns in [i64::MIN, 0, 9 * SECOND_NS, 12 * SECOND_NS, i64::MAX] {
        assert_eq!(history.trace(system_ns, 1, Window::default()), None, "{system_ns}");
    }
    assert!(history.trace(10 * SECOND_NS + 5, 1, Window::default()).is_some());
}

#[test]
fn times_that_a_clock_showed_twice_are_ambiguous_and_cover_both() {
    let mut history = History::new(Limits::default());
    // Stepped back by 2 s after 10 s.
    for second in 0..20 {
        let back = if second < 10 { 0 } else { 2 };
        history.sample(Sample {
            counter_ns: second * SECOND_NS,
            width_ns: 0,
            system_ns: (100 + second - back) * SECOND_NS,
            resolution_ns: 1,
            counter: 1,
            reading: None,
        });
    }
    let shown = 108 * SECOND_NS + SECOND_NS / 2;
    let traced = history.trace(shown, 1, Window::default()).expect("shown twice");
    assert!(traced.ambiguous);
    assert!(traced.earliest.counter_ns <= 8 * SECOND_NS + SECOND_NS / 2);
    assert!(traced.latest.counter_ns >= 10 * SECOND_NS + SECOND_NS / 2);
    // Who knows that it was late knows which.
    let window = Window { not_before_ns: Some(10 * SECOND_NS), not_after_ns: None };
    let traced = history.trace(shown, 1, window).expect("shown late");
    assert!(!traced.ambiguous);
    assert!(traced.earliest.counter_ns >= 10 * SECOND_NS);
}

#[test]
fn absurd_numbers_do_not_panic() {
    let absurd = [i64::MIN, -1, 0, 1, i64::MAX];
    for first in absurd {
        for second in absurd {
            for unsure_ns in [1, i64::MAX] {
                let mut history = History::new(LIMITS);
                for (counter_ns, system_ns) in [(first, second), (second, first), (i64::MAX, 0)] {
                    let (width_ns, resolution_ns, counter) = (unsure_ns, unsure_ns, 1);
                    let reading = Some(Dated {
                        time_ns: first,
                        max_error_ns: i64::MAX,
                        est_error_ns: i64::MAX,
                        epoch: 1,
                    });
                    history.sample(Sample {
                        counter_ns,
                        width_ns,
                        system_ns,
                        resolution_ns,
                        counter,
                        reading,
                    });
                }
                assert!(!history.is_empty());
                for system_ns in absurd {
                    let traced = history.trace(system_ns, unsure_ns, Window::default());
                    let dated = traced.and_then(|traced| history.date(traced, |_| None));
                    assert!(dated.is_none_or(|dated| dated.max_error_ns > 0));
                }
            }
        }
    }
}
