//! On what machine, and how busy it was: without that no figure means anything.

use std::fs;

use crate::command::answer;

/// One paragraph about the machine; `load_before` is its load before the measurement.
pub(super) fn described(load_before: Option<&str>) -> String {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(
        |_| std::env::consts::OS.to_owned(),
        |kernel| format!("Linux {}", kernel.trim()),
    );
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let clock = fs::read_to_string(source)
        .map(|clock| format!(", clock source {}", clock.trim()))
        .unwrap_or_default();
    let rustc = answer("rustc", &["--version"]).unwrap_or_default();
    let commit = answer("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_default();
    let load = match (load_before, load()) {
        (Some(before), Some(after)) => format!(" Load before {before}, after {after}."),
        _ => String::new(),
    };
    format!("{cpu}, {cores} cores, {kernel}{clock}, {rustc}; commit {commit}.{load}")
}

/// Processes that wanted to run in the last minute, on average.
pub(super) fn load() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next().map(str::to_owned)
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}
