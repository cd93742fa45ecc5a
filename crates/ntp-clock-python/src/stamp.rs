//! A stamp as a Python value.

use pyo3::prelude::*;

use crate::reading::Reading;

/// A moment by the local counter and, where there is one, by the clock.
///
/// Immutable, hashable, equal where all three values are.
#[pyclass(frozen, eq, hash, get_all, module = "portacode.utils.ntp_clock")]
#[derive(PartialEq, Hash)]
pub(crate) struct ClockStamp {
    /// The local counter, nanoseconds; there also without synchronised time.
    counter_ns: i64,
    /// Which counter that is: stamps of the same one are in the order of their counter_ns.
    counter: String,
    /// The time at that moment, or None while not synchronised.
    reading: Option<Reading>,
}

impl From<ntp_clock::Stamp> for ClockStamp {
    fn from(stamp: ntp_clock::Stamp) -> Self {
        ClockStamp {
            counter_ns: stamp.counter.as_nanos(),
            counter: stamp.counter_id.to_string(),
            reading: stamp.reading.map(Reading::from),
        }
    }
}

#[pymethods]
impl ClockStamp {
    #[new]
    #[pyo3(signature = (counter_ns, counter, reading = None))]
    fn new(counter_ns: i64, counter: String, reading: Option<Reading>) -> Self {
        ClockStamp { counter_ns, counter, reading }
    }

    fn __repr__(&self) -> String {
        let reading = self.reading.as_ref().map_or_else(|| "None".to_owned(), Reading::__repr__);
        format!(
            "ClockStamp(counter_ns={}, counter='{}', reading={reading})",
            self.counter_ns, self.counter
        )
    }

    fn __getnewargs__(&self) -> (i64, String, Option<Reading>) {
        (self.counter_ns, self.counter.clone(), self.reading)
    }
}
