//! Spans, log records and a metric by OTLP, beside the truth of when each was made; what it prints
//! is for `tools/otel_truth.py`. With `TRUE_TIME=0` it is the same program without our lines.
//!
//! `SPANS` (5) and `THREADS` (1) say how many spans each of how many threads makes; `PAUSE_MS` is
//! between them. Where `STEP_FILE` and `STEP_TO` are set, libfaketime's clock is stepped within the
//! span "stepped". `SYNCHRONISE=1` waits for the clock first.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};
use std::{env, fs, thread};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, header};
use nix::time::{ClockId, clock_gettime};
use ntp_clock::Clock;
use ntp_clock_opentelemetry::GateLimits;
use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

fn main() -> Result<(), Box<dyn Error>> {
    let http_client = PlainHttp;
    let span_exporter = SpanExporter::builder().with_http().with_http_client(PlainHttp).build()?;
    let log_exporter = LogExporter::builder().with_http().with_http_client(PlainHttp).build()?;
    let spans = SdkTracerProvider::builder();
    let logs = SdkLoggerProvider::builder();
    let metrics = MetricExporter::builder().with_http();
    let (spans, logs, metrics) = if env::var("TRUE_TIME").is_ok_and(|value| value == "0") {
        let spans = spans.with_batch_exporter(span_exporter);
        let logs = logs.with_batch_exporter(log_exporter);
        (spans, logs, metrics.with_http_client(http_client))
    } else {
        let timekeeper = ntp_clock_opentelemetry::install(Clock::global());
        let wait = Duration::from_millis(number("GATE_MS", 10_000));
        let timekeeper = timekeeper.with_gate(GateLimits { wait, ..GateLimits::default() });
        let spans = spans.with_span_processor(timekeeper.span_processor(span_exporter));
        let logs = logs.with_log_processor(timekeeper.log_processor(log_exporter));
        let metrics = metrics.with_http_client(timekeeper.metrics_client(http_client));
        (spans, logs, metrics)
    };
    let before = raw_ns();
    let (spans, logs) = (spans.build(), logs.build());
    let metrics = SdkMeterProvider::builder().with_periodic_exporter(metrics.build()?).build();
    let counter = metrics.meter("truth").u64_counter("counted").build();
    counter.add(1, &[KeyValue::new("truth.id", "counted")]);
    println!("{{\"id\": \"counted\", \"since\": [{before}, {}]}}", raw_ns());
    if number("SYNCHRONISE", 0) > 0 && !Clock::global().wait_synced(Duration::from_secs(30)) {
        return Err("no synchronised time within 10 s".into());
    }
    let (threads, each) = (number("THREADS", 1), number("SPANS", 5));
    thread::scope(|scope| {
        for thread in 0..threads {
            let (tracer, logs) = (spans.tracer("truth"), &logs);
            scope.spawn(move || {
                for turn in 0..each {
                    span(&tracer, &format!("span {thread} {turn}"));
                    if turn < 100 {
                        log(logs, &format!("log {thread} {turn}"));
                    }
                    thread::sleep(Duration::from_millis(number("PAUSE_MS", 0)));
                }
            });
        }
    });
    let tracer = spans.tracer("truth");
    span(&tracer, "stepped");
    metrics.force_flush()?;
    thread::sleep(Duration::from_millis(number("REST_MS", 0)));
    span(&tracer, "last");
    log(&logs, "last log");
    let begun = raw_ns();
    if threads * each > QUEUE {
        // The SDK gives a shutdown five seconds, and a busy machine takes longer for that many.
        (0..12).find(|_| spans.force_flush().is_ok());
    }
    let ended = [spans.shutdown(), logs.shutdown(), metrics.shutdown()];
    eprintln!("shut down in {} ms: {ended:?}", (raw_ns() - begun) / 1_000_000);
    Ok(())
}

/// How much the SDK's queue holds by default.
const QUEUE: u64 = 2_048;

/// A span with an event, and another one within it.
fn span(tracer: &SdkTracer, name: &str) {
    let mut at = vec![raw_ns()];
    let id = |name: &str| [KeyValue::new("truth.id", name.to_owned())];
    let outer = tracer.span_builder(name.to_owned()).with_attributes(id(name)).start(tracer);
    at.push(raw_ns());
    let context = Context::new().with_span(outer);
    let within = format!("{name}, within");
    let builder = tracer.span_builder(within.clone()).with_attributes(id(&within));
    at.push(raw_ns());
    let mut inner = tracer.build_with_context(builder, &context);
    at.push(raw_ns());
    if name == "stepped" {
        step();
    }
    at.push(raw_ns());
    context.span().add_event("here", vec![]);
    at.push(raw_ns());
    inner.end();
    at.push(raw_ns());
    context.span().end();
    at.push(raw_ns());
    println!(
        "{{\"id\": \"{within}\", \"start\": [{}, {}], \"end\": [{}, {}]}}\n\
         {{\"id\": \"{name}\", \"start\": [{}, {}], \"event 0 here\": [{}, {}], \"end\": [{}, {}]}}",
        at[2], at[3], at[5], at[6], at[0], at[1], at[4], at[5], at[6], at[7],
    );
}

/// A record whose timestamp the program takes from the same clock as the SDK.
fn log(logs: &SdkLoggerProvider, name: &str) {
    let logger = logs.logger("truth");
    let before = raw_ns();
    let mut record = logger.create_log_record();
    record.set_timestamp(SystemTime::now());
    record.set_severity_number(Severity::Info);
    record.set_body(name.to_owned().into());
    record.add_attribute("truth.id", name.to_owned());
    logger.emit(record);
    let after = raw_ns();
    println!(
        "{{\"id\": \"{name}\", \"timestamp\": [{before}, {after}], \"observed\": [{before}, {after}]}}"
    );
}

/// Has libfaketime step the system's clock.
fn step() {
    let (Ok(file), Ok(to)) = (env::var("STEP_FILE"), env::var("STEP_TO")) else { return };
    let new = format!("{file}.new");
    // Renamed, so that nobody reads half of it.
    fs::write(&new, to).and_then(|()| fs::rename(&new, &file)).expect("a file that can be written");
}

/// A counter that libfaketime leaves alone: `CLOCK_MONOTONIC_RAW`.
fn raw_ns() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC_RAW).expect("every kernel has it");
    now.tv_sec() * 1_000_000_000 + now.tv_nsec()
}

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// A client for a collector on this machine; a program has `reqwest::blocking::Client`.
#[derive(Debug)]
struct PlainHttp;

#[async_trait]
impl HttpClient for PlainHttp {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let host = request.uri().authority().ok_or("an address without a host")?.as_str();
        let path = request.uri().path();
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let length = request.body().len();
        let mut head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        head += &format!("{}: {length}\r\n", header::CONTENT_LENGTH);
        for (name, value) in request.headers() {
            head += &format!("{name}: {}\r\n", value.to_str()?);
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        stream.write_all(request.body())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no HTTP")?;
        let status = std::str::from_utf8(&answer[..end])?.split(' ').nth(1).ok_or("no status")?;
        let body = Bytes::copy_from_slice(&answer[end + 4..]);
        Ok(Response::builder().status(status).body(body)?)
    }
}
