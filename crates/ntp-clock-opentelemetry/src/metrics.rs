//! Metrics, as OTLP's protobuf.
//!
//! The SDK's `ResourceMetrics` can be read and not be made or changed from outside of the SDK, so
//! that an exporter of metrics in front of another has nothing to hand on: times are re-dated in
//! the message that leaves.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Gauge, Metric, NumberDataPoint, ScopeMetrics, number_data_point,
};

use crate::times::{SYNCHRONISED, Times};

/// For so many requests a time is remembered that no point uses any more.
const REMEMBERED_REQUESTS: u64 = 16;

/// Re-dates the points of metrics in OTLP requests, of one exporter.
///
/// Made by [`Timekeeper::metrics`](crate::Timekeeper::metrics). A start that the SDK repeats is
/// dated once and repeated unchanged, for else it would look like a reset; the start of a delta is
/// the end of the one before. Each scope says `ntp_clock.synchronised`, and a gauge
/// `ntp_clock.max_error` (nanoseconds) in the scope `ntp_clock` gives the hard bound on the error
/// of all times of the request: as an attribute, a value that changes would make new series.
pub struct Metrics {
    times: Arc<dyn Times>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    requests: u64,
    /// By the SDK's time: true time, its error, and the last request that used it.
    dated: HashMap<u64, (u64, i64, u64)>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("times", &self.times).finish_non_exhaustive()
    }
}

impl Metrics {
    pub(crate) fn new(times: Arc<dyn Times>) -> Self {
        Metrics { times, memory: Mutex::default() }
    }

    /// Re-dates all points of a request; call it once for each, in the order of the exports.
    ///
    /// Points whose times cannot be dated stay as they are. A request that has been re-dated stays
    /// unchanged.
    pub fn redate(&self, request: &mut ExportMetricsServiceRequest) {
        self.times.look_now();
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.requests += 1;
        for resource in &mut request.resource_metrics {
            let mut largest = None;
            for scope in &mut resource.scope_metrics {
                self.redate_scope(scope, &mut memory, &mut largest);
            }
            if let Some((time, error_ns)) = largest {
                resource.scope_metrics.push(self.gauge(time, error_ns));
            }
        }
        let oldest = memory.requests.saturating_sub(REMEMBERED_REQUESTS);
        memory.dated.retain(|_, &mut (_, _, used)| used > oldest);
    }

    fn redate_scope(
        &self,
        metrics: &mut ScopeMetrics,
        memory: &mut Memory,
        largest: &mut Option<(u64, i64)>,
    ) {
        let scope = metrics.scope.get_or_insert_default();
        if scope.attributes.iter().any(|attribute| attribute.key == SYNCHRONISED) {
            return;
        }
        let mut all = true;
        let mut redate = |start: &mut u64, time: &mut u64, exemplars: &mut [Exemplar]| {
            all &= self.redate_point(memory, largest, start, time, exemplars);
        };
        for data in metrics.metrics.iter_mut().filter_map(|metric| metric.data.as_mut()) {
            match data {
                Data::Gauge(Gauge { data_points }) => data_points.iter_mut().for_each(|point| {
                    let exemplars = &mut point.exemplars;
                    redate(&mut point.start_time_unix_nano, &mut point.time_unix_nano, exemplars);
                }),
                Data::Sum(sum) => sum.data_points.iter_mut().for_each(|point| {
                    let exemplars = &mut point.exemplars;
                    redate(&mut point.start_time_unix_nano, &mut point.time_unix_nano, exemplars);
                }),
                Data::Histogram(histogram) => histogram.data_points.iter_mut().for_each(|point| {
                    let exemplars = &mut point.exemplars;
                    redate(&mut point.start_time_unix_nano, &mut point.time_unix_nano, exemplars);
                }),
                Data::ExponentialHistogram(of) => of.data_points.iter_mut().for_each(|point| {
                    let exemplars = &mut point.exemplars;
                    redate(&mut point.start_time_unix_nano, &mut point.time_unix_nano, exemplars);
                }),
                Data::Summary(summary) => summary.data_points.iter_mut().for_each(|point| {
                    redate(&mut point.start_time_unix_nano, &mut point.time_unix_nano, &mut []);
                }),
            }
        }
        scope.attributes.push(flag(all));
    }

    /// Re-dates a point, both its times or none; gives whether it did.
    fn redate_point(
        &self,
        memory: &mut Memory,
        largest: &mut Option<(u64, i64)>,
        start: &mut u64,
        time: &mut u64,
        exemplars: &mut [Exemplar],
    ) -> bool {
        let began = if *start == 0 { Some((0, 0)) } else { self.date(memory, *start) };
        let (Some((began, began_error)), Some((ended, ended_error))) =
            (began, self.date(memory, *time))
        else {
            return false;
        };
        let ended_after = if *start <= *time { ended.max(began) } else { ended };
        let moved = i64::try_from(ended_after - ended).unwrap_or(i64::MAX);
        (*start, *time) = (began, ended_after);
        let mut error = began_error.max(ended_error.saturating_add(moved));
        for exemplar in exemplars {
            if let Some((taken, taken_error)) = self.date(memory, exemplar.time_unix_nano) {
                exemplar.time_unix_nano = taken;
                error = error.max(taken_error);
            }
        }
        let (last, most) = largest.unwrap_or_default();
        *largest = Some((last.max(*time), most.max(error)));
        true
    }

    fn date(&self, memory: &mut Memory, sdk_ns: u64) -> Option<(u64, i64)> {
        let request = memory.requests;
        if let Some((time, error, used)) = memory.dated.get_mut(&sdk_ns) {
            *used = request;
            return Some((*time, *error));
        }
        let dated = self.times.date(i64::try_from(sdk_ns).ok()?)?;
        let time = u64::try_from(dated.time_ns).ok()?;
        memory.dated.insert(sdk_ns, (time, dated.max_error_ns, request));
        Some((time, dated.max_error_ns))
    }

    fn gauge(&self, time_unix_nano: u64, max_error_ns: i64) -> ScopeMetrics {
        let server = any_value::Value::StringValue(self.times.server());
        let attributes = vec![attribute("ntp_clock.server", server)];
        let value = Some(number_data_point::Value::AsInt(max_error_ns));
        let point = NumberDataPoint { attributes, time_unix_nano, value, ..Default::default() };
        let metric = Metric {
            name: "ntp_clock.max_error".into(),
            unit: "ns".into(),
            data: Some(Data::Gauge(Gauge { data_points: vec![point] })),
            ..Default::default()
        };
        let scope = InstrumentationScope {
            name: "ntp_clock".into(),
            attributes: vec![flag(true)],
            ..Default::default()
        };
        ScopeMetrics { scope: Some(scope), metrics: vec![metric], ..Default::default() }
    }
}

fn flag(synchronised: bool) -> KeyValue {
    attribute(SYNCHRONISED, any_value::Value::BoolValue(synchronised))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}
