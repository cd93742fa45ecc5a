//! Batch processors that know of the gate behind them.
//!
//! The SDK's own pass a flush to no exporter, so that what waits would stay; and a processor of our
//! own beside the program's would have the SDK copy each span.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::logs::Severity;
use opentelemetry::trace::{Span as _, TraceContextExt as _};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{self, BatchLogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{self, BatchSpanProcessor, Span, SpanData};

use crate::gated::Door;
use crate::hooked::{Hooked, TIME_SOURCE};
use crate::order::{Exchanges, Received};
use crate::times::Times;

/// The SDK's own limit for a flush.
pub(crate) const FLUSH: Duration = Duration::from_secs(5);
/// What a flush keeps for sending, when it waits for the clock.
pub(crate) const ONE_SECOND: Duration = Duration::from_secs(1);

/// A batch processor of spans whose flush also lets out what waits for the clock, after waiting
/// for it as long as the limit of the flush allows.
///
/// Made by [`Timekeeper::span_processor`](crate::Timekeeper::span_processor).
#[derive(Debug)]
pub struct SpanProcessor {
    pub(crate) batches: BatchSpanProcessor,
    pub(crate) door: Arc<Door<SpanData>>,
    pub(crate) times: Arc<dyn Times>,
    pub(crate) exchanges: Exchanges,
    pub(crate) hooked: Hooked,
}

/// A batch processor of log records whose flush also lets out what waits for the clock, after
/// waiting for it as long as the limit of the flush allows.
///
/// Made by [`Timekeeper::log_processor`](crate::Timekeeper::log_processor).
#[derive(Debug)]
pub struct LogProcessor {
    pub(crate) batches: BatchLogProcessor,
    pub(crate) door: Arc<Door<(SdkLogRecord, InstrumentationScope)>>,
    pub(crate) times: Arc<dyn Times>,
}

fn flush<T>(door: &Door<T>, begun: Instant) -> OTelSdkResult {
    let left = FLUSH.saturating_sub(begun.elapsed());
    door.flush(left.saturating_sub(ONE_SECOND), left)
}

impl trace::SpanProcessor for SpanProcessor {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.hooked.began(span.span_context().span_id(), self.times.look());
        let parent = cx.span();
        let parent = parent.span_context();
        if parent.is_remote()
            && let Some(received) = cx.get::<Received>()
            && received.parent == parent.span_id()
        {
            self.exchanges.began(span.span_context().span_id(), received.member.clone());
        }
        self.batches.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        if self.hooked.passed_in(&span, self.times.look(), &*self.times) {
            self.batches.on_end(of_program(span));
        } else {
            self.batches.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        let begun = Instant::now();
        self.batches.force_flush()?;
        flush(&self.door, begun)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Says that the program passed in its start or its end.
#[cold]
fn of_program(mut span: SpanData) -> SpanData {
    span.attributes.push(KeyValue::new(TIME_SOURCE, "program"));
    span
}

impl logs::LogProcessor for LogProcessor {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.times.look();
        self.batches.emit(record, scope);
    }

    fn force_flush(&self) -> OTelSdkResult {
        let begun = Instant::now();
        self.batches.force_flush()?;
        flush(&self.door, begun)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.batches.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}
