//! `portacode._native`: conversions between Python and [`ntp_clock`], nothing else.
//!
//! No thread of this crate ever calls into Python, and no call from Python waits in here: what has
//! to wait does so in Python, woken through a pipe (see [`events`]).

mod clock;
mod events;
mod numbers;
mod reading;
mod status;

/// Native part of the portacode package; use `portacode.utils.ntp_clock`.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use crate::clock::Clock;
    #[pymodule_export]
    use crate::clock::SyncTicket;
    #[pymodule_export]
    use crate::events::Events;
    #[pymodule_export]
    use crate::reading::Reading;
}
