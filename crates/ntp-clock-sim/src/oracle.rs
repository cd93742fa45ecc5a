//! What must hold at every reading, whatever the world.

use std::collections::VecDeque;
use std::fmt;

use ntp_clock_core::{Event, LocalTime, Mapping, Reading, Span, UnixTime};

use crate::duration::SECOND_NS;
use crate::sketch::Sketch;
use crate::statistics::Statistics;
use crate::world::{Family, Setup};

/// What the clock promises.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Promise {
    /// The truth is within `max_error` of the reading.
    TruthWithinBound,
    /// Errors are numbers, `est_error` is not more than `max_error`.
    SaneErrors,
    /// Readings of one epoch never decrease.
    NeverBackwards,
    /// A reading gains on the counter, slewing, by no more than the limit.
    SlewLimit,
    /// No more than 8 packets in 8 s.
    Polite,
    /// Synchronised again within the stated time after a fault.
    Recovers,
    /// The driver is not kept busy.
    Idle,
    /// Counters that stopped together without notice begin a new epoch at the next round.
    Notices,
}

/// A promise that was broken, and where.
#[derive(Clone, PartialEq, Debug)]
pub struct Violation {
    /// The world's family.
    pub family: Family,
    /// Its seed.
    pub seed: u64,
    /// True nanoseconds since the world's beginning.
    pub t_ns: i64,
    /// What was promised.
    pub promise: Promise,
    /// The reading, where it is about one.
    pub reading: Option<Reading>,
    /// The truth.
    pub truth: UnixTime,
    /// What happened instead.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { family, seed, promise, truth, detail, .. } = self;
        let t_s = self.t_ns as f64 / SECOND_NS as f64;
        write!(f, "{promise:?} broken in world {family}, seed {seed}, at {t_s:.3} s: {detail}")?;
        if let Some(reading) = &self.reading {
            write!(
                f,
                "; reading {} ± {:.6} ms, epoch {}",
                reading.time(),
                reading.max_error().as_millis_f64(),
                reading.epoch()
            )?;
        }
        write!(f, "; truth {truth}")
    }
}

/// Watches one run.
#[derive(Debug)]
pub(crate) struct Oracle<'a> {
    setup: &'a Setup,
    violations: Vec<Violation>,
    /// Broken promises, those not kept in `violations` included.
    pub(crate) broken: u64,
    pub(crate) reads: u64,
    last: Option<(LocalTime, Reading, Mapping)>,
    /// Successful rounds in this epoch.
    rounds: u32,
    sends: VecDeque<LocalTime>,
    /// Since when there has been no reading, faults apart.
    silent_since: Option<i64>,
    reported_silence: bool,
    /// Since when nobody on the machine can know that its counters had stopped.
    blind_since: Option<i64>,
    reported_blind: bool,
    /// How long each of these times lasted, and readings in them with the truth outside the bound.
    blind: Sketch,
    blind_misses: u64,
}

impl<'a> Oracle<'a> {
    pub(crate) fn new(setup: &'a Setup) -> Self {
        Oracle {
            setup,
            violations: Vec::new(),
            broken: 0,
            reads: 0,
            last: None,
            rounds: 0,
            sends: VecDeque::new(),
            silent_since: None,
            reported_silence: false,
            blind_since: None,
            reported_blind: false,
            blind: Sketch::default(),
            blind_misses: 0,
        }
    }

    pub(crate) fn finish(self, statistics: &mut Statistics) -> (Vec<Violation>, u64, u64) {
        (statistics.blind, statistics.blind_misses) = (self.blind, self.blind_misses);
        (self.violations, self.broken, self.reads)
    }

    /// The counters had stopped, and nobody said so.
    pub(crate) fn went_blind(&mut self, t_ns: i64) {
        self.blind_since.get_or_insert(t_ns);
    }

    /// Whether nobody on the machine can know that its counters had stopped.
    pub(crate) fn is_blind(&self) -> bool {
        self.blind_since.is_some()
    }

    /// It must show at the next round, which is a poll away, with what its replies take.
    fn check_blindness(&mut self, t_ns: i64) {
        let Some(since) = self.blind_since else { return };
        let longest_ns = self.setup.poll_interval.as_nanos() + NOTICED_NS;
        if t_ns - since > longest_ns && !self.reported_blind {
            self.reported_blind = true;
            let detail = format!("counters had stopped {} s ago", (t_ns - since) / SECOND_NS);
            self.broke(Promise::Notices, t_ns, None, detail);
        }
    }

    /// A reading of the real engine's mapping.
    pub(crate) fn read(&mut self, mapping: Option<&Mapping>, local: LocalTime, t_ns: i64) {
        let answer = mapping.and_then(|mapping| Some((mapping, mapping.read(local)?)));
        self.check_silence(answer.is_some(), t_ns);
        self.check_blindness(t_ns);
        let Some((mapping, reading)) = answer else { return };
        self.reads += 1;
        self.check_reading(&reading, t_ns);
        if let Some((last_at, last, last_mapping)) = self.last {
            let gained = reading.time() - last.time();
            if last.epoch() == reading.epoch() && gained < Span::ZERO {
                let detail = format!("fell by {} ns", -gained.as_nanos());
                self.broke(Promise::NeverBackwards, t_ns, Some(reading), detail);
            }
            if last_mapping == *mapping {
                self.check_slew(local - last_at, gained, mapping, reading, t_ns);
            }
        }
        self.last = Some((local, reading, *mapping));
    }

    /// A moment that is over, asked for now.
    pub(crate) fn look_back(
        &mut self,
        mapping: &Mapping,
        local: LocalTime,
        t_ns: i64,
    ) -> Option<Reading> {
        let reading = mapping.read(local)?;
        self.reads += 1;
        self.check_reading(&reading, t_ns);
        Some(reading)
    }

    /// The promises about one reading by itself.
    pub(crate) fn check_reading(&mut self, reading: &Reading, t_ns: i64) {
        let (max, est) = (reading.max_error(), reading.est_error());
        if max < Span::ZERO || est < Span::ZERO || est > max {
            let detail = format!("max_error {max:?}, est_error {est:?}");
            self.broke(Promise::SaneErrors, t_ns, Some(*reading), detail);
        }
        let error = reading.time() - self.setup.truth(t_ns);
        if self.is_blind() {
            self.blind_misses += u64::from(error.abs() > max);
            return;
        }
        if error.abs() > max && self.setup.is_checked(t_ns) {
            let detail = format!(
                "{:.6} ms off, {:.6} ms claimed",
                error.as_millis_f64(),
                max.as_millis_f64()
            );
            self.broke(Promise::TruthWithinBound, t_ns, Some(*reading), detail);
        }
    }

    fn check_slew(
        &mut self,
        elapsed: Span,
        gained: Span,
        mapping: &Mapping,
        reading: Reading,
        t_ns: i64,
    ) {
        let elapsed_ns = elapsed.as_nanos() as f64;
        let straight = elapsed_ns * (1.0 + mapping.rate_ppm() * 1e-6);
        let slewed = (gained.as_nanos() as f64 - straight).abs();
        let limit = if self.rounds < 2 { SLEW_EARLY } else { SLEW };
        if slewed > elapsed_ns * limit + 3.0 {
            let detail = format!("slewed {slewed} ns in {elapsed:?}");
            self.broke(Promise::SlewLimit, t_ns, Some(reading), detail);
        }
    }

    fn check_silence(&mut self, readable: bool, t_ns: i64) {
        if readable || self.setup.is_excused(t_ns) {
            self.silent_since = None;
            self.reported_silence = false;
            return;
        }
        let since = *self.silent_since.get_or_insert(t_ns);
        if t_ns - since > self.setup.unlucky_ns && !self.reported_silence {
            self.reported_silence = true;
            let silent_s = (t_ns - since) / SECOND_NS;
            let detail = format!("no reading for {silent_s} s though nothing is wrong");
            self.broke(Promise::Recovers, t_ns, None, detail);
        }
    }

    pub(crate) fn event(&mut self, event: &Event, t_ns: i64) {
        match event {
            Event::Synchronised { .. } => self.rounds += 1,
            Event::EpochChanged { .. } => {
                self.rounds = 0;
                self.reported_blind = false;
                if let Some(since) = self.blind_since.take() {
                    self.blind.add((t_ns - since) as f64);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn sent(&mut self, at: LocalTime, t_ns: i64) {
        while self.sends.front().is_some_and(|first| at - *first >= WINDOW) {
            self.sends.pop_front();
        }
        self.sends.push_back(at);
        let n = self.sends.len();
        if n > PACKETS_IN_WINDOW {
            self.broke(Promise::Polite, t_ns, None, format!("{n} packets in {WINDOW:?}"));
        }
    }

    pub(crate) fn broke(
        &mut self,
        promise: Promise,
        t_ns: i64,
        reading: Option<Reading>,
        detail: String,
    ) {
        self.broken += 1;
        if self.violations.len() >= KEPT {
            return;
        }
        let truth = self.setup.truth(t_ns);
        let (family, seed) = (self.setup.family, self.setup.seed);
        self.violations.push(Violation { family, seed, t_ns, promise, reading, truth, detail });
    }
}

const SLEW: f64 = 500e-6;
/// Until the second round is done.
const SLEW_EARLY: f64 = 0.05;
/// Beyond a poll interval: what is left of the round under way, and attempts after lost replies.
const NOTICED_NS: i64 = 90 * SECOND_NS;
const WINDOW: Span = Span::from_secs(8);
const PACKETS_IN_WINDOW: usize = 8;
/// The first ones tell enough.
const KEPT: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(watch: impl FnOnce(&mut Oracle)) -> Vec<Promise> {
        let setup = Setup::draw(Family::Lan, 1);
        let mut oracle = Oracle::new(&setup);
        watch(&mut oracle);
        oracle
            .finish(&mut Statistics::default())
            .0
            .into_iter()
            .map(|violation| violation.promise)
            .collect()
    }

    /// A mapping that says so at every moment.
    fn says(setup: &Setup, off_ns: i64, max_error_ns: i64) -> Mapping {
        let time = setup.truth(0) + Span::from_nanos(off_ns);
        let reading = Reading::new(time, Span::from_nanos(max_error_ns), Span::ZERO, 1);
        Mapping::through(&reading, LocalTime::from_nanos(0))
    }

    #[test]
    fn a_bound_that_lies_by_a_nanosecond_is_caught() {
        let read = |off_ns| {
            broken(|oracle| {
                let mapping = says(oracle.setup, off_ns, 1_000);
                oracle.read(Some(&mapping), LocalTime::from_nanos(0), 0);
            })
        };
        assert_eq!(read(1_000), []);
        assert_eq!(read(-1_001), [Promise::TruthWithinBound]);
    }

    #[test]
    fn a_reading_that_falls_back_is_caught() {
        let promises = broken(|oracle| {
            for off_ns in [0, -1] {
                let mapping = says(oracle.setup, off_ns, 1_000);
                oracle.read(Some(&mapping), LocalTime::from_nanos(0), 0);
            }
        });
        assert_eq!(promises, [Promise::NeverBackwards]);
    }

    #[test]
    fn a_slew_beyond_the_limit_is_caught() {
        let promises = broken(|oracle| {
            let mut words = says(oracle.setup, 0, 1_000_000_000).to_words();
            // Half a millisecond left to slew, at 1000 ppm.
            (words[3], words[4]) = (500_000.0_f64.to_bits(), 1e-3_f64.to_bits());
            let mapping = Mapping::from_words(words);
            oracle.rounds = 2;
            for at_ns in [0, 100_000_000] {
                oracle.read(Some(&mapping), LocalTime::from_nanos(at_ns), at_ns);
            }
        });
        assert_eq!(promises, [Promise::SlewLimit]);
    }

    #[test]
    fn a_ninth_packet_in_eight_seconds_is_caught() {
        let send = |gap_ns: i64| {
            broken(|oracle| {
                (0..9).for_each(|i| oracle.sent(LocalTime::from_nanos(i * gap_ns), i * gap_ns));
            })
        };
        assert_eq!(send(1_000_000_000), []);
        assert_eq!(send(999_999_999), [Promise::Polite]);
    }

    #[test]
    fn silence_without_a_fault_is_caught_once() {
        let promises = broken(|oracle| {
            (0..100).for_each(|s| oracle.read(None, LocalTime::from_nanos(0), s * SECOND_NS));
        });
        assert_eq!(promises, [Promise::Recovers]);
    }
}
