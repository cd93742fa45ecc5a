//! Tests of a whole clock whose machine sleeps, and whose wall clock is set and steered.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ntp_clock_core::{EpochReason, Event, Span, SyncState};
use ntp_test_server::Fault;

use crate::machine::Machine;

#[test]
fn a_step_of_the_wall_clock_changes_nothing_but_the_reported_offset() {
    let machine = Machine::start(0);
    let offset = machine.clock.status().offset.expect("synchronised");
    for (hours, sum) in [(1, 1), (-2, -1)] {
        machine.stand_in.step_wall(Span::from_secs(hours * 3_600));
        let (readings, nones) = machine.read_for(Duration::from_millis(500));
        assert!(readings > 50 && nones == 0, "{readings} readings, {nones} times nothing");
        let status = machine.clock.status();
        let moved = status.offset.expect("synchronised") - offset + Span::from_secs(sum * 3_600);
        assert!(moved.abs() < Span::from_millis(100), "offset off by {moved:?}");
        assert_eq!(status.epoch, 1);
    }
}

#[test]
fn a_wall_clock_steered_by_500_ppm_or_8_percent_changes_nothing_either() {
    for ppm in [500, -500, 80_000, -80_000] {
        let machine = Machine::start(ppm);
        let (readings, nones) = machine.read_for(Duration::from_millis(1_500));
        assert!(readings > 50 && nones == 0, "{ppm} ppm: {nones} times nothing");
        assert_eq!(machine.clock.status().epoch, 1);
    }
}

#[test]
fn after_a_suspend_there_is_no_reading_until_a_new_round_and_then_a_new_epoch() {
    let machine = Machine::start(0);
    let earlier = machine.clock.local_now();
    assert!(machine.clock.at(earlier).is_some());
    let events = machine.clock.subscribe();

    machine.stand_in.sleep(Span::from_secs(3_600));
    // The reading that notices gives nothing, no matter who makes it and however soon.
    if let Some(reading) = machine.clock.now() {
        assert_eq!(reading.epoch(), 2, "a reading of the old epoch after a suspend");
    }
    let begun = Instant::now();
    while machine.read().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", machine.clock.status());
        sleep(Duration::from_millis(1));
    }
    assert_eq!(machine.clock.now().expect("synchronised").epoch(), 2);
    assert!(machine.clock.at(earlier).is_none(), "the counter lost time after that moment");
    let seen = std::iter::from_fn(|| events.next_timeout(Duration::from_secs(1))).any(|event| {
        matches!(event.kind(), Event::EpochChanged { epoch: 2, reason: EpochReason::Suspend })
    });
    assert!(seen);
}

#[test]
fn many_readers_see_no_time_of_before_a_suspend_after_it() {
    let machine = Machine::start(0);
    machine.while_many_read(Duration::from_millis(800), || {
        machine.stand_in.sleep(Span::from_secs(60));
    });
}

#[test]
fn after_a_suspend_the_counter_has_another_name_at_once_and_one_alone() {
    let machine = Machine::start(0);
    let before = machine.clock.stamp();
    machine.stand_in.step_wall(Span::from_secs(-3_600));
    assert_eq!(machine.clock.counter_id(), before.counter_id, "a step is no sleep");
    let mut last = before.counter_id;
    for _ in 0..3 {
        let renamed = machine.renamed_by(|| machine.stand_in.sleep(Span::from_secs(60)));
        assert_ne!(renamed, last);
        last = renamed;
    }
    assert_eq!(machine.clock.status().counter_id, last);
}

#[test]
fn a_suspend_too_short_for_readers_gives_the_counter_another_name_once_the_thread_notices() {
    let machine = Machine::start(0);
    let before = machine.clock.counter_id();
    machine.stand_in.sleep(Span::from_millis(20));
    assert_eq!(machine.clock.counter_id(), before, "nobody has noticed yet");
    // The step wakes the thread, which finds both.
    machine.stand_in.step_wall(Span::from_secs(1));
    let begun = Instant::now();
    while machine.clock.counter_id() == before {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", machine.clock.status());
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_process_stopped_past_its_expiry_says_so_and_is_synchronised_again_at_once() {
    let machine = Machine::start(0);
    sleep(Duration::from_millis(700)); // the first burst is over
    assert_eq!(machine.clock.status().last_error, None);
    // Time goes by while none of the threads runs.
    machine.stand_in.advance(Span::from_secs(1_000));
    let (status, reading) = (machine.clock.status(), machine.clock.now());
    // The thread may be quicker than we are.
    if reading.is_none() {
        assert!(!status.is_synced);
        assert_eq!((status.state, status.offset), (SyncState::Failed, None));
        assert_eq!(status.last_error_code(), Some("expired"));
    }
    let begun = Instant::now();
    while machine.clock.now().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", machine.clock.status());
        let status = machine.clock.status();
        assert!(status.is_synced || status.state != SyncState::Synchronised, "{status:?}");
        assert_eq!(status.is_synced, status.max_error.is_some(), "{status:?}");
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn processors_that_disagree_about_the_counter_leave_no_reading_until_they_agree() {
    let machine = Machine::start(0);
    let events = machine.clock.subscribe();
    machine.stand_in.disagree(Span::from_micros(200));
    let begun = Instant::now();
    let error = loop {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is looked at after each round");
        // Where the look comes between a reply and its reading, that is all that is known yet.
        if let Err(error) = machine.clock.sync_now()
            && error.failure().code() != "lost_time"
        {
            break error;
        }
    };
    assert_eq!(error.failure().code(), "counter_disagrees", "{error}");
    assert_eq!(machine.clock.now(), None);
    let status = machine.clock.status();
    assert_eq!((status.is_synced, status.last_error_code()), (false, Some("counter_disagrees")));
    let begun = Instant::now();
    while machine.clock.status().attempts < 2 {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", machine.clock.status());
        sleep(Duration::from_millis(10));
    }
    let status = machine.clock.status();
    assert_eq!(status.last_error_code(), Some("counter_disagrees"), "of each attempt");
    machine.stand_in.disagree(Span::ZERO);
    let begun = Instant::now();
    while machine.clock.sync_now().is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", machine.clock.status());
    }
    assert_eq!(machine.clock.now().expect("synchronised").epoch(), 2);
    let seen = std::iter::from_fn(|| events.try_next());
    assert!(seen.filter_map(|e| e.failure().map(|f| f.code())).any(|c| c == "counter_disagrees"));
}

#[cfg(unix)]
#[test]
#[allow(unsafe_code)]
fn a_child_of_a_clock_that_has_run_out_goes_on_in_its_epoch_no_earlier_than_that_stopped() {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    let machine = Machine::start(0);
    let last = machine.clock.now().expect("synchronised");
    let silence = |always: bool| {
        machine.server.set(move |b| {
            b.faults.clear();
            if always {
                b.faults.always(Fault::Silence);
            }
        });
    };
    silence(true);
    // A quarter of an hour goes by, for the server as well.
    machine.server.set(|b| b.offset += Span::from_secs(900));
    machine.stand_in.advance(Span::from_secs(900));
    assert_eq!(machine.clock.now(), None);
    // SAFETY: the child uses what this crate promises to work after a fork, and allocation, which
    // glibc makes usable in a child; it ends by `_exit`.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            let mut good = machine.clock.now().is_none();
            let begun = Instant::now();
            while machine.clock.sync_now().is_err() && begun.elapsed() < Duration::from_secs(30) {}
            let first = machine.clock.now();
            good &= first.is_some_and(|first| first.epoch() == 1 && first.time() > last.time());
            if !good {
                eprintln!("child: {first:?} after {last:?}");
            }
            // SAFETY: ends the process without running anything of the parent's.
            unsafe { libc::_exit(i32::from(!good)) }
        }
        ForkResult::Parent { child } => {
            sleep(Duration::from_millis(300));
            silence(false);
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
        }
    }
}

#[test]
fn a_wait_for_a_time_to_pass_goes_on_through_a_sleep_and_a_new_epoch_and_ends_when_it_has() {
    let machine = Machine::start(0);
    let time = machine.read().expect("synchronised").latest() + Span::from_millis(400);
    let (clock, stand_in) = (machine.clock.clone(), Arc::clone(&machine.stand_in));
    let epoch = machine.clock.now().expect("synchronised").epoch();
    let waiting = std::thread::spawn(move || {
        let reading = clock.wait_until_past(time, Duration::from_secs(30));
        (reading, crate::os::system_now().as_nanos())
    });
    sleep(Duration::from_millis(100));
    // An hour by the wall clock, which this machine's truth does not go along with: readings end
    // until the server was asked, and a new epoch begins.
    stand_in.sleep(Span::from_secs(3_600));
    let (reading, truth_ns) = waiting.join().expect("no panic");
    let reading = reading.expect("it ends");
    assert!(reading.earliest() > time && truth_ns > time.as_nanos());
    assert_ne!(reading.epoch(), epoch);
}
