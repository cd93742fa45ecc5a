//! Tests of a whole clock whose machine is stopped, moved and restored, with a host that says so
//! and with one that does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ntp_clock_core::{Disruption, Event, Span};

use crate::counters::StandIn;
use crate::event::Events;
use crate::machine::Machine;
use crate::os::FakeHost;

fn hosted() -> (FakeHost, Machine) {
    let host = FakeHost::new();
    let machine = Machine::of(StandIn::hosted(host.page()));
    (host, machine)
}

fn eventually(machine: &Machine, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", machine.clock.status());
        sleep(Duration::from_millis(1));
    }
}

/// Waits for readings of that epoch; meanwhile each that is given is right.
fn recovers(machine: &Machine, epoch: u64) {
    eventually(machine, || machine.read().is_some_and(|reading| reading.epoch() == epoch));
}

/// Waits until a round is over and the next one is some seconds away.
fn between_rounds(machine: &Machine) {
    eventually(machine, || {
        machine.clock.status().next_sync_in.is_some_and(|wait| wait > Span::from_secs(3))
    });
}

/// What the events said until the epoch began.
fn noticed(events: &Events, epoch: u64) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(event) = events.next_timeout(Duration::from_secs(30)) {
        lines.push(event.to_string());
        if matches!(event.kind(), Event::EpochChanged { epoch: begun, .. } if *begun == epoch) {
            break;
        }
    }
    lines
}

#[test]
fn no_reading_of_before_is_given_once_the_host_says_that_the_machine_was_moved_or_restored() {
    for (kind, say) in [
        (Disruption::Moved, FakeHost::moves as fn(&FakeHost)),
        (Disruption::Restored, FakeHost::restores),
    ] {
        let (host, machine) = hosted();
        assert_eq!(machine.clock.status().vmclock, "watched");
        let events = machine.clock.subscribe();
        machine.while_many_read(READ, || {
            machine.stand_still(Span::from_secs(75 * 3_600));
            say(&host);
        });
        recovers(&machine, 2);
        let lines = noticed(&events, 2);
        let disrupted = lines.iter().position(|line| line.starts_with(&kind.to_string()));
        assert!(disrupted.is_some_and(|place| place < lines.len() - 1), "{lines:?}");
        assert_eq!(lines.last(), Some(&format!("epoch 2 begins: {kind}")));
        let status = machine.clock.status();
        assert!(status.disruptions >= 1 && status.last_disruption.is_some(), "{status:?}");
        assert!(status.watches.contains(&"vmclock"), "{:?}", status.watches);
    }
}

#[test]
fn a_restored_machine_asks_at_once_though_nobody_reads() {
    let (host, machine) = hosted();
    let requests = machine.clock.status().requests;
    let events = machine.clock.subscribe();
    host.restores();
    // The thread notices by itself, though no host rings here.
    assert!(noticed(&events, 2).last().is_some_and(|line| line.contains("from a snapshot")));
    recovers(&machine, 2);
    assert!(machine.clock.status().requests > requests);
}

#[test]
fn a_page_that_the_host_only_writes_ends_nothing() {
    let (host, machine) = hosted();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                host.adjusts();
            }
        });
        let (readings, _) = machine.read_for(Duration::from_millis(500));
        done.store(true, Ordering::SeqCst);
        assert!(readings > 10, "{readings} readings");
    });
    let status = machine.clock.status();
    assert_eq!(status.epoch, 1, "{status:?}");
}

#[test]
fn while_the_host_is_about_to_say_something_there_is_no_reading_and_afterwards_there_is() {
    let (host, machine) = hosted();
    let begun = Instant::now();
    host.begins();
    assert_eq!(machine.clock.now(), None);
    assert_eq!(machine.clock.status().vmclock, "unclear");
    sleep(Duration::from_millis(100));
    host.ends();
    // Where this thread was held up the host took longer than it is waited for.
    if begun.elapsed() < Duration::from_secs(1) {
        assert!(machine.read().is_some_and(|reading| reading.epoch() == 1));
    }
    eventually(&machine, || machine.read().is_some());
}

#[test]
fn a_host_that_never_ends_what_it_says_ends_readings_once_and_not_for_ever() {
    let (host, machine) = hosted();
    let events = machine.clock.subscribe();
    let ended_by = |epoch, cause: Disruption| {
        let lines = noticed(&events, epoch);
        assert_eq!(lines.last(), Some(&format!("epoch {epoch} begins: {cause}")), "{lines:?}");
    };
    machine.while_many_read(READ, || host.begins());
    recovers(&machine, 2);
    assert_eq!(machine.clock.status().vmclock, "unclear");
    ended_by(2, Disruption::HostUnclear);
    // What came of it is not known either.
    host.ends();
    recovers(&machine, 3);
    assert_eq!(machine.clock.status().vmclock, "watched");
    ended_by(3, Disruption::HostUnclear);
    host.restores();
    recovers(&machine, 4);
    ended_by(4, Disruption::Restored);
}

#[test]
fn a_moved_machine_has_another_counter_at_once_and_one_alone() {
    let (host, machine) = hosted();
    let before = machine.clock.counter_id();
    host.adjusts();
    assert_eq!(machine.clock.counter_id(), before, "nothing happened to it");
    assert_ne!(machine.renamed_by(|| host.moves()), before);
}

#[test]
fn a_processors_counter_that_went_on_alone_ends_readings_at_the_next_look() {
    let machine = Machine::start(0);
    let before = machine.clock.counter_id();
    // Its speed is learnt by two looks, each at the beginning of a round at the latest.
    for _ in 0..3 {
        sleep(Duration::from_millis(600));
        let _ = machine.clock.sync_now();
    }
    let events = machine.clock.subscribe();
    machine.stand_in.tick(Span::from_millis(200));
    machine.stand_still(Span::from_millis(200));
    sleep(Duration::from_millis(600));
    let _ = machine.clock.sync_now();
    recovers(&machine, 2);
    let lines = noticed(&events, 2);
    let cause = Disruption::CountersApart;
    assert_eq!(lines.last(), Some(&format!("epoch 2 begins: {cause}")), "{lines:?}");
    assert_ne!(machine.clock.counter_id(), before);
}

/// What nothing in the machine can notice, and what ends it: this is the silent window.
#[test]
fn counters_that_stop_together_go_unnoticed_until_a_round_and_the_wall_clock_being_set_makes_one() {
    let machine = Machine::start(0);
    between_rounds(&machine);
    machine.stand_still(Span::from_secs(3_600));
    let (error, bound) = machine.error().expect("it knows no better");
    assert!(error > Span::from_secs(3_599) && bound < Span::from_secs(1), "{error:?} {bound:?}");
    let events = machine.clock.subscribe();
    // The host's agent sets the wall clock right.
    machine.stand_in.step_wall(Span::from_secs(3_600));
    eventually(&machine, || machine.error().is_some_and(|(error, bound)| error <= bound));
    assert_eq!(machine.clock.now().expect("synchronised").epoch(), 2);
    let lines = noticed(&events, 2);
    assert!(lines.iter().any(|l| l.starts_with("the wall clock was set")), "{lines:?}");
}

#[test]
fn counters_that_stop_together_end_at_the_next_round() {
    let machine = Machine::start(0);
    between_rounds(&machine);
    machine.stand_still(Span::from_secs(3_600));
    let begun = Instant::now();
    while machine.error().is_none_or(|(error, bound)| error > bound) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", machine.clock.status());
        let _ = machine.clock.sync_now();
    }
    assert_eq!(machine.clock.now().expect("synchronised").epoch(), 2);
}

/// How long threads read around a disruption.
const READ: Duration = Duration::from_millis(400);
