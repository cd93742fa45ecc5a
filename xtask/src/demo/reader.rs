//! One of the two programs: it answers each line with its clocks, as a line of JSON.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A running program. It ends when its standard input does, and so with us, however we end.
#[derive(Debug)]
pub(super) struct Reader {
    name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// What its clocks said at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// CLOCK_MONOTONIC just before and just after both clocks were read; it is not faked.
    pub(super) before_ns: i64,
    pub(super) after_ns: i64,
    /// The program's system clock, Unix nanoseconds.
    pub(super) system_ns: i64,
    /// What the synchronised clock said, unless it is not synchronised.
    pub(super) reading: Option<Reading>,
    /// Why not.
    pub(super) error: Option<String>,
}

/// A reading of the synchronised clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    pub(super) time_ns: i64,
    pub(super) max_error_ns: i64,
}

impl Reader {
    pub(super) fn start(name: &'static str, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().with_context(|| format!("cannot start the {name} program"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("no pipe to the program")?);
        Ok(Reader { name, child, input, output })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// One question, one answer.
    pub(super) fn ask(&mut self) -> Result<Sample> {
        self.send()?;
        self.receive()
    }

    /// The question; the program reads its clocks as soon as it arrives.
    pub(super) fn send(&mut self) -> Result<()> {
        let input = self.input.as_mut().context("the program's input is closed")?;
        input.write_all(b"read\n").with_context(|| format!("the {} program ended", self.name))
    }

    /// The answer.
    pub(super) fn receive(&mut self) -> Result<Sample> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line.is_empty() {
            let status = self.child.wait()?;
            bail!("the {} program ended: {status}", self.name);
        }
        Sample::parse(&line).with_context(|| format!("the {} program said {line:?}", self.name))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        drop(self.input.take());
        // It may have ended by itself already, and there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sample {
    fn parse(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line)?;
        let number = |name: &str| {
            value[name].as_i64().with_context(|| format!("{name:?} is not a whole number"))
        };
        let reading = if value["time_ns"].is_null() {
            None
        } else {
            Some(Reading { time_ns: number("time_ns")?, max_error_ns: number("max_error_ns")? })
        };
        Ok(Sample {
            before_ns: number("before_ns")?,
            after_ns: number("after_ns")?,
            system_ns: number("system_ns")?,
            reading,
            error: value["error"].as_str().map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_reading_or_a_reason() {
        let line =
            r#"{"before_ns": 1, "after_ns": 2, "system_ns": 3, "time_ns": 4, "max_error_ns": 5}"#;
        let sample = Sample::parse(line).unwrap();
        assert_eq!(sample.reading, Some(Reading { time_ns: 4, max_error_ns: 5 }));
        let line = r#"{"before_ns": 1, "after_ns": 2, "system_ns": 3, "time_ns": null, "error": "no reply"}"#;
        let sample = Sample::parse(line).unwrap();
        assert_eq!((sample.reading, sample.error.as_deref()), (None, Some("no reply")));
        assert!(Sample::parse("{}").is_err());
    }
}
