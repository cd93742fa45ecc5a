//! A log through a clock, line by line.

use std::io::{BufWriter, Read, Write};

use ntp_clock_core::{Replay, Span};

use super::answer::Answer;
use super::error::{LineError, LogError};
use super::input::{Lines, Next};
use super::line::Line;

/// Replays a log from a stream and writes an answer for each read.
///
/// Works on logs of any length in constant memory. Answers are written out whenever the log has
/// nothing more to give for the moment, so that a log that is being written can be followed.
///
/// # Errors
/// [`LogError`] where a line is malformed, or reading or writing fails. The answers to what came
/// before are written all the same.
pub fn replay(log: impl Read, answers: impl Write) -> Result<Summary, LogError> {
    let mut answers = BufWriter::with_capacity(WRITTEN_AT_ONCE, answers);
    let mut lines = Lines::new(log);
    let mut replayer = Replayer::new();
    let end = loop {
        let line = match lines.next() {
            Next::End => break Ok(()),
            Next::TooLong => break Err(replayer.refuse(LineError::TooLong)),
            Next::Line(line) => line,
            Next::Wants => {
                answers.flush().map_err(LogError::Write)?;
                match lines.fill() {
                    Ok(()) => continue,
                    Err(error) => break Err(LogError::Read(error)),
                }
            }
        };
        match replayer.line(line) {
            Ok(None) => {}
            Ok(Some(answer)) => writeln!(answers, "{answer}").map_err(LogError::Write)?,
            Err(error) => break Err(error),
        }
    };
    let flushed = answers.flush().map_err(LogError::Write);
    end.and(flushed).map(|()| replayer.summary())
}

/// The answers of a log, one by one. After an error it gives nothing more.
#[derive(Debug)]
pub struct Answers<R> {
    lines: Lines<R>,
    replayer: Replayer,
    failed: bool,
}

impl<R: Read> Answers<R> {
    /// The answers of this log, which is read as they are asked for.
    pub fn new(log: R) -> Self {
        Answers { lines: Lines::new(log), replayer: Replayer::new(), failed: false }
    }

    /// What has been replayed so far.
    pub fn summary(&self) -> Summary {
        self.replayer.summary()
    }

    fn step(&mut self) -> Result<Option<Answer>, LogError> {
        loop {
            let answer = match self.lines.next() {
                Next::End => return Ok(None),
                Next::TooLong => return Err(self.replayer.refuse(LineError::TooLong)),
                Next::Line(line) => self.replayer.line(line)?,
                Next::Wants => {
                    self.lines.fill().map_err(LogError::Read)?;
                    None
                }
            };
            if answer.is_some() {
                return Ok(answer);
            }
        }
    }
}

impl<R: Read> Iterator for Answers<R> {
    type Item = Result<Answer, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}

/// A clock that lives off lines.
#[derive(Clone, Debug)]
pub struct Replayer {
    replay: Replay,
    summary: Summary,
}

/// What a log held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Lines, blank ones too.
    pub lines: u64,
    /// Exchanges.
    pub exchanges: u64,
    /// Of these, those not believed.
    pub disbelieved: u64,
    /// Requests lost.
    pub lost: u64,
    /// Moments asked for.
    pub reads: u64,
    /// Of these, those with a time.
    pub answered: u64,
}

impl Replayer {
    /// A clock that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Replayer { replay: Replay::new(COUNTER_RESOLUTION), summary: Summary::default() }
    }

    /// Takes the next line of the log, with or without its end; gives the answer to a read.
    ///
    /// # Errors
    /// [`LogError::Malformed`], with the number of lines taken so far.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Answer>, LogError> {
        match Line::parse(line) {
            Ok(parsed) => {
                self.summary.lines += 1;
                Ok(parsed.and_then(|line| self.feed(&line)))
            }
            Err(reason) => Err(self.refuse(reason)),
        }
    }

    /// What has been replayed so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    fn refuse(&mut self, reason: LineError) -> LogError {
        self.summary.lines += 1;
        LogError::Malformed { line: self.summary.lines, reason }
    }

    fn feed(&mut self, line: &Line) -> Option<Answer> {
        match line {
            Line::Exchange(line) => {
                self.summary.exchanges += 1;
                let believed = match line.exchange() {
                    Ok(exchange) => self.replay.exchange(&exchange, line.handled_at()),
                    Err(rejection) => {
                        self.replay.lost(line.sent_at());
                        Err(rejection)
                    }
                };
                self.summary.disbelieved += u64::from(believed.is_err());
            }
            Line::Lost { sent_at } => {
                self.summary.lost += 1;
                self.replay.lost(*sent_at);
            }
            Line::RoundEnd { local } => self.replay.finish_round(*local),
            Line::Suspend { local } => self.replay.suspend(*local),
            Line::CounterChanged { local } => self.replay.counter_changed(*local),
            Line::Read { local } => {
                let answer = Answer { local: *local, reading: self.replay.read(*local) };
                self.summary.reads += 1;
                self.summary.answered += u64::from(answer.reading.is_some());
                return Some(answer);
            }
        }
        None
    }
}

impl Default for Replayer {
    fn default() -> Self {
        Replayer::new()
    }
}

/// That of the counters of all clocks that write logs.
const COUNTER_RESOLUTION: Span = Span::from_nanos(1);
const WRITTEN_AT_ONCE: usize = 65_536;
