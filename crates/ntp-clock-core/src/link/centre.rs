//! Around which rate the difference has been moving: what pairs of lines say of it.
//!
//! Within each span of [`BANDS`] there is a centre from which all rates are no further than the
//! pair's reach. A bound from above at one moment and one from below at an earlier one limit the
//! mean rate between them from above, and so the centre; the other way round from below. That is
//! all that they say: for each centre within these limits there is a course that keeps to every
//! line.

use super::lines::{Line, Lines, ROUNDING_NS};
use super::oscillator::{Pair, Rates};
use crate::drift::{self, BANDS, QUIET_NS, TYPICAL};

/// The centre of the rates in the newest span of one of [`BANDS`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Centre {
    band: usize,
    /// Lines from here on are in the span ...
    pub(super) start: f64,
    /// ... and new ones up to here; another span begins with a later one.
    end: f64,
    /// The first and the last of the lines that it has learnt from, also of those that are not
    /// kept any more.
    learnt: (f64, f64),
    rates: Rates,
}

impl Centre {
    pub(super) const fn unknown(band: usize) -> Self {
        let nowhere = Rates { low: 0.0, high: 0.0 };
        let (start, end) = (f64::INFINITY, f64::NEG_INFINITY);
        Centre { band, start, end, learnt: NOTHING, rates: nowhere }
    }

    /// Whether the newest line has left the span.
    pub(super) fn is_over(&self, newest: f64) -> bool {
        newest > self.end
    }

    /// Begins a span that has room for what comes soon.
    pub(super) fn begin(&mut self, newest: f64, pair: &Pair) {
        let (length, _) = BANDS[self.band];
        self.start = newest - length * (1.0 - 2.0 * ROOM);
        self.end = newest + length * ROOM;
        self.learnt = NOTHING;
        self.rates = pair.centre();
    }

    /// A line and those on the other side: `sign` is 1 for a bound from above, -1 for one from
    /// below, each of which is kept as a bound of the difference with that sign.
    pub(super) fn learn(&mut self, line: &Line, others: &Lines, sign: f64, pair: &Pair) {
        if line.m < self.start {
            return;
        }
        let reach = pair.reach(self.band);
        self.take(line.m);
        for other in others.as_slice() {
            let since = line.m - other.m;
            if other.m < self.start {
                continue;
            }
            self.take(other.m);
            if since == 0.0 {
                continue;
            }
            // What lies between the two bounds, over the time between them.
            let rate = sign * (line.most + other.most + ROUNDING_NS) / since;
            // A bound from above that is the later one, or one from below that is the earlier.
            if (since > 0.0) == (sign > 0.0) {
                self.rates.high = self.rates.high.min(rate + reach);
            } else {
                self.rates.low = self.rates.low.max(rate - reach);
            }
        }
    }

    fn take(&mut self, m: f64) {
        self.learnt = (self.learnt.0.min(m), self.learnt.1.max(m));
    }

    /// Whether no centre satisfies all lines.
    pub(super) fn is_contradicted(&self) -> bool {
        self.rates.low > self.rates.high + ROUNDING
    }

    /// The rates that are possible within the span.
    pub(super) fn rates(&self, pair: &Pair) -> Rates {
        self.rates.widened(pair.reach(self.band)).within(pair.any())
    }

    /// The middle of what the mean rate between lines of the span can be, and how far a rate of now
    /// may well be from it; infinitely far where lines say nothing.
    pub(super) fn mean(&self, pair: &Pair) -> (f64, f64) {
        if self.learnt.0 >= self.learnt.1 {
            return (0.0, f64::INFINITY);
        }
        let (rate, half) = middle(self.rates);
        // The centre may be further from either limit of the mean, by the reach.
        let doubt = (half - pair.reach(self.band)).max(0.0);
        (rate, doubt + TYPICAL * BANDS[self.band].1)
    }

    /// What is to be added at a moment with which the span would be longer than the band is for.
    pub(super) fn beyond(&self, m: f64) -> f64 {
        let (length, _) = BANDS[self.band];
        let excess = self.learnt.1.max(m) - self.learnt.0.min(m) - length;
        2.0 * drift::widening(drift::STEP, excess.max(0.0))
    }
}

/// No line, no span.
const NOTHING: (f64, f64) = (f64::INFINITY, f64::NEG_INFINITY);

/// The middle of rates, and how far it is from either end.
pub(super) fn middle(rates: Rates) -> (f64, f64) {
    ((rates.low + rates.high) / 2.0, (rates.high - rates.low) / 2.0)
}

/// How far rates may be from those of a span soon before and after it.
pub(super) fn outside(rates: Rates, pair: &Pair) -> Rates {
    rates.widened(2.0 * drift::STEP).within(pair.any())
}

/// What the oscillators may have moved since then, where only rates of then are known.
pub(super) fn risen(distance_ns: f64) -> f64 {
    if distance_ns > QUIET_NS { 2.0 * drift::rise(distance_ns) } else { 0.0 }
}

/// Such a part of the span is room at its end, so that not each line begins another.
const ROOM: f64 = 0.1;
/// Slopes over distances this short are not exact.
const ROUNDING: f64 = 1e-12;

#[cfg(test)]
mod tests {
    use super::super::Oscillator;
    use super::*;

    #[test]
    fn a_span_is_as_long_as_what_was_learnt_in_it_though_the_lines_be_gone() {
        let pair = Pair::new(Oscillator::FREE, Oscillator::FREE);
        let line = |m_s: f64| Line { m: m_s * 1e9, most: 1e5, round_trip: f64::INFINITY };
        let mut centre = Centre::unknown(0);
        centre.begin(480e9, &pair);
        let mut others = Lines::EMPTY;
        assert!(others.add(line(10.0), pair.any()));
        centre.learn(&line(480.0), &others, 1.0, &pair);
        // No line is asked for: ten minutes after the first one are over.
        assert_eq!(centre.beyond(610e9), 0.0);
        assert!(centre.beyond(620e9) > 0.0);
        assert_eq!(centre.beyond(-120e9), 0.0);
        assert!(centre.beyond(-130e9) > 0.0);
    }
}
