//! How long a packet takes one way: a fixed part and random ones, all added up.
//!
//! As text, terms joined by `+`, each kind at most once:
//!
//! ```text
//! 10ms + exp 2ms + uniform 1ms + pareto 1ms 1.5 cap 500ms
//! 10ms + lognormal 3ms 0.8 cap 500ms + burst 140ms on 2s off 10s
//! ```

use std::str::FromStr;
use std::time::Duration;

use fastrand::Rng;

use crate::error::ParseError;
use crate::text::{self, Words};

/// One-way delay of a packet: the sum of its parts, at most a day.
///
/// ```
/// use std::time::Duration;
/// use ntp_test_server::{Burst, Delay};
/// let ms = Duration::from_millis;
/// let uplink = Delay::fixed(ms(10))
///     .with_exponential(ms(2))
///     .with_burst(Burst { extra: ms(140), on_mean: ms(2_000), off_mean: ms(10_000) });
/// assert_eq!("10ms + exp 2ms + burst 140ms on 2s off 10s".parse(), Ok(uplink));
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct Delay {
    /// Always there.
    pub fixed: Duration,
    /// Mean of an exponential part; zero for none.
    pub exponential_mean: Duration,
    /// Greatest value of a part spread evenly from 0; zero for none.
    pub uniform_max: Duration,
    /// A part that is rarely, but then very, long.
    pub tail: Option<Tail>,
    /// A part that comes and goes, as a busy uplink does.
    pub burst: Option<Burst>,
}

/// A heavy-tailed part of a delay.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Tail {
    /// At least `scale`, more than x with probability (scale/x)^shape, cut off at `cap`.
    Pareto {
        /// The least value.
        scale: Duration,
        /// The smaller, the heavier; below 1 even the mean is infinite (but for the cap).
        shape: f64,
        /// The greatest value.
        cap: Duration,
    },
    /// Half of the values are below `median`, their logarithms are normal with standard deviation
    /// `sigma`, and none exceeds `cap`.
    LogNormal {
        /// The middle value.
        median: Duration,
        /// Standard deviation of the natural logarithm; 1 is heavy already.
        sigma: f64,
        /// The greatest value.
        cap: Duration,
    },
}

/// A two-state process, off at first: while on, every packet takes `extra` longer. Both states last
/// exponentially distributed times (at least a millisecond).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Burst {
    /// How much longer packets take while it is on.
    pub extra: Duration,
    /// Mean time that it stays on.
    pub on_mean: Duration,
    /// Mean time that it stays off.
    pub off_mean: Duration,
}

impl Delay {
    /// No delay at all.
    pub const NONE: Delay = Delay::fixed(Duration::ZERO);

    /// Always the same delay.
    #[must_use]
    pub const fn fixed(fixed: Duration) -> Self {
        Delay {
            fixed,
            exponential_mean: Duration::ZERO,
            uniform_max: Duration::ZERO,
            tail: None,
            burst: None,
        }
    }

    /// With an exponential part of this mean.
    #[must_use]
    pub const fn with_exponential(mut self, mean: Duration) -> Self {
        self.exponential_mean = mean;
        self
    }

    /// With a part spread evenly from 0 to `max`.
    #[must_use]
    pub const fn with_uniform(mut self, max: Duration) -> Self {
        self.uniform_max = max;
        self
    }

    /// With a heavy tail.
    #[must_use]
    pub const fn with_tail(mut self, tail: Tail) -> Self {
        self.tail = Some(tail);
        self
    }

    /// With bursts.
    #[must_use]
    pub const fn with_burst(mut self, burst: Burst) -> Self {
        self.burst = Some(burst);
        self
    }

    /// The delay of one packet, given whether the burst is on.
    pub(crate) fn draw(&self, rng: &mut Rng, burst_on: bool) -> Duration {
        let mut secs = exponential(rng) * self.exponential_mean.as_secs_f64();
        secs += rng.f64() * self.uniform_max.as_secs_f64();
        secs += self.tail.map_or(0.0, |tail| tail.draw_secs(rng));
        let extra = self.burst.filter(|_| burst_on).map_or(Duration::ZERO, |burst| burst.extra);
        // Below a day before each sum, so that neither the sums nor the conversion can overflow.
        let random = Duration::from_secs_f64(secs.clamp(0.0, MAX.as_secs_f64()));
        (self.fixed.min(MAX) + random + extra.min(MAX)).min(MAX)
    }
}

impl Tail {
    fn draw_secs(self, rng: &mut Rng) -> f64 {
        let (secs, cap) = match self {
            Tail::Pareto { scale, shape, cap } => {
                (scale.as_secs_f64() * (exponential(rng) / shape).exp(), cap)
            }
            Tail::LogNormal { median, sigma, cap } => {
                (median.as_secs_f64() * (sigma * standard_normal(rng)).exp(), cap)
            }
        };
        // `min` also turns the NaN of an absurd shape into the cap.
        secs.min(cap.as_secs_f64())
    }
}

/// Where a [`Burst`] is in its course.
#[derive(Debug)]
pub(crate) struct BurstProcess {
    rng: Rng,
    of: Option<Burst>,
    on: bool,
    until: Duration,
}

impl BurstProcess {
    pub(crate) fn new(rng: Rng) -> Self {
        BurstProcess { rng, of: None, on: false, until: Duration::ZERO }
    }

    /// Whether the burst is on at a time (since start) that never goes back. Another burst than
    /// the last time begins afresh.
    pub(crate) fn is_on(&mut self, burst: Option<Burst>, now: Duration) -> bool {
        if self.of != burst {
            self.of = burst;
            self.on = false;
            self.until = now + self.sojourn(burst.map(|b| b.off_mean));
        }
        let Some(burst) = burst else { return false };
        while self.until <= now {
            self.on = !self.on;
            let mean = if self.on { burst.on_mean } else { burst.off_mean };
            let stays = self.sojourn(Some(mean));
            self.until += stays;
        }
        self.on
    }

    fn sojourn(&mut self, mean: Option<Duration>) -> Duration {
        let mean = mean.map_or(0.0, |mean| mean.as_secs_f64());
        let secs = exponential(&mut self.rng) * mean;
        Duration::from_secs_f64(secs.clamp(SOJOURN_MIN.as_secs_f64(), MAX.as_secs_f64()))
    }
}

/// Exponentially distributed with mean 1.
fn exponential(rng: &mut Rng) -> f64 {
    // 1 - [0, 1) is never 0, so the logarithm is finite.
    -(1.0 - rng.f64()).ln()
}

/// Box and Muller's transform, one of its two values.
fn standard_normal(rng: &mut Rng) -> f64 {
    let radius = (2.0 * exponential(rng)).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

impl FromStr for Delay {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut delay = Delay::NONE;
        let mut seen: Vec<&str> = Vec::new();
        for term in text.split('+') {
            let mut words = Words::new(term);
            let first = words.expect("a delay such as 10ms or 10ms + exp 2ms")?;
            let kind = match first {
                "exp" => {
                    delay.exponential_mean = text::duration(words.expect("a mean after exp")?)?;
                    first
                }
                "uniform" => {
                    delay.uniform_max = text::duration(words.expect("a maximum after uniform")?)?;
                    first
                }
                "pareto" | "lognormal" => {
                    delay.tail = Some(parse_tail(first, &mut words)?);
                    "tail"
                }
                "burst" => {
                    delay.burst = Some(parse_burst(&mut words)?);
                    first
                }
                _ => {
                    delay.fixed = text::duration(first)?;
                    "fixed"
                }
            };
            words.finish()?;
            if seen.contains(&kind) {
                return Err(ParseError::Extra(term.trim().to_owned()));
            }
            seen.push(kind);
        }
        Ok(delay)
    }
}

fn parse_tail(kind: &str, words: &mut Words<'_>) -> Result<Tail, ParseError> {
    let size = text::duration(words.expect("a size after pareto or lognormal")?)?;
    let form = words.expect("a shape or sigma")?;
    let form_number = text::finite(form)?;
    if form_number <= 0.0 {
        return Err(text::value("a number above 0", form));
    }
    if !words.take("cap") {
        return Err(ParseError::Missing("'cap DURATION'"));
    }
    let cap = text::duration(words.expect("a duration after cap")?)?;
    Ok(match kind {
        "pareto" => Tail::Pareto { scale: size, shape: form_number, cap },
        _ => Tail::LogNormal { median: size, sigma: form_number, cap },
    })
}

fn parse_burst(words: &mut Words<'_>) -> Result<Burst, ParseError> {
    let extra = text::duration(words.expect("the extra delay after burst")?)?;
    if !words.take("on") {
        return Err(ParseError::Missing("'on DURATION off DURATION'"));
    }
    let on_mean = text::duration(words.expect("a duration after on")?)?;
    if !words.take("off") {
        return Err(ParseError::Missing("'off DURATION'"));
    }
    let off_mean = text::duration(words.expect("a duration after off")?)?;
    Ok(Burst { extra, on_mean, off_mean })
}

/// No packet is under way for longer than this.
const MAX: Duration = Duration::from_secs(86_400);
/// Bounds how often a burst flips while nobody looks.
const SOJOURN_MIN: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn sample(delay: Delay) -> Vec<Duration> {
        let mut rng = Rng::with_seed(3);
        (0..10_000).map(|_| delay.draw(&mut rng, false)).collect()
    }

    fn mean_ms(samples: &[Duration]) -> f64 {
        samples.iter().map(|d| d.as_secs_f64() * 1e3).sum::<f64>() / samples.len() as f64
    }

    #[test]
    fn no_delay_is_exactly_zero() {
        assert!(sample(Delay::NONE).iter().all(Duration::is_zero));
    }

    #[test]
    fn random_parts_come_on_top_of_the_fixed_one_with_their_means() {
        let delay = Delay::fixed(ms(10)).with_exponential(ms(4)).with_uniform(ms(6));
        let samples = sample(delay);
        assert!(samples.iter().all(|d| *d >= ms(10)));
        assert!((mean_ms(&samples) - 17.0).abs() < 0.3, "{}", mean_ms(&samples));
    }

    #[test]
    fn tails_are_heavy_and_end_at_their_cap() {
        let pareto = Tail::Pareto { scale: ms(1), shape: 1.0, cap: ms(500) };
        let lognormal = Tail::LogNormal { median: ms(5), sigma: 2.0, cap: ms(500) };
        for tail in [pareto, lognormal] {
            let mut samples = sample(Delay::NONE.with_tail(tail));
            samples.sort();
            assert_eq!(samples[9_999], ms(500), "{tail:?}");
            assert!(samples[5_000] < ms(7), "{tail:?} has a median of {:?}", samples[5_000]);
        }
    }

    #[test]
    fn a_burst_is_on_for_its_share_of_time_and_repeats_with_the_seed() {
        let burst = Burst { extra: ms(140), on_mean: ms(100), off_mean: ms(300) };
        let course = |seed| -> Vec<bool> {
            let mut process = BurstProcess::new(Rng::with_seed(seed));
            (0..100_000).map(|n| process.is_on(Some(burst), ms(10 * n))).collect()
        };
        let on = course(1).iter().filter(|on| **on).count();
        assert!((22_000..28_000).contains(&on), "on in {on} of 100000 moments");
        assert_eq!(course(1), course(1));
        assert_ne!(course(1), course(2));
        let delay = Delay::fixed(ms(10)).with_burst(burst);
        let mut rng = Rng::with_seed(1);
        assert_eq!(delay.draw(&mut rng, true), ms(150));
        assert_eq!(delay.draw(&mut rng, false), ms(10));
    }

    #[test]
    fn absurd_delays_end_at_a_day_instead_of_overflowing() {
        let endless = Duration::MAX;
        let delay = Delay::fixed(endless)
            .with_exponential(endless)
            .with_uniform(endless)
            .with_tail(Tail::Pareto { scale: endless, shape: 0.0, cap: endless })
            .with_burst(Burst { extra: endless, on_mean: endless, off_mean: endless });
        assert_eq!(delay.draw(&mut Rng::with_seed(1), true), MAX);
    }

    #[test]
    fn delays_read_from_text() {
        let text = "10ms + exp 2ms + uniform 1ms + pareto 1ms 1.5 cap 500ms";
        let tail = Tail::Pareto { scale: ms(1), shape: 1.5, cap: ms(500) };
        let delay =
            Delay::fixed(ms(10)).with_exponential(ms(2)).with_uniform(ms(1)).with_tail(tail);
        assert_eq!(text.parse(), Ok(delay));
        let tail = Tail::LogNormal { median: ms(3), sigma: 0.8, cap: ms(500) };
        assert_eq!("lognormal 3ms 0.8 cap 500ms".parse(), Ok(Delay::NONE.with_tail(tail)));
    }

    #[test]
    fn broken_delays_are_refused() {
        for text in
            ["", "10", "10ms +", "exp", "1ms + 2ms", "pareto 1ms 0 cap 1s", "burst 1s on 1s", "-1s"]
        {
            assert!(text.parse::<Delay>().is_err(), "{text}");
        }
    }
}
