//! Times that were dated keep their order, whatever the clock learns between them.

use alloc::collections::{BTreeMap, VecDeque};

use crate::sample::{Dated, Sample};

/// How far apart knots are, by the SDK's clock.
const CELL_NS: i64 = 10_000_000;
/// What steering can move the SDK's clock by from the straight line within a cell, and within the
/// rest of one that is not over yet: 600 ppm each.
const BENT_NS: i64 = 2 * CELL_NS * 600 / 1_000_000;
/// A knot that is less sure than this is around a step or a sleep, where no line is straight.
const WIDEST_NS: i64 = 2_000_000;
const MOST: usize = 16_384;
const MOST_DISTURBED: usize = 64;

/// True time at every 10 ms of the SDK's clock. Each is found once, and what lies between two of
/// them is on the line: a child stays inside its parent, though the parent leaves later, when the
/// clock and the history know better. It is also quicker than to trace each time.
///
/// ```
/// use ntp_clock_history::{Dated, Knots};
///
/// let mut knots = Knots::default();
/// let at = |time_ns| Some((Dated { time_ns, max_error_ns: 9, est_error_ns: 1, epoch: 1 }, 0));
/// let first = knots.date(5_000_000, i64::MAX, at).unwrap();
/// // Now the clock has learned that all this was 200 us earlier.
/// let second = knots.date(5_100_000, i64::MAX, |ns| at(ns - 200_000)).unwrap();
/// assert_eq!(second.time_ns - first.time_ns, 100_000);
/// ```
#[derive(Debug, Default)]
pub struct Knots {
    known: BTreeMap<i64, Dated>,
    order: VecDeque<i64>,
    /// The last line, and where it begins: times come close together.
    last: Option<(i64, Line)>,
    /// From when to when, by the SDK's clock, there is no line.
    disturbed: VecDeque<(i64, i64)>,
}

impl Knots {
    /// True time at `system_ns`. `find` traces and dates a time by the history, whose last look saw
    /// `last_ns`, and says how far apart the moments are that it can have been, in nanoseconds.
    pub fn date(
        &mut self,
        system_ns: i64,
        last_ns: i64,
        find: impl Fn(i64) -> Option<(Dated, i64)>,
    ) -> Option<Dated> {
        let begin_ns = system_ns.div_euclid(CELL_NS) * CELL_NS;
        let end_ns = begin_ns.checked_add(CELL_NS)?;
        let since_ns = system_ns - begin_ns;
        if let Some(line) = self.line(begin_ns, end_ns) {
            return Some(line.at(since_ns));
        }
        let (here, width_ns) = find(system_ns)?;
        let crosses = |&(from_ns, to_ns): &_| begin_ns <= to_ns && from_ns <= end_ns;
        if width_ns > WIDEST_NS || self.disturbed.iter().any(crosses) {
            return Some(here);
        }
        for knot_ns in [begin_ns, end_ns] {
            if self.known.contains_key(&knot_ns) {
                continue;
            }
            // What is later than the last look, which an earlier time may look like, or earlier
            // than the first, is on the line through this time.
            let on_the_line = Dated {
                time_ns: here.time_ns.checked_add(knot_ns - system_ns)?,
                max_error_ns: here.max_error_ns.saturating_add(BENT_NS / 2),
                ..here
            };
            match if knot_ns > last_ns { None } else { find(knot_ns) } {
                Some((_, width_ns)) if width_ns > WIDEST_NS => return Some(here),
                Some((knot, _)) => self.keep(knot_ns, knot),
                None => self.keep(knot_ns, on_the_line),
            }
        }
        Some(self.line(begin_ns, end_ns).map_or(here, |line| line.at(since_ns)))
    }

    /// Takes a look that follows another one, and tells whether more than steering happened to the
    /// SDK's clock between them; `lowest_ns` is the earliest time that it was seen to show before.
    pub fn look(&mut self, last: &Sample, sample: &Sample, lowest_ns: i64) -> bool {
        if !is_disturbed(last, sample) {
            return false;
        }
        // Around both looks the clock may have gone any way; after a step back it goes once more
        // over what it has shown.
        let counted_ns = sample.counter_ns.saturating_sub(last.counter_ns).max(0);
        for look_ns in [last.system_ns, sample.system_ns] {
            self.disturb(look_ns.saturating_sub(counted_ns), look_ns.saturating_add(counted_ns));
        }
        if sample.system_ns < last.system_ns {
            self.disturb(sample.system_ns.max(lowest_ns), last.system_ns);
        }
        true
    }

    /// The SDK's clock may have shown these times more than once, or in no straight line.
    fn disturb(&mut self, from_ns: i64, to_ns: i64) {
        let from_ns = from_ns.saturating_sub(CELL_NS);
        let to_ns = to_ns.saturating_add(CELL_NS);
        self.last = None;
        self.known.retain(|knot_ns, _| !(from_ns..=to_ns).contains(knot_ns));
        self.order.retain(|knot_ns| self.known.contains_key(knot_ns));
        self.disturbed.push_back((from_ns, to_ns));
        if self.disturbed.len() > MOST_DISTURBED
            && let (Some(a), Some(b)) = (self.disturbed.pop_front(), self.disturbed.pop_front())
        {
            self.disturbed.push_front((a.0.min(b.0), a.1.max(b.1)));
        }
    }

    fn keep(&mut self, knot_ns: i64, knot: Dated) {
        if self.order.len() >= MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(knot_ns, knot);
        self.order.push_back(knot_ns);
    }

    /// The line between two knots, if it does not go back, or on for much longer than the cell.
    fn line(&mut self, begin_ns: i64, end_ns: i64) -> Option<Line> {
        if let Some((_, line)) = self.last.filter(|last| last.0 == begin_ns) {
            return Some(line);
        }
        let (begin, end) = (*self.known.get(&begin_ns)?, *self.known.get(&end_ns)?);
        let passed_ns = end.time_ns.checked_sub(begin.time_ns)?;
        let line = Line { begin, end, passed_ns };
        let line = (0..=2 * CELL_NS).contains(&passed_ns).then_some(line)?;
        self.last = Some((begin_ns, line));
        Some(line)
    }
}

/// Whether more than steering happened to the SDK's clock between two looks.
fn is_disturbed(last: &Sample, sample: &Sample) -> bool {
    let counted = sample.counter_ns.saturating_sub(last.counter_ns);
    let apart = sample.system_ns.saturating_sub(last.system_ns).saturating_sub(counted);
    let unsure = last.width_ns.saturating_add(sample.width_ns).saturating_add(1_000);
    let steered = i64::try_from(i128::from(counted) * 600 / 1_000_000).unwrap_or(i64::MAX);
    last.counter != sample.counter || apart.saturating_abs() > steered.saturating_add(unsure)
}

#[derive(Clone, Copy, Debug)]
struct Line {
    begin: Dated,
    end: Dated,
    passed_ns: i64,
}

impl Line {
    fn at(&self, since_ns: i64) -> Dated {
        // At most 10^7 times 2 * 10^7.
        let along_ns = since_ns * self.passed_ns / CELL_NS;
        Dated {
            time_ns: self.begin.time_ns.saturating_add(along_ns),
            max_error_ns: self
                .begin
                .max_error_ns
                .max(self.end.max_error_ns)
                .saturating_add(BENT_NS),
            est_error_ns: self.begin.est_error_ns.max(self.end.est_error_ns),
            epoch: self.end.epoch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dated(time_ns: i64) -> Dated {
        Dated { time_ns, max_error_ns: 1_000, est_error_ns: 10, epoch: 1 }
    }

    const LATE: i64 = i64::MAX;

    #[test]
    fn times_keep_their_order_though_the_clock_is_corrected_between_them() {
        let mut knots = Knots::default();
        let mut last = None;
        for step in 0..1_000 {
            let system_ns = step * 1_234_567;
            // Every other answer is 200 us earlier.
            let correction = if step % 2 == 0 { 0 } else { -200_000 };
            let found =
                knots.date(system_ns, LATE, |ns| Some((dated(ns + correction), 0))).unwrap();
            assert!(last.is_none_or(|last| found.time_ns >= last), "{system_ns}: {found:?}");
            assert!((found.time_ns - system_ns).abs() <= 200_000 + found.max_error_ns);
            last = Some(found.time_ns);
        }
    }

    #[test]
    fn a_time_is_dated_alike_early_and_late() {
        let mut knots = Knots::default();
        let early = knots.date(5_000_000, LATE, |ns| (ns <= 5_000_000).then(|| (dated(ns + 7), 0)));
        let late = knots.date(5_000_000, LATE, |ns| Some((dated(ns + 99), 0)));
        assert_eq!((early, early.map(|early| early.time_ns)), (late, Some(5_000_007)));
    }

    #[test]
    fn a_time_that_may_be_far_from_where_it_was_found_makes_no_line() {
        let mut knots = Knots::default();
        let wide = knots.date(5_000_000, LATE, |ns| Some((dated(ns), WIDEST_NS + 1)));
        assert_eq!(wide, Some(dated(5_000_000)));
        let sure = knots.date(5_000_000, LATE, |ns| Some((dated(ns + 50), 0))).unwrap();
        assert_eq!(sure.time_ns, 5_000_050);
    }

    #[test]
    fn where_the_clock_was_disturbed_each_time_is_found_by_itself() {
        let mut knots = Knots::default();
        let at = |knots: &mut Knots, off| {
            knots.date(5_000_000, LATE, |ns| Some((dated(ns + off), 0))).unwrap()
        };
        assert_eq!((at(&mut knots, 0), at(&mut knots, 9)), (at(&mut knots, 0), at(&mut knots, 0)));
        knots.disturb(0, 6_000_000);
        assert_eq!((at(&mut knots, 50), at(&mut knots, 60)), (dated(5_000_050), dated(5_000_060)));
        for number in 0..1_000 {
            knots.disturb(number * 1_000_000_000, number * 1_000_000_000);
        }
        assert_eq!(at(&mut knots, 70), dated(5_000_070));
    }

    #[test]
    fn a_look_tells_a_step_from_steering() {
        let look = |counter_ns, system_ns| Sample {
            counter_ns,
            width_ns: 0,
            system_ns,
            resolution_ns: 1,
            counter: 1,
            reading: None,
        };
        let second = 1_000_000_000;
        let begin = look(0, 0);
        let mut knots = Knots::default();
        let steered = look(second, second + 600_000);
        assert!(!knots.look(&begin, &steered, 0) && knots.disturbed.is_empty());
        let slept = Sample { counter: 2, ..steered };
        for other in [look(second, second + 602_000), look(second, -second), slept] {
            assert!(knots.look(&begin, &other, 0), "{other:?}");
        }
        // Of two that come in the wrong order nothing is known either.
        assert!(knots.look(&steered, &begin, 0));
    }

    #[test]
    fn a_knot_later_than_the_last_look_is_not_taken_for_the_earlier_time_that_it_looks_like() {
        let mut knots = Knots::default();
        let earlier = |ns| Some((dated(if ns > 5_000_000 { ns - 2_000_000_000 } else { ns }), 0));
        assert_eq!(knots.date(5_000_000, 5_000_000, earlier).unwrap().time_ns, 5_000_000);
        let later = knots.date(9_000_000, 9_000_000, |ns| Some((dated(ns), 0))).unwrap();
        assert_eq!(later.time_ns, 9_000_000);
    }

    #[test]
    fn memory_is_bounded() {
        let mut knots = Knots::default();
        for cell in 0..2 * i64::try_from(MOST).unwrap() {
            knots.date(cell * CELL_NS, LATE, |ns| Some((dated(ns), 0)));
        }
        assert_eq!((knots.known.len(), knots.order.len()), (MOST, MOST));
    }
}
