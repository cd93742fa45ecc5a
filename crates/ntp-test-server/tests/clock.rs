//! Offset, drift and steps stand in the stamps on the wire.

mod common;

use std::thread::sleep;
use std::time::Duration;

use common::{Client, server};
use ntp_clock_core::Span;
use ntp_test_server::{Script, TestServer};

/// What the stamps are off by, at least and at most, by the truth before and after asking.
fn wire_offset(server: &TestServer) -> (Span, Span) {
    let mut client = Client::of(server);
    let before = server.true_time();
    let reply = client.ask().packet();
    let after = server.true_time();
    (reply.transmit_timestamp.to_unix() - after, reply.receive_timestamp.to_unix() - before)
}

#[track_caller]
fn assert_offset(server: &TestServer, expected: Span) {
    let (least, most) = wire_offset(server);
    assert!(least <= expected && expected <= most, "{expected:?} not in {least:?}..{most:?}");
}

#[test]
fn an_offset_is_in_both_stamps_and_can_change_any_time() {
    let server = server(|b| b.offset = Span::from_secs(3600));
    assert_offset(&server, Span::from_secs(3600));
    server.set(|b| b.offset = Span::from_millis(-1500));
    assert_offset(&server, Span::from_millis(-1500));
    server.set(|b| b.offset += Span::from_secs(2));
    assert_offset(&server, Span::from_millis(500));
    let off = server.claimed_time() - server.true_time();
    assert!(off <= Span::from_millis(500) && off > Span::from_millis(-4500), "{off:?}");
}

#[test]
fn a_drift_makes_the_offset_grow_with_time() {
    // Ten percent, so that a short wait shows: 100000 ppm for at least 50 ms.
    let server = server(|b| b.drift_ppm = 100_000.0);
    sleep(Duration::from_millis(50));
    let (least, _) = wire_offset(&server);
    server.set(|b| b.drift_ppm = 0.0);
    let settled = server.behaviour().offset;
    assert!(settled >= Span::from_millis(5), "{settled:?}");
    // The round trip of the question is not part of what has grown.
    assert!(least <= settled, "{least:?} {settled:?}");
    assert_offset(&server, settled);
}

#[test]
fn a_step_comes_at_its_moment_by_the_script() {
    let after = Duration::from_millis(80);
    let script = Script::new().at(after, |b| b.offset += Span::from_secs(10));
    let server = TestServer::builder().script(script).spawn().unwrap();
    let (_, most) = wire_offset(&server);
    assert!(most < Span::from_secs(9) || server.elapsed() >= after, "{most:?}");
    sleep(after.saturating_sub(server.elapsed()));
    assert_offset(&server, Span::from_secs(10));
}
