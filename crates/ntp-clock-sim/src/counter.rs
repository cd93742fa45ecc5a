//! Local oscillators: what makes them run fast or slow, and the counter that they drive.

use ntp_clock_core::LocalTime;

use crate::dice::Dice;
use crate::duration::SECOND_NS;

/// Something that an oscillator's frequency is made of. A counter sums its parts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Part {
    /// Runs fast by so much, always.
    Constant {
        /// Parts per million; negative is slow.
        ppm: f64,
    },
    /// White frequency noise, drawn again every second.
    White {
        /// Standard deviation over a second, parts per billion.
        ppb: f64,
    },
    /// Random-walk frequency noise.
    Walk {
        /// Standard deviation of the change in a second, parts per billion.
        ppb: f64,
        /// It turns back here, parts per million.
        limit_ppm: f64,
    },
    /// A swing with day and night, or with a heater's switching.
    Swing {
        /// Amplitude, parts per million.
        ppm: f64,
        /// Seconds from one maximum to the next.
        period_s: f64,
        /// Where in its period the world begins, 0 to 1.
        phase: f64,
    },
    /// A change from one frequency to another: thermal where it takes minutes.
    Ramp {
        /// When it begins, seconds.
        at_s: f64,
        /// How long it takes, seconds; 0 is a step.
        over_s: f64,
        /// How much faster it is afterwards, parts per million.
        ppm: f64,
    },
}

/// A time during which the counter stands still: the machine sleeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sleep {
    /// When, in true nanoseconds since the world's beginning.
    pub from_ns: i64,
    /// Until when.
    pub to_ns: i64,
}

/// All counters of the machine stop together, as where its host freezes a virtual machine, moves it
/// or restores it from a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Freeze {
    /// When, in true nanoseconds since the world's beginning.
    pub from_ns: i64,
    /// Until when.
    pub to_ns: i64,
    /// By how much the counter is further then than where it stopped, nanoseconds: the other host's
    /// counter is ahead.
    pub jump_ns: i64,
    /// The host says so at once.
    pub noticed: bool,
}

/// An oscillator and its counter, as drawn.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Oscillator {
    /// What its frequency is made of.
    pub parts: Vec<Part>,
    /// The counter's value at the world's beginning.
    pub origin_ns: i64,
    /// The counter only shows multiples of this.
    pub resolution_ns: i64,
    /// When it stands still, in order and apart.
    pub sleeps: Vec<Sleep>,
    /// When it is frozen, in order and apart.
    pub freezes: Vec<Freeze>,
}

/// The counter of one run. Its frequency is constant for a second of running time each, and what
/// has been reached once stays, so that any moment can be asked for in any order.
#[derive(Clone, Debug)]
pub struct Counter {
    oscillator: Oscillator,
    dice: Dice,
    walks: Vec<f64>,
    /// Ahead of nominal at the beginning of each second of running time, nanoseconds.
    ahead_ns: Vec<f64>,
    /// Frequency during it, less one.
    rate: Vec<f64>,
}

impl Counter {
    /// The oscillator's counter; its noise comes from the seed.
    #[must_use]
    pub fn new(oscillator: &Oscillator, seed: u64) -> Self {
        Counter {
            oscillator: oscillator.clone(),
            dice: Dice::new(seed, "oscillator"),
            walks: vec![0.0; oscillator.parts.len()],
            ahead_ns: vec![0.0],
            rate: Vec::new(),
        }
    }

    /// What the counter shows at a true moment, nanoseconds since the world's beginning.
    pub fn local(&mut self, t_ns: i64) -> LocalTime {
        let exact = self.exact(t_ns);
        let resolution = self.oscillator.resolution_ns.max(1);
        LocalTime::from_nanos(exact - exact.rem_euclid(resolution))
    }

    /// What it would show if it showed every nanosecond.
    pub(crate) fn fine(&mut self, t_ns: i64) -> LocalTime {
        LocalTime::from_nanos(self.exact(t_ns))
    }

    /// The first true moment at which the counter shows this or more.
    pub fn when(&mut self, local: LocalTime) -> i64 {
        let resolution = self.oscillator.resolution_ns.max(1);
        let wanted = local.as_nanos().saturating_add(resolution - 1);
        let wanted = wanted - wanted.rem_euclid(resolution);
        let latest = self.oscillator.origin_ns + FURTHEST_NS;
        if wanted >= latest {
            return FURTHEST_NS;
        }
        // Between two freezes the counter leaves nothing out.
        let (mut from_ns, mut to_ns) = (0, FURTHEST_NS);
        for place in 0..self.oscillator.freezes.len() {
            let freeze = self.oscillator.freezes[place];
            if self.exact(freeze.from_ns) >= wanted {
                to_ns = freeze.from_ns;
                break;
            }
            from_ns = freeze.to_ns;
            if self.exact(from_ns) >= wanted {
                return from_ns;
            }
        }
        let mut t_ns = from_ns + (wanted - self.exact(from_ns)).max(0);
        // Each round of Newton's method gains three digits; then sleeps are stepped over.
        for _ in 0..8 {
            t_ns = t_ns.clamp(from_ns, to_ns);
            let short = wanted - self.exact(t_ns);
            if short.abs() < 4 {
                break;
            }
            t_ns += short;
        }
        t_ns = t_ns.clamp(from_ns, to_ns);
        while self.exact(t_ns) < wanted {
            let stop = self.stops().find(|(from, to)| (*from..*to).contains(&t_ns));
            t_ns = match stop {
                Some((_, to)) => to,
                None => t_ns + (wanted - self.exact(t_ns)).max(1),
            };
        }
        while t_ns > from_ns && self.exact(t_ns - 1) >= wanted {
            let ahead = self.exact(t_ns - 1) - wanted;
            t_ns -= 1 + ahead - ahead / 1_000;
        }
        t_ns.max(0)
    }

    /// Frequency less one at a true moment.
    pub fn rate(&mut self, t_ns: i64) -> f64 {
        let run_ns = self.running(t_ns);
        self.reach((run_ns / SECOND_NS) as usize);
        self.rate[(run_ns / SECOND_NS) as usize]
    }

    fn exact(&mut self, t_ns: i64) -> i64 {
        let run_ns = self.running(t_ns);
        let (second, rest) = ((run_ns / SECOND_NS) as usize, run_ns % SECOND_NS);
        self.reach(second);
        let ahead = self.ahead_ns[second] + self.rate[second] * rest as f64;
        let jumped = |freeze: &Freeze| if t_ns >= freeze.to_ns { freeze.jump_ns } else { 0 };
        let jumped: i64 = self.oscillator.freezes.iter().map(jumped).sum();
        self.oscillator.origin_ns + run_ns + jumped + libm::floor(ahead) as i64
    }

    /// True time during which the counter ran.
    pub(crate) fn running(&self, t_ns: i64) -> i64 {
        let stood: i64 = self.stops().map(|(from, to)| (t_ns.min(to) - from).max(0)).sum();
        (t_ns - stood).max(0)
    }

    /// When the counter stands still.
    fn stops(&self) -> impl Iterator<Item = (i64, i64)> {
        let sleeps = self.oscillator.sleeps.iter().map(|sleep| (sleep.from_ns, sleep.to_ns));
        sleeps.chain(self.oscillator.freezes.iter().map(|freeze| (freeze.from_ns, freeze.to_ns)))
    }

    fn reach(&mut self, second: usize) {
        while self.rate.len() <= second {
            let now = self.rate.len();
            let rate = self.draw(now as f64);
            self.rate.push(rate);
            self.ahead_ns.push(self.ahead_ns[now] + rate * SECOND_NS as f64);
        }
    }

    fn draw(&mut self, now_s: f64) -> f64 {
        let mut ppm = 0.0;
        for (part, walk) in self.oscillator.parts.iter().zip(&mut self.walks) {
            ppm += match *part {
                Part::Constant { ppm } => ppm,
                Part::White { ppb } => ppb * 1e-3 * self.dice.noise(),
                Part::Walk { ppb, limit_ppm } => {
                    *walk += ppb * 1e-3 * self.dice.noise();
                    *walk = walk.clamp(-limit_ppm, limit_ppm);
                    *walk
                }
                Part::Swing { ppm, period_s, phase } => {
                    ppm * libm::cos(std::f64::consts::TAU * (now_s / period_s + phase))
                }
                Part::Ramp { at_s, over_s, ppm } => {
                    if now_s < at_s {
                        0.0
                    } else if now_s >= at_s + over_s {
                        ppm
                    } else {
                        ppm * (now_s - at_s) / over_s
                    }
                }
            };
        }
        ppm * 1e-6
    }
}

/// Moments beyond a year are all the same: never.
const FURTHEST_NS: i64 = 366 * 86_400 * SECOND_NS;

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(resolution_ns: i64, sleeps: Vec<Sleep>) -> Counter {
        let parts = vec![
            Part::Constant { ppm: -170.0 },
            Part::White { ppb: 20.0 },
            Part::Walk { ppb: 3.0, limit_ppm: 2.0 },
            Part::Swing { ppm: 2.0, period_s: 86_400.0, phase: 0.2 },
            Part::Ramp { at_s: 100.0, over_s: 120.0, ppm: 4.0 },
        ];
        let origin_ns = 5_000_000_123;
        let freezes = Vec::new();
        let oscillator = Oscillator { parts, origin_ns, resolution_ns, sleeps, freezes };
        Counter::new(&oscillator, 7)
    }

    #[test]
    fn a_counter_never_runs_backwards_and_keeps_its_frequency() {
        let mut c = counter(1, Vec::new());
        let mut last = c.local(0);
        for t in (0..2_000_000_000_i64).step_by(7_777_777).chain([3_600 * SECOND_NS]) {
            let now = c.local(t);
            assert!(now >= last);
            last = now;
        }
        let ran = (last - c.local(0)).as_nanos() - 3_600 * SECOND_NS;
        let ppm = ran as f64 / 3.6e6;
        assert!((-170.0..-160.0).contains(&ppm), "{ppm}");
    }

    #[test]
    fn when_is_the_first_moment_at_which_the_counter_shows_it() {
        let sleep = Sleep { from_ns: 50 * SECOND_NS, to_ns: 90 * SECOND_NS };
        for resolution in [1, 100_000, 1_000_000] {
            let mut c = counter(resolution, vec![sleep]);
            for i in 0..2_000_i64 {
                let local = LocalTime::from_nanos(5_000_000_123 + i * 77_123_457);
                let t = c.when(local);
                assert!(c.local(t) >= local, "{local:?} at {t}");
                assert!(t == 0 || c.local(t - 1) < local, "{local:?} at {t}");
            }
            assert_eq!(c.when(LocalTime::MAX), FURTHEST_NS);
        }
    }

    #[test]
    fn a_frozen_counter_goes_on_where_it_stood_or_further_and_when_it_shows_it_is_known() {
        let freeze = |from_s: i64, to_s: i64, jump_s: i64| Freeze {
            from_ns: from_s * SECOND_NS,
            to_ns: to_s * SECOND_NS,
            jump_ns: jump_s * SECOND_NS,
            noticed: false,
        };
        let mut c = counter(1, Vec::new());
        c.oscillator.freezes =
            vec![freeze(50, 9_000, 0), freeze(9_100, 9_101, 70_000), freeze(9_150, 9_160, 40)];
        let before = c.local(50 * SECOND_NS);
        assert_eq!(c.local(9_000 * SECOND_NS), before);
        assert!(c.local(9_102 * SECOND_NS) > before + ntp_clock_core::Span::from_secs(70_000));
        for i in 0..2_000_i64 {
            let local = before + ntp_clock_core::Span::from_nanos(i * 77_123_457 - 9_000_000_000);
            let t = c.when(local);
            assert!(c.local(t) >= local, "{local:?} at {t}");
            assert!(t == 0 || c.local(t - 1) < local, "{local:?} at {t}");
        }
        // What it leaves out it shows when it goes on.
        let left_out = before + ntp_clock_core::Span::from_secs(30_000);
        assert_eq!(c.when(left_out), 9_101 * SECOND_NS);
        assert_eq!(c.when(before), c.when(before - ntp_clock_core::Span::from_nanos(1)) + 1);
    }

    #[test]
    fn a_sleeping_counter_stands_still() {
        let sleep = Sleep { from_ns: SECOND_NS, to_ns: 10 * SECOND_NS };
        let mut c = counter(1, vec![sleep]);
        assert_eq!(c.local(SECOND_NS), c.local(10 * SECOND_NS));
        assert!(c.local(11 * SECOND_NS) > c.local(10 * SECOND_NS));
    }
}
