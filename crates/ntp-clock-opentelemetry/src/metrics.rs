//! Metrics, as OTLP's protobuf.
//!
//! The SDK's `ResourceMetrics` can be read and not be made or changed from outside of the SDK, so
//! that an exporter of metrics in front of another has nothing to hand on: times are re-dated in
//! the message that leaves.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ntp_clock_history::Dated;
use opentelemetry::Value;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric, ScopeMetrics};

use crate::times::{Redating, SYNCHRONISED, Times};

/// A time that no point uses any more is forgotten after this many requests.
const REMEMBERED_REQUESTS: u64 = 16;

/// Re-dates the points of metrics in OTLP requests, of one exporter.
///
/// Made by [`Timekeeper::metrics`](crate::Timekeeper::metrics). A start that the SDK repeats is
/// dated once and repeated unchanged, for else it would look like a reset; the start of a delta is
/// the end of the one before. A scope's points are re-dated all or none, and it says which:
/// `ntp_clock.synchronised`, and with true times the other attributes too. Its errors are rounded up
/// to powers of two: each other value of a scope's attribute makes new series in a backend.
///
/// All times are Unix time in nanoseconds, as OTLP has them: before it is the SDK's, afterwards
/// true time.
///
/// ```
/// use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
/// use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
///
/// let clock = ntp_clock::ManualClock::new().clock(); // a program has `Clock::global().clone()`
/// let metrics = ntp_clock_opentelemetry::install(&clock).metrics();
/// // What an exporter of the program's own is about to send.
/// let scope_metrics = vec![ScopeMetrics::default()];
/// let resource_metrics = vec![ResourceMetrics { scope_metrics, ..Default::default() }];
/// let mut request = ExportMetricsServiceRequest { resource_metrics };
/// metrics.redate(&mut request);
/// let scope = request.resource_metrics[0].scope_metrics[0].scope.as_ref().unwrap();
/// assert_eq!(scope.attributes[0].key, "ntp_clock.synchronised");
/// ```
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
    /// A scope with a point or an exemplar that cannot be dated stays as it is, and says so. A
    /// request that has been re-dated stays unchanged.
    pub fn redate(&self, request: &mut ExportMetricsServiceRequest) {
        self.times.look_now();
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.requests += 1;
        let scopes = request.resource_metrics.iter_mut().flat_map(|of| &mut of.scope_metrics);
        let mut scopes: Vec<_> = scopes.filter(|scope| !is_redated(scope)).collect();
        // Before any time leaves, for points of several scopes may end at the same.
        for metric in scopes.iter_mut().flat_map(|scope| &mut scope.metrics) {
            each_point(metric, &mut |start, time, _| self.order(&mut memory, *start, *time));
        }
        for scope in scopes {
            self.redate_scope(scope, &mut memory);
        }
        let oldest = memory.requests.saturating_sub(REMEMBERED_REQUESTS);
        memory.dated.retain(|_, &mut (_, used)| used > oldest);
    }

    /// Has an end not be before its start. It is remembered where it was moved to, and that much
    /// less sure: the next delta starts there.
    fn order(&self, memory: &mut Memory, start: u64, time: u64) {
        if start == 0 || start > time {
            return;
        }
        let began = self.date(memory, start);
        let ended = self.date(memory, time);
        if let (Some(began), Some(ended)) = (began, ended)
            && ended.time_ns < began.time_ns
            && let Some((ended, _)) = memory.dated.get_mut(&time)
        {
            let moved_ns = began.time_ns.saturating_sub(ended.time_ns);
            ended.time_ns = began.time_ns;
            ended.max_error_ns = ended.max_error_ns.saturating_add(moved_ns);
        }
    }

    fn redate_scope(&self, scope: &mut ScopeMetrics, memory: &mut Memory) {
        let (mut all, mut redating) = (true, Redating::new(&*self.times));
        let mut metrics = scope.metrics.clone();
        let mut date = |time: &mut u64| match self.true_ns(memory, &mut redating, *time) {
            Some(true_ns) => *time = true_ns,
            None => all = false,
        };
        for metric in &mut metrics {
            each_point(metric, &mut |start, time, exemplars| {
                if *start != 0 {
                    date(start);
                }
                date(time);
                exemplars.iter_mut().for_each(|exemplar| date(&mut exemplar.time_unix_nano));
            });
        }
        if all {
            scope.metrics = metrics;
        }
        let said = if all { redating } else { Redating::new(&*self.times) };
        let attributes = &mut scope.scope.get_or_insert_default().attributes;
        attributes.extend(said.attributes().into_iter().map(attribute));
    }

    fn true_ns(&self, memory: &mut Memory, redating: &mut Redating<'_>, ns: u64) -> Option<u64> {
        let dated = self.date(memory, ns)?;
        redating.keep(dated);
        u64::try_from(dated.time_ns).ok()
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

fn is_redated(metrics: &ScopeMetrics) -> bool {
    let attributes = metrics.scope.iter().flat_map(|scope| &scope.attributes);
    attributes.into_iter().any(|attribute| attribute.key == SYNCHRONISED)
}

/// Start, time and exemplars of each point; a start of 0 is none.
fn each_point(metric: &mut Metric, visit: &mut dyn FnMut(&mut u64, &mut u64, &mut [Exemplar])) {
    macro_rules! visit {
        ($points:expr) => {
            for point in &mut $points.data_points {
                let times = (&mut point.start_time_unix_nano, &mut point.time_unix_nano);
                visit(times.0, times.1, &mut point.exemplars);
            }
        };
    }
    match &mut metric.data {
        None => {}
        Some(Data::Gauge(gauge)) => visit!(gauge),
        Some(Data::Sum(sum)) => visit!(sum),
        Some(Data::Histogram(histogram)) => visit!(histogram),
        Some(Data::ExponentialHistogram(histogram)) => visit!(histogram),
        Some(Data::Summary(summary)) => summary.data_points.iter_mut().for_each(|point| {
            visit(&mut point.start_time_unix_nano, &mut point.time_unix_nano, &mut []);
        }),
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
