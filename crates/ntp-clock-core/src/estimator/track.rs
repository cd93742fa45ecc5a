//! The most probable offset and rate: rounds summarised by the path, followed by the filters.

use super::RATE_MAX;
use super::filter::{Bank, Measurement, RATE_UNKNOWN};
use super::path::{Change, Path};
use super::sample::{Sample, nanos};
use super::window::Window;
use crate::mapping::Mapping;
use crate::time::{LocalTime, Span};

/// What is known of the oscillator's rate before any sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct RatePrior {
    pub(super) mean: f64,
    pub(super) variance: f64,
}

impl RatePrior {
    /// Most oscillators are within 100 ppm.
    pub(super) const UNKNOWN: RatePrior =
        RatePrior { mean: 0.0, variance: RATE_UNKNOWN * RATE_UNKNOWN };
}

#[derive(Clone, Debug)]
pub(super) struct Track {
    /// Zero of the offset axis.
    zero: Span,
    /// Filters and path as they were before the round under way ...
    before: Stage,
    /// ... and with what it has brought so far.
    now: Stage,
}

#[derive(Clone, Copy, Debug)]
struct Stage {
    bank: Bank,
    path: Path,
    at: LocalTime,
    /// Variance of what the rounds' errors have in common, ns².
    common: f64,
}

/// Offset and rate at one moment, with their variances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) at: LocalTime,
    pub(super) zero: Span,
    pub(super) offset_ns: f64,
    pub(super) rate: f64,
    pub(super) variance: [f64; 3],
    pub(super) restlessness: f64,
    pub(super) jumped: bool,
}

impl Line {
    pub(super) fn rate_and_deviation(&self) -> (f64, f64) {
        (self.rate, libm::sqrt(self.variance[2].max(0.0)))
    }
}

impl Track {
    pub(super) fn new(first: &Sample, prior: RatePrior, path: Path) -> Self {
        let bank = Bank::new(prior.mean, prior.variance, OFFSET_UNKNOWN);
        let stage = Stage { bank, path, at: first.mid, common: 0.0 };
        Track { zero: first.offset, before: stage, now: stage }
    }

    pub(super) fn resume(sample: &Sample, mapping: &Mapping) -> Self {
        let [offset_variance, _, rate_variance] = mapping.variance;
        let bank = Bank::new(mapping.rate, rate_variance.max(0.0), offset_variance.max(0.0));
        let stage = Stage { bank, path: Path::new(), at: mapping.anchor, common: 0.0 };
        Track { zero: sample.offset, before: stage, now: stage }
    }

    pub(super) fn path(&self) -> Path {
        self.now.path
    }

    /// Takes the round under way into account, all of it anew; `fresh` where it has just begun.
    /// It may be off by `doubt_ns` besides. `None` where that leaves no line of finite numbers.
    #[must_use]
    pub(super) fn with_round(
        &self,
        window: &Window,
        fresh: bool,
        resolution_ns: f64,
        doubt_ns: f64,
    ) -> Option<Track> {
        let newest = window.newest()?;
        let mut next = self.clone();
        if fresh {
            next.before = self.now;
        }
        let round = window.round();
        let rate = next.before.bank.mixture().rate;
        let (mut path, change) = next.before.path.learn(round.clone(), rate);
        let summary = path.summarise(round, newest, rate, resolution_ns);
        let at = newest.mid + Span::from_nanos(summary.mid_ns as i64);
        let measurement = Measurement {
            dt_ns: nanos(at - next.before.at),
            offset_ns: nanos(newest.offset - self.zero) + summary.offset_ns,
            variance: summary.variance,
            detour: summary.detour * summary.detour + doubt_ns * doubt_ns,
            // The width of one exchange hides a jump of the server's.
            jump_ns: nanos(newest.upper - newest.lower) / 2.0,
        };
        let known = next.before.common;
        let common = if known == 0.0 {
            summary.common
        } else if summary.detour > 0.0 {
            // It hardly counts.
            known
        } else {
            known + COMMON_SHARE * (summary.common - known)
        };
        let mut bank = next.before.bank;
        match change {
            Change::None => {}
            Change::Other(by) => bank.path_changed(by),
            Change::Shorter(by) => bank.path_shortened(by),
            // Another path may be as long.
            Change::Back(_) if bank.foresaw(&measurement) => {
                path.restored();
                bank.path_restored();
            }
            Change::Back(by) => bank.path_changed(by),
        }
        next.now = Stage { bank: bank.step(&measurement), path, at, common };
        let line = next.line();
        let sound = line.offset_ns.is_finite() && line.rate.is_finite();
        sound.then_some(next)
    }

    /// The offset at the line's moment is `offset_ns`, give or take `half_width_ns`, whatever the
    /// path.
    #[must_use]
    pub(super) fn corrected(&self, offset_ns: f64, half_width_ns: f64) -> Track {
        let mut next = self.clone();
        next.now.bank.told(offset_ns, half_width_ns * half_width_ns / 3.0);
        next
    }

    pub(super) fn line(&self) -> Line {
        let mixture = self.now.bank.mixture();
        let [offset, both, rate] = mixture.variance;
        Line {
            at: self.now.at,
            zero: self.zero,
            offset_ns: mixture.offset_ns,
            rate: mixture.rate.clamp(-RATE_MAX, RATE_MAX),
            variance: [offset + self.now.common, both, rate],
            restlessness: mixture.restlessness,
            jumped: mixture.jumped > JUMPED,
        }
    }
}

/// A second: more than any exchange leaves open.
const OFFSET_UNKNOWN: f64 = 1e18;
/// How much a round counts in what rounds have in common.
const COMMON_SHARE: f64 = 0.25;
/// From this probability on a jump is told as a fresh start. Jumps are sudden: it is near 0 or 1.
const JUMPED: f64 = 0.9;
