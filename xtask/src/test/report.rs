//! What a person sees of the tests: a line a step, then what failed and why, then the sum.

use std::time::Duration;

use super::Outcome;
use crate::command::{Job, Lines};
use crate::tally::Counts;

/// Gathers outcomes and prints them.
#[derive(Debug, Default)]
pub(super) struct Report {
    counts: Counts,
    no_skip: bool,
    lines: Lines,
    /// Step, where its log is, what to show of it.
    failed: Vec<(String, String, String)>,
    skipped: Vec<String>,
    used: Duration,
}

impl Report {
    /// With `no_skip` every skip is a failure; prints above `lines`.
    pub(super) fn new(no_skip: bool, lines: &Lines) -> Self {
        Report { no_skip, lines: lines.clone(), ..Report::default() }
    }

    /// Prints a step's line, its time and its processor time, and remembers its outcome.
    pub(super) fn add(&mut self, name: &str, job: &Job, outcome: Outcome, took: Duration) {
        let Outcome { mut counts, skips, failures } = outcome;
        if self.no_skip {
            counts.failed += counts.skipped;
            counts.skipped = 0;
        }
        let verdict = match counts {
            Counts { failed: 1.., .. } => "FAILED",
            Counts { passed: 0, skipped: 1.., .. } => "skipped",
            _ => "ok",
        };
        self.used += job.used();
        let (took, used) = (seconds(took), seconds(job.used()));
        let line = format!("  {name:<24} {verdict:<8} {took:>7} {used:>9}  {}", in_words(counts));
        self.lines.print(line.trim_end());
        self.skipped.extend(skips.into_iter().map(|skip| format!("{name}: {skip}")));
        if counts.failed > 0 {
            let log = job.project().shown(job.log()).to_string();
            let text = failures.unwrap_or_else(|| tail(&job.output()));
            self.failed.push((name.to_owned(), log, text));
        }
        self.counts += counts;
    }

    /// A step that makes no sense because what it needs failed.
    pub(super) fn not_run(&mut self, name: &str) {
        self.lines.print(&format!("  {name:<24} not run: a step that it needs failed"));
    }

    /// Prints the summary and the closing line; gives whether all is well.
    pub(super) fn close(self, took: Duration) -> bool {
        for (name, log, text) in &self.failed {
            println!("\n--- {name} failed; all of it is in {log}\n{text}");
        }
        if !self.skipped.is_empty() {
            let verdict = if self.no_skip { "failure here" } else { "skipped" };
            println!("\nNot everything could run ({verdict}):");
            for skip in &self.skipped {
                println!("  {skip}");
            }
        }
        if !self.failed.is_empty() {
            let names: Vec<&str> = self.failed.iter().map(|(name, ..)| name.as_str()).collect();
            println!("\nFailed: {}", names.join(", "));
        }
        let Counts { passed, failed, skipped } = self.counts;
        let (took, used) = (seconds(took), seconds(self.used));
        println!("\n{took} in all, {used} of processor time");
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        failed == 0
    }
}

/// The end of a log, as much as one reads.
pub(super) fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// The counts where they say more than the verdict.
fn in_words(counts: Counts) -> String {
    let Counts { passed, failed, skipped } = counts;
    let mut words = Vec::new();
    for (count, what) in [(passed, "passed"), (failed, "failed"), (skipped, "skipped")] {
        if count > 0 {
            words.push(format!("{count} {what}"));
        }
    }
    if passed + failed + skipped > 1 { words.join(", ") } else { String::new() }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

const TAIL_LINES: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_log_is_shown() {
        let log: String = (0..200).map(|n| format!("{n}\n")).collect();
        assert!(tail(&log).starts_with("140\n") && tail(&log).ends_with("199"));
        assert_eq!(tail("short"), "short");
    }

    #[test]
    fn counts_are_shown_where_there_is_more_than_one() {
        assert_eq!(in_words(Counts::PASSED), "");
        assert_eq!(in_words(Counts { passed: 3, failed: 0, skipped: 1 }), "3 passed, 1 skipped");
    }
}
