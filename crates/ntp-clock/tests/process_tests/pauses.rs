//! A process that stands still for a while, by a signal or in a frozen group: the counter runs on.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use ntp_clock::{Clock, Disruption, Event};

use super::Test;
use super::probe::{clock_polling, performs, watch};

pub(crate) fn tests() -> Vec<Test> {
    let test = |name: &str, act: &'static str| Test {
        name: name.to_owned(),
        run: Box::new(move || performs(act, &[])),
    };
    let mut tests = vec![test(
        "a_process_stopped_by_a_signal_reads_right_afterwards_and_asks_at_once_though_no_poll_is_due",
        "stopped_unawares",
    )];
    if may_freeze() {
        tests.push(test(
            "a_frozen_group_of_processes_reads_right_once_thawed_and_asks_at_once",
            "frozen",
        ));
    } else {
        // No package brings it, so it is an addition where it is, and no skip where it is not.
        eprintln!("note: no frozen process is tried: that needs root and the freezer of cgroup v1");
    }
    tests
}

/// In the process: it is stopped and let go on.
pub(crate) fn stopped_unawares() {
    let process = std::process::id();
    pauses(&format!("kill -STOP {process}; sleep {PAUSE_S}; kill -CONT {process}"));
}

/// In the process: its group is frozen and thawed.
pub(crate) fn frozen() {
    let process = std::process::id();
    let group = format!("{FREEZER}/ntp-clock-{process}");
    fs::create_dir(&group).expect("a group");
    fs::write(format!("{group}/cgroup.procs"), process.to_string()).expect("in the group");
    // The shell goes back to where it may act.
    let state = format!("{group}/freezer.state");
    pauses(&format!(
        "echo $$ > {FREEZER}/cgroup.procs; echo FROZEN > {state}; sleep {PAUSE_S}; \
         echo THAWED > {state}"
    ));
    fs::write(format!("{FREEZER}/cgroup.procs"), process.to_string()).expect("out of the group");
    fs::remove_dir(&group).expect("an empty group");
}

fn pauses(script: &str) {
    let clock = clock_polling(Duration::from_secs(3_600));
    assert!(clock.wait_synced(Duration::from_secs(6)), "{:?}", clock.status());
    // The first round is over, and no poll is due for an hour.
    watch(&clock, Duration::from_secs(1));
    let events = clock.subscribe();
    let asked = clock.status().requests;
    let begun = Instant::now();
    let mut shell = shell(script);
    // From some moment here on nothing of this process runs until it may go on. Readings are right
    // from the first one on.
    while begun.elapsed() < Duration::from_secs(PAUSE_S) {
        watch(&clock, Duration::from_millis(20));
    }
    let paused = std::iter::from_fn(|| events.next_timeout(Duration::from_secs(20)))
        .find(|event| matches!(event.kind(), Event::Disrupted(_)));
    let paused = paused.expect("the thread woke far too late");
    assert_eq!(paused.kind(), &Event::Disrupted(Disruption::Paused), "{paused}");
    let begun = Instant::now();
    while clock.status().requests == asked {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", clock.status());
        watch(&clock, Duration::from_millis(20));
    }
    still_the_same(&clock);
    assert!(shell.wait().expect("it ends").success());
}

fn still_the_same(clock: &Clock) {
    let status = clock.status();
    assert_eq!((status.epoch, status.last_disruption), (1, Some(Disruption::Paused)), "{status:?}");
    assert!(clock.now().is_some(), "the counter ran on: {status:?}");
}

fn shell(script: &str) -> Child {
    Command::new("sh").args(["-c", script]).spawn().expect("there is a shell")
}

/// Whether a group can be made and frozen here.
fn may_freeze() -> bool {
    let group = format!("{FREEZER}/ntp-clock-look-{}", std::process::id());
    if fs::create_dir(&group).is_err() {
        return false;
    }
    let state = fs::exists(format!("{group}/freezer.state")).unwrap_or(false);
    fs::remove_dir(&group).is_ok() && state
}

/// Longer than the thread waits at once, and than it may be late.
const PAUSE_S: u64 = 8;
const FREEZER: &str = "/sys/fs/cgroup/freezer";
