//! Counting what runners report.

use std::ops::AddAssign;

use anyhow::{Context, Result};

/// How many tests and checks passed, failed and were skipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    pub(crate) const PASSED: Counts = Counts { passed: 1, failed: 0, skipped: 0 };
    pub(crate) const FAILED: Counts = Counts { passed: 0, failed: 1, skipped: 0 };
    pub(crate) const SKIPPED: Counts = Counts { passed: 0, failed: 0, skipped: 1 };

    /// One check, passed or failed.
    pub(crate) const fn check(passed: bool) -> Self {
        if passed { Counts::PASSED } else { Counts::FAILED }
    }

    /// Sums the "test result" lines of `cargo test`. A test that says "SKIPPED: why" on the real
    /// standard error has passed only for the runner, and counts as skipped, as ignored ones do; a
    /// run that failed without a failing test (it did not compile, it crashed) counts as one
    /// failure.
    pub(crate) fn of_cargo_test(output: &str, success: bool) -> Self {
        let mut counts = Counts::default();
        for line in output.lines().filter_map(|line| line.trim().strip_prefix("test result: ")) {
            let number = |what: &str| {
                let mut fields = line.split([';', '.']).map(str::trim);
                let field = fields.find_map(|field| field.strip_suffix(what));
                field.and_then(|digits| digits.trim().parse().ok()).unwrap_or(0)
            };
            counts += Counts {
                passed: number("passed"),
                failed: number("failed"),
                skipped: number("ignored"),
            };
        }
        let skipped: u64 = cargo_skips(output).into_iter().map(|(_, count)| count).sum();
        counts.passed = counts.passed.saturating_sub(skipped);
        counts.skipped += skipped;
        if !success && counts.failed == 0 {
            counts += Counts::FAILED;
        }
        counts
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The lines between "failures:" and "test result:" of `cargo test`, and the compiler's errors.
pub(crate) fn cargo_failures(output: &str) -> String {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in output.lines() {
        let cargo_says =
            |word| line.trim_start().strip_prefix(word).is_some_and(|rest| rest.starts_with(' '));
        if line == "failures:" || line.starts_with("error") {
            inside = true;
        } else if line.starts_with("test result:")
            || ["Checking", "Compiling", "Documenting", "Running"].into_iter().any(cargo_says)
        {
            inside = false;
        }
        if inside {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// Why tests of `cargo test` skipped themselves, each reason once with the number of tests.
pub(crate) fn cargo_skips(output: &str) -> Vec<(String, u64)> {
    let mut skips = Vec::new();
    for line in output.lines() {
        // The runner may have begun the line.
        if let Some((_, reason)) = line.split_once(SKIPPED) {
            count_reason(&mut skips, reason.trim());
        }
    }
    skips
}

fn count_reason(skips: &mut Vec<(String, u64)>, reason: &str) {
    match skips.iter_mut().find(|(known, _)| known == reason) {
        Some((_, count)) => *count += 1,
        None => skips.push((reason.to_owned(), 1)),
    }
}

/// What a pytest report (JUnit XML) says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct PytestReport {
    pub(crate) counts: Counts,
    /// Why tests were skipped, each reason once with the number of tests.
    pub(crate) skips: Vec<(String, u64)>,
}

impl PytestReport {
    /// Reads a report in pytest's JUnit XML.
    pub(crate) fn parse(xml: &str) -> Result<Self> {
        let document = roxmltree::Document::parse(xml).context("pytest's report")?;
        let mut report = PytestReport::default();
        for case in document.descendants().filter(|node| node.has_tag_name("testcase")) {
            let outcome = |tag| case.children().find(|node| node.has_tag_name(tag));
            if outcome("failure").or(outcome("error")).is_some() {
                report.counts += Counts::FAILED;
            } else if let Some(skipped) = outcome("skipped") {
                report.counts += Counts::SKIPPED;
                let reason = skipped.attribute("message").unwrap_or("no reason given");
                count_reason(&mut report.skips, reason);
            } else {
                report.counts += Counts::PASSED;
            }
        }
        Ok(report)
    }
}

/// What a Rust test says before the reason for which it cannot run here.
const SKIPPED: &str = "SKIPPED: ";

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 3 tests
test a ... SKIPPED: no chronyd
test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s

failures:

---- tests::a stdout ----
panicked at 'no'

failures:
    tests::a

test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s
";

    #[test]
    fn test_results_of_all_binaries_are_summed() {
        let counts = Counts::of_cargo_test(OUTPUT, false);
        assert_eq!(counts, Counts { passed: 14, failed: 1, skipped: 2 });
        assert_eq!(cargo_skips(OUTPUT), [("no chronyd".to_owned(), 1)]);
    }

    #[test]
    fn a_run_that_fails_without_a_failing_test_is_one_failure() {
        assert_eq!(Counts::of_cargo_test("error: could not compile", false), Counts::FAILED);
        assert_eq!(Counts::of_cargo_test("", true), Counts::default());
    }

    #[test]
    fn failures_are_shown_without_what_passed() {
        let shown = cargo_failures(&format!("test b ... ok\n{OUTPUT}test c ... ok"));
        assert!(shown.contains("panicked at 'no'"), "{shown}");
        assert!(!shown.contains("... ok") && !shown.contains("test result"), "{shown}");
    }

    #[test]
    fn a_pytest_report_gives_counts_and_reasons() {
        let xml = r#"<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="2" tests="5">
<testcase classname="a" name="b" time="0.1" />
<testcase classname="a" name="c"><failure message="no">text</failure></testcase>
<testcase classname="a" name="d"><error message="no">text</error></testcase>
<testcase classname="a" name="e"><skipped type="pytest.skip" message="no chronyd">x</skipped></testcase>
<testcase classname="a" name="f"><skipped type="pytest.skip" message="no chronyd">x</skipped></testcase>
</testsuite></testsuites>"#;
        let report = PytestReport::parse(xml).unwrap();
        assert_eq!(report.counts, Counts { passed: 1, failed: 2, skipped: 2 });
        assert_eq!(report.skips, [("no chronyd".to_owned(), 2)]);
    }
}
