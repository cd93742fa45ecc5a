//! A reading as a Python value.

use std::hash::{Hash, Hasher};

use ntp_clock::{Span, UnixTime};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// What the time is, how far that can be from the truth, and how far it probably is.
///
/// True time is certainly within time_ns ± max_error_ns; est_error_ns is one standard deviation.
/// All are whole nanoseconds. Immutable, hashable, equal where all four values are.
#[pyclass(frozen, eq, hash, from_py_object, module = "portacode.utils.ntp_clock")]
#[derive(Clone, Copy)]
pub(crate) struct Reading(ntp_clock::Reading);

impl From<ntp_clock::Reading> for Reading {
    fn from(reading: ntp_clock::Reading) -> Self {
        Reading(reading)
    }
}

impl From<Reading> for ntp_clock::Reading {
    fn from(reading: Reading) -> Self {
        reading.0
    }
}

impl PartialEq for Reading {
    fn eq(&self, other: &Self) -> bool {
        self.values() == other.values()
    }
}

impl Hash for Reading {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.values().hash(state);
    }
}

impl Reading {
    /// All that Python sees of it.
    fn values(&self) -> (i64, i64, i64, u64) {
        (self.time_ns(), self.max_error_ns(), self.est_error_ns(), self.epoch())
    }
}

#[pymethods]
impl Reading {
    #[new]
    #[pyo3(signature = (time_ns, max_error_ns, est_error_ns = 0, epoch = 1))]
    fn new(time_ns: i64, max_error_ns: i64, est_error_ns: i64, epoch: u64) -> PyResult<Self> {
        if max_error_ns < 0 || !(0..=max_error_ns).contains(&est_error_ns) {
            return Err(PyValueError::new_err(format!(
                "a reading needs 0 <= est_error_ns <= max_error_ns, not {est_error_ns} and \
                 {max_error_ns}"
            )));
        }
        Ok(Reading(ntp_clock::Reading::new(
            UnixTime::from_nanos(time_ns),
            Span::from_nanos(max_error_ns),
            Span::from_nanos(est_error_ns),
            epoch,
        )))
    }

    /// True time, nanoseconds since the Unix epoch.
    #[getter]
    fn time_ns(&self) -> i64 {
        self.0.time().as_nanos()
    }

    /// Hard bound on the distance of time_ns from the truth, nanoseconds.
    #[getter]
    fn max_error_ns(&self) -> i64 {
        self.0.max_error().as_nanos()
    }

    /// One standard deviation of time_ns, nanoseconds.
    #[getter]
    fn est_error_ns(&self) -> i64 {
        self.0.est_error().as_nanos()
    }

    /// Readings of one epoch never decrease; between epochs they may.
    #[getter]
    fn epoch(&self) -> u64 {
        self.0.epoch()
    }

    /// Whether this moment certainly came before the other, wherever each was read.
    fn definitely_before(&self, other: &Reading) -> bool {
        self.0.definitely_before(&other.0)
    }

    /// Whether this moment certainly came after the other, wherever each was read.
    fn definitely_after(&self, other: &Reading) -> bool {
        self.0.definitely_after(&other.0)
    }

    pub(crate) fn __repr__(&self) -> String {
        format!(
            "Reading(time_ns={}, max_error_ns={}, est_error_ns={}, epoch={})",
            self.time_ns(),
            self.max_error_ns(),
            self.est_error_ns(),
            self.epoch()
        )
    }

    /// The time in ISO 8601 with its hard bound in milliseconds.
    fn __str__(&self) -> String {
        format!("{} ± {:.3} ms", self.0.time(), self.0.max_error().as_millis_f64())
    }

    fn __getnewargs__(&self) -> (i64, i64, i64, u64) {
        self.values()
    }
}
