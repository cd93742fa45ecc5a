//! Feed-forward by minimum round trips: the best exchange of each round, and a frequency from two
//! of them.

use std::collections::VecDeque;

use ntp_clock_core::{LocalTime, Span, UnixTime};

use super::feed::{Fed, Method};
use super::{Feed, Sample};
use crate::candidate::{Answer, Candidate};

/// The published idea of feed-forward clocks (RADclock, ClockBound 3): pick the packets with the
/// smallest round trip out of windows, draw the slope through the best of the older and the best
/// of the newer half, hang the offset on the newest.
#[derive(Clone, Debug, Default)]
pub struct MinimumRtt {
    best: VecDeque<Sample>,
}

impl MinimumRtt {
    /// One that has seen nothing.
    #[must_use]
    pub fn fed() -> impl Candidate {
        Fed::new(Feed::BestOfRound, MinimumRtt::default())
    }

    /// Frequency and the error that it claims.
    fn slope(&self) -> (f64, f64) {
        let half = self.best.len().div_ceil(2);
        let floor = self.best.iter().map(|s| s.delay_ns).fold(f64::INFINITY, f64::min);
        let best_of = |samples: &mut dyn Iterator<Item = &Sample>| {
            samples.min_by(|a, b| a.delay_ns.total_cmp(&b.delay_ns)).copied()
        };
        let (Some(old), Some(new)) =
            (best_of(&mut self.best.iter().take(half)), best_of(&mut self.best.iter().skip(half)))
        else {
            return (0.0, UNKNOWN_RATE);
        };
        let between = (new.local_ns - old.local_ns) as f64;
        let excess = (old.delay_ns + new.delay_ns) / 2.0 - floor;
        let claimed = (excess + STAMP_NOISE_NS) / between;
        ((new.offset_ns - old.offset_ns) as f64 / between, claimed + FREQUENCY_FLOOR)
    }
}

impl Method for MinimumRtt {
    fn name(_feed: Feed) -> &'static str {
        "min-rtt"
    }

    fn take(&mut self, sample: Sample) {
        if let Some(last) = self.best.back()
            && sample.local_ns - last.local_ns < SAME_ROUND_NS
        {
            if sample.delay_ns < last.delay_ns {
                self.best.pop_back();
                self.best.push_back(sample);
            }
            return;
        }
        if self.best.len() == WINDOW {
            self.best.pop_front();
        }
        self.best.push_back(sample);
    }

    fn forget(&mut self) {
        self.best.clear();
    }

    fn answer(&self, at: LocalTime) -> Option<Answer> {
        let newest = self.best.back()?;
        let (rate, rate_error) = self.slope();
        let age_ns = at.as_nanos() - newest.local_ns;
        let floor = self.best.iter().map(|s| s.delay_ns).fold(f64::INFINITY, f64::min);
        let shift = rate * age_ns as f64;
        let aging = rate_error * age_ns as f64;
        let est = (newest.delay_ns - floor) / 2.0 + STAMP_NOISE_NS + aging;
        Some(Answer {
            time: UnixTime::from_nanos(at.as_nanos() + newest.offset_ns + shift as i64),
            max_error: Span::from_nanos_f64_ceil(newest.delay_ns / 2.0 + newest.root_ns + aging),
            est_error: Span::from_nanos_f64_ceil(est),
            age: Span::from_nanos(age_ns),
        })
    }
}

/// Rounds that the slope is drawn over.
const WINDOW: usize = 16;
const SAME_ROUND_NS: i64 = 3_000_000_000;
/// While there is no slope.
const UNKNOWN_RATE: f64 = 100e-6;
const STAMP_NOISE_NS: f64 = 10_000.0;
/// What a crystal wanders while the slope is measured.
const FREQUENCY_FLOOR: f64 = 0.1e-6;
