use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use ntp_clock::Clock;
use ntp_test_server::{Delay, TestServer};

use crate::fake::eventually;
use crate::keeper::Keeper;
use crate::times::{Times as _, system_time, unix_ns};

/// The machine's clock, which the test server serves, is the truth; the SDK's is off by this.
#[test]
fn times_from_before_the_first_synchronisation_and_a_step_are_within_their_errors_of_the_truth() {
    let server = TestServer::builder()
        .seed(7)
        .behaviour(|b| b.set_delay(Delay::fixed(Duration::from_millis(150))))
        .spawn()
        .expect("loopback");
    let name = server.addr().to_string().parse().expect("an address");
    let clock = Clock::builder().server(name).build().expect("valid");
    let off_ns = Arc::new(AtomicI64::new(-2_000_000_000));
    let off = Arc::clone(&off_ns);
    let sdk_clock = move || {
        let true_ns = unix_ns(SystemTime::now()).expect("a time");
        system_time(true_ns + off.load(Ordering::SeqCst))
    };
    let keeper = Keeper::begin(clock.clone(), Box::new(sdk_clock));
    assert!(!keeper.synchronised());
    let now = || unix_ns(SystemTime::now()).expect("a time");
    let mut moments = Vec::new();
    for step_ns in [-2_000_000_000, 10_800_000_000_000] {
        off_ns.store(step_ns, Ordering::SeqCst);
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(60));
            keeper.look();
            let true_ns = now();
            moments.push((true_ns, true_ns + step_ns));
        }
    }
    std::thread::sleep(Duration::from_millis(60));
    keeper.look();
    assert!(clock.wait_synced(Duration::from_secs(30)));
    assert!(keeper.synchronised());
    for (true_ns, sdk_ns) in moments {
        let dated = keeper.date(sdk_ns).expect("in the history");
        let error_ns = (dated.time_ns - true_ns).abs();
        assert!(error_ns <= dated.max_error_ns, "{error_ns} {dated:?}");
        assert!(dated.max_error_ns < 1_000_000_000, "{dated:?}");
    }
    assert_eq!(keeper.date(now() - 86_400_000_000_000), None);
}

#[test]
fn where_spans_begin_and_end_both_clocks_are_looked_at_every_50_ms_and_no_oftener() {
    let clock = ntp_clock::ManualClock::new().clock();
    let looks = Arc::new(AtomicI64::new(0));
    let counted = Arc::clone(&looks);
    let keeper = Keeper::begin(
        clock,
        Box::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            SystemTime::now()
        }),
    );
    let begun = Instant::now();
    eventually("it looks five times", || {
        for _ in 0..1_000 {
            keeper.look();
        }
        looks.load(Ordering::SeqCst) >= 5
    });
    // One is that of the beginning, and of each two later ones one is the thread's.
    let most = 3 + 2 * begun.elapsed().as_millis() / 50;
    assert!(
        u128::from(looks.load(Ordering::SeqCst).unsigned_abs()) <= most,
        "{looks:?} in {:?}",
        begun.elapsed()
    );
    let before = looks.load(Ordering::SeqCst);
    eventually("it looks by itself", || looks.load(Ordering::SeqCst) > before);
}
