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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::tests::reply_at;
    use crate::mapping::tests::mapping;

    fn exchange(t1_ns: i64, t2_ns: i64, t3_ns: i64, t4_ns: i64) -> Exchange {
        let (t1, t4) = (LocalTime::from_nanos(t1_ns), LocalTime::from_nanos(t4_ns));
        Exchange::new(t1, reply_at(t2_ns, t3_ns), t4).expect("possible")
    }

    #[test]
    fn truth_is_at_most_the_way_there_and_at_least_the_way_back_ahead_each_with_its_error() {
        let sample = Sample::new(
            &exchange(1_000, 5_000_400_001, 5_000_500_000, 1_001_000),
            Span::from_nanos(100),
        );
        // The server's 10,000 ns and 2^-25 s, 30 ns; the counter's 100.
        let expected = Sample {
            t1: LocalTime::from_nanos(1_000),
            t4: LocalTime::from_nanos(1_001_000),
            upper: Span::from_nanos(5_000_399_001 + 10_130),
            lower: Span::from_nanos(4_999_499_000 - 10_130),
            mid: LocalTime::from_nanos(501_000),
            offset: Span::from_nanos(4_999_949_000),
            delay: Span::from_nanos(900_001),
        };
        assert_eq!(sample, expected);
    }

    #[test]
    fn a_round_trip_shorter_than_the_errors_explain_leaves_one_moment_for_the_truth() {
        // Held for 20,560 ns within no time at all: 500 more than twice 10,030.
        let sample = Sample::new(&exchange(0, 7_000_000, 7_020_560, 0), Span::ZERO);
        assert_eq!(sample.upper, sample.lower);
        assert_eq!(sample.upper, Span::from_nanos(7_010_280));
        assert_eq!(sample.delay, Span::ZERO);
    }

    #[test]
    fn a_mapping_is_an_exchange_without_duration_as_wide_as_its_bound() {
        let mapping = Mapping { upper_ns: 1_000.5, lower_ns: 2_000.0, ..mapping() };
        let sample = Sample::from_mapping(&mapping);
        let centre = Span::from_nanos(1_759_639_031_999_999_000);
        assert_eq!(
            (sample.t1, sample.mid, sample.t4),
            (mapping.anchor, mapping.anchor, mapping.anchor)
        );
        assert_eq!((sample.offset, sample.upper), (centre, centre + Span::from_nanos(1_001)));
        assert_eq!(
            (sample.lower, sample.delay),
            (centre - Span::from_nanos(2_000), Span::from_nanos(3_001))
        );
    }
}
