//! An exchange as the estimator sees it.

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
