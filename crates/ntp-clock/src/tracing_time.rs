//! Log lines with synchronised time.

use std::fmt;

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::clock::Clock;

/// Writes synchronised time in front of every line of a `tracing_subscriber` log, or
/// `unsynchronised` while there is none.
///
/// ```no_run
/// use ntp_clock::{Clock, NtpTime};
/// tracing_subscriber::fmt().with_timer(NtpTime::new(Clock::global().clone())).init();
/// ```
#[derive(Clone, Debug)]
pub struct NtpTime(Clock);

impl NtpTime {
    /// Stamps with this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        NtpTime(clock)
    }
}

impl FormatTime for NtpTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        match self.0.now() {
            Some(reading) => write!(writer, "{}", reading.time()),
            None => writer.write_str("unsynchronised"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual::ManualClock;
    use ntp_clock_core::{Span, UnixTime};

    #[test]
    fn a_log_line_bears_synchronised_time_or_says_that_there_is_none() {
        let manual = ManualClock::new();
        let timer = NtpTime::new(manual.clock());
        let stamp = || {
            let mut line = String::new();
            timer.format_time(&mut Writer::new(&mut line)).unwrap();
            line
        };
        assert_eq!(stamp(), "unsynchronised");
        manual.set(UnixTime::from_nanos(1_759_639_032_768_445_000), Span::ZERO);
        assert_eq!(stamp(), "2025-10-05T04:37:12.768445+00:00");
    }
}
