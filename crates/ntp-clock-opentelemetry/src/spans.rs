//! Spans.

use std::mem::size_of;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{self, SpanData};

use crate::families::Families;
use crate::gate::GateLimits;
use crate::gated::{Door, Gated, Sink};
use crate::hooked::TIME_SOURCE;
use crate::order::Exchanges;
use crate::processors::{FLUSH, ONE_SECOND};
use crate::times::{Redating, SYNCHRONISED, Times, unix_ns};

/// The program's span exporter, with times that are true.
///
/// Made by [`Timekeeper::span_exporter`](crate::Timekeeper::span_exporter).
#[derive(Debug)]
pub struct SpanExporter<E>(Gated<Spans<E>>)
where
    E: trace::SpanExporter + 'static;

#[derive(Debug)]
struct Spans<E> {
    exporter: E,
    times: Arc<dyn Times>,
    exchanges: Exchanges,
    families: Mutex<Families>,
}

impl<E: trace::SpanExporter + 'static> SpanExporter<E> {
    pub(crate) fn new(
        exporter: E,
        times: Arc<dyn Times>,
        exchanges: Exchanges,
        limits: GateLimits,
    ) -> Self {
        let families = Mutex::new(Families::new());
        let spans = Spans { exporter, times: Arc::clone(&times), exchanges, families };
        SpanExporter(Gated::new(spans, times, limits))
    }

    pub(crate) fn door(&self) -> Arc<Door<SpanData>> {
        Arc::clone(self.0.door())
    }
}

impl<E: trace::SpanExporter + 'static> trace::SpanExporter for SpanExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let begun = Instant::now();
        let flushed = self.0.door().shut_down(timeout);
        let left = timeout.saturating_sub(begun.elapsed());
        flushed.and(self.0.sink().exporter.shutdown_with_timeout(left))
    }

    fn force_flush(&self) -> OTelSdkResult {
        let flushed = self.0.door().flush(FLUSH - ONE_SECOND, FLUSH);
        flushed.and_then(|()| self.0.sink().exporter.force_flush())
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(spans) = self.0.sink_mut() {
            spans.exporter.set_resource(resource);
        }
    }
}

impl<E: trace::SpanExporter + 'static> Sink for Spans<E> {
    type Item = SpanData;
    type Answer = OTelSdkResult;

    fn bytes(span: &SpanData) -> usize {
        let attributes = |count: usize| count * ATTRIBUTE_BYTES;
        let events = span.events.iter();
        size_of::<SpanData>()
            + span.name.len()
            + attributes(span.attributes.len())
            + events
                .map(|event| event.name.len() + attributes(1 + event.attributes.len()))
                .sum::<usize>()
            + span.links.iter().map(|link| attributes(2 + link.attributes.len())).sum::<usize>()
    }

    fn accepted() -> OTelSdkResult {
        Ok(())
    }

    async fn send(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        self.times.look_now();
        for span in &mut batch {
            let start = unix_ns(span.start_time);
            let order =
                self.exchanges.order(span.span_context.span_id(), || self.times.trace(start?));
            redate(span, &*self.times, &self.families);
            span.attributes.extend(order);
        }
        self.exporter.export(batch).await
    }
}

/// What an attribute takes, with its text, by estimate.
pub(crate) const ATTRIBUTE_BYTES: usize = 128;

fn redate(span: &mut SpanData, times: &dyn Times, families: &Mutex<Families>) {
    if span.attributes.iter().any(|attribute| attribute.key.as_str() == SYNCHRONISED) {
        return;
    }
    let is_program = |attribute: &KeyValue| attribute.key.as_str() == TIME_SOURCE;
    if span.attributes.iter().any(is_program) {
        span.attributes.extend(Redating::new(times).attributes());
        return;
    }
    let mut redating = Redating::new(times);
    let was = (span.start_time, span.end_time);
    let both = times_of(&mut redating, was);
    let Some((start, end)) = both else {
        // A span of two clocks would have a length that nobody measured.
        span.attributes.extend(Redating::new(times).attributes());
        return;
    };
    (span.start_time, span.end_time) = (start, end);
    if end < start {
        redating.moved(start.duration_since(end).unwrap_or_default());
        span.end_time = start;
    }
    let mut families = families.lock().unwrap_or_else(PoisonError::into_inner);
    redating.moved(families.hold(span, was));
    drop(families);
    let mut program = false;
    for event in &mut span.events.events {
        let stepped = was.1 < was.0;
        let inside = stepped || (was.0 <= event.timestamp && event.timestamp <= was.1);
        let Some(time) = time_of(&mut redating, event.timestamp, stepped.then_some(was.0)) else {
            program = true;
            continue;
        };
        event.timestamp = if inside { time.clamp(span.start_time, span.end_time) } else { time };
        redating.moved(distance(event.timestamp, time));
    }
    span.attributes.extend(redating.attributes());
    if program {
        span.attributes.push(KeyValue::new(TIME_SOURCE, "program"));
    }
}

fn times_of(
    redating: &mut Redating<'_>,
    (start, end): (SystemTime, SystemTime),
) -> Option<(SystemTime, SystemTime)> {
    let began = redating.date(start)?;
    Some((began, time_of(redating, end, Some(start))?))
}

/// True time of what happened after the start. Stepped back since then, the clock may have shown
/// it before the start too.
fn time_of(
    redating: &mut Redating<'_>,
    time: SystemTime,
    start: Option<SystemTime>,
) -> Option<SystemTime> {
    match start {
        Some(start) if time < start => redating.date_after(time, start),
        _ => redating.date(time),
    }
}

fn distance(a: SystemTime, b: SystemTime) -> Duration {
    a.duration_since(b).unwrap_or_else(|before| before.duration())
}
