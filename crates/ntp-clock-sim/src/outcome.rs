//! What is kept of a run.

use ntp_clock_core::{LocalTime, LogEntry, Reading, Span, UnixTime};

use crate::compare::Contest;
use crate::oracle::Violation;
use crate::statistics::Statistics;

/// What to keep of a run besides its statistics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Readings with the truth, for plots.
    pub trace: bool,
    /// What the engine logged and what was read, in order, for replaying it.
    pub record: bool,
}

/// What became of a run.
#[derive(Debug)]
pub struct Outcome {
    /// How well the engine did.
    pub statistics: Statistics,
    /// How well each candidate did, in the order given.
    pub contests: Vec<Contest>,
    /// The first broken promises.
    pub violations: Vec<Violation>,
    /// How many promises were broken.
    pub broken: u64,
    /// Readings that the oracle checked.
    pub checks: u64,
    /// Where asked for.
    pub trace: Vec<TracePoint>,
    /// Where asked for.
    pub record: Vec<Record>,
}

/// A reading of the engine and the truth.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TracePoint {
    /// True nanoseconds since the world's beginning.
    pub t_ns: i64,
    /// Reading less truth, hard bound, standard deviation; `None` without a reading.
    pub error: Option<(Span, Span, Span)>,
}

/// One thing of a run that can be replayed.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Record {
    /// The engine logged this.
    Entry(LogEntry),
    /// The clock was read.
    Read {
        /// When, by the counter.
        at: LocalTime,
        /// The engine's answer.
        reading: Option<Reading>,
        /// The truth.
        truth: UnixTime,
    },
}
