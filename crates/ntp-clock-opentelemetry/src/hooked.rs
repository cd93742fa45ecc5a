//! When spans were seen to begin, so that a start which the program passed in is recognised.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanData;

use crate::times::{Times, system_time, unix_ns};

/// How many spans it remembers, the last that began. The start of any other span counts as the
/// SDK's.
const REMEMBERED: usize = 8_192;
/// A time that lies longer than this before the hook saw it was passed in by the program.
const LONGEST_MS: i64 = 1_000;
/// An end this near to the last look counts as the SDK's without a look at its clock.
const NEAR_MS: i64 = 200;
/// `tracing-opentelemetry` passes in every start, and begins the span when it is first entered. Its
/// spans have these attributes, unless the program turned both off.
const TRACING: [&str; 2] = ["busy_ns", "thread.id"];

pub(crate) const TIME_SOURCE: &str = "ntp_clock.time_source";

/// A ring: half of a span's id, which is random, and the SDK's time in milliseconds, modulo 2^32.
/// One word for both, so that threads need no lock; and one behind the other, for a word that is
/// looked up by the id lies in memory that the processor has not at hand.
pub(crate) struct Hooked {
    begun: Box<[AtomicU64]>,
    next: Apart<AtomicUsize>,
}

/// Alone in its lines of the cache, which other threads would else take away.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

impl Default for Hooked {
    fn default() -> Self {
        let begun = (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect();
        Hooked { begun, next: Apart::default() }
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
    pub(crate) fn began(&self, span: SpanId, look_ms: i64) {
        let next = self.next.0.fetch_add(1, Ordering::Relaxed);
        self.begun[next % REMEMBERED]
            .store(tag(span) | u64::from(low_half(look_ms)), Ordering::Relaxed);
    }

    /// Whether the program passed in the start or the end of a span that has just ended.
    pub(crate) fn passed_in(&self, span: &SpanData, look_ms: i64, times: &dyn Times) -> bool {
        !Usual::at(look_ms).has(span) && self.unusual_passed_in(span, look_ms, times)
    }

    #[cold]
    fn unusual_passed_in(&self, span: &SpanData, look_ms: i64, times: &dyn Times) -> bool {
        let both = (unix_ms(span.start_time), unix_ms(span.end_time));
        let (Some(start_ms), Some(end_ms)) = both else { return true };
        let near = (-NEAR_MS..=LONGEST_MS - NEAR_MS).contains(&(look_ms - end_ms));
        let end_passed_in =
            !near && unix_ms(SystemTime::now()).is_none_or(|now_ms| !is_seen(now_ms - end_ms));
        end_passed_in || self.start_passed_in(span, start_ms, look_ms, times)
    }

    fn start_passed_in(
        &self,
        span: &SpanData,
        start_ms: i64,
        look_ms: i64,
        times: &dyn Times,
    ) -> bool {
        if start_ms >= look_ms.saturating_sub(LONGEST_MS) {
            return false;
        }
        let tag = tag(span.span_context.span_id());
        let known = self.begun.iter().map(|begun| begun.load(Ordering::Relaxed));
        // The other half is that of the time.
        let same = |known: &u64| known & !u64::from(u32::MAX) == tag && *known != 0;
        let Some(look) = known.rev().find(same).map(|known| known as u32) else { return false };
        let age_ms = look.wrapping_sub(low_half(start_ms)).cast_signed();
        i64::from(age_ms) > LONGEST_MS
            && !is_of_tracing(span)
            // Stepped back after that look, the clock itself showed such a start.
            && !times.stepped_after(&|look_ms| low_half(look_ms) == look)
    }
}

/// The times of a span that the SDK took, where it was no longer than a second: three
/// comparisons, where a number of milliseconds would have to be made of each time.
#[derive(Clone, Copy)]
struct Usual {
    look_ms: i64,
    first_start: SystemTime,
    first_end: SystemTime,
    last_end: SystemTime,
}

impl Usual {
    const NEVER: Self = Usual {
        look_ms: i64::MIN,
        first_start: UNIX_EPOCH,
        first_end: UNIX_EPOCH,
        last_end: UNIX_EPOCH,
    };

    /// Around a look. It is 50 ms old at most, or a little more where the machine is busy.
    fn at(look_ms: i64) -> Self {
        thread_local! {
            static LAST: Cell<Usual> = const { Cell::new(Usual::NEVER) };
        }
        let last = LAST.get();
        if last.look_ms == look_ms {
            last
        } else {
            Self::new(look_ms).inspect(|new| LAST.set(*new)).unwrap_or(Self::NEVER)
        }
    }

    #[cold]
    fn new(look_ms: i64) -> Option<Self> {
        let at = |ms: i64| look_ms.checked_add(ms)?.checked_mul(1_000_000).map(system_time);
        let (first_start, last_end) = (at(-LONGEST_MS)?, at(NEAR_MS)?);
        Some(Usual { look_ms, first_start, first_end: at(NEAR_MS - LONGEST_MS)?, last_end })
    }

    fn has(&self, span: &SpanData) -> bool {
        self.first_start <= span.start_time
            && self.first_end <= span.end_time
            && span.end_time <= self.last_end
    }
}

fn tag(span: SpanId) -> u64 {
    u64::from_be_bytes(span.to_bytes()) & !u64::from(u32::MAX)
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

    use opentelemetry::KeyValue;
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
    fn of_the_last_8192_spans_a_start_is_recognised_and_of_others_it_counts_as_the_sdks() {
        let (hooked, times) = (Hooked::default(), Fake::new(true));
        let look_ms = || times.look();
        let mut span = left(named().with_start_time(SystemTime::UNIX_EPOCH), None);
        span.end_time = SystemTime::now();
        hooked.began(span.span_context.span_id(), look_ms());
        let mut dice = fastrand::Rng::with_seed(5);
        for _ in 1..REMEMBERED {
            hooked.began(SpanId::from(dice.u64(1..)), look_ms());
        }
        assert!(hooked.passed_in(&span, look_ms(), &*times));
        hooked.began(SpanId::from(1), look_ms());
        assert!(!hooked.passed_in(&span, look_ms(), &*times));
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
