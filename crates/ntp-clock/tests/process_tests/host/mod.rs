//! Processes that share one clock: what they read, who writes, and what becomes of them when that
//! one is killed, stopped or forked.

#![allow(unsafe_code)]

mod board;
pub(super) mod neighbour;
mod village;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ntp_clock::{Clock, SharedPart, Sharing};
use ntp_test_server::TestServer;

use super::Test;
use crate::common::{serve, server_of};
use neighbour::asked;
use village::Village;

pub(super) fn tests() -> Vec<Test> {
    let test = |name: &str, run: fn() -> Result<(), String>| Test {
        name: format!("host::{name}"),
        run: Box::new(run),
    };
    vec![
        test("a_stopped_writer_is_replaced_once_its_round_is_overdue", stopped),
        test("readings_go_on_in_order_while_writers_are_killed_stopped_and_forked", disturbed),
        test("many_processes_have_one_clock_and_send_one_flow_of_packets", one_flow),
        test("a_child_of_the_writer_reads_and_its_parent_goes_on_writing", forked),
        test("another_user_reads_what_root_writes_in_a_directory_that_it_may_enter", of_users),
        test("a_directory_that_is_refused_leaves_a_clock_of_its_own_and_a_reason", refused),
    ]
}

fn one_flow() -> Result<(), String> {
    let processes = asked("PROCESSES").unwrap_or(16);
    let village = Village::of(processes)?;
    village.wait("all read", |village| {
        village.board.begun.load(Ordering::SeqCst) >= processes as u64
    })?;
    let seen = village.board.readings.load(Ordering::SeqCst);
    village.wait("they read on", |village| {
        village.board.readings.load(Ordering::SeqCst) > seen + 100 * processes as u64
    })?;
    village.wait("one process has sent all that came", |village| {
        village.board.sent() == (1, village.server.stats().requests)
    })?;
    village.end()
}

fn disturbed() -> Result<(), String> {
    let processes = asked("PROCESSES").unwrap_or(8);
    let time = Duration::from_secs_f64(60.0 * asked("MINUTES").unwrap_or(0.1));
    let mut village = Village::of(processes)?;
    village.board.fork_lives_s.store(10, Ordering::SeqCst);
    village.wait("all read", |village| {
        village.board.begun.load(Ordering::SeqCst) >= processes as u64
    })?;
    let begun = Instant::now();
    while begun.elapsed() < time {
        village.disturb_writer()?;
    }
    village.wait("a reading after all that", |village| village.reader.now().is_some())?;
    village.end()
}

fn stopped() -> Result<(), String> {
    let village = Village::of(2)?;
    village.wait("both read", |village| village.board.begun.load(Ordering::SeqCst) >= 2)?;
    village.wait("the test sees who writes", |village| village.writer().is_ok())?;
    let (writer, epoch) = village.writer()?;
    village.signal(writer, libc::SIGSTOP);
    village.wait("another one writes", |village| {
        village.writer().is_ok_and(|(next, same)| next != writer && same == epoch)
    })?;
    village.signal(writer, libc::SIGCONT);
    let seen = village.board.readings.load(Ordering::SeqCst);
    village.wait("both read on", |village| {
        village.board.readings.load(Ordering::SeqCst) > seen + 100
    })?;
    village.end()
}

fn forked() -> Result<(), String> {
    let village = Village::of(1)?;
    village.wait("the test sees that it writes", |village| village.writer().is_ok())?;
    let (writer, epoch) = village.writer()?;
    village.board.to_fork.store(u64::from(writer), Ordering::SeqCst);
    village.wait("its child reads", |village| village.board.begun.load(Ordering::SeqCst) >= 2)?;
    if village.writer()? != (writer, epoch) {
        return Err(format!("process {writer} wrote; now {:?}", village.reader.status().sharing));
    }
    // The child holds nothing that says that its parent lives, and goes on in its epoch.
    village.signal(writer, libc::SIGKILL);
    village.wait("the child writes", |village| {
        village.writer().is_ok_and(|(next, same)| next != writer && same == epoch)
    })?;
    village.end()
}

fn of_users() -> Result<(), String> {
    // SAFETY: takes nothing.
    if unsafe { libc::geteuid() } != 0 {
        return Ok(()); // Only root can become another user.
    }
    let mut village = Village::empty()?;
    village.settle(None)?;
    village.wait("root reads", |village| village.board.begun.load(Ordering::SeqCst) >= 1)?;
    village.settle(Some(65_534))?;
    village
        .wait("the other user reads", |village| village.board.begun.load(Ordering::SeqCst) >= 2)?;
    village.wait("root's process has sent all that came", |village| {
        village.board.sent() == (1, village.server.stats().requests)
    })?;
    village.end()
}

fn refused() -> Result<(), String> {
    let server = serve(|_| {});
    let reason = reason_of(&server, Sharing::in_directory("/proc/self"))?;
    let text = "/proc/self is not a directory";
    if reason.contains(text) { Ok(()) } else { Err(format!("{reason:?} does not say {text:?}")) }
}

/// Why a clock that is to be shared like that is not; it has the time all the same.
fn reason_of(server: &TestServer, sharing: Sharing) -> Result<String, String> {
    let builder = Clock::builder().server(server_of(server)).shared(sharing);
    let clock = builder.build().map_err(|error| error.to_string())?;
    if !clock.wait_synced(Duration::from_secs(30)) {
        return Err(format!("no time: {:?}", clock.status()));
    }
    let sharing = clock.status().sharing.ok_or("no word of sharing")?;
    match sharing.part {
        SharedPart::Alone => sharing.reason.ok_or_else(|| "no reason".to_owned()),
        part => Err(format!("{part:?}")),
    }
}
