//! A server that goes away and comes back, in real time.

mod common;

use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Watch, busy_clock_of, eventually, serve, server_of};
use ntp_clock::{Clock, Span, SyncState};

#[test]
fn readings_go_on_while_three_attempts_fail_then_stop_and_come_back_with_the_server() {
    let mut server = serve(|_| {});
    let clock = busy_clock_of(&server);
    assert!(clock.wait_synced(Duration::from_secs(30)));
    sleep(Duration::from_secs(1)); // the first burst is over
    let events = clock.subscribe();
    let watch = Watch::over(&clock);

    server.stop();
    let killed = Instant::now();
    let requests = clock.status().requests;
    eventually("a failed attempt", Duration::from_secs(60), || clock.status().attempts == 1);
    assert!(clock.now().is_some(), "readings go on after one failed attempt");
    eventually("failure", Duration::from_secs(90), || clock.now().is_none());
    let took = killed.elapsed();
    assert!(took > Duration::from_secs(50), "the three attempts took only {took:?}");

    let status = clock.status();
    assert_eq!((status.state, status.attempts, status.is_synced), (SyncState::Failed, 3, false));
    assert_eq!((status.offset, status.max_error, status.last_sync), (None, None, None));
    let error = status.last_error.expect("it failed");
    assert!(error.detail().starts_with("no reply within 2 s (127.0.0.1:"), "{error}");
    assert!(error.detail().contains("refused"), "{error}");
    // Three attempts of up to three requests, as the budget allows, and perhaps the round that was
    // under way.
    let sent = status.requests - requests;
    assert!((3..=13).contains(&sent), "{sent} requests");

    server.start().expect("the port is still free");
    eventually("recovery", Duration::from_secs(60), || clock.now().is_some());
    sleep(Duration::from_secs(1));
    let status = clock.status();
    assert_eq!((status.state, status.attempts), (SyncState::Synchronised, 0));
    assert_eq!(status.last_error, None);
    let watched = watch.finish();
    assert_eq!(watched.epochs.len(), 1, "an outage is no reason for a new epoch");
    assert!(watched.nones > 0);

    let story: Vec<String> =
        std::iter::from_fn(|| events.try_next()).map(|event| event.to_string()).collect();
    let at = |text: &str| story.iter().position(|line| line.contains(text)).expect(text);
    assert!(at("attempt 1 at") < at("attempt 3 at"));
    assert!(at("attempt 3 at") < at("clock failed, no readings until"));
    assert!(
        at("clock failed") < story.iter().rposition(|l| l.contains("synchronised with")).unwrap()
    );
}

#[test]
fn holdover_goes_on_with_a_growing_error() {
    let server = serve(|_| {});
    let clock = Clock::builder()
        .server(server_of(&server))
        .poll_interval(Duration::from_secs(1))
        .holdover(Duration::from_secs(600))
        .build()
        .unwrap();
    assert!(clock.wait_synced(Duration::from_secs(30)));
    let watch = Watch::over(&clock);
    drop(server);
    eventually("holdover", Duration::from_secs(90), || clock.status().state == SyncState::Holdover);
    let early = clock.now().expect("holdover").max_error();
    sleep(Duration::from_secs(5));
    let late = clock.now().expect("holdover").max_error();
    assert!(late > early + Span::from_micros(50), "{late:?} after {early:?}");
    assert!(clock.status().last_error.is_some());
    assert_eq!(watch.finish().epochs.len(), 1);
}

#[test]
fn a_name_that_cannot_be_resolved_says_so_and_hangs_nothing() {
    let begun = Instant::now();
    let clock = Clock::builder().server("no-such-host.invalid".parse().unwrap()).build().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let error = clock.sync_now().expect_err("nothing to ask").to_string();
    assert!(error.contains("could not resolve \"no-such-host.invalid\""), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(!clock.wait_synced(Duration::from_millis(10)));
    assert_eq!(clock.status().server, "no-such-host.invalid");
}

#[test]
fn ipv6_serves_like_ipv4() {
    let server = ntp_test_server::TestServer::builder().bind("[::1]:0".parse().unwrap()).spawn();
    let Ok(server) = server else {
        eprintln!("SKIPPED: this machine has no IPv6 loopback address");
        return;
    };
    let clock = common::clock_of(&server);
    let watch = Watch::over(&clock);
    assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
    sleep(Duration::from_secs(1));
    assert!(watch.finish().readings > 100);
    assert_eq!(clock.status().address, Some(server.addr()));
    assert!(clock.status().server.starts_with("[::1]:"));
}
