use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{MetricExporter, WithHttpConfig as _};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Metric, NumberDataPoint, ResourceMetrics as Resource, ScopeMetrics, Sum,
};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use prost::Message as _;

use crate::fake::{Fake, HOUR_NS, eventually};
use crate::times::unix_ns;
use crate::{Metrics, Timekeeper};

/// Makes the OTLP message as the exporters of OTLP do.
#[derive(Clone)]
struct Sent {
    requests: Arc<Mutex<Vec<[ExportMetricsServiceRequest; 2]>>>,
    metrics: Arc<Metrics>,
    temporality: Temporality,
}

impl PushMetricExporter for Sent {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let plain = ExportMetricsServiceRequest::from(metrics);
        let mut redated = plain.clone();
        self.metrics.redate(&mut redated);
        let once = redated.clone();
        self.metrics.redate(&mut redated);
        assert_eq!(redated, once);
        self.requests.lock().expect("no panic").push([plain, redated]);
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}

/// Start and end of the counter's points in three exports, by the SDK's clock and re-dated.
fn three_exports(fake: &Arc<Fake>, temporality: Temporality) -> Vec<[(u64, u64); 2]> {
    let metrics = Arc::new(Timekeeper::new(fake.clone()).metrics());
    let sent = Sent { requests: Arc::default(), metrics, temporality };
    let reader = PeriodicReader::builder(sent.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let counter = provider.meter("test").u64_counter("count").build();
    for _ in 0..3 {
        counter.add(1, &[]);
        provider.force_flush().expect("sent");
    }
    let requests = sent.requests.lock().expect("no panic");
    requests.iter().map(|pair| pair.each_ref().map(times)).collect()
}

fn times(request: &ExportMetricsServiceRequest) -> (u64, u64) {
    match &request.resource_metrics[0].scope_metrics[0].metrics[0].data {
        Some(Data::Sum(sum)) => {
            (sum.data_points[0].start_time_unix_nano, sum.data_points[0].time_unix_nano)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn points_are_re_dated_and_a_cumulative_start_is_repeated_unchanged() {
    let hour = HOUR_NS.unsigned_abs();
    let exports = three_exports(&Fake::new(true), Temporality::Cumulative);
    for [plain, redated] in &exports {
        assert_eq!(*redated, (plain.0 + hour, plain.1 + hour));
        assert_eq!(redated.0, exports[0][1].0);
    }
}

#[test]
fn the_start_of_a_delta_is_the_end_of_the_one_before() {
    let exports = three_exports(&Fake::new(true), Temporality::Delta);
    for two in exports.windows(2) {
        assert_eq!(two[0][0].1, two[1][0].0, "the SDK's own");
        assert_eq!(two[0][1].1, two[1][1].0);
    }
}

#[test]
fn without_synchronisation_points_stay_as_they_are() {
    for [plain, redated] in three_exports(&Fake::new(false), Temporality::Cumulative) {
        assert_eq!(plain, redated);
    }
}

/// A request with a sum of points from and to these times.
fn request_of(points: &[(u64, u64)]) -> ExportMetricsServiceRequest {
    let point = |&(start_time_unix_nano, time_unix_nano): &(u64, u64)| NumberDataPoint {
        start_time_unix_nano,
        time_unix_nano,
        ..NumberDataPoint::default()
    };
    let data_points = points.iter().map(point).collect();
    let data = Some(Data::Sum(Sum { data_points, ..Sum::default() }));
    let metrics = vec![Metric { data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![Resource { scope_metrics, ..Resource::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

fn points_of(request: &mut ExportMetricsServiceRequest) -> &mut Vec<NumberDataPoint> {
    match &mut request.resource_metrics[0].scope_metrics[0].metrics[0].data {
        Some(Data::Sum(sum)) => &mut sum.data_points,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_start_of_a_delta_is_where_the_end_of_the_one_before_was_moved_to() {
    let fake = Fake::new(true);
    let metrics = Timekeeper::new(fake.clone()).metrics();
    let now = unix_ns(SystemTime::now()).expect("a time").unsigned_abs();
    let redated = |points: &[(u64, u64)]| {
        let mut request = request_of(points);
        metrics.redate(&mut request);
        let error = said(&request, "ntp_clock.max_error_ns");
        let times = |point: &NumberDataPoint| (point.start_time_unix_nano, point.time_unix_nano);
        (points_of(&mut request).iter().map(times).collect::<Vec<_>>(), error)
    };
    let (first, _) = redated(&[(now - 5_000, now), (now - 5_000, now)]);
    fake.correct(-1_000_000);
    // The later of the two has the time that both end at moved.
    let (second, error) = redated(&[(now - 5_000, now + 10), (now, now + 10)]);
    let end = first[0].1;
    assert_eq!(second, [(first[0].0, end), (end, end)]);
    // 1 us, and 999,990 ns from being moved, rounded up.
    assert_eq!(error, Some(any_value::Value::IntValue(1 << 20)));
    let (third, _) = redated(&[(now + 10, now + 2_000_000), (now + 10, now + 2_000_000)]);
    assert_eq!([third[0].0, third[1].0], [end, end]);
}

#[test]
fn a_scope_with_a_point_or_an_exemplar_that_cannot_be_dated_stays_as_it_is_and_says_so() {
    let metrics = Timekeeper::new(Fake::new(true)).metrics();
    let now = unix_ns(SystemTime::now()).expect("a time").unsigned_abs();
    let good = request_of(&[(now - 5_000, now)]);
    let point = request_of(&[(now - 5_000, now), (5, now)]);
    let mut exemplar = good.clone();
    let old = Exemplar { time_unix_nano: 5, ..Exemplar::default() };
    points_of(&mut exemplar)[0].exemplars.push(old);
    for (mut plain, synchronised) in [(good, true), (point, false), (exemplar, false)] {
        let mut redated = plain.clone();
        metrics.redate(&mut redated);
        let reported = said(&redated, "ntp_clock.synchronised");
        assert_eq!(reported, Some(any_value::Value::BoolValue(synchronised)));
        assert_eq!(points_of(&mut redated) == points_of(&mut plain), !synchronised);
    }
}

/// Keeps the requests that come, as a collector does.
#[derive(Clone, Debug, Default)]
struct Collector(Arc<Mutex<Vec<ExportMetricsServiceRequest>>>);

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let packed = request.headers().contains_key("content-encoding");
        let body = if packed { unpacked(request.body()) } else { request.into_body() };
        let decoded = ExportMetricsServiceRequest::decode(body)?;
        self.0.lock().expect("no panic").push(decoded);
        Ok(Response::new(Bytes::new()))
    }
}

#[cfg(feature = "gzip")]
fn unpacked(body: &[u8]) -> Bytes {
    let mut plain = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(body);
    std::io::Read::read_to_end(&mut decoder, &mut plain).expect("gzip");
    plain.into()
}

#[cfg(not(feature = "gzip"))]
fn unpacked(_: &[u8]) -> Bytes {
    panic!("nothing is compressed")
}

impl Collector {
    fn received(&self) -> Vec<ExportMetricsServiceRequest> {
        self.0.lock().expect("no panic").clone()
    }
}

/// A provider with the exporter of OTLP, whose client is wrapped.
fn provider(fake: &Arc<Fake>, collector: &Collector) -> SdkMeterProvider {
    let client = Timekeeper::new(fake.clone()).metrics_client(collector.clone());
    let exporter = MetricExporter::builder().with_http().with_http_client(client).build();
    SdkMeterProvider::builder().with_periodic_exporter(exporter.expect("an exporter")).build()
}

/// What the scope of the only metric says.
fn said(request: &ExportMetricsServiceRequest, key: &str) -> Option<any_value::Value> {
    let scope = request.resource_metrics[0].scope_metrics[0].scope.as_ref()?;
    scope.attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.clone()
}

#[test]
fn what_the_exporter_of_otlp_sends_before_the_first_synchronisation_leaves_in_true_time() {
    let (fake, collector) = (Fake::new(false), Collector::default());
    let provider = provider(&fake, &collector);
    let before = unix_ns(SystemTime::now()).expect("a time");
    provider.meter("test").u64_counter("count").build().add(1, &[]);
    provider.force_flush().expect("it waits");
    assert_eq!(collector.received(), []);
    fake.synchronise();
    eventually("it leaves", || collector.received().len() == 1);
    provider.force_flush().expect("sent");
    let requests = collector.received();
    let [(start, time), (again, _)] = [&requests[0], &requests[1]].map(times);
    assert!(start <= time && start >= (before + HOUR_NS).unsigned_abs());
    assert_eq!(again, start);
    let max_error = Some(any_value::Value::IntValue(1_024));
    assert_eq!(said(&requests[0], "ntp_clock.max_error_ns"), max_error);
    provider.shutdown().expect("all went");
}

#[test]
fn metrics_that_wait_at_shutdown_leave_before_it_ends_and_say_that_they_are_not_true() {
    let collector = Collector::default();
    let provider = provider(&Fake::new(false), &collector);
    provider.meter("test").u64_counter("count").build().add(1, &[]);
    provider.shutdown().expect("all went");
    let requests = collector.received();
    assert_eq!(requests.len(), 1);
    let synchronised = said(&requests[0], "ntp_clock.synchronised");
    assert_eq!(synchronised, Some(any_value::Value::BoolValue(false)));
}

#[cfg(feature = "gzip")]
#[test]
fn what_the_exporter_of_otlp_compresses_is_re_dated_too() {
    use opentelemetry_otlp::Compression;

    let (fake, collector) = (Fake::new(true), Collector::default());
    let client = Timekeeper::new(fake).metrics_client(collector.clone());
    let exporter = MetricExporter::builder()
        .with_http()
        .with_compression(Compression::Gzip)
        .with_http_client(client)
        .build()
        .expect("an exporter");
    let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter).build();
    let before = unix_ns(SystemTime::now()).expect("a time");
    provider.meter("test").u64_counter("count").build().add(1, &[]);
    provider.shutdown().expect("all went");
    let requests = collector.received();
    assert!(times(&requests[0]).1 >= (before + HOUR_NS).unsigned_abs());
    let synchronised = said(&requests[0], "ntp_clock.synchronised");
    assert_eq!(synchronised, Some(any_value::Value::BoolValue(true)));
}
