//! Memory that all processes of a test have in common: what they read, in one order, and what was
//! wrong with it.

#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap};

/// The contents of the memory: all zero at first.
#[repr(C)]
pub(super) struct Board {
    /// Not zero once all are to end.
    pub(super) ended: AtomicU64,
    /// The process that is to fork; zero again when it has.
    pub(super) to_fork: AtomicU64,
    /// For how long a forked child lives, seconds; 0 is for as long as the test.
    pub(super) fork_lives_s: AtomicU64,
    /// Readings, and looks without one after the first.
    pub(super) readings: AtomicU64,
    pub(super) nones: AtomicU64,
    /// Readings that are before another process's earlier one; that are off by more than they say.
    pub(super) backwards: AtomicU64,
    pub(super) wrong: AtomicU64,
    /// The longest time for which a process that looked had no reading, milliseconds.
    pub(super) longest_gap_ms: AtomicU64,
    /// Processes that had a first reading.
    pub(super) begun: AtomicU64,
    /// Which processes have written the machine's page, and how many requests each has sent.
    pub(super) writers: [Writer; 4_096],
    epochs: [Epoch; 4_096],
}

#[repr(C)]
pub(super) struct Writer {
    pub(super) process: AtomicU64,
    pub(super) requests: AtomicU64,
}

/// The latest reading of an epoch that any process has finished.
#[repr(C)]
struct Epoch {
    number: AtomicU64,
    latest_ns: AtomicI64,
}

impl Board {
    pub(super) fn at(path: &Path) -> &'static Board {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.expect("the board's file");
        file.set_len(size_of::<Board>() as u64).expect("the board's size");
        let length = NonZeroUsize::new(size_of::<Board>()).expect("not empty");
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new map at no particular place, as long as the file, which nobody shortens.
        let start = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, &file, 0) };
        let start = start.expect("a map").cast::<Board>();
        // SAFETY: atomics alone, for which zeros and whatever others store are values; the map is
        // aligned to a page and stays.
        unsafe { start.as_ref() }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst) != 0
    }

    /// The latest reading of this epoch that anybody has finished.
    pub(super) fn latest(&self, epoch: u64) -> &AtomicI64 {
        let mut place = (epoch ^ (epoch >> 20)) as usize % self.epochs.len();
        loop {
            let at = &self.epochs[place];
            let taken = at.number.compare_exchange(0, epoch, Ordering::SeqCst, Ordering::SeqCst);
            if taken.is_ok() || taken == Err(epoch) {
                return &at.latest_ns;
            }
            place = (place + 1) % self.epochs.len();
        }
    }

    /// Where this process tells how many requests it has sent.
    pub(super) fn writer(&self, process: u64) -> &Writer {
        let mine = |writer: &&Writer| {
            let order = Ordering::SeqCst;
            let taken = writer.process.compare_exchange(0, process, order, order);
            taken.is_ok() || taken == Err(process)
        };
        self.writers.iter().find(mine).expect("not that many processes")
    }

    /// How many processes have written, and what they have sent.
    pub(super) fn sent(&self) -> (usize, u64) {
        let used = self.writers.iter().take_while(|w| w.process.load(Ordering::SeqCst) != 0);
        let sent: Vec<u64> = used.map(|w| w.requests.load(Ordering::SeqCst)).collect();
        (sent.len(), sent.iter().sum())
    }

    pub(super) fn summary(&self) -> String {
        let read = |value: &AtomicU64| value.load(Ordering::SeqCst);
        format!(
            "{} readings, {} looks without one; longest time without: {} ms; {} backwards, {} \
             outside their bound; {} processes began, {} wrote",
            read(&self.readings),
            read(&self.nones),
            read(&self.longest_gap_ms),
            read(&self.backwards),
            read(&self.wrong),
            read(&self.begun),
            self.sent().0
        )
    }
}
