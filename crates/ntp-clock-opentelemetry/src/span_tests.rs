use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{Span as _, SpanBuilder, Tracer as _, TracerProvider as _};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, SdkTracerProvider, SpanData, SpanExporter as _, SpanLimits,
};

use crate::fake::{Fake, HOUR_NS, eventually};
use crate::times::unix_ns;
use crate::{GateLimits, Timekeeper};

fn provider(keeper: &Timekeeper, memory: &InMemorySpanExporter) -> SdkTracerProvider {
    let exporter = keeper.span_exporter(memory.clone());
    SdkTracerProvider::builder().with_simple_exporter(exporter).build()
}

fn span(provider: &SdkTracerProvider, name: &'static str) {
    provider.tracer("test").start(name).end();
}

fn arrived(memory: &InMemorySpanExporter) -> Vec<SpanData> {
    memory.get_finished_spans().expect("no panic")
}

/// A span for who exports without a provider.
fn finished() -> SpanData {
    let memory = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(memory.clone()).build();
    span(&provider, "finished");
    arrived(&memory).remove(0)
}

fn attribute(span: &SpanData, key: &str) -> Option<Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.clone())
}

fn synchronised(span: &SpanData) -> Option<Value> {
    attribute(span, "ntp_clock.synchronised")
}

fn later_ns(was: SystemTime, is: SystemTime) -> i64 {
    unix_ns(is).expect("a time") - unix_ns(was).expect("a time")
}

#[test]
fn a_span_from_before_the_first_synchronisation_waits_and_leaves_in_true_time() {
    let (fake, memory) = (Fake::new(false), InMemorySpanExporter::default());
    let provider = provider(&Timekeeper::new(fake.clone()), &memory);
    let before = SystemTime::now();
    let mut span = provider.tracer("test").start("early");
    span.add_event("met", vec![]);
    span.end();
    let after = SystemTime::now();
    assert!(arrived(&memory).is_empty());
    fake.synchronise();
    eventually("the span leaves without another export", || arrived(&memory).len() == 1);
    let span = arrived(&memory).remove(0);
    assert!(later_ns(before, span.start_time) >= HOUR_NS);
    assert!(later_ns(after, span.end_time) <= HOUR_NS);
    let met = span.events.events[0].timestamp;
    assert!(span.start_time <= met && met <= span.end_time);
    assert_eq!(synchronised(&span), Some(true.into()));
    assert_eq!(attribute(&span, "ntp_clock.server"), Some("time.test".into()));
    assert_eq!(attribute(&span, "ntp_clock.max_error_ns"), Some(1_000.into()));
    assert_eq!(attribute(&span, "ntp_clock.est_error_ns"), Some(10.into()));
    assert_eq!(attribute(&span, "ntp_clock.epoch"), Some(3.into()));
}

#[test]
fn spans_leave_in_the_order_in_which_they_came() {
    let (fake, memory) = (Fake::new(false), InMemorySpanExporter::default());
    let provider = provider(&Timekeeper::new(fake.clone()), &memory);
    let names = ["a", "b", "c", "d"];
    names[..3].iter().for_each(|name| span(&provider, name));
    fake.synchronise();
    span(&provider, names[3]);
    let came: Vec<_> = arrived(&memory).iter().map(|span| span.name.to_string()).collect();
    assert_eq!(came, names);
}

#[test]
fn after_the_time_out_spans_leave_as_they_are_and_say_so() {
    let (fake, memory) = (Fake::new(false), InMemorySpanExporter::default());
    let limits = GateLimits { wait: Duration::from_millis(100), ..GateLimits::default() };
    let provider = provider(&Timekeeper::new(fake.clone()).with_gate(limits), &memory);
    let before = SystemTime::now();
    span(&provider, "early");
    eventually("it leaves", || arrived(&memory).len() == 1);
    span(&provider, "at once");
    fake.synchronise();
    span(&provider, "late");
    let spans = arrived(&memory);
    assert!(later_ns(before, spans[0].end_time) < HOUR_NS);
    let said: Vec<_> = spans.iter().map(synchronised).collect();
    assert_eq!(said, [Some(false.into()), Some(false.into()), Some(true.into())]);
}

#[test]
fn of_a_full_gate_the_oldest_spans_leave_as_they_are_and_none_is_lost() {
    let (fake, memory) = (Fake::new(false), InMemorySpanExporter::default());
    let limits = GateLimits { items: 2, ..GateLimits::default() };
    let provider = provider(&Timekeeper::new(fake.clone()).with_gate(limits), &memory);
    ["a", "b", "c", "d"].iter().for_each(|name| span(&provider, name));
    assert_eq!(arrived(&memory).len(), 2);
    fake.synchronise();
    eventually("the others leave", || arrived(&memory).len() == 4);
    let said: Vec<_> = arrived(&memory)
        .iter()
        .map(|span| (span.name.to_string(), synchronised(span) == Some(true.into())))
        .collect();
    let wanted = [("a", false), ("b", false), ("c", true), ("d", true)];
    assert_eq!(said, wanted.map(|(name, so)| (name.to_string(), so)));
}

#[test]
fn times_that_the_program_passed_in_stay_as_they_are() {
    let memory = InMemorySpanExporter::default();
    let provider = provider(&Timekeeper::new(Fake::new(true)), &memory);
    let day = SystemTime::now() - Duration::from_secs(86_400);
    let built = SpanBuilder::from_name("yesterday").with_start_time(day);
    provider.tracer("test").build(built).end();
    let mut span = provider.tracer("test").start("event of yesterday");
    span.add_event_with_timestamp("old", day, vec![]);
    span.end();
    let spans = arrived(&memory);
    assert_eq!((spans[0].start_time, synchronised(&spans[0])), (day, Some(false.into())));
    assert_eq!(spans[1].events.events[0].timestamp, day);
    assert_eq!(synchronised(&spans[1]), Some(true.into()));
    assert_eq!(attribute(&spans[1], "ntp_clock.time_source"), Some("program".into()));
}

#[test]
fn a_span_is_re_dated_once_and_the_programs_limits_do_not_count_ours() {
    let memory = InMemorySpanExporter::default();
    let keeper = Timekeeper::new(Fake::new(true));
    let twice = keeper.span_exporter(keeper.span_exporter(memory.clone()));
    let limits = SpanLimits { max_attributes_per_span: 1, ..SpanLimits::default() };
    let provider =
        SdkTracerProvider::builder().with_span_limits(limits).with_simple_exporter(twice).build();
    let before = SystemTime::now();
    let mut span = provider.tracer("test").start("once");
    span.set_attribute(KeyValue::new("own", 1));
    span.end();
    let span = arrived(&memory).remove(0);
    assert!(later_ns(before, span.start_time) < HOUR_NS + HOUR_NS / 2);
    assert_eq!((attribute(&span, "own"), span.dropped_attributes_count), (Some(1.into()), 0));
    assert_eq!(span.attributes.len(), 6);
}

/// Counts, and then does as the test says.
#[derive(Clone, Debug, Default)]
struct Unruly {
    spans: Arc<AtomicUsize>,
    exports: Arc<AtomicUsize>,
    inside: Arc<AtomicBool>,
    overlapped: Arc<AtomicBool>,
    blocks: Arc<AtomicBool>,
    fails: bool,
    panics_at_first: bool,
}

impl opentelemetry_sdk::trace::SpanExporter for Unruly {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.overlapped.fetch_or(self.inside.swap(true, Ordering::SeqCst), Ordering::SeqCst);
        let exports = self.exports.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics_at_first || exports > 0, "as this test wants it");
        while self.blocks.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(2));
        }
        self.spans.fetch_add(batch.len(), Ordering::SeqCst);
        self.inside.store(false, Ordering::SeqCst);
        if self.fails { Err(OTelSdkError::InternalFailure("of this test".into())) } else { Ok(()) }
    }
}

#[test]
fn shutdown_lets_everything_out_also_of_a_batch_processor() {
    let exporter = Unruly::default();
    let wrapped = Timekeeper::new(Fake::new(false)).span_exporter(exporter.clone());
    let provider = SdkTracerProvider::builder().with_batch_exporter(wrapped).build();
    (0..1_000).for_each(|_| span(&provider, "waits"));
    provider.force_flush().expect("flushed into the gate");
    provider.shutdown().expect("all went");
    assert_eq!(exporter.spans.load(Ordering::SeqCst), 1_000);
}

#[test]
fn an_exporter_dropped_without_shutdown_loses_nothing() {
    let exporter = Unruly::default();
    let wrapped = Timekeeper::new(Fake::new(false)).span_exporter(exporter.clone());
    let provider = SdkTracerProvider::builder().with_simple_exporter(wrapped).build();
    span(&provider, "waits");
    drop(provider);
    eventually("it leaves", || exporter.spans.load(Ordering::SeqCst) == 1);
}

#[test]
fn a_failing_exporter_gets_each_batch_once() {
    let exporter = Unruly { fails: true, ..Unruly::default() };
    let fake = Fake::new(false);
    let wrapped = Timekeeper::new(fake.clone()).span_exporter(exporter.clone());
    let provider = SdkTracerProvider::builder().with_simple_exporter(wrapped).build();
    (0..3).for_each(|_| span(&provider, "waits"));
    fake.synchronise();
    (0..2).for_each(|_| span(&provider, "passes"));
    let _ = provider.shutdown();
    let count = |count: &AtomicUsize| count.load(Ordering::SeqCst);
    assert_eq!((count(&exporter.exports), count(&exporter.spans)), (5, 5));
}

#[test]
fn an_exporter_that_panics_loses_its_batch_and_no_other_that_waited() {
    let exporter = Unruly { panics_at_first: true, ..Unruly::default() };
    let wrapped = Timekeeper::new(Fake::new(false)).span_exporter(exporter.clone());
    let template = finished();
    for _ in 0..3 {
        futures_executor::block_on(wrapped.export(vec![template.clone()])).expect("it waits");
    }
    wrapped.shutdown().expect("all went");
    let count = |count: &AtomicUsize| count.load(Ordering::SeqCst);
    assert_eq!((count(&exporter.exports), count(&exporter.spans)), (3, 2));
}

#[test]
fn a_blocked_exporter_holds_up_a_shutdown_no_longer_than_its_limit() {
    let exporter = Unruly::default();
    exporter.blocks.store(true, Ordering::SeqCst);
    let wrapped = Timekeeper::new(Fake::new(false)).span_exporter(exporter.clone());
    futures_executor::block_on(wrapped.export(vec![finished()])).expect("it waits");
    let begun = Instant::now();
    let result = wrapped.shutdown_with_timeout(Duration::from_millis(200));
    assert!(matches!(result, Err(OTelSdkError::Timeout(_))), "{result:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    exporter.blocks.store(false, Ordering::SeqCst);
    eventually("it arrives once", || exporter.spans.load(Ordering::SeqCst) == 1);
}

#[test]
fn sixteen_threads_lose_and_double_nothing_while_the_gate_opens() {
    let (exporter, fake) = (Unruly::default(), Fake::new(false));
    let limits = GateLimits { items: 1_000, ..GateLimits::default() };
    let wrapped =
        Arc::new(Timekeeper::new(fake.clone()).with_gate(limits).span_exporter(exporter.clone()));
    let template = finished();
    thread::scope(|scope| {
        for number in 0..16 {
            let (wrapped, template, fake) = (&wrapped, &template, &fake);
            scope.spawn(move || {
                for turn in 0..200 {
                    if (number, turn) == (0, 100) {
                        fake.synchronise();
                    }
                    let batch = vec![template.clone(); 3];
                    futures_executor::block_on(wrapped.export(batch)).expect("accepted");
                }
            });
        }
    });
    wrapped.shutdown().expect("all went");
    assert_eq!(exporter.spans.load(Ordering::SeqCst), 16 * 200 * 3);
    assert!(!exporter.overlapped.load(Ordering::SeqCst));
}

#[test]
fn a_flush_waits_for_the_clock_and_what_waited_leaves_in_true_time() {
    let (fake, memory) = (Fake::new(false), InMemorySpanExporter::default());
    let processor = Timekeeper::new(fake.clone()).span_processor(memory.clone());
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    span(&provider, "waits");
    thread::scope(|scope| {
        let flushing = scope.spawn(|| provider.force_flush());
        thread::sleep(Duration::from_millis(100));
        assert!(arrived(&memory).is_empty() && !flushing.is_finished());
        fake.synchronise();
        flushing.join().expect("no panic").expect("flushed");
    });
    assert_eq!(synchronised(&arrived(&memory)[0]), Some(true.into()));
}

#[test]
fn a_flush_keeps_its_limit_and_what_waited_leaves_as_it_is() {
    let memory = InMemorySpanExporter::default();
    let processor = Timekeeper::new(Fake::new(false)).span_processor(memory.clone());
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    span(&provider, "waits");
    let begun = Instant::now();
    provider.force_flush().expect("flushed");
    assert!(begun.elapsed() < crate::processors::FLUSH);
    assert_eq!(synchronised(&arrived(&memory)[0]), Some(false.into()));
}

#[test]
fn a_flush_lets_out_what_waits_and_later_spans_wait_for_the_clock_as_before() {
    let (fake, memory) = (Fake::new(false), InMemorySpanExporter::default());
    let processor = Timekeeper::new(fake.clone()).span_processor(memory.clone());
    let door = Arc::clone(&processor.door);
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    span(&provider, "flushed");
    provider.force_flush().expect("flushed");
    assert_eq!(arrived(&memory).len(), 1);
    span(&provider, "waits");
    thread::scope(|scope| {
        let flushing = scope.spawn(|| provider.force_flush());
        thread::sleep(Duration::from_millis(300));
        assert!(arrived(&memory).len() == 1 && !flushing.is_finished());
        fake.synchronise();
        flushing.join().expect("no panic").expect("flushed");
    });
    assert!(door.flush(Duration::ZERO, Duration::ZERO).is_ok(), "nothing is left");
    let said: Vec<_> = arrived(&memory).iter().map(synchronised).collect();
    assert_eq!(said, [Some(false.into()), Some(true.into())]);
}
