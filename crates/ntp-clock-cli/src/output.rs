//! Standard output, which may be closed or full at any time.

use std::io::{self, Write};

use crate::failure::Failure;

/// Writes a text and makes sure that it is out.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes a line and makes sure that it is out.
pub(crate) fn print_line(line: &str) -> Result<(), Failure> {
    print(&format!("{line}\n"))
}

pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(|error| Failure::output(STANDARD_OUTPUT, error))
}

pub(crate) const STANDARD_OUTPUT: &str = "standard output";
