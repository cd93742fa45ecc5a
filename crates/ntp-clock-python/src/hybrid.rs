//! Hybrid logical time as Python values.

use ntp_clock::HybridTextError;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;

use crate::clock::Clock;

create_exception!(
    portacode.utils.ntp_clock,
    HybridError,
    PyException,
    "Why a hybrid clock gave no stamp; its last one stays. `code` says it in one word."
);

/// A stamp of a hybrid logical clock: where it happened before another, it is less.
///
/// 64 bits: 44 of true time in units of 2**-12 s, until 2106, and 20 that count. Immutable,
/// hashable, ordered. `int()` gives the bits, `str()` 16 hexadecimal digits; both are in the
/// stamps' order.
#[pyclass(frozen, eq, ord, hash, from_py_object, module = "portacode.utils.ntp_clock")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HybridTime(ntp_clock::HybridTime);

#[pymethods]
impl HybridTime {
    #[new]
    fn new(bits: u64) -> Self {
        HybridTime(ntp_clock::HybridTime::from_bits(bits))
    }

    /// The stamp of a text that `str()` gave; anything else raises ValueError.
    #[staticmethod]
    fn parse(text: &str) -> PyResult<Self> {
        let wrong =
            |error: HybridTextError| PyValueError::new_err(format!("{error}, not {text:?}"));
        text.parse().map(HybridTime).map_err(wrong)
    }

    /// True time was this or later when it was made, nanoseconds since the Unix epoch.
    #[getter]
    fn time_ns(&self) -> i64 {
        self.0.time().as_nanos()
    }

    /// Which of the stamps of its moment it is, from 0.
    #[getter]
    fn count(&self) -> u32 {
        self.0.count()
    }

    fn __int__(&self) -> u64 {
        self.0.to_bits()
    }

    fn __index__(&self) -> u64 {
        self.0.to_bits()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("HybridTime(0x{})", self.0)
    }

    fn __getnewargs__(&self) -> (u64,) {
        (self.0.to_bits(),)
    }
}

/// Stamps that follow what caused them and are never ahead of true time.
///
/// Any number of threads may share it. In a forked child it is another clock.
#[pyclass(frozen, module = "portacode.utils.ntp_clock")]
pub(crate) struct HybridClock(ntp_clock::HybridClock);

#[pymethods]
impl HybridClock {
    #[new]
    #[pyo3(signature = (clock, last = None))]
    fn new(clock: &Clock, last: Option<HybridTime>) -> PyResult<Self> {
        let clock = clock.clock()?.clone();
        Ok(HybridClock(match last {
            None => ntp_clock::HybridClock::new(clock),
            Some(last) => ntp_clock::HybridClock::resume(clock, last.0),
        }))
    }

    /// The stamp of an event here, such as that a message is sent; later than all before it.
    ///
    /// Raises HybridError where there is none: "no_reading", "ahead", "exhausted", "out_of_range".
    fn now(&self, py: Python<'_>) -> PyResult<HybridTime> {
        self.0.now().map(HybridTime).map_err(|error| hybrid_error(py, error))
    }

    /// The stamp of the event that a message came: later than its stamp and all before it here.
    ///
    /// Raises HybridError, "future" where the stamp is later than true time can be.
    fn receive(&self, py: Python<'_>, stamp: HybridTime) -> PyResult<HybridTime> {
        self.0.receive(stamp.0).map(HybridTime).map_err(|error| hybrid_error(py, error))
    }

    /// The last stamp, to be kept and given to the next HybridClock; None before the first.
    #[getter]
    fn last(&self) -> Option<HybridTime> {
        self.0.last().map(HybridTime)
    }
}

#[cold]
fn hybrid_error(py: Python<'_>, error: ntp_clock::HybridError) -> PyErr {
    let raised = HybridError::new_err(error.to_string());
    match raised.value(py).setattr("code", error.code()) {
        Ok(()) => raised,
        Err(error) => error,
    }
}
