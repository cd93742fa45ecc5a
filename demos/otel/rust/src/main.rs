//! The payment: charges what was reserved. Instrumented with `tracing`, as usual.

use std::io::Read;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use rustix::time::{ClockId, clock_gettime};
use tokio::net::TcpListener;
use tracing::{Instrument, field, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

type Failed = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let provider = provider()?;
    global::set_text_map_propagator(TraceContextPropagator::new());
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("payment"));
    tracing_subscriber::registry().with(layer).init();

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?.port());
    let ended = tokio::task::spawn_blocking(wait_for_end);
    let serve = axum::serve(listener, Router::new().route("/charge", get(charge)));
    tokio::select! {
        served = async { serve.await } => served?,
        _ = ended => {}
    }
    tokio::task::spawn_blocking(move || provider.shutdown()).await??;
    Ok(())
}

/// Spans go to where OTEL_EXPORTER_OTLP_ENDPOINT says.
fn provider() -> Result<SdkTracerProvider, Failed> {
    let exporter = SpanExporter::builder().with_http().build()?;
    let builder = SdkTracerProvider::builder();
    if std::env::var_os("WITHOUT_TRUE_TIME").is_some() {
        return Ok(builder.with_batch_exporter(exporter).build());
    }
    let timekeeper = ntp_clock_opentelemetry::install(ntp_clock::Clock::global());
    Ok(builder.with_span_processor(timekeeper.span_processor(exporter)).build())
}

/// Answers when the payment is charged.
async fn charge(headers: HeaderMap) {
    let parent = global::get_text_map_propagator(|p| p.extract(&HeaderExtractor(&headers)));
    let span = info_span!("GET /charge", otel.kind = "server");
    // It has none where the request came without one.
    let _ = span.set_parent(parent);
    async {
        let before_ns = monotonic_ns();
        let span = info_span!("charge", truth.before_ns = before_ns, truth.after_ns = field::Empty);
        span.record("truth.after_ns", monotonic_ns());
        tokio::time::sleep(Duration::from_millis(3)).instrument(span).await;
    }
    .instrument(span)
    .await;
}

/// What no wrong system clock touches: only the demo looks at it, to know the truth.
fn monotonic_ns() -> String {
    let now = clock_gettime(ClockId::Monotonic);
    format!("{}{:09}", now.tv_sec, now.tv_nsec)
}

/// The demo closes our standard input when it ends.
fn wait_for_end() {
    let mut input = std::io::stdin();
    while input.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
}
