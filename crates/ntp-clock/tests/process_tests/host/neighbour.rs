//! A process that shares the machine's clock with others, and compares what they read.

#![allow(unsafe_code)]

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ntp_clock::{Clock, SharedPart, Sharing};

use super::board::Board;
use crate::common::truth_ns;
use crate::process_tests::probe;

/// Names the folder of the test, which has the board and the directory that is shared.
pub(super) const FOLDER: &str = "NTP_CLOCK_HOST_FOLDER";

/// The process of the test, with which its neighbours end.
pub(super) const TESTER: &str = "NTP_CLOCK_HOST_TESTER";
/// The act of a process among others.
pub(crate) const NEIGHBOUR: &str = "host_neighbour";

/// What a command asks for, which runs longer and with more processes.
pub(super) fn asked<T: FromStr>(what: &str) -> Option<T> {
    std::env::var(format!("NTP_CLOCK_HOST_{what}")).ok()?.parse().ok()
}

/// How the clocks of a test in this folder are shared.
pub(super) fn sharing(folder: &Path) -> Sharing {
    Sharing::in_directory(meeting(folder))
}

/// Where processes of a test in this folder meet.
pub(super) fn meeting(folder: &Path) -> PathBuf {
    folder.join("clock")
}

/// Reads the machine's clock until the test has ended.
pub(crate) fn live() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("the test's folder"));
    let board = Board::at(&folder.join("board"));
    if let Some(user) = asked("USER") {
        // SAFETY: takes a number alone.
        assert_eq!(unsafe { libc::setuid(user) }, 0, "user {user}");
    }
    let clock = Clock::builder()
        .server(probe::server())
        .poll_interval(Duration::from_secs(1))
        .shared(sharing(&folder))
        .build()
        .expect("valid");
    read_on(&clock, board, None);
}

fn read_on(clock: &Clock, board: &'static Board, until: Option<Instant>) {
    let mut looked = Instant::now();
    // Since when there was no reading, while this process itself was not stopped.
    let mut without: Option<Instant> = None;
    let mut begun = false;
    let mut last_print = Instant::now();
    let processes = asked("PROCESSES").unwrap_or(8);
    let tester = std::env::var_os(TESTER).expect("the test's process");
    while !board.has_ended() && until.is_none_or(|until| Instant::now() < until) {
        let now = Instant::now();
        if now - looked > Duration::from_millis(100) {
            without = without.map(|_| now);
        }
        looked = now;
        if look(clock, board) {
            if let Some(since) = without.take() {
                let gap_ms = since.elapsed().as_millis() as u64;
                board.longest_gap_ms.fetch_max(gap_ms, Ordering::SeqCst);
            }
            if !begun {
                begun = true;
                board.begun.fetch_add(1, Ordering::SeqCst);
            }
        } else if begun {
            board.nones.fetch_add(1, Ordering::SeqCst);
            let since = *without.get_or_insert(now);
            board.longest_gap_ms.fetch_max(since.elapsed().as_millis() as u64, Ordering::SeqCst);
        }
        if last_print.elapsed() > Duration::from_millis(20) {
            last_print = Instant::now();
            tell(clock, board);
            if !Path::new("/proc").join(&tester).exists() {
                return;
            }
        }
        // All of them together look some 16,000 times a second.
        std::thread::sleep(Duration::from_micros(62) * processes);
    }
}

/// Looks once, and compares; gives whether there was a reading.
fn look(clock: &Clock, board: &Board) -> bool {
    // Whatever was read of this epoch before this look is no later than what it gives. The epoch is
    // known only afterwards: look again where it has changed.
    let Some(expected) = clock.now().map(|reading| reading.epoch()) else { return false };
    let latest = board.latest(expected);
    let (earliest, before) = (latest.load(Ordering::SeqCst), truth_ns());
    let Some(reading) = clock.now() else { return false };
    let after = truth_ns();
    let time = reading.time().as_nanos();
    board.readings.fetch_add(1, Ordering::SeqCst);
    if reading.epoch() == expected {
        latest.fetch_max(time, Ordering::SeqCst);
        if time < earliest {
            board.backwards.fetch_add(1, Ordering::SeqCst);
            eprintln!("{}: back by {} ns: {reading:?}", std::process::id(), earliest - time);
        }
    }
    let error = (before - time).max(time - after);
    if error > reading.max_error().as_nanos() {
        board.wrong.fetch_add(1, Ordering::SeqCst);
        eprintln!("{}: off by {error} ns: {reading:?}", std::process::id());
    }
    true
}

/// Tells what it has sent, and forks where it is asked to.
fn tell(clock: &Clock, board: &'static Board) {
    let process = u64::from(std::process::id());
    let status = clock.status();
    let sharing = status.sharing.expect("it is to be shared");
    if sharing.part == SharedPart::Writer || status.requests > 0 {
        board.writer(process).requests.fetch_max(status.requests, Ordering::SeqCst);
    }
    let order = Ordering::SeqCst;
    if board.to_fork.compare_exchange(process, 0, order, order).is_ok() {
        // SAFETY: the child uses what the clock promises to work after a fork, and allocation,
        // which glibc makes usable in a child; it ends by `_exit`.
        if unsafe { libc::fork() } == 0 {
            let lives_s = board.fork_lives_s.load(order);
            let until = (lives_s > 0).then(|| Instant::now() + Duration::from_secs(lives_s));
            read_on(clock, board, until);
            // SAFETY: ends the process without running the parent's exit handlers.
            unsafe { libc::_exit(0) };
        }
    }
}
