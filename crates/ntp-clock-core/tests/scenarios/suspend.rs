//! The counter lost time: nothing from before stands, and a new round begins at once.

use crate::world::World;
use ntp_clock_core::{EpochReason, Event, Rejection, Span, SyncState};

#[test]
fn a_suspend_begins_a_new_epoch_and_a_round_at_once() {
    let mut world = World::new();
    world.run(Span::from_secs(1_000));
    let known_rate = world.status().rate_ppm;
    let (before, sent) = (world.now(), world.sent.len());
    world.suspend(Span::from_secs(3_600));
    assert!(world.reading().is_none());
    assert_eq!(world.status().state, SyncState::Unsynchronised);
    let reason = EpochReason::Suspend;
    assert_eq!(world.happened(|e| *e == Event::EpochChanged { epoch: 2, reason }), 1);
    assert_eq!(world.sent.len(), sent + 1, "asked in the same breath");
    world.run_until(Span::from_millis(20), |w| w.reading().is_some());
    let mapping = *world.engine.mapping().expect("synchronised");
    assert!(mapping.read(before - Span::from_secs(1)).is_none(), "nothing from before is dated");
    assert!(mapping.read(world.now()).is_some());
    world.run(Span::from_secs(2));
    assert!(world.error().abs() < Span::from_millis(1));
    let rate = world.status().rate_ppm.expect("synchronised");
    assert!((rate - known_rate.expect("synchronised")).abs() < 2.0, "the frequency is kept");
    assert_eq!(world.round_sizes().last(), Some(&7));
}

#[test]
fn a_reply_to_a_request_from_before_a_suspend_is_not_believed() {
    let mut world = World::new();
    world.link.back = crate::world::Delay::of_millis(500);
    world.run(Span::from_millis(100));
    let asked = world.sent.len();
    // The replies in flight arrive after a suspend shorter than their way.
    world.suspend(Span::from_millis(300));
    world.run(Span::from_millis(250));
    assert_eq!(world.rejected("origin"), asked as u64);
    assert!(world.reading().is_none());
    world.run(Span::from_secs(3));
    assert!(world.error().abs() < Span::from_millis(260));
}

#[test]
fn suspends_in_quick_succession_stay_within_the_packet_budget() {
    let mut world = World::new();
    for _ in 0..200 {
        world.run(Span::from_millis(130));
        world.suspend(Span::from_secs(5));
    }
    world.run(Span::from_secs(10));
    assert!(world.reading().is_some());
    assert!(world.sent.len() <= 48, "{} packets in 36 s of running", world.sent.len());
}

#[test]
fn a_failed_clock_tries_again_after_a_suspend_and_no_oftener_than_a_new_one() {
    let mut world = World::new();
    world.run(Span::from_secs(600));
    world.server.silent = true;
    world.run(Span::from_secs(4_000));
    assert_eq!(world.status().state, SyncState::Failed);
    world.suspend(Span::from_secs(60));
    assert_eq!(world.status().state, SyncState::Unsynchronised);
    assert_eq!(world.status().attempts, 0);
    world.run(Span::from_secs(10));
    assert_eq!((world.status().state, world.status().attempts), (SyncState::Failed, 3));
}

#[test]
fn a_suspend_does_not_shorten_the_silence_after_deny() {
    let mut world = World::new();
    world.server.fault = crate::world::changed(|packet| {
        packet.stratum = 0;
        packet.reference_id = ntp_clock_core::ReferenceId::from_bytes(*b"DENY");
    });
    world.run(Span::from_secs(10));
    world.suspend(Span::from_secs(10_000));
    world.run(Span::from_secs(1_000));
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.status().rejections[Rejection::Duplicate.index()], 0);
}

#[test]
fn an_oscillator_that_is_colder_after_a_suspend_stays_within_the_bound() {
    for ppm in [42.0, -2.0] {
        let mut world = World::new();
        world.link.forth = crate::world::Delay::of_millis(0).with_jitter_micros(100);
        world.link.back = world.link.forth;
        world.run(Span::from_secs(5_000));
        world.suspend(Span::from_secs(30_000));
        world.change_rate(ppm);
        world.run(Span::from_secs(5_000));
        assert_eq!((world.status().epoch, world.rejected("contradiction")), (2, 0));
    }
}
