//! Which processes have the same counter by name, and which have not.

use std::process::Command;

use ntp_clock::{Clock, LocalTime};

use super::Test;
use super::acts::{in_child, raw_child};
use super::probe::command;
use crate::common::serve;

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = vec![
        test("two_processes_share_a_counter_by_which_their_moments_are_in_order", || {
            let [before, after] = [Report::by(&[], "")?, Report::by(&[], "")?];
            check(before.id == after.id, "another name", &[&before, &after])?;
            check(before.counter < after.counter, "the wrong order", &[&before, &after])
        }),
        test("a_process_of_another_pretended_machine_names_its_counter_differently", || {
            let reports =
                [Report::by(&[], "")?, Report::by(&[], "left")?, Report::by(&[], "right")?];
            check(differ(&reports), "the same name", &reports.each_ref())?;
            let again = Report::by(&[], "left")?;
            check(reports[1].id == again.id, "another name", &[&reports[1], &again])
        }),
    ];
    let skip =
        |what: &str| eprintln!("SKIPPED: {what} needs namespaces: apt-get install util-linux");
    if may(TIME_NAMESPACE) {
        tests.push(test("a_time_namespace_is_another_counter_also_for_a_forked_child", || {
            let reports = [Report::by(&[], "")?, Report::by(TIME_NAMESPACE, "")?];
            check(differ(&reports), "the same name", &reports.each_ref())
        }));
    } else {
        skip("a time namespace");
    }
    if may(WITHOUT_BOOT_ID) {
        tests.push(test("where_the_boot_has_no_name_no_two_processes_share_a_counter", || {
            let reports = [Report::by(WITHOUT_BOOT_ID, "")?, Report::by(WITHOUT_BOOT_ID, "")?];
            check(differ(&reports), "the same name", &reports.each_ref())
        }));
    } else {
        skip("a system that does not name its boot");
    }
    tests
}

const TIME_NAMESPACE: &[&str] = &["unshare", "--map-root-user", "--time", "--fork"];
const WITHOUT_BOOT_ID: &[&str] = &[
    "unshare",
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    "mount -t tmpfs none /proc/sys/kernel/random && exec \"$0\"",
];

fn test(name: &str, run: fn() -> Result<(), String>) -> Test {
    Test { name: name.to_owned(), run: Box::new(run) }
}

fn may(under: &[&str]) -> bool {
    let [outer, arguments @ ..] = under else { return true };
    let output = Command::new(outer).args(arguments).arg("true").output();
    output.is_ok_and(|output| output.status.success())
}

/// What a process reported of its counter.
#[derive(Debug)]
struct Report {
    id: String,
    counter: i64,
}

impl Report {
    fn by(under: &[&str], machine: &str) -> Result<Self, String> {
        let server = serve(|_| {});
        let mut command = command("names_its_counter", under, &server)?;
        let output =
            command.env("PORTACODE_MACHINE", machine).output().map_err(|e| e.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let reports = text.trim().split_once(' ').filter(|_| output.status.success());
        let reports = reports
            .and_then(|(id, ns)| Some(Report { id: id.to_owned(), counter: ns.parse().ok()? }));
        reports.ok_or_else(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    }
}

fn differ(reports: &[Report]) -> bool {
    reports
        .iter()
        .enumerate()
        .all(|(place, one)| reports[..place].iter().all(|other| one.id != other.id))
}

fn check(good: bool, problem: &str, reports: &[&Report]) -> Result<(), String> {
    if good { Ok(()) } else { Err(format!("{problem}: {reports:?}")) }
}

/// In the process: says which counter it has and where that stands. A forked child has the same
/// one wherever it could be shared.
pub(crate) fn names_its_counter(clock: &Clock) {
    let before = clock.stamp();
    let shared = std::fs::exists("/proc/sys/kernel/random/boot_id").unwrap_or(false);
    in_child(raw_child(), || {
        let inside = clock.stamp();
        assert_eq!(inside.counter_id == before.counter_id, shared, "{inside:?} after {before:?}");
        assert_eq!(clock.counter_id(), inside.counter_id, "it stays");
        assert!(inside.counter > before.counter, "{inside:?} after {before:?}");
    });
    let after = clock.stamp();
    assert_eq!(after.counter_id, before.counter_id);
    println!("{} {}", after.counter_id, after.counter.as_nanos());
    assert!(after.counter > LocalTime::from_nanos(0));
}
