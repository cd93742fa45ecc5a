//! The samples that are kept, in their order, so that few of them have to be looked at.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

use crate::piece::{Piece, Shown};
use crate::sample::{Moment, Sample};

/// A sample, and what is kept beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) sample: Sample,
    /// How far the clock can have been from the straight line that leads to it from the one before,
    /// where samples between the two were dropped.
    pub(crate) departure_ns: Option<i64>,
    /// How many samples up to this one came with a reading.
    known: u64,
    /// How often a counter had begun lower than the one before it read.
    line: u32,
}

/// The first sample of a counter.
#[derive(Clone, Copy, Debug)]
struct Begun {
    counter: u64,
    number: u64,
}

/// Samples in the order of time. Each has a number, which stays when older ones go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    kept: VecDeque<Kept>,
    /// The number of the first that is kept.
    first: u64,
    counters: VecDeque<Begun>,
    /// What the counter read at the first sample since one last began lower.
    line_began_ns: i64,
    /// What the clock can have shown in each [`BLOCK`] pieces that follow one another; a piece has
    /// the number of the sample it begins with.
    blocks: VecDeque<Shown>,
}

impl Samples {
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(crate) fn oldest(&self) -> Option<&Kept> {
        self.kept.front()
    }

    pub(crate) fn last(&self) -> Option<&Kept> {
        self.kept.back()
    }

    /// Whether a sample cannot follow the last one: it is of a counter that another has followed, or
    /// of the same and earlier.
    pub(crate) fn is_late(&self, sample: &Sample) -> bool {
        let Some(Kept { sample: last, .. }) = self.last() else { return false };
        if last.counter == sample.counter {
            return sample.counter_ns < last.counter_ns;
        }
        self.counters.iter().any(|begun| begun.counter == sample.counter)
    }

    pub(crate) fn push(&mut self, sample: Sample, departure_ns: Option<i64>) {
        let number = self.first + self.kept.len() as u64;
        let before = self.last().copied();
        if before.is_none_or(|before| before.sample.counter != sample.counter) {
            self.counters.push_back(Begun { counter: sample.counter, number });
        }
        let known = before.map_or(0, |before| before.known) + u64::from(sample.reading.is_some());
        let line = before.map_or(0, |before| {
            before.line + u32::from(sample.counter_ns < before.sample.counter_ns)
        });
        if before.is_none_or(|before| before.line != line) {
            self.line_began_ns = sample.counter_ns;
        }
        self.kept.push_back(Kept { sample, departure_ns, known, line });
        if let Some(before) = before {
            self.index(
                number - 1,
                Piece { from: &before.sample, to: &sample, departure_ns }.shown(),
            );
        }
    }

    fn index(&mut self, number: u64, shown: Shown) {
        let block = (number / BLOCK - self.first / BLOCK) as usize;
        match self.blocks.get_mut(block) {
            Some(known) => *known = known.and(shown),
            None => self.blocks.push_back(shown),
        }
    }

    /// Drops samples that no moment from `horizon_ns` on needs.
    pub(crate) fn drop_before(&mut self, horizon_ns: i64) {
        let Some(&Kept { line, .. }) = self.last() else { return };
        while let Some(second) = self.kept.get(1) {
            let earlier_line = second.line != line;
            let read_ns = if earlier_line { self.line_began_ns } else { second.sample.counter_ns };
            if read_ns >= horizon_ns {
                break;
            }
            self.drop_oldest();
        }
    }

    pub(crate) fn drop_oldest(&mut self) {
        if self.kept.pop_front().is_none() {
            return;
        }
        self.first += 1;
        if self.first.is_multiple_of(BLOCK) {
            self.blocks.pop_front();
        }
        if self.counters.get(1).is_some_and(|next| next.number <= self.first) {
            self.counters.pop_front();
        }
    }

    /// All samples; none are left.
    pub(crate) fn take(&mut self) -> Vec<Kept> {
        core::mem::take(self).kept.into()
    }

    /// The pieces in which the clock can have shown a time from `first_ns` to `last_ns`.
    pub(crate) fn that_showed(
        &self,
        first_ns: i64,
        last_ns: i64,
    ) -> impl Iterator<Item = Piece<'_>> {
        let asked = Shown { least_ns: first_ns, most_ns: last_ns };
        let begin = self.first / BLOCK * BLOCK;
        let blocks = self.blocks.iter().zip((begin..).step_by(BLOCK as usize));
        let some = blocks.filter(move |(shown, _)| shown.touches(asked));
        let numbers = some.flat_map(|(_, number)| number..number + BLOCK);
        let pieces = numbers.filter_map(|number| self.piece(number.checked_sub(self.first)?));
        pieces.filter(move |piece| piece.shown().touches(asked))
    }

    fn piece(&self, index: u64) -> Option<Piece<'_>> {
        let index = usize::try_from(index).ok()?;
        let (from, to) = (self.kept.get(index)?, self.kept.get(index + 1)?);
        Some(Piece { from: &from.sample, to: &to.sample, departure_ns: to.departure_ns })
    }

    /// Whether a counter has begun lower than one read before it, since this moment.
    pub(crate) fn is_of_earlier_line(&self, moment: Moment) -> bool {
        let line = |kept: Option<&Kept>| kept.map(|kept| kept.line);
        self.last().is_some_and(|last| last.sample.counter != moment.counter)
            && self
                .of_counter(moment.counter)
                .is_some_and(|samples| line(self.kept.get(samples.start)) != line(self.last()))
    }

    /// The last sample with a reading up to a moment, and the first after it, by its counter.
    pub(crate) fn known_around(&self, moment: Moment) -> (Option<&Sample>, Option<&Sample>) {
        let Some(samples) = self.of_counter(moment.counter) else { return (None, None) };
        let earlier = self.first_where(&samples, |kept| kept.sample.counter_ns > moment.counter_ns);
        let known = earlier.checked_sub(1).and_then(|index| self.kept.get(index));
        let known = known.map_or(0, |kept| kept.known);
        // The one that made it this many, and the one that made it more.
        let at = |count| {
            let index = self.first_where(&samples, |kept| kept.known >= count);
            let kept = self.kept.get(index).filter(|_| samples.contains(&index))?;
            Some(&kept.sample).filter(|sample| sample.reading.is_some())
        };
        (at(known).filter(|sample| sample.counter_ns <= moment.counter_ns), at(known + 1))
    }

    /// The last sample before the counter read this, and the first that is not, since a counter last
    /// began lower.
    pub(crate) fn around(&self, counter_ns: i64) -> (Option<&Sample>, Option<&Sample>) {
        let line = self.last().map_or(0, |last| last.line);
        let all = 0..self.kept.len();
        let after = self
            .first_where(&all, |kept| kept.line == line && kept.sample.counter_ns >= counter_ns);
        let get = |index: usize| Some(&self.kept.get(index)?.sample);
        let before = after
            .checked_sub(1)
            .filter(|&index| self.kept.get(index).is_some_and(|kept| kept.line == line));
        (before.and_then(get), get(after))
    }

    /// Where the samples of a counter are.
    fn of_counter(&self, counter: u64) -> Option<Range<usize>> {
        let index = self.counters.iter().rposition(|begun| begun.counter == counter)?;
        let at = |begun: &Begun| begun.number.saturating_sub(self.first) as usize;
        let end = self.counters.get(index + 1).map_or(self.kept.len(), at);
        Some(at(self.counters.get(index)?)..end)
    }

    /// The first of these samples that is so, where all after it are; else the end.
    fn first_where(&self, samples: &Range<usize>, so: impl Fn(&Kept) -> bool) -> usize {
        let (mut low, mut high) = (samples.start, samples.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.kept.get(middle).is_some_and(&so) { high = middle } else { low = middle + 1 }
        }
        low
    }
}

/// About the root of how many samples are kept.
const BLOCK: u64 = 64;
