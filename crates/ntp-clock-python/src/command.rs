//! The `ntp-clock` command.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the command ntp-clock with these arguments, the program's name first; its exit status.
///
/// Other Python threads run on meanwhile. Signals are the system's: Ctrl-C ends the process, or
/// the command where that is how it ends.
#[pyfunction]
pub(crate) fn cli_main(py: Python<'_>, argv: Vec<OsString>) -> u8 {
    py.detach(|| ntp_clock_cli::main_from(argv))
}
