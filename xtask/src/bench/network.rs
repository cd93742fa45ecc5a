//! Fresh starts on networks of the test server's making: error, time to the first reading, bounds.

use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::stats::percentile;
use super::{BenchArgs, Tables, json_lines, peers};
use crate::command::{Job, answer_of};

/// Runs everything.
pub(super) fn tables(job: &Job, args: &BenchArgs) -> Result<Tables> {
    let project = job.project();
    let mut command = Command::new(project.program("release/ntp-clock-bench"));
    command.arg("network");
    command.arg("--starts").arg(args.starts.to_string());
    command.arg("--parallel").arg(args.parallel.to_string());
    command.arg("--seed").arg(args.seed.to_string());
    for profile in &args.profiles {
        command.arg("--profile").arg(profile);
    }
    let old = peers::old(job);
    let note = old.as_ref().err().map(|error| format!("\nNot measured: {error:#}.\n"));
    if let Ok(venv) = &old {
        let script = project.path("crates/ntp-clock-bench/python/network.py");
        command.arg("--script").arg(script);
        for client in ["ntplib", "portacode 1.3.27"] {
            let mut option = std::ffi::OsString::from(format!("{client}="));
            option.push(venv.python());
            command.arg("--python").arg(option);
        }
    }
    let outcomes = json_lines(&answer_of(job, &mut command)?)?;
    let mut text = format!(
        "{} starts of each client on each network, {} at a time, seeds from {}. Errors against \
         this machine's wall clock, by which the server is set.\n\n",
        args.starts, args.parallel, args.seed
    );
    text += "| network | client | synchronised | error at 2 s, ms: median / p95 / max | \
             aim p95 | of the first reading | after, ms: median / max | bounds true | \
             bound, ms: median |\n|---|---|---:|---:|---|---:|---:|---:|---:|\n";
    let mut met = true;
    for outcome in &outcomes {
        met &= write_row(&mut text, outcome)?;
    }
    text += "\nThe networks:\n\n";
    let mut shown_profile = "";
    for outcome in &outcomes {
        let profile = outcome["profile"].as_str().unwrap_or_default();
        if profile != shown_profile {
            writeln!(text, "- {profile}: {}", outcome["network"].as_str().unwrap_or_default())?;
            shown_profile = profile;
        }
    }
    text += &note.unwrap_or_default();
    Ok(Tables { text, raw: outcomes, met })
}

/// Writes the row of one client on one network; gives whether our aims are met.
fn write_row(text: &mut String, outcome: &Value) -> Result<bool> {
    let profile = outcome["profile"].as_str().context("an outcome has no network")?;
    let client = outcome["client"].as_str().context("an outcome has no client")?;
    let starts = outcome["starts"].as_array().context("an outcome has no starts")?;
    let values = |key: &str| -> Vec<f64> {
        starts.iter().filter_map(|start| start[key].as_f64()).map(f64::abs).collect()
    };
    let errors = values("error_ms");
    let first_errors = values("first_error_ms");
    let waits: Vec<f64> = values("first_reading_s").iter().map(|s| s * 1e3).collect();
    let bounds: Vec<bool> =
        starts.iter().filter_map(|start| start["bounds_true"].as_bool()).collect();
    let ours = client == OURS;
    let p95 = percentile(&errors, 95).unwrap_or(f64::INFINITY);
    let aim = AIMS.iter().find(|(name, _)| ours && *name == profile).map(|(_, most)| *most);
    let aim_met = aim.is_none_or(|most| p95 <= most);
    let all_well = errors.len() == starts.len() && bounds.iter().all(|is_true| *is_true);
    let verdict = match aim {
        Some(most) if !aim_met => format!("**missed**: {most}"),
        Some(most) => most.to_string(),
        None => String::new(),
    };
    let truths = match bounds.len() {
        0 => "none stated".to_owned(),
        all => format!("{}/{all}", bounds.iter().filter(|is_true| **is_true).count()),
    };
    let shown = if ours { format!("**{client}**") } else { client.to_owned() };
    writeln!(
        text,
        "| {profile} | {shown} | {}/{} | {} / {} / {} | {verdict} | {} / {} / {} | {} / {} \
         | {truths} | {} |",
        errors.len(),
        starts.len(),
        cell(&errors, 50, 3),
        cell(&errors, 95, 3),
        cell(&errors, 100, 3),
        cell(&first_errors, 50, 3),
        cell(&first_errors, 95, 3),
        cell(&first_errors, 100, 3),
        cell(&waits, 50, 0),
        cell(&waits, 100, 0),
        cell(&values("bound_ms"), 50, 2),
    )?;
    Ok(!ours || (aim_met && all_well))
}

fn cell(values: &[f64], percent: usize, digits: usize) -> String {
    percentile(values, percent).map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

const OURS: &str = "ntp-clock";
/// 95 % of the errors at 2 s are to be at most this many milliseconds. What no client can know, the
/// asymmetry of a path, has no aim.
const AIMS: [(&str, f64); 4] = [("wan", 0.4), ("mobile", 3.5), ("uplink", 0.25), ("loss", 0.45)];

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(error_ms: Option<f64>, bounds_true: bool) -> Value {
        let start = serde_json::json!({
            "first_reading_s": 0.021, "first_error_ms": -1.0, "error_ms": error_ms,
            "bound_ms": 11.0, "bounds_true": bounds_true,
        });
        serde_json::json!({ "profile": "wan", "client": OURS, "starts": [start] })
    }

    #[test]
    fn an_aim_needs_the_error_the_bound_and_every_start() {
        let mut text = String::new();
        assert!(write_row(&mut text, &outcome(Some(-0.39), true)).unwrap());
        assert!(text.contains("| 1/1 | 0.390 / 0.390 / 0.390 | 0.4 |"), "{text}");
        assert!(!write_row(&mut text, &outcome(Some(0.41), true)).unwrap());
        assert!(text.contains("**missed**: 0.4"), "{text}");
        assert!(!write_row(&mut text, &outcome(Some(0.1), false)).unwrap());
        assert!(!write_row(&mut text, &outcome(None, true)).unwrap());
    }
}
