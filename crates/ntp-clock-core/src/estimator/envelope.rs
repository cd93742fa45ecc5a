//! The fastest way there and the fastest way back: what a round's exchanges say together that none
//! of them says alone.

use super::filter::RATE_UNKNOWN;
use super::sample::{Sample, nanos};

/// The fastest way there and the fastest way back of a round, put together as if they had been one
/// exchange: what both ways' queues leave of the truth, less than of any single exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope {
    pub(super) offset_ns: f64,
    pub(super) delay_ns: f64,
    /// When the offset was that, after the reference's middle.
    pub(super) mid_ns: f64,
}

impl Envelope {
    /// Relative to `reference`; `rate` is how the offset moves meanwhile. It may not be known yet,
    /// so that only exchanges [`together`] with the fastest count.
    pub(super) fn of<'a>(
        round: impl Iterator<Item = &'a Sample> + Clone,
        reference: &Sample,
        rate: f64,
    ) -> Self {
        let best = round.clone().min_by_key(|sample| sample.delay).unwrap_or(reference);
        let mid_ns = if together(best, reference) { 0.0 } else { nanos(best.mid - reference.mid) };
        let (mut forth, mut back) = (f64::INFINITY, f64::NEG_INFINITY);
        for sample in round.filter(|sample| together(sample, best)) {
            let moved = rate * (nanos(sample.mid - reference.mid) - mid_ns);
            let offset = nanos(sample.offset - reference.offset) - moved;
            let half = nanos(sample.delay) / 2.0;
            forth = forth.min(offset + half);
            back = back.max(offset - half);
        }
        Envelope { offset_ns: (forth + back) / 2.0, delay_ns: (forth - back).max(0.0), mid_ns }
    }
}

/// Whether two exchanges are so close that the clock has moved little between them, though its rate
/// may be unknown: by less than 25 us at 100 ppm, or than a fraction of what their delays differ by.
pub(super) fn together(a: &Sample, b: &Sample) -> bool {
    let apart = nanos((a.mid - b.mid).abs());
    let differ = nanos((a.delay - b.delay).abs());
    RATE_UNKNOWN * apart <= MOVED_NS.max(differ / MOVED_PART)
}

/// A quick burst is over within a quarter of a second; the spread requests of the first round are
/// further apart.
const MOVED_NS: f64 = RATE_UNKNOWN * 250e6;
const MOVED_PART: f64 = 16.0;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::time::{LocalTime, Span};

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * b.abs()
    }

    /// An exchange of this middle, offset and delay, as wide as its delay.
    pub(in crate::estimator) fn sample(mid_ns: i64, offset_ns: i64, delay_ns: i64) -> Sample {
        let (offset, delay) = (Span::from_nanos(offset_ns), Span::from_nanos(delay_ns));
        let mid = LocalTime::from_nanos(mid_ns);
        let half = delay.half_ceil();
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

    #[test]
    fn the_fastest_way_there_and_the_fastest_way_back_make_one_exchange() {
        let reference = sample(5_000_000, 100, 0);
        // Relative to the reference's offset, there at most 150, 60 and back at least -50, -140.
        let round = [sample(5_000_000, 150, 200), sample(5_000_000, 60, 200)];
        let envelope = Envelope::of(round.iter(), &reference, 0.0);
        assert_eq!((envelope.offset_ns, envelope.delay_ns), (5.0, 110.0));
        // 3 ms later, at 10 ppm, the clock itself has moved by 30.
        let moved = [sample(5_000_000, 150, 200), sample(8_000_000, 90, 200)];
        let envelope = Envelope::of(moved.iter(), &reference, 1e-5);
        assert!(near(envelope.offset_ns, 5.0) && near(envelope.delay_ns, 110.0), "{envelope:?}");
        // Ways that exclude each other leave no delay, and their middle.
        let apart = [sample(5_000_000, 100, 20), sample(5_000_000, 160, 20)];
        let envelope = Envelope::of(apart.iter(), &reference, 0.0);
        assert_eq!((envelope.offset_ns, envelope.delay_ns), (30.0, 0.0));
    }

    #[test]
    fn exchanges_are_together_while_the_clock_cannot_have_moved_between_them() {
        let one = sample(0, 0, 1_000_000);
        let together = |ms: i64, more_ns: i64| {
            let other = sample(ms * 1_000_000, 0, 1_000_000 + more_ns);
            let both = [together(&one, &other), together(&other, &one)];
            assert_eq!(both[0], both[1]);
            both[0]
        };
        assert!(together(250, 0) && !together(251, 0));
        // At 100 ppm a second is 100 us, a sixteenth of 1.6 ms.
        assert!(together(1_000, 1_600_001) && !together(1_000, 1_599_999));
    }

    #[test]
    fn only_exchanges_together_with_the_fastest_make_an_envelope() {
        let reference = sample(0, 0, 1_000);
        // The fastest is two seconds earlier, and 10 us off; the reference's own is not counted.
        let round =
            [sample(-2_000_000_000, 10_000, 600), sample(-1_900_000_000, 10_100, 700), reference];
        let envelope = Envelope::of(round.iter(), &reference, 0.0);
        assert_eq!(envelope.mid_ns, -2e9);
        // There at most 10,300, back at least 9,750; at 1 ppm the later is 100 less.
        assert_eq!((envelope.offset_ns, envelope.delay_ns), (10_025.0, 550.0));
        let moved = Envelope::of(round.iter(), &reference, 1e-6);
        assert!(near(moved.offset_ns, 10_000.0) && near(moved.delay_ns, 600.0), "{moved:?}");
        // Together with the reference, it is at the reference's moment.
        let near_by = [sample(-200_000_000, 10, 600), reference];
        assert_eq!(Envelope::of(near_by.iter(), &reference, 0.0).mid_ns, 0.0);
    }
}
