//! With a clock that synchronises itself: what the relay tells is true within what it says.

use std::time::{Duration, Instant};

use ntp_clock::{Clock, Server, Span};
use ntp_test_server::{Behaviour, TestServer};
use serde_json::Value;

#[path = "../../../ntp-clock/tests/common/mod.rs"]
mod clock_tests;

use clock_tests::{Chrony, truth_ns};

use crate::support::{Running, start};

fn server(behaviour: impl FnOnce(&mut Behaviour) + Send + 'static) -> (TestServer, Server) {
    let server = TestServer::builder().seed(5).behaviour(behaviour).spawn().expect("loopback");
    let address = server.addr().to_string().parse().expect("an address is a server");
    (server, address)
}

fn number(reply: &Value, name: &str) -> f64 {
    reply[name].as_f64().unwrap_or_else(|| panic!("{name}: {reply}"))
}

/// Checks that truth is within what a reply promises: of T2 when it came or before, of T3 when it
/// left or later.
fn check(reply: &Value, before_ns: i64, after_ns: i64) {
    let bound = number(reply, "root_delay_ms") / 2.0 + number(reply, "root_dispersion_ms");
    let rounding = 0.000_5;
    let (before, after) = (before_ns as f64 / 1e6, after_ns as f64 / 1e6);
    let (t2, t3) = (number(reply, "server_receive_time"), number(reply, "server_send_time"));
    assert!(t2 <= t3, "{reply}");
    assert!(before <= t2 + bound + rounding, "{before} {reply}");
    assert!(after >= t3 - bound - rounding, "{after} {reply}");
}

async fn replies_hold(relay: &Running, count: usize) {
    let mut client = relay.websocket().await;
    for at in 0..count {
        let before = truth_ns();
        let reply = if at % 2 == 0 { client.ask().await } else { relay.ask().await.json() };
        check(&reply, before, truth_ns());
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_chrony_every_reply_holds_and_names_the_server() {
    let Some(chrony) = Chrony::start() else { return };
    let clock = Clock::builder().server(chrony.server()).build().unwrap();
    let relay = start(clock.clone()).await;
    assert!(relay.ask().await.status == 503 || clock.now().is_some(), "no guess before");
    assert!(clock.wait_synced(Duration::from_secs(30)));
    replies_hold(&relay, 40).await;
    let reply = relay.ask().await.json();
    assert_eq!((&reply["stratum"], &reply["leap"]), (&2.into(), &0.into()), "{reply}");
    assert_eq!(reply["server"], chrony.server().to_string());
    let root_distance =
        number(&reply, "root_delay_ms") / 2.0 + number(&reply, "root_dispersion_ms");
    let own = clock.now().unwrap().max_error().as_millis_f64();
    assert!((root_distance - own).abs() < own / 2.0, "{root_distance} {own}");
    relay.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_slow_and_lopsided_path_every_reply_holds() {
    let (_server, address) = server(|b| {
        b.to_server.delay = "5ms + exp 2ms".parse().expect("a delay");
        b.to_client.delay = "20ms + exp 9ms".parse().expect("a delay");
    });
    let clock = Clock::builder().server(address).build().unwrap();
    let relay = start(clock.clone()).await;
    assert!(clock.wait_synced(Duration::from_secs(30)));
    replies_hold(&relay, 30).await;
    relay.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_steps_makes_the_relay_begin_an_epoch_and_say_so() {
    let (server, address) = server(|_| {});
    let clock =
        Clock::builder().server(address).poll_interval(Duration::from_secs(1)).build().unwrap();
    let relay = start(clock.clone()).await;
    assert!(clock.wait_synced(Duration::from_secs(30)));
    let first = relay.ask().await.json();
    let step_ms = 10_000.0;
    server.set(|b| b.offset += Span::from_secs(10));
    let limit = Instant::now() + Duration::from_secs(60);
    let after = loop {
        let reply = relay.ask().await.json();
        if reply["epoch"] != first["epoch"] && reply["server_time"].is_number() {
            break reply;
        }
        assert!(Instant::now() < limit, "{reply}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let truth_ms = truth_ns() as f64 / 1e6;
    assert!((number(&after, "server_time") - truth_ms - step_ms).abs() < 1_000.0, "{after}");
    assert_eq!(after["instance"], first["instance"]);
    assert!(number(&after, "epoch") > number(&first, "epoch"));
    relay.ended().await;
}
