//! When spans were seen to begin, so that a start which the program passed in is recognised.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanData;

use crate::times::{Times, unix_ns};

/// Of so many spans at a time it is known when they were seen to begin. Of others a start counts
/// as the SDK's.
const SLOTS: usize = 8_192;
/// A time that lies longer than this before the hook saw it was passed in by the program.
const LONGEST_MS: i64 = 1_000;
/// An end this near to the last look counts as the SDK's without a look at its clock.
const NEAR_MS: i64 = 200;
/// `tracing-opentelemetry` passes in every start, and begins the span when it is first entered. Its
/// spans have these attributes, unless the program turned both off.
const TRACING: [&str; 2] = ["busy_ns", "thread.id"];

pub(crate) const TIME_SOURCE: &str = "ntp_clock.time_source";

/// By the lower half of a span's id, which is random: the other half, and the SDK's time in
/// milliseconds, modulo 2^32. One word for both, so that threads need no lock.
pub(crate) struct Hooked(Box<[AtomicU64]>);

impl Default for Hooked {
    fn default() -> Self {
        Hooked((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooked").finish_non_exhaustive()
    }
}

impl Hooked {
    /// A span begins. The last look at the SDK's clock stands for the time: to read that clock
    /// would cost more than all else that a span's beginning does.
    pub(crate) fn began(&self, span: SpanId, times: &dyn Times) {
        let (slot, tag) = self.place(span);
        slot.store(tag | u64::from(low_half(times.last_look_ms())), Ordering::Relaxed);
    }

    /// A span has ended: says so where the program passed in its start or its end.
    pub(crate) fn ended(&self, span: &mut SpanData, times: &dyn Times) {
        if end_passed_in(span, times) || self.start_passed_in(span, times) {
            span.attributes.push(KeyValue::new(TIME_SOURCE, "program"));
        }
    }

    fn start_passed_in(&self, span: &SpanData, times: &dyn Times) -> bool {
        let Some(start_ms) = unix_ms(span.start_time) else { return true };
        if start_ms >= times.last_look_ms().saturating_sub(LONGEST_MS) {
            return false;
        }
        let (slot, tag) = self.place(span.span_context.span_id());
        let known = slot.load(Ordering::Relaxed);
        // The other half is that of the time.
        let same = known & !u64::from(u32::MAX) == tag && known != 0;
        let look = known as u32;
        let age_ms = look.wrapping_sub(low_half(start_ms)).cast_signed();
        same && i64::from(age_ms) > LONGEST_MS
            && !is_of_tracing(span)
            // Stepped back after that look, the clock itself showed such a start.
            && !times.stepped_after(&|look_ms| low_half(look_ms) == look)
    }

    fn place(&self, span: SpanId) -> (&AtomicU64, u64) {
        let id = u64::from_be_bytes(span.to_bytes());
        let slot = usize::try_from(id % SLOTS as u64).unwrap_or_default();
        (&self.0[slot], id & !u64::from(u32::MAX))
    }
}

fn end_passed_in(span: &SpanData, times: &dyn Times) -> bool {
    let Some(end_ms) = unix_ms(span.end_time) else { return true };
    // A look is 50 ms old at most, or a little more where the machine is busy.
    let near = (-NEAR_MS..=LONGEST_MS - NEAR_MS).contains(&(times.last_look_ms() - end_ms));
    !near && unix_ms(SystemTime::now()).is_none_or(|now_ms| !is_seen(now_ms - end_ms))
}

fn is_of_tracing(span: &SpanData) -> bool {
    span.attributes.iter().any(|attribute| TRACING.contains(&attribute.key.as_str()))
}

/// Whether a time that is this old may be one that the SDK has just taken; a millisecond for the
/// rounding of both.
fn is_seen(age_ms: i64) -> bool {
    (-1..=LONGEST_MS).contains(&age_ms)
}

/// Whether a record's timestamp was passed in, judged by when the SDK observed it.
pub(crate) fn is_passed_in(timestamp: SystemTime, observed: SystemTime) -> bool {
    let age_ms = unix_ms(timestamp).zip(unix_ms(observed)).map(|(was, seen)| seen - was);
    !age_ms.is_some_and(is_seen)
}

fn unix_ms(time: SystemTime) -> Option<i64> {
    match time.duration_since(UNIX_EPOCH) {
        // Quicker than by nanoseconds, which need 128 bits.
        Ok(since) => {
            let whole = i64::try_from(since.as_secs()).ok()?.checked_mul(1_000)?;
            whole.checked_add(i64::from(since.subsec_millis()))
        }
        Err(_) => unix_ns(time).map(|ns| ns.div_euclid(1_000_000)),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "modulo 2^32")]
const fn low_half(ms: i64) -> u32 {
    ms as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::trace::{Span as _, SpanBuilder, TracerProvider as _};
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

    use super::*;
    use crate::Timekeeper;
    use crate::fake::{Fake, HOUR_NS};

    /// What left of a span that was begun with this builder and ended at this time.
    fn left(builder: SpanBuilder, end: Option<SystemTime>) -> SpanData {
        let memory = InMemorySpanExporter::default();
        let processor = Timekeeper::new(Fake::new(true)).span_processor(memory.clone());
        let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
        let mut span = builder.start(&provider.tracer("test"));
        match end {
            Some(end) => span.end_with_timestamp(end),
            None => span.end(),
        }
        provider.force_flush().expect("in memory");
        memory.get_finished_spans().expect("no panic").remove(0)
    }

    fn named() -> SpanBuilder {
        SpanBuilder::from_name("work")
    }

    fn is_programs(span: &SpanData) -> bool {
        let ours = KeyValue::new(TIME_SOURCE, "program");
        span.attributes.contains(&ours)
            && span.attributes.contains(&KeyValue::new("ntp_clock.synchronised", false))
    }

    #[test]
    fn a_span_whose_start_or_end_the_program_passed_in_stays_as_it_is_and_says_so() {
        let now = SystemTime::now();
        let long_ago = now - Duration::from_secs(1_800);
        let message = left(named().with_start_time(long_ago), None);
        assert!(is_programs(&message) && message.start_time == long_ago, "{message:?}");
        let soon = now + Duration::from_secs(5);
        let planned = left(named(), Some(soon));
        assert!(is_programs(&planned) && planned.end_time == soon, "{planned:?}");
    }

    #[test]
    fn a_span_whose_times_the_sdk_took_is_dated() {
        let before = SystemTime::now();
        let span = left(named(), None);
        assert!(!is_programs(&span), "{span:?}");
        let hour = Duration::from_nanos(HOUR_NS.unsigned_abs());
        assert!(span.start_time.duration_since(before).expect("later") >= hour);
    }

    #[test]
    fn a_span_of_tracing_opentelemetry_is_dated_though_it_passes_in_its_start() {
        let start = SystemTime::now() - Duration::from_secs(2);
        let busy = vec![KeyValue::new("busy_ns", 5)];
        let span = left(named().with_start_time(start).with_attributes(busy), None);
        let dated = span.attributes.contains(&KeyValue::new(TIME_SOURCE, "program"));
        assert!(!dated, "{span:?}");
    }

    #[test]
    fn of_more_spans_than_are_remembered_a_start_counts_as_the_sdks() {
        let hooked = Hooked::default();
        let id = |n: u64| SpanId::from_bytes(n.to_be_bytes());
        let first = (1 << 40) | 7;
        let times = Fake::new(true);
        hooked.began(id(first), &*times);
        let mut span = left(named().with_start_time(SystemTime::UNIX_EPOCH), None);
        span.span_context = opentelemetry::trace::SpanContext::new(
            span.span_context.trace_id(),
            id(first),
            span.span_context.trace_flags(),
            false,
            span.span_context.trace_state().clone(),
        );
        assert!(hooked.start_passed_in(&span, &*times));
        hooked.began(id(first + (1 << 50)), &*times);
        assert!(!hooked.start_passed_in(&span, &*times));
    }

    #[test]
    fn a_record_is_the_programs_where_it_was_observed_a_second_later_or_before() {
        let observed = SystemTime::now();
        let ms = Duration::from_millis;
        let passed_in = [observed - ms(1_500), observed + ms(500), observed - ms(900), observed]
            .map(|timestamp| is_passed_in(timestamp, observed));
        assert_eq!(passed_in, [true, true, false, false]);
    }
}
