//! What was tried, and how it went: a table.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;

use super::reading::Reading;

/// One package on one system.
#[derive(Debug)]
pub(super) struct Row {
    system: String,
    package: &'static str,
    outcome: Outcome,
}

/// How it went.
#[derive(Debug)]
enum Outcome {
    /// It was installed and gave a true reading.
    Worked {
        installed: Duration,
        reading: Reading,
    },
    /// It did what is meant where it cannot work.
    Refused(String),
    Failed(String),
    NotTried(String),
}

impl Row {
    /// A trial: how long the installation took, and the first reading.
    pub(super) fn of(
        system: impl Into<String>,
        package: &'static str,
        trial: Result<(Duration, Reading)>,
    ) -> Self {
        let mut system = system.into();
        let outcome = match trial {
            Ok((installed, reading)) => {
                if !reading.version.is_empty() {
                    system = format!("{}, {system}", reading.version);
                }
                Outcome::Worked { installed, reading }
            }
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        Row { system, package, outcome }
    }

    /// A package that says what it is not for.
    pub(super) fn refused(system: impl Into<String>, package: &'static str, said: String) -> Self {
        Row { system: system.into(), package, outcome: Outcome::Refused(said) }
    }

    pub(super) fn not_tried(
        system: impl Into<String>,
        package: &'static str,
        why: impl Into<String>,
    ) -> Self {
        Row { system: system.into(), package, outcome: Outcome::NotTried(why.into()) }
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }

    fn cells(&self) -> [String; 5] {
        let [result, installed, took, bound] = match &self.outcome {
            Outcome::Worked { installed, reading } => [
                "works".to_owned(),
                seconds(*installed),
                seconds(reading.took),
                format!("{:.1} ms", reading.max_error_ms),
            ],
            Outcome::Refused(said) => [format!("refused, as it should: {said}")].into_row(),
            Outcome::Failed(why) => [format!("FAILED: {why}")].into_row(),
            Outcome::NotTried(why) => [format!("not tried: {why}")].into_row(),
        };
        let result = result.replace('|', "\\|").replace('\n', " ");
        [format!("{}: {}", self.package, self.system), result, installed, took, bound]
    }
}

/// Fills a row up with empty cells.
trait IntoRow {
    fn into_row(self) -> [String; 4];
}

impl IntoRow for [String; 1] {
    fn into_row(self) -> [String; 4] {
        let [first] = self;
        [first, String::new(), String::new(), String::new()]
    }
}

/// The table, in Markdown.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| package: system | result | installed in | first reading after | its bound |\n|---|---|---|---|---|\n",
    );
    for row in rows {
        let _ = writeln!(text, "| {} |", row.cells().join(" | "));
    }
    text
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_worked_and_what_failed_and_why() {
        let reading = Reading {
            took: Duration::from_millis(250),
            max_error_ms: 12.34,
            version: "CPython 3.9.2".to_owned(),
        };
        let rows = [
            Row::of("bullseye", "wheel", Ok((Duration::from_secs(3), reading))),
            Row::of("musl", "wheel", Err(anyhow::anyhow!("a|b\nc"))),
            Row::not_tried("arm64", "command", "qemu is missing"),
        ];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| wheel: CPython 3.9.2, bullseye | works | 3.00 s | 0.25 s | 12.3 ms |",
                "| wheel: musl | FAILED: a\\|b c |  |  |  |",
                "| command: arm64 | not tried: qemu is missing |  |  |  |",
            ]
        );
        assert_eq!(rows.iter().filter(|row| row.has_failed()).count(), 1);
    }
}
