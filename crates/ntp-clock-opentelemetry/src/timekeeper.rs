//! What wraps exporters.

use std::sync::Arc;
use std::time::SystemTime;

use ntp_clock::Clock;
use opentelemetry_sdk::{logs, trace};

use crate::gate::GateLimits;
use crate::hooked::Hooked;
use crate::keeper::Keeper;
use crate::logs::LogExporter;
#[cfg(feature = "metrics")]
use crate::metrics::Metrics;
#[cfg(feature = "metrics")]
use crate::metrics_client::MetricsClient;
#[cfg(feature = "tower")]
use crate::order::{ClientLayer, ServerLayer};
use crate::order::{Exchanges, Propagator};
use crate::processors::{LogProcessor, SpanProcessor};
use crate::spans::SpanExporter;
use crate::times::Times;

/// Starts the history: from now on the SDK's clock is read beside `clock`'s counter, once a second
/// and where spans and records begin and end. Call it early and once: what was stamped before cannot
/// be dated. It ends when the last [`Timekeeper`], exporter or processor is dropped.
///
/// ```no_run
/// let timekeeper = ntp_clock_opentelemetry::install(ntp_clock::Clock::global());
/// ```
#[must_use]
pub fn install(clock: &Clock) -> Timekeeper {
    let times = Keeper::begin(clock.clone(), Box::new(SystemTime::now));
    let exchanges = Exchanges::new(clock.clone());
    Timekeeper { times, exchanges, limits: GateLimits::default() }
}

/// Wraps exporters so that what they send has true times.
#[derive(Clone, Debug)]
pub struct Timekeeper {
    times: Arc<dyn Times>,
    exchanges: Exchanges,
    limits: GateLimits,
}

impl Timekeeper {
    #[cfg(test)]
    pub(crate) fn new(times: Arc<dyn Times>) -> Self {
        let exchanges = Exchanges::new(ntp_clock::ManualClock::new().clock());
        Timekeeper { times, exchanges, limits: GateLimits::default() }
    }

    /// Sets the limits for what waits before the first synchronisation, for exporters that are
    /// wrapped later.
    #[must_use]
    pub fn with_gate(self, limits: GateLimits) -> Self {
        Timekeeper { limits, ..self }
    }

    /// A span exporter in front of the program's own, for `with_batch_exporter` and the like.
    #[must_use]
    pub fn span_exporter<E: trace::SpanExporter + 'static>(&self, exporter: E) -> SpanExporter<E> {
        SpanExporter::new(exporter, Arc::clone(&self.times), self.exchanges.clone(), self.limits)
    }

    /// A log exporter in front of the program's own, for `with_batch_exporter` and the like.
    #[must_use]
    pub fn log_exporter<E: logs::LogExporter + 'static>(&self, exporter: E) -> LogExporter<E> {
        LogExporter::new(exporter, Arc::clone(&self.times), self.limits)
    }

    /// A batch processor of spans in front of the program's exporter, for `with_span_processor`:
    /// like [`Timekeeper::span_exporter`] in the SDK's own, and a flush reaches what waits.
    #[must_use]
    pub fn span_processor<E: trace::SpanExporter + 'static>(&self, exporter: E) -> SpanProcessor {
        let exporter = self.span_exporter(exporter);
        let (door, times) = (exporter.door(), Arc::clone(&self.times));
        let batches = trace::BatchSpanProcessor::builder(exporter).build();
        let (exchanges, hooked) = (self.exchanges.clone(), Hooked::default());
        SpanProcessor { batches, door, times, exchanges, hooked }
    }

    /// A batch processor of log records in front of the program's exporter, for
    /// `with_log_processor`: like [`Timekeeper::log_exporter`] in the SDK's own, and a flush
    /// reaches what waits.
    #[must_use]
    pub fn log_processor<E: logs::LogExporter + 'static>(&self, exporter: E) -> LogProcessor {
        let exporter = self.log_exporter(exporter);
        let (door, times) = (exporter.door(), Arc::clone(&self.times));
        let batches = logs::BatchLogProcessor::builder(exporter).build();
        LogProcessor { batches, door, times }
    }

    /// Wraps the program's propagator: requests say when they left, and what arrives is read.
    #[must_use]
    pub fn propagator<P>(&self, inner: P) -> Propagator<P> {
        Propagator::new(inner, self.exchanges.clone())
    }

    /// What exchanges say of this process's counter and those of others.
    #[must_use]
    pub fn exchanges(&self) -> &Exchanges {
        &self.exchanges
    }

    /// A server layer that adds the response header `ntp-clock-exchange`.
    #[cfg(feature = "tower")]
    #[must_use]
    pub fn server_layer(&self) -> ServerLayer {
        ServerLayer::new(self.exchanges.clock().clone())
    }

    /// A client layer that learns from this header, `ntp-clock-exchange`.
    #[cfg(feature = "tower")]
    #[must_use]
    pub fn client_layer(&self) -> ClientLayer {
        ClientLayer::new(self.exchanges.clone())
    }

    /// An HTTP client in front of the program's own, for the OTLP exporter of metrics alone: its
    /// requests leave with true times.
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn metrics_client<C: opentelemetry_http::HttpClient + 'static>(
        &self,
        client: C,
    ) -> MetricsClient<C> {
        MetricsClient::new(client, Arc::clone(&self.times), self.limits)
    }

    /// What re-dates the metrics of one exporter, in OTLP's protobuf.
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics::new(Arc::clone(&self.times))
    }
}
