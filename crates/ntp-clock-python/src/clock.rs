//! The native base of the Python clock: all that is read often, and what the rest is made of.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ntp_clock::{ConfigError, EnvironmentError, FailureKind, Nts, Server, Sharing, Span, UnixTime};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use crate::events::Events;
use crate::numbers::{self, bad_holdover, bad_poll_interval};
use crate::reading::Reading;
use crate::stamp::ClockStamp;
use crate::status;
use crate::true_time::{self, Seen};

/// Whether a clock is shared with other processes, or the directory in which they meet.
#[derive(FromPyObject)]
enum Shared {
    With(bool),
    In(PathBuf),
}

/// Base of NTPClock. Readings never wait, and take no Python frame.
#[pyclass(frozen, subclass, module = "portacode._native")]
pub(crate) struct Clock {
    started: OnceLock<ntp_clock::Clock>,
    /// Whether a Python thread attends to the events, in this process.
    attended: AtomicBool,
}

#[pymethods]
impl Clock {
    // Subclasses may have arguments of their own: `__init__` is what looks at them.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Clock { started: OnceLock::new(), attended: AtomicBool::new(true) }
    }

    /// True time in seconds since the Unix epoch, or None while not synchronised.
    fn now(slf: &Bound<'_, Self>) -> PyResult<Option<f64>> {
        Ok(Clock::time(slf)?.map(UnixTime::as_secs_f64))
    }

    /// True time in whole milliseconds since the Unix epoch, or None while not synchronised.
    ///
    /// Floored.
    fn now_ms(slf: &Bound<'_, Self>) -> PyResult<Option<i64>> {
        Ok(Clock::time(slf)?.map(UnixTime::as_millis_floor))
    }

    /// True time in nanoseconds since the Unix epoch, or None while not synchronised.
    fn now_ns(slf: &Bound<'_, Self>) -> PyResult<Option<i64>> {
        Ok(Clock::time(slf)?.map(UnixTime::as_nanos))
    }

    /// True time as ISO 8601 text in UTC, or None while not synchronised.
    ///
    /// Always with six digits, floored: '2025-10-05T04:37:12.768445+00:00'.
    fn now_iso(slf: &Bound<'_, Self>) -> PyResult<Option<String>> {
        Ok(Clock::time(slf)?.map(|time| time.to_string()))
    }

    /// True time with its errors, or None while not synchronised.
    fn read(slf: &Bound<'_, Self>) -> PyResult<Option<Reading>> {
        Ok(Clock::of(slf)?.now().map(Reading::from))
    }

    /// The earliest that true time can be, seconds since the Unix epoch, or None.
    ///
    /// Rounded down.
    fn earliest(slf: &Bound<'_, Self>) -> PyResult<Option<f64>> {
        Ok(Clock::of(slf)?.earliest().map(true_time::seconds_floor))
    }

    /// The earliest that true time can be, nanoseconds since the Unix epoch, or None.
    fn earliest_ns(slf: &Bound<'_, Self>) -> PyResult<Option<i64>> {
        Ok(Clock::of(slf)?.earliest().map(UnixTime::as_nanos))
    }

    /// The latest that true time can be, seconds since the Unix epoch, or None.
    ///
    /// Rounded up.
    fn latest(slf: &Bound<'_, Self>) -> PyResult<Option<f64>> {
        Ok(Clock::of(slf)?.latest().map(true_time::seconds_ceil))
    }

    /// The latest that true time can be, nanoseconds since the Unix epoch, or None.
    ///
    /// It is the time to give to what is committed now.
    fn latest_ns(slf: &Bound<'_, Self>) -> PyResult<Option<i64>> {
        Ok(Clock::of(slf)?.latest().map(UnixTime::as_nanos))
    }

    /// Whether this time has certainly passed, or None while not synchronised.
    fn is_past(slf: &Bound<'_, Self>, time_ns: i64) -> PyResult<Option<bool>> {
        Ok(Clock::of(slf)?.is_past(UnixTime::from_nanos(time_ns)))
    }

    /// Whether this time has certainly not come yet, or None while not synchronised.
    fn is_future(slf: &Bound<'_, Self>, time_ns: i64) -> PyResult<Option<bool>> {
        Ok(Clock::of(slf)?.is_future(UnixTime::from_nanos(time_ns)))
    }

    /// The local counter, which counter it is, and the time now: all of one moment.
    ///
    /// It is what to keep of an event that others are to compare with theirs.
    fn stamp(slf: &Bound<'_, Self>) -> PyResult<ClockStamp> {
        Ok(Clock::of(slf)?.stamp().into())
    }

    /// Name of the local counter, 16 hexadecimal digits; another one after the machine slept.
    ///
    /// Moments of counters of the same name can be compared, whichever process read them.
    #[getter]
    fn counter_id(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(Clock::of(slf)?.counter_id().to_string())
    }

    /// True time of an event whose time.perf_counter_ns() (nanoseconds) was kept.
    ///
    /// Also for events from before the first synchronisation. None while not synchronised, and for
    /// moments that the clock cannot speak for: before the machine last slept, and, where it has
    /// slept at all, before the clock was made.
    fn at_perf_counter_ns(
        slf: &Bound<'_, Self>,
        perf_counter_ns: i64,
    ) -> PyResult<Option<Reading>> {
        static PERF_COUNTER_NS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let clock = Clock::of(slf)?;
        let counter = PERF_COUNTER_NS.import(slf.py(), "time", "perf_counter_ns")?;
        // Both counters are the system's monotonic clock, each with a zero of its own.
        let before = Instant::now();
        let now_ns: i64 = counter.call0()?.extract()?;
        let gap = before.elapsed();
        let ahead = perf_counter_ns.saturating_sub(now_ns);
        let distance = Duration::from_nanos(ahead.unsigned_abs());
        let instant =
            if ahead < 0 { before.checked_sub(distance) } else { before.checked_add(distance) };
        let reading = instant.and_then(|instant| clock.at_instant(instant));
        Ok(reading.map(|reading| reading.widened(Span::from(gap)).into()))
    }

    /// True time of an event whose CLOCK_MONOTONIC_RAW (nanoseconds) was kept, on Linux.
    ///
    /// By this program or any other of the machine. None where at_perf_counter_ns() gives none, and
    /// on other systems.
    fn at_raw_ns(slf: &Bound<'_, Self>, raw_ns: u64) -> PyResult<Option<Reading>> {
        Ok(Clock::of(slf)?.at_raw(Duration::from_nanos(raw_ns)).map(Reading::from))
    }

    /// Everything about the clock at this moment; keys name their units.
    ///
    /// Values that only a synchronised clock has are None while it is not.
    fn get_status<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        status::dictionary(slf.py(), Clock::of(slf)?)
    }

    /// The one server, with its port where it is not 123.
    #[getter]
    fn ntp_server(&self) -> PyResult<String> {
        Ok(match self.clock()?.server() {
            Ok(server) => server.to_string(),
            Err(error) => error.text().to_owned(),
        })
    }

    /// Synchronised time less the system's, now, in seconds; None while not synchronised.
    #[getter]
    fn offset(slf: &Bound<'_, Self>) -> PyResult<Option<f64>> {
        Ok(Clock::of(slf)?.status().offset.map(Span::as_secs_f64))
    }

    /// True time of the last believed reply, Unix seconds; None while not synchronised.
    #[getter]
    fn last_sync(slf: &Bound<'_, Self>) -> PyResult<Option<f64>> {
        Ok(Clock::of(slf)?.status().last_sync.map(UnixTime::as_secs_f64))
    }

    /// Seconds between synchronisations, 1 to 86400; writable.
    #[getter]
    fn sync_interval(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let interval = self.clock()?.poll_interval();
        Ok(if interval.subsec_nanos() == 0 {
            interval.as_secs().into_pyobject(py)?.into_any().unbind()
        } else {
            interval.as_secs_f64().into_pyobject(py)?.into_any().unbind()
        })
    }

    #[setter]
    fn set_sync_interval(&self, seconds: f64) -> PyResult<()> {
        let interval = numbers::poll_interval(seconds)?;
        self.clock()?.set_poll_interval(interval).map_err(|_| bad_poll_interval(seconds))
    }

    // From here on: what NTPClock is made of.

    /// Makes it a clock of its own, which starts at once.
    #[allow(clippy::too_many_arguments)]
    fn _start(
        &self,
        py: Python<'_>,
        server: &str,
        sync_interval: f64,
        holdover: f64,
        nts: (String, Option<PathBuf>),
        shared: Shared,
        counter: &str,
    ) -> PyResult<()> {
        let server: Server = server.parse().map_err(value_error)?;
        let builder = ntp_clock::Clock::builder()
            .server(server)
            .nts(Nts::from_words(&nts.0, nts.1).map_err(value_error)?)
            .counter(counter.parse().map_err(value_error)?)
            .poll_interval(numbers::poll_interval(sync_interval)?)
            .holdover(numbers::holdover(holdover)?);
        let builder = match shared {
            Shared::With(false) => builder,
            Shared::With(true) => builder.shared(Sharing::of_user()),
            Shared::In(directory) => builder.shared(Sharing::in_directory(directory)),
        };
        // Roots are read from files.
        let built = py.detach(|| builder.build());
        let clock = built.map_err(|error| match error {
            ConfigError::PollInterval(_) => bad_poll_interval(sync_interval),
            ConfigError::Holdover(_) => bad_holdover(holdover),
            other => value_error(other),
        })?;
        self.become_clock(clock)
    }

    /// Makes it the program's shared clock; gives what is wrong with its variables.
    ///
    /// In words, and as a code.
    fn _start_shared(&self, py: Python<'_>) -> PyResult<Option<(String, &'static str)>> {
        let clock = py.detach(|| ntp_clock::Clock::global().clone());
        let error = clock.environment_error().map(|error| match error {
            EnvironmentError::Server(error) => {
                let words = format!("PORTACODE_NTP_SERVER is malformed: {error}");
                (words, FailureKind::NoServer.code())
            }
            other => (other.to_string(), FailureKind::NoNts.code()),
        });
        self.become_clock(clock)?;
        Ok(error)
    }

    /// Asks for a round, without waiting for it.
    fn _request_sync(slf: &Bound<'_, Self>) -> PyResult<SyncTicket> {
        Ok(SyncTicket(Clock::of(slf)?.request_sync()))
    }

    /// Whether the round asked for succeeded; None while it is not over.
    fn _sync_outcome(&self, ticket: &SyncTicket) -> PyResult<Option<bool>> {
        Ok(self.clock()?.sync_outcome(&ticket.0).map(|outcome| outcome.is_ok()))
    }

    /// The reading by which this time has certainly passed, or seconds until the next look.
    ///
    /// Raises TimeoutError where the time-out leaves nothing, or less than the time is ahead.
    fn _look_past(slf: &Bound<'_, Self>, time_ns: i64, left_s: Option<f64>) -> PyResult<Seen> {
        true_time::look(Clock::of(slf)?, time_ns, left_s)
    }

    /// Events from now on.
    fn _subscribe(&self) -> PyResult<Events> {
        Ok(Events::of(self.clock()?))
    }

    /// Nobody attends to events in this process yet: its first use calls `_attend()`.
    fn _unattended(&self) {
        self.attended.store(false, Ordering::Release);
    }
}

impl Clock {
    #[inline]
    fn time(slf: &Bound<'_, Self>) -> PyResult<Option<UnixTime>> {
        Ok(Clock::of(slf)?.now().map(|reading| reading.time()))
    }

    /// The clock, about to be used.
    #[inline]
    fn of<'a>(slf: &'a Bound<'_, Self>) -> PyResult<&'a ntp_clock::Clock> {
        let this = slf.get();
        if !this.attended.load(Ordering::Acquire) {
            Clock::call_attendant(slf);
        }
        this.clock()
    }

    #[cold]
    fn call_attendant(slf: &Bound<'_, Self>) {
        if !slf.get().attended.swap(true, Ordering::AcqRel)
            && let Err(error) = slf.call_method0(intern!(slf.py(), "_attend"))
        {
            // A reading is no place for an error about log lines.
            error.write_unraisable(slf.py(), Some(slf));
        }
    }

    #[inline]
    pub(crate) fn clock(&self) -> PyResult<&ntp_clock::Clock> {
        self.started.get().ok_or_else(not_started)
    }

    /// What it is from now on.
    pub(crate) fn become_clock(&self, clock: ntp_clock::Clock) -> PyResult<()> {
        self.started
            .set(clock)
            .map_err(|_| PyRuntimeError::new_err("this clock has been started already"))
    }
}

/// A round asked for.
#[pyclass(frozen, module = "portacode._native")]
pub(crate) struct SyncTicket(ntp_clock::SyncTicket);

#[cold]
fn not_started() -> PyErr {
    PyRuntimeError::new_err("this clock was not started: its __init__() has not been called")
}

fn value_error(error: impl ToString) -> PyErr {
    PyValueError::new_err(error.to_string())
}
