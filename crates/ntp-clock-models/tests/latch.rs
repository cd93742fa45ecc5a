//! Every interleaving of one writer and a reader of the latch, by loom:
//! `RUSTFLAGS="--cfg loom" cargo test --release -p ntp-clock-models`.
#![cfg(loom)]

#[allow(dead_code)]
#[path = "../../ntp-clock/src/latch.rs"]
mod latch;

#[allow(dead_code)]
#[path = "../../ntp-clock/src/host/line.rs"]
mod line;

use latch::Latch;
use line::{CURRENT, Unread};
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
fn a_glance_gives_one_write_whole_or_nothing_and_what_it_did_came_before_or_after_an_announcement()
{
    loom::model(|| {
        let latch = Arc::new(Latch::<2>::new([1, 1]));
        let counter = Arc::new(AtomicU64::new(0));
        let writer = {
            let (latch, counter) = (Arc::clone(&latch), Arc::clone(&counter));
            thread::spawn(move || {
                latch.announce();
                let anchor = counter.fetch_add(1, Ordering::SeqCst);
                latch.write([2, 2]);
                latch.end_transition();
                anchor
            })
        };
        let count = || counter.fetch_add(1, Ordering::SeqCst);
        let seen = latch.glance(count, |during, word| (during, [word(0), word(1)]));
        let anchor = writer.join().unwrap();
        match seen {
            Some((during, [1, 1])) => assert!(during < anchor),
            Some((during, [2, 2])) => assert!(during > anchor),
            None => {}
            torn => panic!("torn: {torn:?}"),
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

/// A line as one word: where it began on the counter, and what it reads there.
fn line(begins: u64, reads: u64) -> [u64; 2] {
    [begins, reads]
}

/// A line that rises by one with the counter.
fn reading([begins, reads]: [u64; 2], counter: u64) -> u64 {
    reads + (counter - begins)
}

/// The machine: a counter, a page and its control word.
struct Machine {
    counter: AtomicU64,
    old: Latch<2>,
    control: AtomicU64,
    new: Latch<2>,
}

impl Machine {
    fn new() -> Arc<Self> {
        let new = Latch::new(line(0, 0));
        // A page is busy until its first line stands.
        new.announce();
        Arc::new(Machine {
            counter: AtomicU64::new(1),
            old: Latch::new(line(0, 1_000)),
            control: AtomicU64::new(CURRENT),
            new,
        })
    }

    fn count(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::SeqCst)
    }

    /// What a process reads that follows the old page.
    fn read(&self) -> Result<(u64, u64), Unread> {
        let (words, counter) = line::look(&self.old, &self.control, || self.count())?;
        Ok((counter, reading(words, counter)))
    }

    /// A change of the old line by its writer: it is steered forwards.
    fn steer(&self) {
        self.old.announce();
        let now = self.count();
        let stood = reading(self.old.words(), now);
        self.old.write(line(now, stood + 100));
        self.old.end_transition();
    }

    /// A successor goes on from the old line on the new page, and reads it.
    fn succeed(&self) -> (u64, u64) {
        let last = line::supersede(&self.old, &self.control).expect("its writer lets it stand");
        let now = self.count();
        self.new.write(line(now, reading(last, now)));
        self.new.end_transition();
        let held = self.new.read(|| self.count());
        assert!(!held.in_transition);
        (held.during, reading(held.words, held.during))
    }
}

/// Of two readings in one epoch, the one whose counter was read later is no earlier.
fn in_order(one: (u64, u64), other: (u64, u64)) {
    let (first, second) = if one.0 < other.0 { (one, other) } else { (other, one) };
    assert!(first.1 < second.1, "{first:?} then {second:?}");
}

#[test]
fn a_follower_never_reads_a_line_beyond_the_moment_at_which_the_next_begins() {
    loom::model(|| {
        let machine = Machine::new();
        let writer = {
            let machine = Arc::clone(&machine);
            thread::spawn(move || machine.steer())
        };
        let first = machine.read();
        let second = machine.read();
        writer.join().unwrap();
        let third = machine.read().expect("neither busy nor superseded");
        for read in [first, second] {
            match read {
                Ok(read) => in_order(read, third),
                Err(unread) => assert_eq!(unread, Unread::Busy),
            }
        }
        if let (Ok(first), Ok(second)) = (first, second) {
            in_order(first, second);
        }
    });
}

#[test]
fn a_successors_line_begins_after_all_that_was_read_of_the_old_page() {
    loom::model(|| {
        let machine = Machine::new();
        let successor = {
            let machine = Arc::clone(&machine);
            thread::spawn(move || machine.succeed())
        };
        let read = machine.read();
        let theirs = successor.join().unwrap();
        assert_eq!(machine.read(), Err(Unread::Superseded), "and nobody reads it again");
        if let Ok(read) = read {
            in_order(read, theirs);
        }
    });
}

#[test]
fn a_stopped_writer_that_wakes_up_during_the_take_over_changes_no_reading() {
    // All interleavings of three threads take a minute; with three preemptions, seconds.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let machine = Machine::new();
        let sleeper = {
            let machine = Arc::clone(&machine);
            thread::spawn(move || machine.steer())
        };
        let successor = {
            let machine = Arc::clone(&machine);
            thread::spawn(move || machine.succeed())
        };
        let read = machine.read();
        let theirs = successor.join().unwrap();
        sleeper.join().unwrap();
        if let Ok(read) = read {
            in_order(read, theirs);
        }
    });
}
