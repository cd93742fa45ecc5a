//! What a process with a clock does, or has done to it.

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use ntp_clock::Clock;

use super::Test;
use super::counters::names_its_counter;
use super::pauses::{frozen, stopped_unawares};
use super::probe::{clock, idly, performs, watch};

pub(crate) fn tests() -> Vec<Test> {
    let acts = [
        ("a_program_that_closes_everything_keeps_its_files_and_its_clock", "closes_everything"),
        ("a_daemon_that_closes_everything_keeps_its_files_and_gets_a_clock", "daemon"),
        ("a_child_made_behind_the_c_librarys_back_has_a_clock_of_its_own", "raw_fork"),
        ("a_vforked_child_leaves_its_parents_clock_alone", "vfork"),
        ("no_descriptors_at_all_burn_no_core_and_are_recovered_from", "no_descriptors"),
        ("a_clock_made_without_descriptors_synchronises_once_there_are_some", "late_descriptors"),
        ("a_process_that_was_stopped_asks_again_at_once", "stopped"),
    ];
    let test = |(name, act): (&str, &'static str)| Test {
        name: name.to_owned(),
        run: Box::new(move || performs(act, &[])),
    };
    acts.into_iter().map(test).collect()
}

pub(crate) fn perform(act: &str) {
    match act {
        "recovers" => recovers(),
        "stays_honest" => stays_honest(),
        "closes_everything" => closes_everything(),
        "daemon" => daemon(),
        "raw_fork" => raw_fork(),
        "vfork" => vfork(),
        "no_descriptors" => no_descriptors(),
        "late_descriptors" => late_descriptors(),
        "stopped" => stopped(),
        "stopped_unawares" => stopped_unawares(),
        "frozen" => frozen(),
        "names_its_counter" => names_its_counter(&clock()),
        other => panic!("no such act: {other}"),
    }
}

fn recovers() {
    let clock = clock();
    idly(|| {
        // An attempt takes 2 s and more where nothing can be sent.
        let mut looks = 0..60;
        while watch(&clock, Duration::from_millis(500)).is_none() {
            assert!(looks.next().is_some(), "{:?}", clock.status());
        }
        watch(&clock, Duration::from_millis(1_500))
    });
    assert!(clock.now().is_some(), "{:?}", clock.status());
}

fn stays_honest() {
    let clock = clock();
    idly(|| watch(&clock, Duration::from_secs(3)));
    // Whether it could be done or not, it is answered.
    let begun = Instant::now();
    let outcome = clock.sync_now();
    assert!(begun.elapsed() < Duration::from_secs(50), "{outcome:?} took {:?}", begun.elapsed());
}

fn synchronised() -> Clock {
    let clock = clock();
    assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
    clock
}

/// An attempt under way may yet end by what is over; on a busy machine one may get no reply.
fn syncs(clock: &Clock) {
    let outcomes: Vec<_> = (0..10).map(|_| clock.sync_now()).take_while(Result::is_err).collect();
    assert!(outcomes.len() < 10, "{outcomes:?}: {:?}", clock.status());
}

/// Closes all that is open, and opens files that get the numbers.
fn close_everything() -> Vec<File> {
    // SAFETY: takes numbers alone. What owned them finds out, which is the point.
    assert_eq!(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) }, 0);
    let path = std::env::temp_dir().join(format!("ntp-clock-{}", std::process::id()));
    let files = (0..FILES).map(|_| {
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        file.write_all(CONTENT).unwrap();
        file.rewind().unwrap();
        file
    });
    let files = files.collect();
    fs::remove_file(&path).unwrap();
    files
}

fn are_untouched(files: &mut [File]) {
    for file in files {
        let mut content = Vec::new();
        file.rewind().expect("still open");
        file.read_to_end(&mut content).expect("still open");
        assert_eq!(content, CONTENT, "descriptor {}", file.as_raw_fd());
    }
}

fn closes_everything() {
    let clock = synchronised();
    for in_flight_ms in [0, 20, 1_500] {
        std::thread::sleep(Duration::from_millis(in_flight_ms));
        let mut files = close_everything();
        idly(|| {
            syncs(&clock);
            watch(&clock, Duration::from_secs(3));
        });
        are_untouched(&mut files);
    }
}

fn daemon() {
    let clock = synchronised();
    in_child(raw_child(), || {
        let mut files = close_everything();
        let inherited = clock.now().expect("inherited");
        idly(|| {
            syncs(&clock);
            watch(&clock, Duration::from_secs(2));
        });
        assert_eq!(clock.now().expect("synchronised").epoch(), inherited.epoch());
        are_untouched(&mut files);
    });
    syncs(&clock);
}

fn raw_fork() {
    let clock = synchronised();
    let before = clock.now().expect("synchronised");
    let requests = clock.status().requests;
    in_child(raw_child(), || {
        let first = clock.now().expect("inherited");
        assert!(first.epoch() == before.epoch() && first.time() >= before.time());
        syncs(&clock);
        assert!(clock.status().requests < requests + 5, "it counts its own from zero");
        in_child(raw_child(), || syncs(&clock));
    });
    syncs(&clock);
    watch(&clock, Duration::from_secs(2));
}

/// A child made without the C library's knowledge: its handlers are not called.
pub(super) fn raw_child() -> i64 {
    // SAFETY: a fork by number. The child uses what this crate promises to work there, and
    // allocation: no other thread of this process allocates at this moment.
    unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) }
}

pub(super) fn in_child(child: i64, act: impl FnOnce()) {
    assert!(child >= 0, "no child");
    if child == 0 {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        // SAFETY: ends the process without running anything of the parent's.
        unsafe { libc::_exit(i32::from(outcome.is_err())) }
    }
    let mut status = 0;
    // SAFETY: the pointer is to a number of ours.
    assert_eq!(i64::from(unsafe { libc::waitpid(child as i32, &raw mut status, 0) }), child);
    assert_eq!(status, 0, "the child failed");
}

fn vfork() {
    let clock = synchronised();
    for _ in 0..20 {
        // What starts a program by vfork shares its parent's memory until then.
        assert!(std::process::Command::new("true").status().expect("there is one").success());
        assert!(clock.now().is_some());
    }
    assert!(clock.status().requests > 0, "the same thread looks after it");
    syncs(&clock);
}

fn limit_descriptors(most: libc::rlim_t) -> libc::rlimit {
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a limit of ours.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut old) }, 0);
    let new = libc::rlimit { rlim_cur: most.min(old.rlim_max), ..old };
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const new) }, 0);
    old
}

fn no_descriptors() {
    let clock = synchronised();
    std::thread::sleep(Duration::from_millis(700));
    let old = limit_descriptors(0);
    // Nothing can be looked up in /proc meanwhile.
    let before = thread_time();
    let begun = Instant::now();
    watch(&clock, Duration::from_secs(4));
    let outcome = clock.sync_now();
    assert_eq!(outcome.expect_err("no socket").failure().code(), "no_resources");
    limit_descriptors(old.rlim_cur);
    let spent = thread_time() - before;
    assert!(spent < begun.elapsed() / 2, "{spent:?} in {:?}", begun.elapsed());
    syncs(&clock);
}

/// Processor time of the whole process.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a `timespec` of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn late_descriptors() {
    let old = limit_descriptors(0);
    let clock = clock();
    let begun = Instant::now();
    let error = clock.sync_now().expect_err("no socket");
    assert_eq!(error.failure().code(), "no_resources", "{error}");
    assert!(begun.elapsed() < Duration::from_secs(50));
    assert!(!clock.wait_synced(Duration::from_millis(200)));
    limit_descriptors(old.rlim_cur);
    // The attempt under way may have failed to send already; the next one does not.
    assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
}

fn stopped() {
    let clock = synchronised();
    std::thread::sleep(Duration::from_millis(700));
    // SAFETY: takes numbers alone.
    let process = unsafe { libc::getpid() };
    let waker = std::process::Command::new("sh")
        .args(["-c", &format!("sleep 0.2; kill -STOP {process}; sleep 5; kill -CONT {process}")])
        .spawn();
    std::thread::sleep(Duration::from_millis(300));
    // From here on it has been stopped for five seconds, in which five polls were due.
    let asked = clock.status().requests;
    watch(&clock, Duration::from_secs(2));
    assert!(clock.status().requests > asked, "{:?}", clock.status());
    assert!(clock.now().is_some());
    drop(waker.map(|mut waker| waker.wait()));
}

const FILES: usize = 64;
const CONTENT: &[u8] = b"the program's own";
