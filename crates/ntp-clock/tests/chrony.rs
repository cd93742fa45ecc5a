//! Against a real NTP server: Debian's chrony on this machine.

mod common;

use std::time::Duration;

use common::{Chrony, Watch, error_ns, read};
use ntp_clock::{Clock, Span, SyncState};

#[test]
fn readings_are_within_their_bound_and_within_100_us_in_the_median() {
    let Some(chrony) = Chrony::start() else { return };
    let clock = Clock::builder().server(chrony.server()).build().unwrap();
    assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status().last_error);

    let watch = Watch::over(&clock);
    let mut errors = Vec::new();
    for _ in 0..500 {
        errors.push(error_ns(read(&clock).expect("synchronised")));
        std::thread::sleep(Duration::from_millis(4));
    }
    assert!(watch.finish().readings > 1_000);
    errors.sort_unstable();
    let median = errors[errors.len() / 2];
    println!("|error| median {median} ns, max {} ns", errors[errors.len() - 1]);
    assert!(median < 100_000, "median {median} ns");

    let status = clock.status();
    assert_eq!(status.state, SyncState::Synchronised);
    assert_eq!(status.server, chrony.server().to_string());
    assert_eq!((status.stratum, status.attempts), (Some(1), 0));
    assert_eq!(status.reference_id.unwrap().to_string(), "127.127.1.1");
    assert!(status.offset.unwrap().abs() < Span::from_millis(10));
    assert!(status.delay.unwrap() < Span::from_millis(100));
    assert!(status.last_error.is_none() && status.rejections().next().is_none());
    assert!(status.next_sync.unwrap() > status.last_sync.unwrap());
}

#[test]
fn an_earlier_moment_is_dated_afterwards_also_from_before_the_first_synchronisation() {
    let Some(chrony) = Chrony::start() else { return };
    let truth_before = common::truth_ns();
    let instant = std::time::Instant::now();
    let clock = Clock::builder().server(chrony.server()).build().unwrap();
    let local = clock.local_now();
    let truth_after = common::truth_ns();
    assert!(clock.at(local).is_none());
    assert!(clock.wait_synced(Duration::from_secs(30)));

    for reading in [clock.at(local).unwrap(), clock.at_instant(instant).unwrap()] {
        let error = error_ns((truth_before, reading, truth_after));
        assert!(error <= reading.max_error().as_nanos(), "off by {error} ns: {reading:?}");
        assert!(reading.max_error() < Span::from_millis(20), "{reading:?}");
    }
    assert!(clock.at(local).unwrap().time() < clock.now().unwrap().time());
}
