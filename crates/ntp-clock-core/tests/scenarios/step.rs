//! The server moves: within the bound readings follow smoothly, beyond it a new epoch begins.

use crate::world::{World, changed};
use ntp_clock_core::{EpochReason, Event, NtpTimestamp, Packet, Span, SyncState};

fn settled_world() -> World {
    let mut world = World::new();
    world.run(Span::from_secs(2_000));
    world
}

fn move_times(packet: &mut Packet, by: Span) {
    for stamp in [&mut packet.receive_timestamp, &mut packet.transmit_timestamp] {
        *stamp = NtpTimestamp::from_unix(stamp.to_unix() + by);
    }
}

#[test]
fn one_contradiction_is_an_outlier() {
    let mut world = settled_world();
    let mut lies = 1;
    let lie = std::cell::Cell::new(lies);
    world.server.fault = changed(move |packet| {
        if lie.replace(0) > 0 {
            move_times(packet, Span::from_secs(10));
        }
    });
    world.run(Span::from_secs(3_000));
    lies = world.rejected("contradiction") as i32;
    assert_eq!((lies, world.status().epoch), (1, 1));
    assert_eq!(world.happened(|e| matches!(e, Event::AttemptFailed { .. })), 0);
}

#[test]
fn a_server_step_beyond_the_bound_is_a_new_epoch_within_one_round() {
    for step in [Span::from_secs(3_600), Span::from_secs(-3_600), Span::from_millis(-80)] {
        let mut world = settled_world();
        let rounds = world.status().rounds;
        world.oracle.truthful = false;
        world.server.offset = step;
        world.run_until(Span::from_secs(301), |w| w.status().rounds > rounds);
        let reason = EpochReason::ServerContradiction;
        assert_eq!(world.happened(|e| *e == Event::EpochChanged { epoch: 2, reason }), 1);
        assert_eq!(world.rejected("contradiction"), 2);
        assert_eq!(world.status().state, SyncState::Synchronised);
        let reading = world.reading().expect("synchronised");
        assert_eq!(reading.epoch(), 2);
        assert!((world.error() - step).abs() <= reading.max_error());
        world.run(Span::from_secs(3_000));
        assert!((world.error() - step).abs() < Span::from_millis(1));
        assert_eq!(world.status().epoch, 2, "once and for all");
    }
}

#[test]
fn a_server_step_within_the_bound_is_followed_smoothly_in_the_same_epoch() {
    for step in [Span::from_millis(20), Span::from_millis(-20)] {
        let mut world = World::new();
        // The server states an error of 50 ms, so it tells the truth before and after.
        world.server.root_dispersion = Span::from_millis(50);
        world.run(Span::from_secs(2_000));
        assert!(world.error().abs() < Span::from_millis(1));
        world.server.offset = step;
        world.run(Span::from_secs(3_000));
        assert_eq!((world.status().epoch, world.rejected("contradiction")), (1, 0));
        assert!((world.error() - step).abs() < Span::from_millis(5), "{:?}", world.error());
    }
}

#[test]
fn a_server_that_says_something_else_each_time_is_not_believed_at_all() {
    let mut world = settled_world();
    let turn = std::cell::Cell::new(1_i64);
    world.server.fault = changed(move |packet| {
        turn.set(turn.get() * 7_919 % 86_399);
        move_times(packet, Span::from_secs(turn.get() + 60));
    });
    world.run(Span::from_secs(3 * 3_600));
    assert_eq!(world.status().state, SyncState::Failed, "no guess");
    assert_eq!(world.status().epoch, 1);
    world.server.fault = None;
    world.run(Span::from_secs(320));
    assert_eq!((world.status().state, world.status().epoch), (SyncState::Synchronised, 1));
    assert!(world.error().abs() < Span::from_millis(1));
}

#[test]
fn a_clock_whose_first_reply_was_a_lie_finds_the_truth_within_the_round() {
    let mut world = World::new();
    world.oracle.truthful = false;
    let lie = std::cell::Cell::new(true);
    world.server.fault = changed(move |packet| {
        if lie.replace(false) {
            move_times(packet, Span::from_secs(-500));
        }
    });
    world.run(Span::from_secs(3));
    assert_eq!(world.status().epoch, 2);
    assert!(world.error().abs() < Span::from_millis(1));
    world.oracle.truthful = true;
    world.run(Span::from_secs(3_000));
    assert_eq!(world.status().epoch, 2);
}
