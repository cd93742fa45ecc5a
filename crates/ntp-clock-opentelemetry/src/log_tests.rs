use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    InMemoryLogExporter, LogBatch, LogExporter, SdkLogRecord, SdkLoggerProvider,
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::Timekeeper;
use crate::fake::{Fake, HOUR_NS, eventually};
use crate::times::{system_time, unix_ns};

fn provider(keeper: &Timekeeper, memory: &InMemoryLogExporter) -> SdkLoggerProvider {
    let exporter = keeper.log_exporter(memory.clone());
    SdkLoggerProvider::builder().with_simple_exporter(exporter).build()
}

fn arrived(memory: &InMemoryLogExporter) -> Vec<SdkLogRecord> {
    let logs = memory.get_emitted_logs().expect("no panic");
    logs.into_iter().map(|log| log.record).collect()
}

fn attribute(record: &SdkLogRecord, key: &str) -> Option<AnyValue> {
    let mut found = record.attributes_iter().filter(|(of, _)| of.as_str() == key);
    found.next().map(|(_, value)| value.clone())
}

fn hour_later(time: SystemTime) -> SystemTime {
    system_time(unix_ns(time).expect("a time") + HOUR_NS)
}

#[test]
fn spans_and_records_of_tracing_wait_and_leave_in_true_time() {
    let (fake, spans, logs) =
        (Fake::new(false), InMemorySpanExporter::default(), InMemoryLogExporter::default());
    let keeper = Timekeeper::new(fake.clone());
    let tracers = SdkTracerProvider::builder()
        .with_simple_exporter(keeper.span_exporter(spans.clone()))
        .build();
    let loggers = provider(&keeper, &logs);
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(tracers.tracer("test")))
        .with(OpenTelemetryTracingBridge::new(&loggers));
    let before = SystemTime::now();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info_span!("work").in_scope(|| tracing::info!(target: "test", "done"));
    });
    let after = SystemTime::now();
    assert!(arrived(&logs).is_empty());
    fake.synchronise();
    eventually("the record leaves", || arrived(&logs).len() == 1);
    eventually("the span leaves", || spans.get_finished_spans().expect("no panic").len() == 1);
    let (record, span) =
        (arrived(&logs).remove(0), spans.get_finished_spans().expect("no panic").remove(0));
    let observed = record.observed_timestamp().expect("observed");
    assert!(hour_later(before) <= span.start_time && span.end_time <= hour_later(after));
    assert!(span.start_time <= observed && observed <= span.end_time);
    assert_eq!(attribute(&record, "ntp_clock.synchronised"), Some(AnyValue::Boolean(true)));
    assert_eq!(attribute(&record, "ntp_clock.max_error_ns"), Some(AnyValue::Int(1_000)));
    assert_eq!(attribute(&record, "ntp_clock.server"), Some("time.test".into()));
}

#[test]
fn a_records_time_from_the_program_stays_and_the_observed_one_is_re_dated() {
    let memory = InMemoryLogExporter::default();
    let provider = provider(&Timekeeper::new(Fake::new(true)), &memory);
    let day = SystemTime::now() - Duration::from_secs(86_400);
    let logger = provider.logger("test");
    let mut record = logger.create_log_record();
    record.set_timestamp(day);
    let before = SystemTime::now();
    logger.emit(record);
    let record = arrived(&memory).remove(0);
    assert_eq!(record.timestamp(), Some(day));
    assert!(record.observed_timestamp().expect("observed") >= hour_later(before));
    assert_eq!(attribute(&record, "ntp_clock.time_source"), Some("program".into()));
}

/// Keeps what arrived; the SDK's own exporter for tests forgets it at shutdown.
#[derive(Clone, Debug, Default)]
struct Keeps(Arc<Mutex<Vec<SdkLogRecord>>>);

impl LogExporter for Keeps {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records = batch.iter().map(|(record, _)| record.clone());
        self.0.lock().expect("no panic").extend(records);
        Ok(())
    }
}

#[test]
fn at_shutdown_records_leave_as_they_are_and_say_so() {
    let kept = Keeps::default();
    let exporter = Timekeeper::new(Fake::new(false)).log_exporter(kept.clone());
    let provider = SdkLoggerProvider::builder().with_batch_exporter(exporter).build();
    let logger = provider.logger("test");
    (0..10).for_each(|_| logger.emit(logger.create_log_record()));
    let after = SystemTime::now();
    provider.shutdown().expect("all went");
    let records = kept.0.lock().expect("no panic");
    assert_eq!(records.len(), 10);
    for record in records.iter() {
        assert_eq!(attribute(record, "ntp_clock.synchronised"), Some(AnyValue::Boolean(false)));
        assert!(record.observed_timestamp().expect("observed") <= after);
    }
}
