//! What sets a clock by hand: the native part of ManualClock.

use ntp_clock::{ManualClock, Span, UnixTime};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::clock::Clock;
use crate::numbers;

/// Makes a clock one that is set by hand, and sets it.
#[pyclass(frozen, module = "portacode._native")]
pub(crate) struct Hand(ManualClock);

#[pymethods]
impl Hand {
    #[new]
    fn new(clock: &Clock) -> PyResult<Self> {
        let manual = ManualClock::new();
        clock.become_clock(manual.clock())?;
        Ok(Hand(manual))
    }

    /// Synchronises the clock: it is this time now, within this error.
    fn set(&self, time_ns: i64, max_error_ns: i64) -> PyResult<()> {
        if max_error_ns < 0 {
            return Err(PyValueError::new_err(format!(
                "max_error_ns must not be negative, but is {max_error_ns}"
            )));
        }
        self.0.set(UnixTime::from_nanos(time_ns), Span::from_nanos(max_error_ns));
        Ok(())
    }

    /// Lets time pass, 0 or more seconds.
    fn advance(&self, seconds: f64) -> PyResult<()> {
        let by = numbers::duration(seconds).ok_or_else(|| {
            PyValueError::new_err(format!("a clock advances by 0 or more seconds, not {seconds}"))
        })?;
        self.0.advance(by);
        Ok(())
    }

    /// Ends synchronisation, as after three failed attempts.
    fn fail(&self) {
        self.0.fail();
    }
}
