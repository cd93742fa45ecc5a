//! Metrics, as OTLP's protobuf.
//!
//! The SDK's `ResourceMetrics` can be read and not be made or changed from outside of the SDK, so
//! that an exporter of metrics in front of another has nothing to hand on: times are re-dated in
//! the message that leaves.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ntp_clock_history::Dated;
use opentelemetry::Value;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Gauge, ScopeMetrics};

use crate::times::{Redating, SYNCHRONISED, Times};

/// For so many requests a time is remembered that no point uses any more.
const REMEMBERED_REQUESTS: u64 = 16;

/// Re-dates the points of metrics in OTLP requests, of one exporter.
///
/// Made by [`Timekeeper::metrics`](crate::Timekeeper::metrics). A start that the SDK repeats is
/// dated once and repeated unchanged, for else it would look like a reset; the start of a delta is
/// the end of the one before. Each scope says `ntp_clock.synchronised`, and with true times the other
/// attributes too. Its errors are rounded up to powers of two: each other value of a scope's
/// attribute makes new series in a backend.
pub struct Metrics {
    times: Arc<dyn Times>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    requests: u64,
    /// By the SDK's time: true time, and the last request that used it.
    dated: HashMap<u64, (Dated, u64)>,
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
            for scope in &mut resource.scope_metrics {
                self.redate_scope(scope, &mut memory);
            }
        }
        let oldest = memory.requests.saturating_sub(REMEMBERED_REQUESTS);
        memory.dated.retain(|_, &mut (_, used)| used > oldest);
    }

    fn redate_scope(&self, metrics: &mut ScopeMetrics, memory: &mut Memory) {
        let scope = metrics.scope.get_or_insert_default();
        if scope.attributes.iter().any(|attribute| attribute.key == SYNCHRONISED) {
            return;
        }
        let (mut all, mut redating) = (true, Redating::new(&*self.times));
        let mut redate = |start: &mut u64, time: &mut u64, exemplars: &mut [Exemplar]| {
            all &= self.redate_point(memory, &mut redating, start, time, exemplars).is_some();
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
        let said = if all { redating } else { Redating::new(&*self.times) };
        scope.attributes.extend(said.attributes().into_iter().map(attribute));
    }

    /// Re-dates a point, both its times or none.
    fn redate_point(
        &self,
        memory: &mut Memory,
        redating: &mut Redating<'_>,
        start: &mut u64,
        time: &mut u64,
        exemplars: &mut [Exemplar],
    ) -> Option<()> {
        let began = if *start == 0 { None } else { Some(self.date(memory, *start)?) };
        let ended = self.date(memory, *time)?;
        let began_ns = began.map_or(0, |began| began.time_ns);
        let ended_ns = if *start <= *time { ended.time_ns.max(began_ns) } else { ended.time_ns };
        (*start, *time) = (u64::try_from(began_ns).ok()?, u64::try_from(ended_ns).ok()?);
        for dated in began.into_iter().chain([ended]) {
            redating.keep(dated);
        }
        redating.moved(Duration::from_nanos(ended_ns.abs_diff(ended.time_ns)));
        for exemplar in exemplars {
            if let Some(taken) = self.date(memory, exemplar.time_unix_nano)
                && let Ok(taken_ns) = u64::try_from(taken.time_ns)
            {
                exemplar.time_unix_nano = taken_ns;
                redating.keep(taken);
            }
        }
        Some(())
    }

    fn date(&self, memory: &mut Memory, sdk_ns: u64) -> Option<Dated> {
        let request = memory.requests;
        if let Some((dated, used)) = memory.dated.get_mut(&sdk_ns) {
            *used = request;
            return Some(*dated);
        }
        let dated = self.times.date(i64::try_from(sdk_ns).ok()?)?;
        memory.dated.insert(sdk_ns, (dated, request));
        Some(dated)
    }
}

/// An attribute as OTLP has it, with errors rounded up.
fn attribute(attribute: opentelemetry::KeyValue) -> KeyValue {
    let rounded = |error: i64| {
        let power = error.unsigned_abs().checked_next_power_of_two();
        power.and_then(|power| i64::try_from(power).ok()).unwrap_or(i64::MAX)
    };
    let value = match attribute.value {
        Value::I64(error) if attribute.key.as_str().ends_with("_error_ns") => {
            Value::I64(rounded(error))
        }
        other => other,
    };
    KeyValue { key: attribute.key.into(), value: Some(value.into()), ..Default::default() }
}
