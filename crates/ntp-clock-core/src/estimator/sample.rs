//! An exchange as the estimator sees it, and the bounded window that holds them.

use crate::exchange::Exchange;
use crate::mapping::Mapping;
use crate::time::{LocalTime, Span, UnixTime};

/// An exchange as the estimator sees it. Offsets are true less local time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Sample {
    pub(super) t1: LocalTime,
    pub(super) t4: LocalTime,
    /// Truth less local time at T1 is at most this.
    pub(super) upper: Span,
    /// Truth less local time at T4 is at least this.
    pub(super) lower: Span,
    /// The middle between T1 and T4, where `offset` is most probable.
    pub(super) mid: LocalTime,
    pub(super) offset: Span,
    /// Round trip, never negative.
    pub(super) delay: Span,
}

impl Sample {
    const NOTHING: Sample = Sample {
        t1: LocalTime::MIN,
        t4: LocalTime::MIN,
        upper: Span::ZERO,
        lower: Span::ZERO,
        mid: LocalTime::MIN,
        offset: Span::ZERO,
        delay: Span::ZERO,
    };

    pub(super) fn new(exchange: &Exchange, resolution: Span) -> Self {
        let (t1, t4) = (exchange.sent_at(), exchange.received_at());
        let reply = exchange.reply();
        let error = reply.max_error() + resolution;
        let forth = offset(reply.receive_time, t1);
        let back = offset(reply.transmit_time, t4);
        let (upper, lower) = (forth + error, back - error);
        // A round trip shorter than the stated errors explain would leave truth no room at all.
        let lacking = (lower - upper).max(Span::ZERO).half_ceil();
        Sample {
            t1,
            t4,
            upper: upper + lacking,
            lower: lower - lacking,
            mid: t1 + half(t4 - t1),
            offset: back + half(forth - back),
            delay: exchange.delay().max(Span::ZERO),
        }
    }

    pub(super) fn from_mapping(mapping: &Mapping) -> Self {
        let centre = offset(mapping.centre, mapping.anchor);
        let upper = Span::from_nanos_f64_ceil(mapping.upper_ns);
        let lower = Span::from_nanos_f64_ceil(mapping.lower_ns);
        Sample {
            t1: mapping.anchor,
            t4: mapping.anchor,
            upper: centre + upper,
            lower: centre - lower,
            mid: mapping.anchor,
            offset: centre,
            delay: (upper + lower).max(Span::ZERO),
        }
    }
}

/// A ring of the newest `N` samples, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Window<const N: usize> {
    /// Only the `len` samples from `start` on mean anything.
    ring: [Sample; N],
    start: usize,
    len: usize,
}

impl<const N: usize> Window<N> {
    pub(super) fn new() -> Self {
        Window { ring: [Sample::NOTHING; N], start: 0, len: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == N
    }

    pub(super) fn contains(&self, sample: &Sample) -> bool {
        self.iter().any(|known| known == sample)
    }

    /// Appends; a full window loses its oldest sample.
    pub(super) fn push(&mut self, sample: Sample) {
        let slot = (self.start + self.len) % N;
        if let Some(place) = self.ring.get_mut(slot) {
            *place = sample;
        }
        if self.len < N {
            self.len += 1;
        } else {
            self.start = (self.start + 1) % N;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sample> + Clone {
        (0..self.len).filter_map(|i| self.ring.get((self.start + i) % N))
    }

    pub(super) fn last(&self) -> Option<&Sample> {
        self.ring.get((self.start + self.len.checked_sub(1)?) % N)
    }
}

/// True less local time: the one place where the two scales meet.
fn offset(true_time: UnixTime, local: LocalTime) -> Span {
    Span::from_nanos(true_time.as_nanos()) - Span::from_nanos(local.as_nanos())
}

fn half(span: Span) -> Span {
    Span::from_nanos(span.as_nanos() >> 1)
}

pub(super) fn nanos(span: Span) -> f64 {
    span.as_nanos() as f64
}
