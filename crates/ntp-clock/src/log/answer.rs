//! What a replay answers to a read.

use std::fmt;

use ntp_clock_core::{LocalTime, Reading};

/// The time of one moment. `Display` writes the line, without its end: integers only, so that it
/// is the same everywhere.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Answer {
    /// The moment asked for.
    pub local: LocalTime,
    /// What the clock says; nothing while it is not synchronised.
    pub reading: Option<Reading>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"{{"local_ns":{},"#, self.local.as_nanos())?;
        match &self.reading {
            Some(reading) => write!(
                f,
                r#""time_ns":{},"max_error_ns":{},"est_error_ns":{}}}"#,
                reading.time().as_nanos(),
                reading.max_error().as_nanos(),
                reading.est_error().as_nanos(),
            ),
            None => f.write_str(r#""time_ns":null,"max_error_ns":null,"est_error_ns":null}"#),
        }
    }
}
