//! What the path does to the exchanges: how offset errors follow from delays, and what a round's
//! exchanges say together.

use super::envelope::{Envelope, together};
use super::ratio::Ratio;
use super::sample::{Sample, nanos};
use super::window::ROUND;

/// How an exchange's offset error depends on its delay beyond the smallest.
///
/// Queueing in one direction alone shifts the offset by half of it; in both, it scatters it. Both
/// are learnt from exchanges of the same burst, between which the clock has not moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// Offset error per excess delay, of ordinary excess and of large.
    ordinary: Ratio,
    large: Ratio,
    /// What the middle one of a round's exchanges typically exceeds the fastest by, nanoseconds.
    typical_ns: f64,
    /// Smallest delays of the last rounds, newest last.
    minima: [f64; MINIMA],
    count: usize,
    /// Rounds since the first.
    rounds: u32,
    base_ns: f64,
    /// What that was when the path last changed to our knowledge.
    settled_ns: f64,
    /// By how much it was longer then than the one before.
    longer_ns: f64,
    /// Variance of the bias that paths before left behind, ns².
    left_behind: f64,
    /// Smallest delay of the path that biases are counted from: the first that was known well.
    reference_ns: f64,
}

/// What happened to the path with a round.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Change {
    None,
    /// It is another one, its delay so much different.
    Other(f64),
    /// Soon after the start it is shorter by so much than any known: until now it was another one,
    /// or a queue.
    Shorter(f64),
    /// Its delay, different by so much, is that of the path again that biases are counted from.
    Back(f64),
}

/// A round's exchanges put together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Summary {
    pub(super) offset_ns: f64,
    pub(super) mid_ns: f64,
    pub(super) variance: f64,
    /// By how much it may be off besides, having gone another way for all that is known: its
    /// excess over the path's delay. Zero where there is no sign of it.
    pub(super) detour: f64,
    /// Variance of the part of its error that other rounds share, ns²: what is not known of the
    /// path's smallest delay and of its slope.
    pub(super) common: f64,
}

impl Path {
    pub(super) const fn new() -> Self {
        Path {
            ordinary: Ratio::UNKNOWN,
            large: Ratio::UNKNOWN,
            typical_ns: 0.0,
            minima: [0.0; MINIMA],
            count: 0,
            rounds: 0,
            base_ns: 0.0,
            settled_ns: 0.0,
            longer_ns: 0.0,
            left_behind: 0.0,
            reference_ns: 0.0,
        }
    }

    /// Whether its shortest delay is more than what queues happened to leave.
    pub(super) fn is_known(&self) -> bool {
        self.rounds > KNOWN
    }

    /// Learns from the exchanges of a round that is over, or nearly so.
    pub(super) fn learn<'a>(
        &self,
        round: impl Iterator<Item = &'a Sample> + Clone,
        rate: f64,
    ) -> (Path, Change) {
        let mut next = *self;
        let Some(best) = round.clone().min_by_key(|s| s.delay) else { return (next, Change::None) };
        next.ordinary.fade();
        next.large.fade();
        let n = round.clone().count().min(ROUND);
        if n > 1 {
            let mut excess = [0.0; ROUND];
            for (slot, sample) in excess.iter_mut().zip(round.clone()) {
                *slot = nanos(sample.delay - best.delay);
            }
            excess[..n].sort_unstable_by(f64::total_cmp);
            // The first round is spread over more than one queue: most of it may have met one.
            let middle = excess[if self.rounds == 0 { n / 3 } else { n / 2 }];
            // Follows the median: a few rounds in a queue do not make the queue typical, and the
            // first rounds may have been in one.
            let down = if self.rounds < KNOWN { TYPICAL_STEP_EARLY } else { TYPICAL_STEP };
            next.typical_ns = if self.typical_ns == 0.0 {
                middle
            } else if middle > self.typical_ns {
                (self.typical_ns * TYPICAL_STEP).min(middle)
            } else {
                (self.typical_ns / down).max(middle)
            };
        }
        for sample in round.clone().filter(|sample| together(sample, best)) {
            let d = nanos(sample.delay - best.delay);
            if d <= TIMESTAMP_NOISE_NS {
                continue;
            }
            let ratio = (nanos(sample.offset - best.offset) / d).clamp(-1.0, 1.0);
            let half = next.typical_ns / 2.0;
            let weight = d * d / (d * d + half * half);
            let bin =
                if d < LARGE * next.typical_ns { &mut next.ordinary } else { &mut next.large };
            bin.add(ratio, weight);
        }
        let envelope = Envelope::of(round, best, rate);
        let change = next.follow(envelope.delay_ns);
        (next, change)
    }

    fn follow(&mut self, delay: f64) -> Change {
        let known = self.count;
        self.rounds = self.rounds.saturating_add(1);
        self.minima.rotate_left(1);
        self.minima[MINIMA - 1] = delay;
        self.count = (known + 1).min(MINIMA);
        if known == 0 {
            self.base_ns = delay;
            self.settled_ns = delay;
            self.reference_ns = delay;
            return Change::None;
        }
        let noise = self.noise();
        if delay < self.base_ns {
            let drop = self.base_ns - delay;
            let below_reference = self.reference_ns - delay;
            self.base_ns = delay;
            if drop > noise {
                self.leave_behind(1);
                self.longer_ns = 0.0;
            }
            if self.rounds <= KNOWN || drop > noise {
                self.settled_ns = delay;
            }
            if self.rounds <= KNOWN {
                self.reference_ns = self.reference_ns.min(delay);
                if below_reference > noise {
                    return Change::Shorter(below_reference);
                }
            }
            return if drop > noise { self.changed(drop, noise) } else { Change::None };
        }
        let settled = self.minima.iter().rev().take(SETTLED).copied();
        let highest = settled.clone().fold(0.0, f64::max);
        let level = settled.fold(f64::INFINITY, f64::min);
        let rise = level - self.base_ns;
        let alike = (2.0 * noise).min((rise / ALIKE).max(self.typical_ns));
        if self.count >= SETTLED && rise > noise && highest - level < alike {
            self.leave_behind(SETTLED);
            self.longer_ns = rise;
            self.base_ns = level;
            self.settled_ns = level;
            self.count = 1;
            return self.changed(rise, noise);
        }
        Change::None
    }

    fn changed(&self, by: f64, noise: f64) -> Change {
        let off = (self.base_ns - self.reference_ns).abs();
        if off <= noise { Change::Back(by) } else { Change::Other(by) }
    }

    /// Variance of the bias of a path that has changed by less than what shows at once: its
    /// smallest delay, the newest rounds apart, is not any more what it was.
    fn unnoticed(&self, newest: usize) -> f64 {
        if self.count < LEVEL + newest {
            return 0.0;
        }
        let last = self.minima.iter().rev().skip(newest).take(LEVEL).copied();
        let moved = (last.fold(f64::INFINITY, f64::min) - self.settled_ns).abs();
        let bias = (moved - self.typical_ns / UNNOTICED_PART).max(0.0) * UNNOTICED_SHARE;
        bias * bias
    }

    /// Before the path becomes another one, with the newest rounds.
    fn leave_behind(&mut self, newest: usize) {
        self.left_behind += self.unnoticed(newest);
    }

    /// What looks like a longer path may yet be a queue that has stood for some rounds.
    fn hesitation(&self) -> f64 {
        if self.count < MINIMA { self.longer_ns / (ALIKE * self.count.max(1) as f64) } else { 0.0 }
    }

    /// The path is the one again that all biases are counted from.
    pub(super) fn restored(&mut self) {
        self.left_behind = 0.0;
    }

    /// By how much a round's fastest exchange may exceed the base by chance.
    fn noise(&self) -> f64 {
        (NOISE_TYPICAL * self.typical_ns).max(self.base_ns * NOISE_SHARE).max(NOISE_MIN_NS)
    }

    /// Puts a round's exchanges together, relative to `reference`.
    pub(super) fn summarise<'a>(
        &self,
        round: impl Iterator<Item = &'a Sample> + Clone,
        reference: &Sample,
        rate: f64,
        resolution_ns: f64,
    ) -> Summary {
        let envelope = Envelope::of(round.clone(), reference, rate);
        let fastest = envelope.delay_ns;
        let base = if self.count == 0 { fastest } else { fastest.min(self.base_ns) };
        let n = round.clone().count() as f64;
        // While few exchanges are known, the fastest may be slow as well, by what is typical or by
        // chance, and half of that is offset. Of a single one nobody knows what part of its delay
        // was a queue: a quarter of it is about the deviation of an offset that is anywhere within
        // half a delay (0.29).
        let known = n + BURST * self.count as f64;
        let known_before = n + BURST * self.count.saturating_sub(1) as f64;
        let single = base / (4.0 * known_before);
        let doubt =
            (self.typical_ns / 2.0 + base / (2.0 / NOISE_SHARE)) / known + single / known_before;
        // Two stamps of a coarse counter, each uniform within it, make half their sum of offset.
        let floor = (TIMESTAMP_NOISE_NS * TIMESTAMP_NOISE_NS)
            .max(self.typical_ns * self.typical_ns / (FLOOR_PART * FLOOR_PART))
            + resolution_ns * resolution_ns / 24.0;
        let (mut weight, mut offset, mut mid, mut slope_doubt) = (0.0, 0.0, 0.0, 0.0);
        let mut take = |offset_ns: f64, mid_ns: f64, delay_ns: f64| {
            let excess = (delay_ns - base - resolution_ns).max(0.0);
            let bin = if excess < LARGE * self.typical_ns { &self.ordinary } else { &self.large };
            let w = 1.0 / (floor + (bin.scatter() + bin.doubt()) * excess * excess);
            weight += w;
            let share = w / weight;
            offset += (offset_ns - bin.slope() * excess - offset) * share;
            mid += (mid_ns - mid) * share;
            slope_doubt += (libm::sqrt(bin.doubt()) * excess - slope_doubt) * share;
        };
        take(envelope.offset_ns, envelope.mid_ns, envelope.delay_ns);
        for sample in round {
            let mid_ns = nanos(sample.mid - reference.mid);
            take(nanos(sample.offset - reference.offset), mid_ns, nanos(sample.delay));
        }
        // A round that is slow as a whole may have gone another way, of whose asymmetry nothing is
        // known yet.
        let slow = fastest - base;
        let detour = if slow > self.noise() { slow } else { self.hesitation() };
        let biases = self.unnoticed(0) + self.left_behind;
        let common = doubt * doubt + slope_doubt * slope_doubt + biases;
        Summary { offset_ns: offset, mid_ns: mid, variance: 1.0 / weight, detour, common }
    }
}

// Where a constant was chosen by simulation, what half and twice of it do to the error and to
// `est_error` stands in docs/ALGORITHM.md, "What the constants are worth".

/// Excess beyond this many times the typical one is of another kind: a queue whose excess is
/// exponential has it once in 32 exchanges.
const LARGE: f64 = 5.0;
/// How fast the typical excess follows: it doubles within seven rounds, so that a queue of half an
/// hour does not double it ...
const TYPICAL_STEP: f64 = 1.1;
/// ... and at first, when it may have been learnt in a queue, halves within two.
const TYPICAL_STEP_EARLY: f64 = 1.5;
/// How well the kernel's stamps say when a packet passed the wire: an interrupt's latency.
const TIMESTAMP_NOISE_NS: f64 = 1_000.0;
/// No exchange is believed more closely than to this part of the typical excess: the smallest delay
/// that is known has waited a little, too.
const FLOOR_PART: f64 = 20.0;
/// A round's fastest exchange exceeds the smallest delay by this many typical excesses at most: the
/// fastest of four in an exponential queue exceeds four medians once in 65,000 rounds ...
const NOISE_TYPICAL: f64 = 4.0;
/// ... by this share of it, because long paths vary as a whole ...
const NOISE_SHARE: f64 = 0.005;
/// ... and by this much anyway: what schedulers do to a packet on a quiet network.
const NOISE_MIN_NS: f64 = 20_000.0;
/// Exchanges of a usual burst, as which each past round counts.
const BURST: f64 = 4.0;
/// Rounds remembered: 80 minutes at the usual interval, after which a queue is over.
const MINIMA: usize = 16;
/// This many rounds in a row that are all slower, and alike, show a longer path; in a queue they
/// differ.
const SETTLED: usize = 4;
/// Rounds on a longer path differ by less than this share of what it is longer.
const ALIKE: f64 = 16.0;
/// The smallest delay of this many rounds is their path's.
const LEVEL: usize = 8;
/// Half of a change is bias where it is one way's, and mostly it is. In `est_error` only, as the
/// next.
const UNNOTICED_SHARE: f64 = 0.42;
/// By this part of the typical excess the smallest delay of eight rounds differs by chance.
const UNNOTICED_PART: f64 = 8.0;
/// After this many rounds, some 40 minutes after the start, the shortest delay known is the path's,
/// and not what queues left of it.
const KNOWN: u32 = 12;

#[cfg(test)]
mod tests;
