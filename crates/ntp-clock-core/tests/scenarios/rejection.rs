//! Replies that are not believed: each counted under its name, none of them synchronises.

use crate::world::{Answer, World, changed};
use ntp_clock_core::{
    AttemptError, Event, Leap, Mode, NtpShort, NtpTimestamp, Packet, Rejection, Span, SyncState,
    UnixTime,
};

fn shifted(stamp: NtpTimestamp, by: Span) -> NtpTimestamp {
    NtpTimestamp::from_unix(stamp.to_unix() + by)
}

fn never_synchronises(name: &str, change: impl Fn(&mut Packet) + 'static) {
    let mut world = World::new();
    world.server.fault = changed(change);
    world.run(Span::from_secs(60));
    assert!(world.reading().is_none(), "{name}");
    assert_eq!(world.status().state, SyncState::Failed, "{name}");
    let counted: Vec<_> = Rejection::NAMES
        .iter()
        .zip(world.status().rejections)
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(counted.len(), 1, "{name}: {counted:?}");
    assert_eq!(*counted[0].0, name);
    assert_eq!(counted[0].1, world.sent.len() as u64, "each reply once");
    let Some(AttemptError::Rejected(rejection)) = world.status().last_error else {
        panic!("{:?}", world.status().last_error);
    };
    assert_eq!(rejection.name(), name);
    assert!(world.happened(|e| *e == Event::Rejected(rejection)) > 0);
}

#[test]
fn each_reason_is_counted_under_its_name_and_does_not_synchronise() {
    never_synchronises("origin", |p| p.origin_timestamp = NtpTimestamp::from_bits(7));
    never_synchronises("mode", |p| p.mode = Mode::Client);
    never_synchronises("mode", |p| p.mode = Mode::Broadcast);
    never_synchronises("version", |p| p.version = 3);
    never_synchronises("unsynchronised", |p| p.leap = Leap::Unsynchronised);
    never_synchronises("unsynchronised", |p| p.stratum = 16);
    never_synchronises("root_distance", |p| {
        p.root_dispersion = NtpShort::from_span_ceil(Span::from_secs(2));
    });
    never_synchronises("root_distance", |p| {
        p.root_delay = NtpShort::from_span_ceil(Span::from_secs(3));
    });
    never_synchronises("zero_timestamp", |p| p.receive_timestamp = NtpTimestamp::ZERO);
    never_synchronises("zero_timestamp", |p| p.transmit_timestamp = NtpTimestamp::ZERO);
    never_synchronises("backward_timestamps", |p| {
        p.transmit_timestamp = shifted(p.receive_timestamp, Span::from_millis(-1));
    });
    never_synchronises("negative_delay", |p| {
        p.transmit_timestamp = shifted(p.receive_timestamp, Span::from_secs(1));
    });
}

#[test]
fn what_is_no_ntp_packet_is_malformed() {
    let mut world = World::new();
    world.server.fault = Some(Box::new(|packet| {
        let mut bytes = packet.encode().to_vec();
        bytes.truncate(47);
        vec![Answer { bytes, later: Span::ZERO }]
    }));
    world.run(Span::from_secs(20));
    assert_eq!(world.rejected("malformed"), world.sent.len() as u64);
    assert!(world.reading().is_none());
    assert_eq!(world.inject(&[]), Err(Rejection::Malformed));
    assert_eq!(world.inject(&[0xff; 5_000]), Err(Rejection::Malformed));
}

#[test]
fn a_second_copy_is_a_duplicate_and_the_first_counts() {
    let mut world = World::new();
    world.server.fault = Some(Box::new(|packet| {
        let copy = |later| Answer { bytes: packet.encode().to_vec(), later };
        vec![copy(Span::ZERO), copy(Span::from_millis(2))]
    }));
    world.run(Span::from_secs(5));
    let status = world.status();
    assert_eq!(status.state, SyncState::Synchronised);
    assert_eq!(status.believed, 7);
    assert_eq!(world.rejected("duplicate") + world.rejected("origin"), 7);
    assert!(world.rejected("duplicate") >= 6, "a copy after the round's end answers nothing");
}

#[test]
fn a_late_reply_answers_none_of_our_requests() {
    let mut world = World::new();
    world.server.fault = Some(Box::new(|packet| {
        vec![Answer { bytes: packet.encode().to_vec(), later: Span::from_millis(3_500) }]
    }));
    world.run(Span::from_secs(60));
    assert_eq!(world.rejected("origin"), world.sent.len() as u64);
    assert!(world.reading().is_none());
    assert_eq!(world.status().state, SyncState::Failed);
}

#[test]
fn reordered_replies_are_all_believed() {
    let mut world = World::new();
    let mut count = 0;
    world.server.fault = Some(Box::new(move |packet| {
        count += 1;
        let later = Span::from_millis(if count % 2 == 0 { 0 } else { 120 });
        vec![Answer { bytes: packet.encode().to_vec(), later }]
    }));
    world.run(Span::from_secs(5_000));
    assert_eq!(world.status().rejections, [0; Rejection::COUNT]);
    assert_eq!(world.status().epoch, 1);
    assert!(world.error().abs() < Span::from_millis(5));
}

#[test]
fn a_clock_that_serves_goes_on_serving_while_rubbish_arrives() {
    let mut world = World::new();
    world.run(Span::from_secs(1_000));
    let spoof = Packet {
        mode: Mode::Server,
        stratum: 1,
        receive_timestamp: NtpTimestamp::from_unix(UnixTime::from_nanos(0)),
        ..Packet::request(NtpTimestamp::from_bits(99))
    };
    for _ in 0..1_000 {
        world.run(Span::from_millis(700));
        assert!(world.inject(&spoof.encode()).is_err());
        assert!(world.inject(&[1, 2, 3]).is_err());
        assert!(world.reading().is_some());
    }
    let status = world.status();
    assert_eq!((status.state, status.attempts), (SyncState::Synchronised, 0));
    assert_eq!(world.rejected("origin"), 1_000);
}
