//! The most probable offset and rate: rounds summarised by the path, followed by the filters.

use super::filter::{Bank, Measurement, RATE_UNKNOWN};
use super::path::{Change, Path};
use super::sample::{Sample, nanos};
use super::window::Window;
use crate::drift::RATE_MAX;
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

    /// Takes the round under way into account, all of it again; `fresh` where it has just begun.
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
        // A rate that is none makes the offset none, too.
        next.line().offset_ns.is_finite().then_some(next)
    }

    /// The offset at the line's moment is `offset_ns`, give or take `half_width_ns`, whatever the
    /// path.
    #[must_use]
    pub(super) fn corrected(&self, offset_ns: f64, half_width_ns: f64) -> Track {
        let mut next = self.clone();
        next.now.bank.correct(offset_ns, half_width_ns * half_width_ns / 3.0);
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
/// How much a round counts in what rounds have in common: a memory of four, for what the path tells
/// of itself changes slowly. It is in `est_error` only.
const COMMON_SHARE: f64 = 0.25;
/// From this probability on a jump is a fresh start. Jumps are sudden: it is near 0 or 1.
const JUMPED: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::super::rates::Rates;
    use super::*;
    use crate::mapping::tests::mapping;
    use std::format;

    const MINUTE_NS: i64 = 60_000_000_000;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-6 * b.abs()
    }

    /// An exchange of this offset above a minute, as wide as its delay.
    fn sample(mid_ns: i64, offset_ns: i64, delay_ns: i64) -> Sample {
        let (mid, delay) = (LocalTime::from_nanos(mid_ns), Span::from_nanos(delay_ns));
        let (offset, half) = (Span::from_nanos(MINUTE_NS + offset_ns), delay.half_ceil());
        Sample {
            t1: mid - half,
            t4: mid + half,
            upper: offset + half,
            lower: offset - half,
            mid,
            offset,
            delay,
        }
    }

    fn window(samples: &[Sample]) -> Window {
        let mut window = Window::new();
        for sample in samples {
            window.push(*sample, Rates::ANY);
        }
        window
    }

    /// Offset 0 and rate 0, known with these variances, on a path of a millisecond.
    fn known(offset_variance: f64, rate_variance: f64) -> Track {
        let first = sample(0, 0, 1_000_000);
        let path = Path::new().learn([first].iter(), 0.0).0;
        let bank = Bank::new(0.0, rate_variance, offset_variance);
        let stage = Stage { bank, path, at: first.mid, common: 0.0 };
        Track { zero: first.offset, before: stage, now: stage }
    }

    /// The track with another round, of one exchange.
    fn taken(track: &Track, sample: Sample) -> Track {
        track.with_round(&window(&[sample]), true, 0.0, 0.0).expect("sound")
    }

    #[test]
    fn before_its_first_round_a_track_knows_the_prior_rate_and_nothing_of_the_offset() {
        let first = sample(5_000, 40, 100);
        let prior = RatePrior { mean: 2e-6, variance: 9e-12 };
        let line = Track::new(&first, prior, Path::new()).line();
        assert_eq!((line.at, line.zero, line.offset_ns), (first.mid, first.offset, 0.0));
        assert!(near(line.rate, 2e-6) && near(line.variance[2], 9e-12));
        assert!(near(line.variance[0], 1e18) && line.variance[1] == 0.0 && !line.jumped);
        assert!(near(RatePrior::UNKNOWN.variance, 1e-8));
        assert!(near(line.variance[2], 9e-12));
    }

    #[test]
    fn a_track_goes_on_from_a_mappings_rate_and_variances() {
        let mapping = Mapping { variance: [400.0, 0.0, 1e-14], ..mapping() };
        let line = Track::resume(&Sample::from_mapping(&mapping), &mapping).line();
        assert_eq!((line.at, line.offset_ns), (mapping.anchor, 0.0));
        assert!(near(line.rate, 20e-6), "{line:?}");
        assert!(near(line.variance[0], 400.0) && near(line.variance[2], 1e-14), "{line:?}");
    }

    #[test]
    fn a_first_exchange_leaves_the_paths_variance_and_what_is_not_known_of_its_delay() {
        let first = sample(0, 0, 4_000_000);
        let new = Track::new(&first, RatePrior::UNKNOWN, Path::new());
        let track = taken(&new, first);
        let line = track.line();
        assert!(near(line.variance[2], 1e-8), "{line:?}");
        // Two looks, of a microsecond each; a 400th of the round trip by five, and a quarter of it.
        let (own, common) = (1e6 / 2.0, 2_000.0 + 1e6);
        assert!(near(line.variance[0], own + common * common), "{line:?}");
        assert!(near(track.now.common, common * common));
    }

    #[test]
    fn two_rounds_that_agree_show_the_rate_between_them() {
        let new = Track::new(&sample(0, 0, 1_000_000), RatePrior::UNKNOWN, Path::new());
        let once = taken(&new, sample(0, 0, 1_000_000));
        // 3 ms in 300 s are 10 ppm.
        let twice = taken(&once, sample(5 * MINUTE_NS, 3_000_000, 1_000_000));
        let line = twice.line();
        assert_eq!(line.at, LocalTime::from_nanos(5 * MINUTE_NS));
        assert!((line.rate - 10e-6).abs() < 0.01e-6, "{line:?}");
        assert!((line.offset_ns - 3e6).abs() < 1_000.0, "{line:?}");
        assert!(line.variance[2] < 1e-13 && !line.jumped, "{line:?}");
    }

    #[test]
    fn a_round_under_way_is_taken_again_whole_and_not_twice() {
        let track = known(1e12, 1e-12);
        let (a, b) =
            (sample(MINUTE_NS, 9_000, 1_000_000), sample(MINUTE_NS + 80_000_000, 7_000, 1_100_000));
        let first = taken(&track, a);
        let both = window(&[a, b]);
        let after_one = first.with_round(&both, false, 0.0, 0.0).expect("sound");
        let at_once = track.with_round(&both, true, 0.0, 0.0).expect("sound");
        assert_eq!(format!("{after_one:?}"), format!("{at_once:?}"));
        // Both count, the faster one for more, and the moment is where they weigh.
        let offset = at_once.line().offset_ns;
        assert!((8_000.0..9_000.0).contains(&offset), "{offset}");
        let at = at_once.line().at - a.mid;
        assert!(at > Span::ZERO && at < b.mid - a.mid, "{at:?}");
    }

    #[test]
    fn a_round_counts_by_what_it_may_be_off_and_by_its_doubt() {
        // Offset known within 2 ms, and the round within as much: half of it.
        let track = known(4e12, 0.0);
        let round = window(&[sample(MINUTE_NS, 8_000, 1_000_000)]);
        let half = track.with_round(&round, true, 0.0, 2e6).expect("sound");
        assert!((half.line().offset_ns - 4_000.0).abs() < 5.0, "{:?}", half.line());
        // Slower by 2 ms than the path, its detour is as much, and its two looks scatter by 0.12 of
        // that squared: 4 / (4 + 4 + 0.24).
        let slow = taken(&track, sample(MINUTE_NS, 8_000, 3_000_000));
        assert!((slow.line().offset_ns - 8_000.0 / 2.06).abs() < 5.0, "{:?}", slow.line());
    }

    #[test]
    fn what_rounds_have_in_common_follows_them_by_a_quarter_but_for_slow_ones() {
        let mut track = known(1e12, 0.0);
        track.now.common = 8e12;
        let usual = sample(MINUTE_NS, 0, 1_000_000);
        let learnt = track.now.path.learn([usual].iter(), 0.0).0;
        let its = learnt.summarise([usual].iter(), &usual, 0.0, 0.0).common;
        let next = taken(&track, usual);
        assert!(its > 0.0 && near(next.now.common, 0.75 * 8e12 + 0.25 * its));
        assert!(near(
            next.line().variance[0] - next.now.bank.mixture().variance[0],
            next.now.common
        ));
        let slow = taken(&track, sample(MINUTE_NS, 0, 9_000_000));
        assert_eq!(slow.now.common, 8e12);
    }

    #[test]
    fn a_jump_is_as_wide_as_half_an_exchange() {
        let track = known(1e6, 0.0);
        let jumped = Sample {
            upper: Span::from_nanos(MINUTE_NS + 50_001_000),
            lower: Span::from_nanos(MINUTE_NS + 49_999_000),
            ..sample(0, 50_000_000, 1_000_000)
        };
        let line = taken(&track, jumped).line();
        // 1e6 and the square of 1,000 against the two looks' 5e5: four fifths.
        assert!(line.jumped && (line.offset_ns - 40e6).abs() < 1e3, "{line:?}");
    }

    /// Fourteen rounds on a path of a millisecond, then eight on one that takes half of one more on
    /// the way there. The last moment and the track.
    fn on_the_longer_path() -> (i64, Track) {
        let mut track = known(1e6, 1e-14);
        for round in 1..=14 {
            track = taken(&track, sample(round * 5 * MINUTE_NS, 0, 1_000_000));
        }
        for round in 15..=22 {
            track = taken(&track, sample(round * 5 * MINUTE_NS, 250_000, 1_500_000));
        }
        (23 * 5 * MINUTE_NS, track)
    }

    #[test]
    fn another_paths_bias_is_not_taken_for_time_and_ends_where_the_first_path_is_back() {
        let (now, longer) = on_the_longer_path();
        assert!(longer.line().offset_ns.abs() < 40_000.0, "{:?}", longer.line());
        let back = taken(&longer, sample(now, 0, 1_000_000));
        assert!(back.line().offset_ns.abs() < 3_000.0, "{:?}", back.line());
        assert!(back.now.bank.mixture().variance[0] < 1e6, "{:?}", back.line());
    }

    #[test]
    fn a_path_as_long_as_the_first_that_was_not_foreseen_is_another_one() {
        let (now, longer) = on_the_longer_path();
        let other = taken(&longer, sample(now, 400_000, 1_000_000));
        assert!(other.line().offset_ns.abs() < 120_000.0, "{:?}", other.line());
    }

    #[test]
    fn a_path_that_proves_shorter_soon_after_the_start_says_where_the_offset_is() {
        let track = known(1e6, 1e-14);
        let shorter = taken(&track, sample(5 * MINUTE_NS, 200_000, 500_000));
        let line = shorter.line();
        // The 250 us that it is shorter by, squared, against 1e6.
        assert!((line.offset_ns - 200_000.0).abs() < 4_000.0, "{line:?}");
    }

    #[test]
    fn a_correction_takes_the_offset_for_uniform_within_the_bound() {
        // A half width of 3,000 has a variance of 3e6, as much as is known.
        let line = known(3e6, 0.0).corrected(600.0, 3_000.0).line();
        assert!(near(line.offset_ns, 300.0) && near(line.variance[0], 1.5e6), "{line:?}");
    }

    #[test]
    fn a_rate_is_never_beyond_what_a_counter_may_have() {
        for sign in [-1.0, 1.0] {
            let mut track = known(1e6, 0.0);
            track.now.bank = Bank::new(sign * 0.01, 0.0, 1.0);
            assert_eq!(track.line().rate, sign * RATE_MAX);
        }
    }

    #[test]
    fn a_round_that_leaves_no_numbers_is_refused() {
        let mut track = known(1e6, 0.0);
        let round = window(&[sample(MINUTE_NS, 0, 1_000_000)]);
        for rate in [f64::NAN, f64::INFINITY, 1e300] {
            track.now.bank = Bank::new(rate, 1e-8, 1.0);
            assert!(track.with_round(&round, true, 0.0, 0.0).is_none(), "{rate}");
        }
        assert!(track.with_round(&Window::new(), true, 0.0, 0.0).is_none());
    }
}
