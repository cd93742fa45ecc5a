use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request};
use axum::routing::get;
use futures_executor::block_on;
use ntp_clock::{Clock, ManualClock};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tower::{Layer as _, ServiceExt as _};

use crate::{Answer, GateLimits, install};

fn attribute(span: &SpanData, key: &str) -> Option<Value> {
    span.attributes.iter().find(|one| one.key.as_str() == key).map(|one| one.value.clone())
}

/// Client and server in one process: the client's counter is one that the test moves by hand.
#[test]
fn a_servers_span_says_that_it_is_after_the_request_once_both_know_of_an_exchange() {
    let manual = ManualClock::new();
    let nobody = "127.0.0.1:9".parse().expect("an address");
    let clock = Clock::builder().server(nobody).build().expect("valid");
    let at_once = GateLimits { wait: Duration::ZERO, ..GateLimits::default() };
    let (here, there) = (install(&manual.clock()), install(&clock).with_gate(at_once));
    let memory = InMemorySpanExporter::default();
    let processor = there.span_processor(memory.clone());
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    let propagator = there.propagator(TraceContextPropagator::new());
    let shared = Arc::new((manual, propagator, provider.tracer("server")));
    let handler = move |headers: HeaderMap| async move {
        let (manual, propagator, tracer) = &*shared;
        // Longer than the exchange seems to take by the client's counter.
        std::thread::sleep(Duration::from_millis(60));
        manual.advance(Duration::from_millis(40));
        let text = |value: &HeaderValue| value.to_str().expect("ASCII").to_owned();
        let headers: HashMap<String, String> =
            headers.iter().map(|(key, value)| (key.to_string(), text(value))).collect();
        let context = propagator.extract(&headers);
        tracer.start_with_context("served", &context).end();
        // What is within has no remote parent.
        tracer.start_with_context("within", &Context::new()).end();
        manual.advance(Duration::from_millis(40));
    };
    let server = Router::new().route("/", get(handler)).layer(there.server_layer());
    let client = here.client_layer().layer(server);
    for _ in 0..2 {
        let request = Request::get("http://server/")
            .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .header("tracestate", "vendor=x")
            .body(Body::empty())
            .expect("a request");
        block_on(client.clone().oneshot(request)).expect("served");
        provider.force_flush().expect("flushed");
    }
    let spans = memory.get_finished_spans().expect("no panic");
    let order = |number: usize| attribute(&spans[number], "ntp_clock.parent_order");
    assert_eq!([order(0), order(1)], [Some("unknown".into()), None]);
    assert_eq!(attribute(&spans[0], "ntp_clock.parent_gap_ns"), None);
    assert_eq!([order(2), order(3)], [Some("after".into()), None], "{spans:?}");
    let error = attribute(&spans[2], "ntp_clock.parent_gap_max_error_ns");
    let Some(Value::I64(error_ns)) = error else { panic!("{error:?}") };
    assert!(error_ns < 40_000_000, "{error_ns}");
}

#[test]
fn a_request_without_our_member_gets_no_header_and_one_with_it_gets_its_time_back() {
    let server = Router::new().route("/", get(|| async {}));
    let server = server.layer(install(&ManualClock::new().clock()).server_layer());
    let answered = |states: &[&str]| {
        let request = states
            .iter()
            .fold(Request::get("/"), |request, state| request.header("tracestate", *state));
        let request = request.body(Body::empty()).expect("a request");
        let response = block_on(server.clone().oneshot(request)).expect("served");
        let header = response.headers().get("ntp-clock-exchange")?;
        header.to_str().ok()?.parse().ok().map(|answer: Answer| answer.sent.as_nanos())
    };
    let member = "ntpclock=1.0f3a6c5d9be2714f.1200";
    assert_eq!(answered(&["vendor=x", member]), Some(1_200));
    for other in [&[][..], &["vendor=x"], &["ntpclock=1.0f3a6c5d9be2714f"], &[member, member]] {
        assert_eq!(answered(other), None, "{other:?}");
    }
}
