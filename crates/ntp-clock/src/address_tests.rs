//! Tests of a whole clock whose server's name leads to several addresses.

use std::net::{SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ntp_clock_core::{Event, Span};
use ntp_test_server::{Fault, TestServer};

use crate::carrier::hosts;
use crate::clock::Clock;
use crate::event::{ClockEvent, Events};

fn serve(offset: Span) -> TestServer {
    TestServer::builder().behaviour(move |b| b.offset = offset).spawn().expect("loopback")
}

/// An address where nobody listens, so that requests are refused.
fn refusing() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("loopback")
}

/// An address where nobody answers.
fn silent() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

/// A clock of a name with these addresses, and its events.
fn clock_of(host: &str, addresses: &[SocketAddr]) -> (Clock, Events) {
    hosts::set(host, addresses);
    let server = host.parse().expect("a server");
    let clock = Clock::builder().server(server).build().expect("valid");
    let events = clock.subscribe();
    (clock, events)
}

/// The events until one is as wanted, which is the last.
fn until(events: &Events, wanted: impl Fn(&Event) -> bool) -> Vec<ClockEvent> {
    let begun = Instant::now();
    let mut seen = Vec::new();
    while !seen.last().is_some_and(|event: &ClockEvent| wanted(event.kind())) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{seen:?}");
        seen.extend(events.next_timeout(Duration::from_millis(100)));
    }
    seen
}

fn is_synchronised(event: &Event) -> bool {
    matches!(event, Event::Synchronised { .. })
}

fn is_failure(event: &Event) -> bool {
    matches!(event, Event::AttemptFailed { .. })
}

#[test]
fn an_address_that_is_silent_refuses_or_has_no_time_costs_no_attempt() {
    let useless = serve(Span::ZERO);
    useless.set(|b| b.faults.always(Fault::Stratum(16)));
    let (_silent, silent) = silent();
    // With how many packets each is asked: what says that it is of no use is left at once.
    let dead = [("silent", silent, 2), ("refusing", refusing(), 1), ("useless", useless.addr(), 1)];
    for (name, address, packets) in dead {
        let alive = serve(Span::ZERO);
        let (clock, events) = clock_of(&format!("{name}.test"), &[address, alive.addr()]);
        let seen = until(&events, is_synchronised);
        assert!(!seen.iter().any(|event| is_failure(event.kind())), "{name}: {seen:?}");
        let Some(Event::Synchronised { sent, believed, .. }) = seen.last().map(ClockEvent::kind)
        else {
            panic!("{name}: {seen:?}")
        };
        assert_eq!(sent - believed, packets, "{name}: {seen:?}");
        let status = clock.status();
        assert_eq!(status.address, Some(alive.addr()), "{name}");
        assert!(status.requests <= 8, "{name}: more packets than the budget has");
    }
}

#[test]
fn an_address_that_cannot_be_reached_costs_no_attempt() {
    let alive = serve(Span::ZERO);
    // Link-local, on no link.
    let nowhere = "[fe80::1]:123".parse().expect("an address");
    let (clock, events) = clock_of("nowhere.test", &[nowhere, alive.addr()]);
    let seen = until(&events, is_synchronised);
    assert!(!seen.iter().any(|event| is_failure(event.kind())), "{seen:?}");
    assert_eq!(clock.status().address, Some(alive.addr()));
}

#[test]
fn the_reason_of_a_failure_says_which_address_failed_how_in_the_first_attempt_too() {
    let (_silent, silent) = silent();
    let refusing = refusing();
    let (_clock, events) = clock_of("dead.test", &[refusing, silent]);
    let mut seen = until(&events, is_failure);
    let first = seen.pop().expect("the failure").to_string();
    let refused = std::io::Error::from_raw_os_error(libc::ECONNREFUSED);
    let reason = format!("no reply within 2 s ({refusing}: {refused}; {silent}: no reply)");
    assert_eq!(first, format!("attempt 1 at dead.test failed: {reason}"));
}

#[test]
fn a_name_that_rotates_between_servers_is_one_server_while_that_answers() {
    let (near, far) = (serve(Span::ZERO), serve(Span::from_millis(50)));
    let (a, b) = (near.addr(), far.addr());
    let (clock, events) = clock_of("rotating.test", &[a, b]);
    until(&events, is_synchronised);
    clock.set_poll_interval(Duration::from_secs(1)).expect("valid");
    let first = clock.status().address;
    for turn in 0..5 {
        let other_first = [b, a];
        hosts::set("rotating.test", &other_first[..1 + turn % 2]);
        let seen = until(&events, is_synchronised);
        let kinds: Vec<_> = seen.iter().map(ClockEvent::kind).collect();
        assert!(kinds.iter().all(|kind| is_synchronised(kind)), "{seen:?}");
        assert_eq!((clock.status().address, clock.status().epoch), (first, 1), "turn {turn}");
    }
    assert_eq!(clock.status().server_changes, 0);
}

#[test]
fn another_server_is_reported_and_begins_an_epoch_only_where_the_two_contradict() {
    std::thread::scope(|scope| {
        scope.spawn(|| change_server("agree.test", Span::ZERO, 1));
        scope.spawn(|| change_server("contradict.test", Span::from_millis(50), 2));
    });
}

/// A server goes, and the other one of its name is so far from it; in this epoch it ends.
fn change_server(host: &str, offset: Span, epoch: u64) {
    let (mut first, second) = (serve(Span::ZERO), serve(offset));
    let (clock, events) = clock_of(host, &[first.addr(), second.addr()]);
    until(&events, is_synchronised);
    assert_eq!(clock.status().address, Some(first.addr()), "{host}");
    first.stop();
    // Until the budget has packets for all of a round.
    sleep(Duration::from_millis(8_700));
    let _round = clock.request_sync();
    let seen = until(&events, |event| *event == Event::ServerChanged);
    let line = seen.last().expect("the change").to_string();
    let (from, to) = (first.addr(), second.addr());
    assert_eq!(line, format!("{host} is asked at {to} from now on; {from} no longer answers"));
    until(&events, is_synchronised);
    let status = clock.status();
    assert_eq!((status.address, status.server_changes), (Some(to), 1), "{host}");
    assert_eq!(status.epoch, epoch, "{host}");
}

#[test]
fn a_sinkhole_is_not_believed() {
    let local = serve(Span::ZERO);
    let (clock, events) = clock_of("time.cloudflare.com", &[local.addr()]);
    let seen = until(&events, is_failure);
    let reason = "could not resolve \"time.cloudflare.com\": it leads to 127.0.0.1, this machine";
    assert!(seen.last().is_some_and(|event| event.to_string().contains(reason)), "{seen:?}");
    assert!(clock.now().is_none());
    sleep(Duration::from_millis(10));
    assert_eq!(local.stats().requests, 0, "nothing was sent");
}
