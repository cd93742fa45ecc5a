//! Children stay inside their parents, where the clock was disturbed too.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanData;

use crate::bounded::Bounded;

const MOST: usize = 4_096;

/// What has left of the children of spans that have not: the earliest start and the latest end.
#[derive(Debug)]
pub(crate) struct Families(Bounded<SpanId, Children>);

#[derive(Clone, Copy, Debug)]
struct Children {
    start: At,
    end: At,
}

/// By the SDK's clock, and true.
#[derive(Clone, Copy, Debug)]
struct At {
    was: SystemTime,
    is: SystemTime,
}

impl Families {
    pub(crate) fn new() -> Self {
        Families(Bounded::new(MOST))
    }

    /// Has a span that was dated reach around its children that left before it, and gives how far
    /// it was moved for that; `was` are its times by the SDK's clock.
    ///
    /// One that ended after its parent by the SDK's clock is left alone, unless that clock was
    /// stepped back meanwhile and cannot say.
    pub(crate) fn hold(&mut self, span: &mut SpanData, was: (SystemTime, SystemTime)) -> Duration {
        let mut moved = Duration::ZERO;
        if let Some(children) = self.0.remove(&span.span_context.span_id()) {
            let stepped = was.1 < was.0;
            let (start, end) = (children.start, children.end);
            if start.is < span.start_time && (stepped || was.0 <= start.was) {
                moved = span.start_time.duration_since(start.is).unwrap_or_default();
                span.start_time = start.is;
            }
            if span.end_time < end.is && (stepped || end.was <= was.1) {
                moved = moved.max(end.is.duration_since(span.end_time).unwrap_or_default());
                span.end_time = end.is;
            }
        }
        if span.parent_span_id != SpanId::INVALID && !span.parent_span_is_remote {
            let mut children = Children {
                start: At { was: was.0, is: span.start_time },
                end: At { was: was.1, is: span.end_time },
            };
            if let Some(known) = self.0.get_mut(&span.parent_span_id) {
                if known.start.is < children.start.is {
                    children.start = known.start;
                }
                if known.end.is > children.end.is {
                    children.end = known.end;
                }
                *known = children;
            } else {
                self.0.insert(span.parent_span_id, children);
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::Context;
    use opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

    use super::*;

    /// A child and its parent, of 10 to 20 and 0 to 30 seconds.
    fn family() -> [SpanData; 2] {
        let memory = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(memory.clone()).build();
        let tracer = provider.tracer("test");
        let parent = Context::new().with_span(tracer.start("parent"));
        tracer.start_with_context("child", &parent).end();
        parent.span().end();
        let mut spans = memory.get_finished_spans().expect("no panic");
        for (span, (start, end)) in spans.iter_mut().zip([(10, 20), (0, 30)]) {
            (span.start_time, span.end_time) = (at(start), at(end));
        }
        spans.try_into().expect("two spans")
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn held(was: [(u64, u64); 2], is: [(u64, u64); 2]) -> (SystemTime, SystemTime, Duration) {
        let (mut families, mut last) = (Families::new(), None);
        for ((mut span, was), is) in family().into_iter().zip(was).zip(is) {
            (span.start_time, span.end_time) = (at(is.0), at(is.1));
            let moved = families.hold(&mut span, (at(was.0), at(was.1)));
            last = Some((span.start_time, span.end_time, moved));
        }
        last.expect("the parent")
    }

    #[test]
    fn a_parent_reaches_around_a_child_that_was_inside_and_is_that_much_less_sure() {
        let second = Duration::from_secs;
        let within = [(10, 20), (0, 30)];
        assert_eq!(held(within, [(110, 120), (100, 130)]), (at(100), at(130), second(0)));
        assert_eq!(held(within, [(110, 133), (100, 130)]), (at(100), at(133), second(3)));
        assert_eq!(held(within, [(98, 120), (100, 130)]), (at(98), at(130), second(2)));
    }

    #[test]
    fn a_child_that_ended_after_its_parent_may_do_so_unless_the_clock_cannot_say() {
        let second = Duration::from_secs;
        let later = [(10, 40), (0, 30)];
        assert_eq!(held(later, [(110, 140), (100, 130)]), (at(100), at(130), second(0)));
        let stepped = [(1_010, 1_020), (1_000, 30)];
        assert_eq!(held(stepped, [(110, 131), (100, 130)]), (at(100), at(131), second(1)));
    }
}
