//! What a reading takes in Node and in Chromium, as a ratio to performance.now() in the same run.

use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Tables, json_lines};
use crate::command::{Job, answer, answer_of};
use crate::python::Venv;
use crate::server::Server;

pub(super) fn tables(job: &Job) -> Result<Tables> {
    let server = Server::start(job.project(), "release")?;
    let mut node = Command::new("node");
    node.arg(job.project().path("js/bench/now.mjs")).arg(server.address());
    let mut raw = json_lines(&answer_of(job, &mut node)?)?;
    let mut text = String::new();
    let mut met = table(&mut text, "Node", raw.first(), NODE_AIM)?;
    text.push('\n');
    let python = Venv::of(job.project()).python();
    let missing = "not measured in Chromium; it needs: apt-get install chromium, and \
                   cargo xtask test browser, which makes Python's environment\n";
    if answer(&python, &["-c", "import playwright, portacode"]).is_some() {
        let mut chromium = Command::new(python);
        chromium.arg(job.project().path("tests/e2e/bench.py"));
        let rows = json_lines(&answer_of(job, &mut chromium).context(missing)?)?;
        met &= table(&mut text, "Chromium", rows.first(), CHROMIUM_AIM)?;
        raw.extend(rows);
    } else {
        text.push_str(missing);
    }
    Ok(Tables { text, raw, met })
}

/// Adds a table of these medians; gives whether the aim was met.
fn table(text: &mut String, place: &str, medians: Option<&Value>, aim: f64) -> Result<bool> {
    let medians = medians.and_then(Value::as_object).context("nothing was measured")?;
    let median = |name: &str| medians.get(name).and_then(Value::as_f64);
    let reference = median(REFERENCE).context("the reference was not measured")?;
    writeln!(text, "| in {place} | median, ns | ratio to performance.now() | aim |")?;
    writeln!(text, "|---|---:|---:|---|")?;
    let mut met = true;
    for name in medians.keys() {
        let nanos = median(name).context("a median is no number")?;
        let ratio = nanos / reference;
        let verdict = match (name == READING, ratio <= aim) {
            (false, _) => String::new(),
            (true, true) => aim.to_string(),
            (true, false) => format!("**missed**: {aim}"),
        };
        met &= name != READING || ratio <= aim;
        writeln!(text, "| {name} | {nanos:.0} | {ratio:.2} | {verdict} |")?;
    }
    Ok(met)
}

const REFERENCE: &str = "performance.now()";
const READING: &str = "ntpClock.now()";
/// It looks at the wall clock as well, to notice sleep.
const NODE_AIM: f64 = 2.4;
/// Where performance.now() itself takes longer.
const CHROMIUM_AIM: f64 = 1.3;
