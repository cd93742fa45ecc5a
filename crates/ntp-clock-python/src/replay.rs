//! Logs through a clock.

use std::sync::{Mutex, PoisonError};

use ntp_clock::log::Replayer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// `local_ns`, `time_ns`, `max_error_ns`, `est_error_ns`.
type Answer = (i64, Option<i64>, Option<i64>, Option<i64>);

/// Base of replays: a clock that lives off the lines of a log.
#[pyclass(frozen, module = "portacode._native")]
pub(crate) struct Replay(Mutex<Replayer>);

#[pymethods]
impl Replay {
    #[new]
    fn new() -> Self {
        Replay(Mutex::new(Replayer::new()))
    }

    /// Takes the next line; the answer to a read: local_ns, time_ns, max_error_ns, est_error_ns.
    ///
    /// The last three are None while the clock is not synchronised. A malformed line raises
    /// ValueError with its number and the reason.
    fn line(&self, line: &[u8]) -> PyResult<Option<Answer>> {
        let mut replayer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer =
            replayer.line(line).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(answer.map(|answer| {
            let reading = answer.reading.as_ref();
            (
                answer.local.as_nanos(),
                reading.map(|r| r.time().as_nanos()),
                reading.map(|r| r.max_error().as_nanos()),
                reading.map(|r| r.est_error().as_nanos()),
            )
        }))
    }
}
