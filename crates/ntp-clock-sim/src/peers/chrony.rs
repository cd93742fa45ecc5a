//! A weighted regression over recent exchanges, after chrony's documentation.

use std::collections::VecDeque;

use ntp_clock_core::{LocalTime, Span, UnixTime};

use super::feed::{Fed, Method};
use super::regression::{self, Line};
use super::{Feed, Sample};
use crate::candidate::{Answer, Candidate};

/// What chrony's manual describes, not its code: up to 64 samples; a line through them, weighted
/// by the delay in excess of the smallest; as many samples as the signs of the residuals look
/// random for, at least 6 (`sourcestats`: NP, NR); samples are refused whose delay is above the
/// smallest by more than ten times the offset's deviation (`maxdelaydevratio`); an asymmetry of
/// the jitter is found by regressing offset on delay, and corrected where it is near ±0.5
/// (`asymmetry`); the error is half the root delay, the root dispersion, and what skew and
/// `maxclockerror` add with age (`tracking`).
#[derive(Clone, Debug)]
pub struct Chrony {
    max_clock_error: f64,
    samples: VecDeque<Sample>,
    asymmetry_runs: u32,
    fit: Option<Fit>,
}

#[derive(Clone, Copy, Debug)]
struct Fit {
    /// Zero of both axes: the newest sample.
    local_ns: i64,
    offset_ns: i64,
    /// Offset there, relative.
    intercept: f64,
    slope: f64,
    intercept_sd: f64,
    /// 95 % bound on the frequency's error.
    skew: f64,
    residual_sd: f64,
    /// Half the best sample's delay and the server's own error.
    distance_ns: f64,
}

impl Chrony {
    /// One that has seen nothing; `maxclockerror` is in parts per million (chrony's default is 1).
    #[must_use]
    pub fn fed(feed: Feed, max_clock_error_ppm: f64) -> impl Candidate {
        Fed::new(feed, Chrony::unfed(max_clock_error_ppm * 1e-6))
    }

    fn unfed(max_clock_error: f64) -> Self {
        Chrony { max_clock_error, samples: VecDeque::new(), asymmetry_runs: 0, fit: None }
    }

    /// The delay test.
    fn is_too_slow(&self, sample: &Sample) -> bool {
        let Some(fit) = &self.fit else { return false };
        if self.samples.len() < SAMPLES_LEAST {
            return false;
        }
        let age = (sample.local_ns - fit.local_ns) as f64;
        let expected = fit.residual_sd + (fit.skew + self.max_clock_error) * age;
        sample.delay_ns - self.smallest_delay() > MAX_DELAY_DEV_RATIO * expected
    }

    fn smallest_delay(&self) -> f64 {
        self.samples.iter().map(|s| s.delay_ns).fold(f64::INFINITY, f64::min)
    }

    fn regress(&mut self, newest: &Sample) -> Fit {
        loop {
            let smallest = self.smallest_delay();
            let asymmetry = self.asymmetry(newest, smallest);
            let points = self.points(newest, smallest, asymmetry);
            let Some(line) = regression::line(&points) else {
                return self.unfitted(newest);
            };
            let runs = regression::sign_runs(&points, &line);
            if points.len() > SAMPLES_LEAST && runs < regression::fewest_runs(points.len()) {
                self.samples.pop_front();
                continue;
            }
            return self.fitted(newest, &line, points.len());
        }
    }

    fn points(&self, newest: &Sample, smallest: f64, asymmetry: f64) -> Vec<(f64, f64, f64)> {
        let count = self.samples.len() as f64;
        let spread = self.samples.iter().map(|s| s.delay_ns - smallest).sum::<f64>() / count;
        self.samples
            .iter()
            .map(|s| {
                let excess = s.delay_ns - smallest;
                // One mean excess of delay halves the trust in an offset.
                let sd = 1.0 + excess / spread.max(STAMP_NOISE_NS);
                let offset = (s.offset_ns - newest.offset_ns) as f64 - asymmetry * excess;
                ((s.local_ns - newest.local_ns) as f64, offset, 1.0 / (sd * sd))
            })
            .collect()
    }

    /// How much of an excess of delay is in the offset, where that is clear: near a half, several
    /// times in a row, the jitter is in one direction only.
    fn asymmetry(&mut self, newest: &Sample, smallest: f64) -> f64 {
        if self.samples.len() < SAMPLES_LEAST {
            return 0.0;
        }
        let plain = self.points(newest, smallest, 0.0);
        let Some(line) = regression::line(&plain) else { return 0.0 };
        let against: Vec<_> = self
            .samples
            .iter()
            .zip(&plain)
            .map(|(s, (x, y, _))| (s.delay_ns - smallest, y - line.intercept - line.slope * x, 1.0))
            .collect();
        let Some(slope) = regression::line(&against).map(|line| line.slope) else { return 0.0 };
        if slope.abs() < ASYMMETRY_CLEAR {
            self.asymmetry_runs = 0;
            return 0.0;
        }
        self.asymmetry_runs += 1;
        if self.asymmetry_runs < ASYMMETRY_RUNS { 0.0 } else { slope.clamp(-0.5, 0.5) }
    }

    fn unfitted(&self, newest: &Sample) -> Fit {
        let sd = newest.delay_ns / 4.0 + STAMP_NOISE_NS;
        Fit {
            local_ns: newest.local_ns,
            offset_ns: newest.offset_ns,
            intercept: 0.0,
            slope: 0.0,
            intercept_sd: sd,
            skew: UNKNOWN_SKEW,
            residual_sd: sd,
            distance_ns: newest.delay_ns / 2.0 + newest.root_ns,
        }
    }

    fn fitted(&self, newest: &Sample, line: &Line, count: usize) -> Fit {
        let best = self.samples.iter().min_by(|a, b| a.delay_ns.total_cmp(&b.delay_ns));
        let delay = best.map_or(newest.delay_ns, |best| best.delay_ns);
        Fit {
            local_ns: newest.local_ns,
            offset_ns: newest.offset_ns,
            intercept: line.intercept,
            slope: line.slope.clamp(-UNKNOWN_SKEW, UNKNOWN_SKEW),
            intercept_sd: line.intercept_sd,
            skew: (regression::student_95(count - 2) * line.slope_sd).min(UNKNOWN_SKEW),
            residual_sd: line.residual_sd.max(STAMP_NOISE_NS / 10.0),
            distance_ns: delay / 2.0 + newest.root_ns,
        }
    }
}

impl Method for Chrony {
    fn name(feed: Feed) -> &'static str {
        match feed {
            Feed::Every => "chrony",
            Feed::BestOfRound => "chrony-best",
        }
    }

    fn take(&mut self, sample: Sample) {
        if self.is_too_slow(&sample) {
            return;
        }
        if self.samples.len() == SAMPLES_MOST {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        self.fit = Some(self.regress(&sample));
    }

    fn forget(&mut self) {
        *self = Chrony::unfed(self.max_clock_error);
    }

    fn answer(&self, at: LocalTime) -> Option<Answer> {
        let fit = self.fit?;
        let age_ns = at.as_nanos() - fit.local_ns;
        let age = age_ns as f64;
        let shift = fit.intercept + fit.slope * age;
        let growth = (fit.skew + self.max_clock_error) * age.abs();
        let skew_sd = fit.skew / 2.0 * age;
        let est = (fit.intercept_sd * fit.intercept_sd + skew_sd * skew_sd).sqrt();
        let max = fit.distance_ns + fit.intercept_sd + growth;
        Some(Answer {
            time: UnixTime::from_nanos(at.as_nanos() + fit.offset_ns + shift as i64),
            max_error: Span::from_nanos_f64_ceil(max),
            est_error: Span::from_nanos_f64_ceil(est),
            age: Span::from_nanos(age_ns),
        })
    }
}

const SAMPLES_MOST: usize = 64;
const SAMPLES_LEAST: usize = 6;
const MAX_DELAY_DEV_RATIO: f64 = 10.0;
/// A slope beyond this is clear ...
const ASYMMETRY_CLEAR: f64 = 0.4;
/// ... once it was so often in a row.
const ASYMMETRY_RUNS: u32 = 6;
const STAMP_NOISE_NS: f64 = 1_000.0;
const UNKNOWN_SKEW: f64 = 500e-6;
