//! OpenTelemetry spans and log records in true time, with a stated error.
//!
//! The SDK stamps with the system's clock, which may be wrong, be stepped and be steered. The
//! exporters of a [`Timekeeper`] stand in front of the program's own. What ends before the first
//! synchronisation waits in a bounded gate ([`GateLimits`]); everything leaves with true times and
//! says how wrong they may be, or leaves as it is and says that:
//!
//! | attribute of the span or record | meaning |
//! | --- | --- |
//! | `ntp_clock.synchronised` | its times are true time; `false`: they are the SDK's own |
//! | `ntp_clock.server` | the time server |
//! | `ntp_clock.max_error_ns` | hard bound on the error of each of its times |
//! | `ntp_clock.est_error_ns` | one standard deviation of the worst of them |
//! | `ntp_clock.epoch` | times of one epoch never decrease with the counter |
//! | `ntp_clock.parent_order`, `.parent_gap_ns`, `.parent_gap_max_error_ns` | the span's start to the sending by its remote parent ([`Exchanges`]) |
//! | `ntp_clock.time_source` | `program`: a time that the program passed in stays as it is |
//!
//! It is made for `opentelemetry` and `opentelemetry_sdk` 0.33, and tested with
//! `tracing-opentelemetry` 0.34 and `opentelemetry-appender-tracing` 0.33. Spans and log records need
//! no feature; the others are
//!
//! | feature | for | with |
//! | --- | --- | --- |
//! | `metrics` | `metrics_client` and `metrics` of a [`Timekeeper`] | `opentelemetry-otlp` 0.33 over HTTP, or `opentelemetry-proto` 0.33 |
//! | `gzip` | the same, where the exporter compresses its requests | |
//! | `tower` | `server_layer` and `client_layer` | `tower` 0.5, `axum` 0.8 |
//!
//! ```
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//!
//! let exporter = InMemorySpanExporter::default(); // the program's own
//! # let server = ntp_test_server::TestServer::builder().spawn()?;
//! # let clock = ntp_clock::Clock::builder().server(server.addr().to_string().parse()?).build()?;
//! # let timekeeper = ntp_clock_opentelemetry::install(&clock);
//! # let _ = || {
//! let timekeeper = ntp_clock_opentelemetry::install(ntp_clock::Clock::global());
//! # };
//! let processor = timekeeper.span_processor(exporter.clone());
//! let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
//! # use opentelemetry::trace::{Span, Tracer, TracerProvider};
//! # provider.tracer("docs").start("work").end();
//! # provider.force_flush()?;
//! # let spans = exporter.get_finished_spans()?;
//! # let said = |a: &opentelemetry::KeyValue| a.key.as_str() == "ntp_clock.max_error_ns";
//! # assert!(spans[0].attributes.iter().any(said), "{:?} {:?}", spans[0], clock.now());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod bounded;
mod families;
mod gate;
mod gated;
mod hooked;
mod keeper;
mod logs;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "metrics")]
mod metrics_client;
mod order;
mod processors;
mod spans;
mod timekeeper;
mod times;

pub use gate::GateLimits;
pub use logs::LogExporter;
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
#[cfg(feature = "metrics")]
pub use metrics_client::MetricsClient;
pub use order::{Answer, Exchanged, Exchanges, Member, MemberError, Peer, Propagator, Received};
#[cfg(feature = "tower")]
pub use order::{ClientLayer, ClientService, ServerLayer, ServerService};
pub use processors::{LogProcessor, SpanProcessor};
pub use spans::SpanExporter;
pub use timekeeper::{Timekeeper, install};

#[cfg(test)]
mod fake;
#[cfg(test)]
mod keeper_tests;
#[cfg(test)]
mod log_tests;
#[cfg(all(test, feature = "metrics"))]
mod metric_tests;
#[cfg(all(test, feature = "tower"))]
mod order_tests;
#[cfg(test)]
mod span_tests;
