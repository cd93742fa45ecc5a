//! Waiting for a clock depends on nothing but the clock.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{clock_of, eventually, serve};
use ntp_test_server::{Delay, Fault};

#[test]
fn a_subscriber_that_blocks_or_panics_delays_neither_the_clock_nor_who_waits_for_it() {
    let server = serve(|b| b.set_delay(Delay::fixed(Duration::from_millis(100))));
    let clock = clock_of(&server);
    let called = Arc::new(AtomicU32::new(0));
    let calls = Arc::clone(&called);
    let _blocked = clock.subscribe_with(move || {
        calls.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_secs(60));
    });
    let panics = Arc::new(AtomicU32::new(0));
    let panicked = Arc::clone(&panics);
    let events = clock.subscribe_with(move || {
        panicked.fetch_add(1, Ordering::SeqCst);
        panic!("a subscriber of this test");
    });
    let begun = Instant::now();
    assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
    clock.sync_now().expect("the server answers");
    assert!(begun.elapsed() < Duration::from_secs(50));
    eventually("both are called", Duration::from_secs(60), || {
        called.load(Ordering::SeqCst) == 1 && panics.load(Ordering::SeqCst) >= 2
    });
    assert!(events.next_timeout(Duration::from_secs(10)).is_some());
    assert!(clock.now().is_some());
}

#[test]
fn every_call_that_came_due_is_made_however_close_together_they_come() {
    let server = serve(|b| b.faults.always(Fault::WrongOrigin));
    let clock = clock_of(&server);
    let taken = Arc::new(AtomicU32::new(0));
    let slot = Arc::new(std::sync::OnceLock::<ntp_clock::Events>::new());
    let (count, events) = (Arc::clone(&taken), Arc::clone(&slot));
    let subscription = clock.subscribe_with(move || {
        let Some(events) = events.get() else { return };
        while events.try_next().is_some() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let _ = slot.set(subscription);
    eventually("the clock fails", Duration::from_secs(60), || clock.status().attempts >= 3);
    let rejected: u64 = clock.status().rejections().map(|(_, count)| count).sum();
    // Each rejection, three failed attempts and the clock's failure.
    eventually("all are notified", Duration::from_secs(60), || {
        u64::from(taken.load(Ordering::SeqCst)) >= rejected + 4
    });
}
