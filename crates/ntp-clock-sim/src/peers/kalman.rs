//! A two-state Kalman filter with adaptive process noise, after ntpd-rs's description of its
//! algorithm.

use std::collections::VecDeque;

use ntp_clock_core::{LocalTime, Span, UnixTime};

use super::feed::{Fed, Method};
use super::{Feed, Sample};
use crate::candidate::{Answer, Candidate};

/// Offset and frequency; measurement noise from the delay in excess of the window's smallest;
/// process noise that grows while innovations are larger than foreseen, and shrinks while they
/// are smaller.
#[derive(Clone, Debug)]
pub struct Kalman {
    delays: VecDeque<f64>,
    state: Option<State>,
    /// Wander of the frequency, squared parts per second.
    wander: f64,
    score: i32,
}

#[derive(Clone, Copy, Debug)]
struct State {
    local_ns: i64,
    /// Server's time less the counter.
    offset_ns: i64,
    /// What is below a nanosecond of it.
    fraction: f64,
    rate: f64,
    /// Covariance, in ns², ns and 1.
    p: [f64; 3],
    root_ns: f64,
}

impl Default for Kalman {
    fn default() -> Self {
        Kalman { delays: VecDeque::new(), state: None, wander: WANDER_FIRST, score: 0 }
    }
}

impl Kalman {
    /// One that has seen nothing.
    #[must_use]
    pub fn fed(feed: Feed) -> impl Candidate {
        Fed::new(feed, Kalman::default())
    }

    fn smallest_delay(&self) -> f64 {
        self.delays.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Innovations are to be as large as foreseen.
    fn adapt(&mut self, surprise: f64) {
        self.score += match surprise {
            s if s > 2.7 => 4,
            s if s > 0.45 => 0,
            _ => -1,
        };
        if self.score >= SCORE {
            self.wander = (self.wander * 4.0).min(WANDER_MOST);
            self.score = 0;
        } else if self.score <= -SCORE {
            self.wander = (self.wander / 4.0).max(WANDER_LEAST);
            self.score = 0;
        }
    }
}

impl State {
    fn advanced_to(mut self, local_ns: i64, wander: f64) -> State {
        let dt = (local_ns - self.local_ns).max(0) as f64;
        self.shift(self.rate * dt);
        let [p00, p01, p11] = self.p;
        // Wander is given per second, the axes are in nanoseconds.
        let q = wander * 1e-9;
        self.p = [
            p00 + 2.0 * dt * p01 + dt * dt * p11 + q * dt * dt * dt / 3.0,
            p01 + dt * p11 + q * dt * dt / 2.0,
            p11 + q * dt,
        ];
        self.local_ns = local_ns.max(self.local_ns);
        self
    }

    fn shift(&mut self, by_ns: f64) {
        let exact = self.fraction + by_ns;
        let whole = exact as i64;
        self.offset_ns += whole;
        self.fraction = exact - whole as f64;
    }
}

impl Method for Kalman {
    fn name(feed: Feed) -> &'static str {
        match feed {
            Feed::Every => "kalman",
            Feed::BestOfRound => "kalman-best",
        }
    }

    fn take(&mut self, sample: Sample) {
        if self.delays.len() == DELAYS {
            self.delays.pop_front();
        }
        self.delays.push_back(sample.delay_ns);
        let smallest = self.smallest_delay();
        let mean = self.delays.iter().sum::<f64>() / self.delays.len() as f64;
        let excess = (sample.delay_ns - smallest) / 2.0;
        let base = (mean - smallest) / 10.0 + STAMP_NOISE_NS;
        let noise = excess * excess + base * base;
        let Some(state) = self.state else {
            let first = sample.delay_ns / 4.0 + base;
            self.state = Some(State {
                local_ns: sample.local_ns,
                offset_ns: sample.offset_ns,
                fraction: 0.0,
                rate: 0.0,
                p: [first * first, 0.0, RATE_FIRST * RATE_FIRST],
                root_ns: sample.root_ns,
            });
            return;
        };
        let before = state.local_ns;
        let mut state = state.advanced_to(sample.local_ns, self.wander);
        state.root_ns = sample.root_ns;
        let [p00, p01, p11] = state.p;
        let innovation = (sample.offset_ns - state.offset_ns) as f64 - state.fraction;
        let total = p00 + noise;
        // Within a burst nothing wanders, so nothing is learnt about it.
        if sample.local_ns - before > BURST_NS {
            self.adapt(innovation * innovation / total);
        }
        let (k0, k1) = (p00 / total, p01 / total);
        state.shift(k0 * innovation);
        state.rate += k1 * innovation;
        state.p = [p00 * (1.0 - k0), p01 * (1.0 - k0), p11 - k1 * p01];
        self.state = Some(state);
    }

    fn forget(&mut self) {
        *self = Kalman::default();
    }

    fn answer(&self, at: LocalTime) -> Option<Answer> {
        let now = self.state?;
        let age = at.as_nanos() - now.local_ns;
        let state = now.advanced_to(at.as_nanos(), self.wander);
        let sd = state.p[0].max(0.0).sqrt();
        let max = self.smallest_delay() / 2.0 + state.root_ns + 3.0 * sd;
        Some(Answer {
            time: UnixTime::from_nanos(at.as_nanos() + state.offset_ns),
            max_error: Span::from_nanos_f64_ceil(max),
            est_error: Span::from_nanos_f64_ceil(sd),
            age: Span::from_nanos(age),
        })
    }
}

const DELAYS: usize = 32;
const BURST_NS: i64 = 3_000_000_000;
const STAMP_NOISE_NS: f64 = 1_000.0;
const RATE_FIRST: f64 = 50e-6;
/// (0.01 ppm)² each second at first.
const WANDER_FIRST: f64 = 1e-16;
const WANDER_LEAST: f64 = 1e-22;
const WANDER_MOST: f64 = 1e-13;
const SCORE: i32 = 8;
