//! What a reading takes in Node, as a ratio to performance.now() in the same run.

use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Tables, json_lines};
use crate::command::{Job, answer_of};
use crate::server::Server;

pub(super) fn tables(job: &Job) -> Result<Tables> {
    let server = Server::start(job.project(), "release")?;
    let mut node = Command::new("node");
    node.arg(job.project().path("js/bench/now.mjs")).arg(server.address());
    let raw = json_lines(&answer_of(job, &mut node)?)?;
    let medians = raw.first().and_then(|line| line.as_object()).context("nothing was measured")?;
    let median = |name: &str| medians.get(name).and_then(|value| value.as_f64());
    let reference = median(REFERENCE).context("the reference was not measured")?;
    let mut text = String::from(
        "| in Node | median, ns | ratio to performance.now() | aim |\n|---|---:|---:|---|\n",
    );
    let mut met = true;
    for name in medians.keys() {
        let nanos = median(name).context("a median is no number")?;
        let ratio = nanos / reference;
        let aim = match (name == READING, ratio <= AIM) {
            (false, _) => String::new(),
            (true, true) => AIM.to_string(),
            (true, false) => format!("**missed**: {AIM}"),
        };
        met &= name != READING || ratio <= AIM;
        writeln!(text, "| {name} | {nanos:.0} | {ratio:.2} | {aim} |")?;
    }
    Ok(Tables { text, raw, met })
}

const REFERENCE: &str = "performance.now()";
const READING: &str = "ntpClock.now()";
/// It looks at the wall clock as well, to notice sleep.
const AIM: f64 = 2.4;
