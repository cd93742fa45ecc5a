//! What a reading takes, as a ratio to its reference in the same run.

use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::stats::{median, median_ratio};
use super::{Tables, json_lines, peers};
use crate::command::{Job, answer_of};
use crate::server::Server;

/// Runs everything.
pub(super) fn tables(job: &Job) -> Result<Tables> {
    let project = job.project();
    let mut notes = Vec::new();
    let ours = peers::ours(job)?;
    let old = peers::old(job).map_err(|error| notes.push(format!("{error:#}"))).ok();
    let server = Server::start(project, "release")?;
    let script = project.path("crates/ntp-clock-bench/python/readings.py");
    let python = |venv: &crate::python::Venv, which: &str| {
        let mut command = Command::new(venv.python());
        // The checkout's own package would be found before the installed one.
        command.current_dir(project.work("bench")).arg(&script).args([which, ROUNDS]);
        command.env("PORTACODE_NTP_SERVER", server.address());
        answer_of(job, &mut command)
    };
    let mut rust = Command::new(project.program("release/ntp-clock-bench"));
    let mut groups = json_lines(&answer_of(job, rust.args(["readings", "--rounds", ROUNDS]))?)?;
    groups.extend(json_lines(&python(&ours, "ours")?)?);
    if let Some(old) = old {
        groups.extend(json_lines(&python(&old, "old")?)?);
    }
    let mut tables = of_groups(groups)?;
    for note in notes {
        writeln!(tables.text, "\nNot measured: {note}.")?;
    }
    Ok(tables)
}

/// What it takes to put many stamps in order.
pub(super) fn order(job: &Job) -> Result<Tables> {
    let mut rust = Command::new(job.project().program("release/ntp-clock-bench"));
    of_groups(json_lines(&answer_of(job, rust.arg("order"))?)?)
}

fn of_groups(groups: Vec<Value>) -> Result<Tables> {
    let mut text = String::from(
        "| measured | what | median | ratio to reference | aim |\n|---|---|---:|---:|---|\n",
    );
    let mut met = true;
    for group in &groups {
        met &= write_group(&mut text, group)?;
    }
    Ok(Tables { text, raw: groups, met })
}

/// Writes a group's rows; gives whether its aims are met.
fn write_group(text: &mut String, group: &Value) -> Result<bool> {
    let name = group["group"].as_str().context("a group has no name")?;
    let reference = group["reference"].as_str().context("a group has no reference")?;
    let samples = group["samples_ns"].as_object().context("a group has no samples")?;
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let references = numbers(samples.get(reference).context("a group lacks its reference")?);
    let mut rows: Vec<(f64, &str, f64)> = Vec::new();
    for (what, values) in samples {
        let values = numbers(values);
        let ratio = median_ratio(&values, &references).context("nothing was measured")?;
        rows.push((ratio, what, median(&values).unwrap_or_default()));
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut met = true;
    for (ratio, what, ns) in rows {
        let ours = !name.contains("portacode");
        let aim = AIMS.iter().find(|(group, of, _)| ours && name.starts_with(group) && *of == what);
        let by_system = what == "Clock::now()" && group["counter"] == "CLOCK_MONOTONIC_RAW";
        let aim = aim.map(|(.., most)| if by_system { SYSTEM_COUNTER_AIM } else { *most });
        let verdict = match aim {
            Some(most) if ratio <= most => format!("at most {most}"),
            Some(most) => {
                met = false;
                format!("**missed**: at most {most}")
            }
            None => String::new(),
        };
        let ratio_cell =
            if what == reference { "reference".to_owned() } else { format!("{ratio:.2}") };
        writeln!(text, "| {name} | `{what}` | {} | {ratio_cell} | {verdict} |", duration(ns))?;
    }
    Ok(met)
}

fn duration(ns: f64) -> String {
    match ns {
        ..1e4 => format!("{ns:.1} ns"),
        ..1e7 => format!("{:.0} µs", ns / 1e3),
        _ => format!("{:.1} ms", ns / 1e6),
    }
}

/// Where a group's name begins so, what is measured, and the greatest ratio that we are content
/// with.
const AIMS: [(&str, &str, f64); 11] = [
    ("Rust", "Clock::now()", 0.9),
    ("Rust", "Clock::now(), system's counter", SYSTEM_COUNTER_AIM),
    // No slower, but for what two measurements of one thing differ by.
    ("Clock::now(), processor time", "8 threads", 1.05),
    ("Python", "clock.now_ms()", 1.2),
    ("Python", "clock.now()", 1.4),
    ("Python", "clock.now_ns()", 1.2),
    ("Python", "clock.now_iso()", 3.0),
    // A millisecond and 200 of them, where the reference takes 87 us.
    ("order", "one pair, clocks around a hub", 11.5),
    ("order", "one pair, each clock linked with each", 11.5),
    ("order", "all pairs, clocks around a hub", 2_300.0),
    ("order", "all pairs, each clock linked with each", 2_300.0),
];
/// Of a reading where the processor's own counter is not used.
const SYSTEM_COUNTER_AIM: f64 = 1.7;
const ROUNDS: &str = "61";

#[cfg(test)]
mod tests {
    use super::*;

    fn group(ratio: f64) -> Value {
        serde_json::json!({
            "group": "Rust, 2 threads",
            "reference": "bare",
            "samples_ns": { "bare": [10.0, 20.0], "Clock::now()": [10.0 * ratio, 20.0 * ratio] },
        })
    }

    #[test]
    fn an_aim_is_met_or_named_as_missed() {
        let mut text = String::new();
        assert!(write_group(&mut text, &group(0.8)).unwrap());
        assert!(text.contains("| `Clock::now()` | 8.0 ns | 0.80 | at most 0.9 |"), "{text}");
        assert!(!write_group(&mut text, &group(1.5)).unwrap());
        assert!(text.contains("**missed**: at most 0.9"), "{text}");
    }

    #[test]
    fn the_old_package_is_held_to_no_aim() {
        let mut old = group(9.0);
        old["group"] = "Python, portacode 1.3.27".into();
        old["samples_ns"]["clock.now()"] = serde_json::json!([90.0, 180.0]);
        assert!(write_group(&mut String::new(), &old).unwrap());
        old["group"] = "Python".into();
        assert!(!write_group(&mut String::new(), &old).unwrap());
    }

    #[test]
    fn what_was_not_measured_is_an_error() {
        let empty = serde_json::json!({
            "group": "Rust", "reference": "bare", "samples_ns": { "bare": [] },
        });
        assert!(write_group(&mut String::new(), &empty).is_err());
    }
}
