//! Every interleaving of one writer and a reader of the latch, by loom:
//! `RUSTFLAGS="--cfg loom" cargo test --release -p ntp-clock-models`.
#![cfg(loom)]

#[allow(dead_code)]
#[path = "../../ntp-clock/src/latch.rs"]
mod latch;

use latch::Latch;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

#[test]
fn a_reader_never_sees_a_mixture_of_two_writes() {
    loom::model(|| {
        let latch = Arc::new(Latch::<2>::new([1, 1]));
        let writer = {
            let latch = Arc::clone(&latch);
            thread::spawn(move || {
                latch.write([2, 2]);
                latch.write([3, 3]);
            })
        };
        let [a, b] = latch.read(|| ()).words;
        assert_eq!(a, b);
        writer.join().unwrap();
        assert_eq!(latch.read(|| ()).words, [3, 3]);
    });
}

#[test]
fn what_a_reader_did_unannounced_came_before_what_the_writer_did_after_announcing() {
    loom::model(|| {
        let latch = Arc::new(Latch::<1>::new([1]));
        let counter = Arc::new(AtomicU64::new(0));
        let writer = {
            let (latch, counter) = (Arc::clone(&latch), Arc::clone(&counter));
            thread::spawn(move || {
                latch.announce();
                let anchor = counter.fetch_add(1, Ordering::SeqCst);
                latch.write([2]);
                latch.end_transition();
                anchor
            })
        };
        let held = latch.read(|| counter.fetch_add(1, Ordering::SeqCst));
        let anchor = writer.join().unwrap();
        match (held.words, held.in_transition) {
            ([1], false) => assert!(held.during < anchor),
            ([2], _) => assert!(held.during > anchor),
            ([1], true) => {}
            other => panic!("torn: {other:?}"),
        }
    });
}

#[test]
fn a_writer_that_died_half_way_leaves_the_old_words_whole_and_the_next_writer_free() {
    loom::model(|| {
        let latch = Arc::new(Latch::<2>::new([1, 1]));
        // A dead writer's announcement stays for ever.
        latch.announce();
        let writer = {
            let latch = Arc::clone(&latch);
            thread::spawn(move || {
                latch.announce();
                latch.write([2, 2]);
                latch.end_transition();
            })
        };
        let [a, b] = latch.read(|| ()).words;
        assert_eq!(a, b);
        writer.join().unwrap();
        let held = latch.read(|| ());
        assert_eq!((held.words, held.in_transition), ([2, 2], false));
    });
}
