//! Forks: a child keeps the inherited time, and looks after it itself from its first use on.
#![cfg(unix)]
#![allow(unsafe_code)]

mod common;

use std::time::Duration;

use common::{Watch, busy_clock_of, error_ns, eventually, read, serve};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// Runs `child` in a forked process; its result is the exit status.
fn in_child(child: impl FnOnce() -> Result<(), String>) {
    // SAFETY: the child uses what this crate promises to work after a fork, and allocation, which
    // glibc makes usable in a child; it ends by `_exit` and never returns into the test harness.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            let code = match outcome {
                Ok(Ok(())) => 0,
                Ok(Err(problem)) => {
                    eprintln!("child: {problem}");
                    1
                }
                Err(_) => 2,
            };
            // SAFETY: ends the process without running the parent's exit handlers.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
        }
    }
}

#[test]
fn a_child_reads_at_once_and_synchronises_by_itself() {
    let server = serve(|_| {});
    let clock = busy_clock_of(&server);
    assert!(clock.wait_synced(Duration::from_secs(30)));
    let parent_epoch = clock.now().unwrap().epoch();
    let before = clock.now().unwrap();
    for _ in 0..3 {
        in_child(|| {
            let first = clock.now().ok_or("no inherited reading")?;
            if first.time() < before.time() || first.epoch() != parent_epoch {
                return Err(format!("{first:?} after {before:?}"));
            }
            let events = clock.subscribe();
            let watch = Watch::over(&clock);
            let own = events.next_timeout(Duration::from_secs(10)).ok_or("no round of its own")?;
            clock.sync_now().map_err(|error| error.to_string())?;
            let watched = watch.finish();
            if watched.epochs.len() != 1 || watched.nones > 0 {
                return Err(format!("{watched:?} after {own}"));
            }
            Ok(())
        });
    }
    // The parent's thread is untouched.
    let synced = clock.status().last_sync;
    eventually("the parent goes on", Duration::from_secs(60), || clock.status().last_sync > synced);
}

#[test]
fn a_child_of_an_unsynchronised_clock_synchronises_at_first_use() {
    let server = serve(|b| b.faults.always(ntp_test_server::Fault::Silence));
    let clock = busy_clock_of(&server);
    server.set(|b| b.faults.clear());
    in_child(|| {
        if clock.wait_synced(Duration::from_secs(30)) {
            Ok(())
        } else {
            Err(format!("{:?}", clock.status()))
        }
    });
}

#[test]
fn a_grandchild_works_like_a_child() {
    let server = serve(|_| {});
    let clock = busy_clock_of(&server);
    assert!(clock.wait_synced(Duration::from_secs(30)));
    in_child(|| {
        clock.now().ok_or("child has no time")?;
        in_child(|| clock.sync_now().map(drop).map_err(|error| format!("grandchild: {error}")));
        Ok(())
    });
}

#[test]
fn a_thousand_forks_in_the_midst_of_synchronisation_leave_no_bad_reading() {
    let server = serve(|_| {});
    let clock = busy_clock_of(&server);
    assert!(clock.wait_synced(Duration::from_secs(30)));
    let asking = clock.clone();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    // Keeps the clock's thread and its locks busy while the process forks.
    let busy = std::thread::spawn(move || {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            let _ = (asking.request_sync(), asking.status());
        }
    });
    for _ in 0..1_000 {
        let last = clock.now().expect("synchronised");
        in_child(|| {
            let look = read(&clock).ok_or("no inherited reading")?;
            let error = error_ns(look);
            if error > look.1.max_error().as_nanos() {
                return Err(format!("off by {error} ns: {:?}", look.1));
            }
            if look.1.epoch() == last.epoch() && look.1.time() < last.time() {
                return Err(format!("back from {last:?} to {:?}", look.1));
            }
            Ok(())
        });
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    busy.join().unwrap();
}
