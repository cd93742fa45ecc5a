//! Log records.

use std::mem::size_of;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::logs::{AnyValue, LogRecord as _, Severity};
use opentelemetry::{InstrumentationScope, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{self, LogBatch, SdkLogRecord};

use crate::gate::GateLimits;
use crate::gated::{Door, Gated, Sink};
use crate::hooked::{TIME_SOURCE, is_passed_in};
use crate::spans::ATTRIBUTE_BYTES;
use crate::times::{Redating, SYNCHRONISED, Times};

/// The program's log exporter, with times that are true.
///
/// Made by [`Timekeeper::log_exporter`](crate::Timekeeper::log_exporter).
#[derive(Debug)]
pub struct LogExporter<E>(Gated<Logs<E>>)
where
    E: logs::LogExporter + 'static;

#[derive(Debug)]
struct Logs<E> {
    exporter: E,
    times: Arc<dyn Times>,
}

impl<E: logs::LogExporter + 'static> LogExporter<E> {
    pub(crate) fn new(exporter: E, times: Arc<dyn Times>, limits: GateLimits) -> Self {
        LogExporter(Gated::new(Logs { exporter, times: Arc::clone(&times) }, times, limits))
    }

    pub(crate) fn door(&self) -> Arc<Door<(SdkLogRecord, InstrumentationScope)>> {
        Arc::clone(self.0.door())
    }
}

impl<E: logs::LogExporter + 'static> logs::LogExporter for LogExporter<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let batch = batch.iter().map(|(record, scope)| (record.clone(), scope.clone())).collect();
        self.0.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let begun = Instant::now();
        let flushed = self.0.door().shut_down(timeout);
        let left = timeout.saturating_sub(begun.elapsed());
        flushed.and(self.0.sink().exporter.shutdown_with_timeout(left))
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.0.sink().exporter.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(logs) = self.0.sink_mut() {
            logs.exporter.set_resource(resource);
        }
    }
}

impl<E: logs::LogExporter + 'static> Sink for Logs<E> {
    type Item = (SdkLogRecord, InstrumentationScope);
    type Answer = OTelSdkResult;

    fn bytes((record, _): &Self::Item) -> usize {
        let body = match record.body() {
            Some(AnyValue::String(text)) => text.as_str().len(),
            Some(_) => ATTRIBUTE_BYTES,
            None => 0,
        };
        size_of::<Self::Item>() + body + record.attributes_iter().count() * ATTRIBUTE_BYTES
    }

    fn accepted() -> OTelSdkResult {
        Ok(())
    }

    async fn send(&self, mut batch: Vec<Self::Item>) -> OTelSdkResult {
        self.times.look_now();
        for (record, _) in &mut batch {
            redate(record, &*self.times);
        }
        let batch: Vec<_> = batch.iter().map(|(record, scope)| (record, scope)).collect();
        self.exporter.export(LogBatch::new(&batch)).await
    }
}

fn redate(record: &mut SdkLogRecord, times: &dyn Times) {
    if record.attributes_iter().any(|(key, _)| key.as_str() == SYNCHRONISED) {
        return;
    }
    let mut redating = Redating::new(times);
    let mut program = false;
    if let Some(observed) = record.observed_timestamp()
        && let Some(time) = redating.date(observed)
    {
        record.set_observed_timestamp(time);
        if let Some(was) = record.timestamp() {
            let dated = if is_passed_in(was, observed) { None } else { redating.date(was) };
            match dated {
                Some(time) => record.set_timestamp(time),
                None => program = true,
            }
        }
    }
    for attribute in redating.attributes() {
        record.add_attribute(attribute.key, any(attribute.value));
    }
    if program {
        record.add_attribute(TIME_SOURCE, "program");
    }
}

fn any(value: Value) -> AnyValue {
    match value {
        Value::Bool(value) => AnyValue::Boolean(value),
        Value::I64(value) => AnyValue::Int(value),
        Value::F64(value) => AnyValue::Double(value),
        other => AnyValue::String(other.to_string().into()),
    }
}
