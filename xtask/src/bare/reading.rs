//! The first synchronised reading of a newcomer, and whether it is true.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::{Job, answer_of};

/// A first reading that was true.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// From the program's start to its end.
    pub(super) took: Duration,
    pub(super) max_error_ms: f64,
    /// What the program says of what runs it; empty where it says nothing.
    pub(super) version: String,
}

impl Reading {
    /// Runs a program that prints its first reading, as JSON on its last line.
    pub(super) fn take(job: &Job, command: &mut Command) -> Result<Self> {
        let (began, before) = (Instant::now(), system_ns()?);
        let said = answer_of(job, command)?;
        let (took, after) = (began.elapsed(), system_ns()?);
        job.note(&said)?;
        let reading: Value = said
            .lines()
            .next_back()
            .and_then(|line| serde_json::from_str(line).ok())
            .with_context(|| format!("the program printed no reading: {said:?}"))?;
        let max_error_ns = check(&reading, before, after)?;
        let version = reading["version"].as_str().unwrap_or_default().to_owned();
        Ok(Reading { took, max_error_ms: max_error_ns / 1e6, version })
    }
}

/// Fails unless the time that the server has, which is this machine's, may be within the reading's
/// bound; gives that bound. The reading was taken between two times of this machine.
fn check(reading: &Value, before_ns: f64, after_ns: f64) -> Result<f64> {
    let of = |name: &str| -> Result<f64> {
        reading[name].as_f64().with_context(|| format!("no {name} in {reading}"))
    };
    let (time, bound) = (of("time_ns")?, of("max_error_ns")?);
    if bound <= 0.0 || bound > MAX_ERROR_NS {
        bail!("a bound of {} ms is none", bound / 1e6);
    }
    if time + bound < before_ns || time - bound > after_ns {
        bail!("the reading is wrong: {reading} between {before_ns} ns and {after_ns} ns");
    }
    Ok(bound)
}

fn system_ns() -> Result<f64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("it is before 1970")?;
    Ok(now.as_secs_f64() * 1e9)
}

/// Beyond what a server 10 ms away leaves in doubt, on the busiest machine.
const MAX_ERROR_NS: f64 = 2e9;

/// Prints the first reading of the installed package.
pub(super) const PYTHON: &str = r#"
import json, platform, sys
from portacode.utils.ntp_clock import ntp_clock
if not ntp_clock.wait_synced(timeout=60):
    sys.exit(f"not synchronised: {ntp_clock.get_status()}")
reading = ntp_clock.read()
free = not getattr(sys, "_is_gil_enabled", lambda: True)()
version = "CPython " + platform.python_version() + (" without the GIL" if free else "")
print(json.dumps({"time_ns": reading.time_ns, "max_error_ns": reading.max_error_ns, "version": version}))
"#;

/// The same in JavaScript, for Node, Deno and Bun.
pub(super) const JAVASCRIPT: &str = r#"
import ntpClock from '@portacode/ntp-clock';
if (!(await ntpClock.waitSynced({ timeout: 60000 })))
    throw new Error(`not synchronised: ${JSON.stringify(ntpClock.getStatus())}`);
const { timeMs, maxErrorMs } = ntpClock.read();
const { Deno, Bun, process } = globalThis;
const version = Deno ? `Deno ${Deno.version.deno}` : Bun ? `Bun ${Bun.version}` : `Node ${process.versions.node}`;
console.log(JSON.stringify({ time_ns: timeMs * 1e6, max_error_ns: maxErrorMs * 1e6, version }));
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_true_if_its_bound_reaches_the_time_at_which_it_was_taken() {
        let reading = serde_json::json!({"time_ns": 5e9, "max_error_ns": 1e6});
        assert_eq!(check(&reading, 5.001e9, 5.5e9).unwrap(), 1e6);
        assert_eq!(check(&reading, 4.5e9, 4.999e9).unwrap(), 1e6);
        assert!(check(&reading, 5.002e9, 5.5e9).is_err());
        assert!(check(&reading, 4.5e9, 4.998e9).is_err());
        let endless = serde_json::json!({"time_ns": 5e9, "max_error_ns": 3e9});
        assert!(check(&endless, 4.5e9, 5.5e9).is_err());
        assert!(check(&serde_json::json!({}), 4.5e9, 5.5e9).is_err());
    }
}
