//! The counter and the standard library's clock at one moment, and what one says of the other.

use std::time::Instant;

use ntp_clock_core::{LocalTime, Span};

/// What another clock said between two readings of the counter.
///
/// Between two readings a thread can lose the processor for any time, so nothing is taken for one
/// moment that was not measured to be one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside<T> {
    /// The counter just before.
    pub(crate) before: LocalTime,
    pub(crate) other: T,
    /// Until just after.
    pub(crate) width: Span,
}

impl<T> Beside<T> {
    /// The tightest of a few readings of the other clock.
    pub(crate) fn read(local: impl Fn() -> LocalTime, other: impl Fn() -> T) -> Self {
        let read = || {
            let before = local();
            let other = other();
            Beside { before, other, width: local() - before }
        };
        let tighter = |best: Self, next: Self| if next.width < best.width { next } else { best };
        let first = read();
        [read(), read()].into_iter().fold(first, tighter)
    }

    /// The counter half-way between.
    pub(crate) fn middle(&self) -> LocalTime {
        self.before + Span::from_nanos(self.width.as_nanos() / 2)
    }
}

/// The counter and the standard library's clock at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    local: LocalTime,
    instant: Instant,
    width: Span,
}

impl Moment {
    pub(crate) fn read(local: impl Fn() -> LocalTime) -> Self {
        Beside::read(local, Instant::now).into()
    }

    /// Another moment of the standard library's clock on the counter, and how far that may be
    /// off. `self` is now, `then` an earlier comparison of the two.
    ///
    /// That clock may be steered (on Linux), so the error grows by what steering can have done
    /// since the clocks were compared.
    pub(crate) fn local_at(&self, instant: Instant, then: Option<Moment>) -> (LocalTime, Span) {
        let before = signed_since(self.instant, instant);
        let Some(then) = then else {
            return (self.local - before, self.width + share_of(before.abs(), STEERING_PPM));
        };
        let after = signed_since(instant, then.instant);
        if after < Span::ZERO {
            return (then.local + after, then.width + share_of(after.abs(), STEERING_PPM));
        }
        // Between two comparisons: what steering did in all, and what it may have done and undone.
        let drifted = (self.local - then.local) - signed_since(self.instant, then.instant);
        let undone = share_of(after.min(before.abs()), 2 * STEERING_PPM);
        (self.local - before, self.width + then.width + drifted.abs() + undone)
    }
}

impl From<Beside<Instant>> for Moment {
    fn from(beside: Beside<Instant>) -> Self {
        Moment { local: beside.before, instant: beside.other, width: beside.width }
    }
}

fn signed_since(later: Instant, earlier: Instant) -> Span {
    match later.checked_duration_since(earlier) {
        Some(since) => Span::from(since),
        None => -Span::from(earlier.duration_since(later)),
    }
}

fn share_of(span: Span, ppm: i64) -> Span {
    Span::from_nanos(span.as_nanos() / 1_000_000 * ppm + ppm)
}

/// How hard a daemon steers the standard library's clock, and what the counter's nominal rate may
/// be off by.
const STEERING_PPM: i64 = 850;

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::Duration;

    /// Clocks that are one apart from their zeros, and a thread that loses the processor for so
    /// long before each of these readings (of either clock, in turn).
    fn moment_of(pauses: &[u64]) -> (Moment, Instant) {
        let zero = Instant::now();
        let (now, reading) = (Cell::new(0), Cell::new(0));
        let tick = || {
            let pause = pauses.get(reading.get()).copied().unwrap_or(0);
            reading.set(reading.get() + 1);
            now.set(now.get() + pause);
            now.get()
        };
        let local = || LocalTime::from_nanos(tick() as i64);
        let beside = Beside::read(local, || zero + Duration::from_nanos(tick()));
        (beside.into(), zero)
    }

    #[test]
    fn a_pause_between_the_two_clocks_is_part_of_the_error() {
        let pauses =
            [[0, 9_000_000, 0, 0, 9_000_000, 0, 0, 9_000_000, 0], [0, 5, 7, 9, 8, 7, 6, 5, 4]];
        for pauses in pauses {
            let (moment, zero) = moment_of(&pauses);
            for nanos in [0_u64, 1_000, 20_000_000] {
                let (local, error) = moment.local_at(zero + Duration::from_nanos(nanos), None);
                let off = (local - LocalTime::from_nanos(nanos as i64)).abs();
                assert!(off <= error, "{off:?} off, {error:?} said: {pauses:?}");
            }
        }
    }

    #[test]
    fn one_undisturbed_reading_of_three_is_enough() {
        let (moment, _) = moment_of(&[0, 9_000_000, 0, 0, 40, 40, 0, 9_000_000, 0]);
        assert_eq!(moment.width, Span::from_nanos(80));
    }
}
