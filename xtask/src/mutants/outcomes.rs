//! What cargo-mutants reports, and the table that follows from it.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;

use super::SOURCES;
use super::accepted::Accepted;

/// The mutants that compile, and how long the tests of the unchanged code take.
#[derive(Debug)]
pub(super) struct Outcomes {
    viable: Vec<Mutant>,
    tests_s: f64,
}

#[derive(Debug)]
struct Mutant {
    /// Relative to the sources.
    file: String,
    line: u64,
    /// With the file, without line and column, which move.
    name: String,
    caught: bool,
}

impl Outcomes {
    /// Reads outcomes.json.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let report: Value = serde_json::from_str(text)?;
        let outcomes = report["outcomes"].as_array().context("no outcomes")?;
        let mut viable = Vec::new();
        let mut tests_s = 0.0;
        for outcome in outcomes {
            let mutant = &outcome["scenario"]["Mutant"];
            if mutant.is_null() {
                let phases = outcome["phase_results"].as_array().map_or(&[][..], Vec::as_slice);
                let test = phases.iter().find(|phase| phase["phase"] == "Test");
                tests_s = test.and_then(|test| test["duration"].as_f64()).unwrap_or(0.0);
                continue;
            }
            let caught = match outcome["summary"].as_str().context("no summary")? {
                // A change after which a test never ends is noticed.
                "CaughtMutant" | "Timeout" => true,
                "MissedMutant" => false,
                _ => continue,
            };
            let path = mutant["file"].as_str().context("no file")?;
            let name = mutant["name"].as_str().context("no name")?;
            viable.push(Mutant {
                file: path.trim_start_matches(SOURCES).trim_start_matches('/').to_owned(),
                line: mutant["span"]["start"]["line"].as_u64().unwrap_or(0),
                name: without_place(name),
                caught,
            });
        }
        Ok(Outcomes { viable, tests_s })
    }
}

/// `src/a.rs:12:5: replace x` is `src/a.rs: replace x`.
fn without_place(name: &str) -> String {
    let Some((place, what)) = name.split_once(": ") else { return name.to_owned() };
    let file = place.split(':').next().unwrap_or(place);
    format!("{file}: {what}")
}

/// What a run showed, as a table.
#[derive(Debug)]
pub(super) struct Verdict {
    files: BTreeMap<String, Row>,
    /// Survivors that no name accounts for, with their lines.
    unnamed: Vec<String>,
    /// Names that account for more survivors than there are.
    stale: Vec<String>,
    tests_s: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Row {
    viable: usize,
    caught: usize,
    named: usize,
}

impl Row {
    fn is_enough(self) -> bool {
        self.caught * 100 >= self.viable * PERCENT_CAUGHT
    }
}

impl Verdict {
    /// Of a `whole` run of these files (all files where none is given) names that fit nothing are
    /// reported too.
    pub(super) fn of(
        outcomes: &Outcomes,
        accepted: &Accepted,
        files: &[String],
        whole: bool,
    ) -> Self {
        let mut verdict = Verdict {
            files: BTreeMap::new(),
            unnamed: Vec::new(),
            stale: Vec::new(),
            tests_s: outcomes.tests_s,
        };
        let mut used: BTreeMap<&str, usize> = BTreeMap::new();
        for mutant in &outcomes.viable {
            let row = verdict.files.entry(mutant.file.clone()).or_default();
            row.viable += 1;
            if mutant.caught {
                row.caught += 1;
                continue;
            }
            let used = used.entry(&mutant.name).or_default();
            *used += 1;
            if *used <= accepted.count(&mutant.name) {
                row.named += 1;
            } else {
                verdict.unnamed.push(format!("{} (line {})", mutant.name, mutant.line));
            }
        }
        let ran = |mutant: &str| {
            let file = mutant.split(':').next().unwrap_or("").trim_start_matches(SOURCES);
            let file = file.trim_start_matches('/');
            files.is_empty() || files.iter().any(|wanted| wanted == file)
        };
        let entries = accepted.entries().iter().filter(|entry| whole && ran(&entry.mutant));
        let stale = entries.filter(|e| used.get(e.mutant.as_str()).copied().unwrap_or(0) < e.count);
        verdict.stale = stale.map(|entry| entry.mutant.clone()).collect();
        verdict
    }

    pub(super) fn is_good(&self) -> bool {
        self.files.values().all(|row| row.is_enough())
            && self.unnamed.is_empty()
            && self.stale.is_empty()
            && self.tests_s <= TESTS_S_MAX
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, name: &str, row: Row| {
            let percent = (row.caught * 100).checked_div(row.viable).unwrap_or(100);
            let Row { viable, caught, named } = row;
            let survivors = viable - caught;
            write!(f, "{name:<28} {viable:>7} {caught:>7} {survivors:>10} {named:>6}")?;
            let less = if row.is_enough() { "" } else { "  less than 90 %" };
            writeln!(f, " {percent:>5} %{less}")
        };
        writeln!(
            f,
            "\n{:<28} {:>7} {:>7} {:>10} {:>6} {:>7}",
            "file", "viable", "caught", "survivors", "named", "caught"
        )?;
        let mut all = Row::default();
        for (name, file) in &self.files {
            row(f, name, *file)?;
            all.viable += file.viable;
            all.caught += file.caught;
            all.named += file.named;
        }
        row(f, "all", all)?;
        let late = if self.tests_s > TESTS_S_MAX { ", longer than 20 s" } else { "" };
        writeln!(f, "\nthe unchanged code's tests took {:.1} s{late}", self.tests_s)?;
        list(f, "survivors that are not named with a reason", &self.unnamed)?;
        list(f, "names that fit no survivor (any more)", &self.stale)
    }
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}:")?;
    lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
}

const PERCENT_CAUGHT: usize = 90;
const TESTS_S_MAX: f64 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report(mutants: &[(&str, u64, &str, &str)]) -> Outcomes {
        let mut outcomes = vec![json!({
            "scenario": "Baseline",
            "summary": "Success",
            "phase_results": [{"phase": "Build", "duration": 70.0}, {"phase": "Test", "duration": 3.5}],
        })];
        outcomes.extend(mutants.iter().map(|(file, line, what, summary)| {
            let path = format!("{SOURCES}/{file}");
            json!({
                "scenario": {"Mutant": {
                    "file": path,
                    "name": format!("{path}:{line}:9: {what}"),
                    "span": {"start": {"line": line}},
                }},
                "summary": summary,
            })
        }));
        Outcomes::parse(&json!({ "outcomes": outcomes }).to_string()).unwrap()
    }

    fn accepted(names: &[&str]) -> Accepted {
        let entries = names.iter().map(|name| {
            format!("[[survivor]]\nmutant = \"{SOURCES}/{name}\"\nreason = \"equal\"\n")
        });
        Accepted::parse(&entries.collect::<String>()).unwrap()
    }

    #[test]
    fn every_file_needs_90_percent_caught_and_every_survivor_a_name() {
        let mut mutants = vec![("a.rs", 7, "replace < with <= in f", "MissedMutant")];
        mutants.extend([("a.rs", 8, "replace f with ()", "CaughtMutant"); 8]);
        mutants.push(("a.rs", 9, "replace loop", "Timeout"));
        mutants.push(("a.rs", 9, "replace f with g", "Unviable"));
        let outcomes = report(&mutants);
        let named = accepted(&["a.rs: replace < with <= in f"]);
        let verdict = Verdict::of(&outcomes, &named, &[], true);
        assert_eq!(verdict.files["a.rs"], Row { viable: 10, caught: 9, named: 1 });
        assert!(verdict.is_good(), "{verdict}");
        assert!(verdict.to_string().contains("took 3.5 s"), "{verdict}");

        let unnamed = Verdict::of(&outcomes, &accepted(&[]), &[], true);
        assert!(!unnamed.is_good());
        assert!(unnamed.to_string().contains("a.rs: replace < with <= in f (line 7)"), "{unnamed}");

        mutants.push(("a.rs", 12, "replace < with <= in f", "MissedMutant"));
        let twice = Verdict::of(&report(&mutants), &named, &[], true);
        assert!(!twice.is_good() && twice.unnamed.len() == 1, "{twice}");
        assert!(twice.to_string().contains("less than 90 %"), "{twice}");
    }

    #[test]
    fn a_name_that_fits_no_survivor_is_reported_where_its_file_was_run_whole() {
        let outcomes = report(&[("a.rs", 7, "replace f with ()", "CaughtMutant")]);
        let names = accepted(&["a.rs: replace f with ()", "b.rs: replace g with ()"]);
        let stale = |files: &[&str], whole| {
            let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
            Verdict::of(&outcomes, &names, &files, whole).stale.len()
        };
        assert_eq!((stale(&[], true), stale(&["a.rs"], true), stale(&[], false)), (2, 1, 0));
    }
}
