//! Every interleaving of threads that move a hybrid clock's last stamp on, by loom:
//! `RUSTFLAGS="--cfg loom" cargo test --release -p ntp-clock-models`.
#![cfg(loom)]

#[allow(dead_code)]
#[path = "../../ntp-clock/src/last_stamp.rs"]
mod last_stamp;

use last_stamp::LastStamp;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

#[test]
fn two_threads_that_move_a_stamp_on_get_different_ones_and_no_reading_is_older_than_the_last_stamp()
{
    loom::model(|| {
        let last = Arc::new(LastStamp::new(0));
        let clock = Arc::new(AtomicU64::new(10));
        // Readings only grow; a stamp is the reading's or the next number.
        let advance = |last: &LastStamp, clock: &AtomicU64| {
            let after = |last: u64| {
                let reading = clock.fetch_add(10, Ordering::Relaxed);
                assert!(last <= reading, "{last} is ahead of a reading of {reading}");
                Ok::<_, ()>(reading.max(last + 1))
            };
            last.advance(after).unwrap()
        };
        let other = {
            let (last, clock) = (Arc::clone(&last), Arc::clone(&clock));
            thread::spawn(move || advance(&last, &clock))
        };
        let ours = [advance(&last, &clock), advance(&last, &clock)];
        let theirs = other.join().unwrap();
        assert!(ours[0] < ours[1] && !ours.contains(&theirs));
        assert_eq!(last.get(), ours[1].max(theirs));
    });
}

#[test]
fn a_stamp_made_after_another_was_seen_is_later_and_a_refusal_changes_nothing() {
    loom::model(|| {
        let last = Arc::new(LastStamp::new(5));
        let seen = Arc::new(AtomicU64::new(0));
        let other = {
            let (last, seen) = (Arc::clone(&last), Arc::clone(&seen));
            thread::spawn(move || {
                let stamp = last.advance(|last| Ok::<_, ()>(last + 1)).unwrap();
                seen.store(stamp, Ordering::Release);
            })
        };
        assert_eq!(last.advance(|_| Err("refused")), Err("refused"));
        let cause = seen.load(Ordering::Acquire);
        let stamp = last.advance(|last| Ok::<_, ()>(last + 1)).unwrap();
        assert!(stamp > cause);
        other.join().unwrap();
        assert_eq!(last.get(), 7);
    });
}
