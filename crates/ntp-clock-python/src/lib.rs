//! `portacode._native`: conversions between Python and [`ntp_clock`], nothing else.
//!
//! No thread of this crate ever calls into Python, and no call from Python waits in here: what has
//! to wait does so in Python, woken through a pipe (see [`events`]). The command line alone, which
//! is all that its process does, runs in here to its end.

mod clock;
mod command;
mod events;
mod hand;
mod hybrid;
mod numbers;
mod order;
mod reading;
mod replay;
mod sdk_history;
mod stamp;
mod status;
mod true_time;
mod wake;

/// Native part of the portacode package; use `portacode.utils.ntp_clock`.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    use std::sync::OnceLock;

    use pyo3::exceptions::PyImportError;
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::clock::Clock;
    #[pymodule_export]
    use crate::clock::SyncTicket;
    #[pymodule_export]
    use crate::command::cli_main;
    #[pymodule_export]
    use crate::events::Events;
    #[pymodule_export]
    use crate::hand::Hand;
    #[pymodule_export]
    use crate::hybrid::HybridClock;
    #[pymodule_export]
    use crate::hybrid::HybridError;
    #[pymodule_export]
    use crate::hybrid::HybridTime;
    #[pymodule_export]
    use crate::order::LinkTable;
    #[pymodule_export]
    use crate::order::OrderRelations;
    #[pymodule_export]
    use crate::reading::Reading;
    #[pymodule_export]
    use crate::replay::Replay;
    #[pymodule_export]
    use crate::sdk_history::SdkHistory;
    #[pymodule_export]
    use crate::stamp::ClockStamp;

    /// Objects of one interpreter must not be used by another, and PyO3 keeps some for all.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        static HOME: OnceLock<usize> = OnceLock::new();
        // Each interpreter has a module `sys` of its own.
        let here = module.py().import("sys")?.as_ptr().addr();
        if *HOME.get_or_init(|| here) == here {
            return Ok(());
        }
        Err(PyImportError::new_err(
            "portacode._native does not support loading in subinterpreters: another interpreter of \
             this process has loaded it",
        ))
    }
}
