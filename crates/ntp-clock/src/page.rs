//! The published mapping: one writer, any number of readers that never lock or wait.
//!
//! Two slots of atomic words and a sequence number. The writer fills the slot that nobody is told
//! to read, then flips the sequence; a writer that dies half-way (the other threads of a forked
//! child are gone) leaves readers with the whole old slot. A reader copies the slot, reads the
//! counter, and takes both only if the sequence has not moved meanwhile.
//!
//! # Never backwards, across a change of mapping
//! The new line starts where the old one stood at one moment of the counter, and may run slower
//! from there on. A writer that is preempted between choosing that moment and flipping would let
//! readers run ahead on the old line. So the writer first *announces* a transition, then chooses
//! the moment; from the announcement on readers record what they return in a floor and return no
//! less than it, until the new line has passed everything that the old one may have given.

#[cfg(not(loom))]
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};

#[cfg(loom)]
use loom::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};

use ntp_clock_core::{LocalTime, Mapping, Reading, Span, SystemTime, UnixTime};

/// What tells whether the counter lost time: readings of all clocks at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reference {
    /// The counter.
    pub(crate) local: LocalTime,
    /// The wall clock, coarse: moves when the machine sleeps (and when it is set).
    pub(crate) wall: SystemTime,
    /// How long the machine has slept since boot.
    pub(crate) slept: Span,
}

/// The page that one writer publishes and everybody reads.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Page {
    /// Count of flips, then [`TRANSITION`], then the slot to read.
    sequence: AtomicU64,
    /// What readers returned during transitions, for even and odd epochs.
    floors: [AtomicI64; 2],
    slots: [Slot; 2],
}

#[derive(Debug)]
#[repr(C, align(64))]
struct Slot([AtomicU64; SLOT_WORDS]);

/// A consistent copy of the page and a reading of the counter that it held for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    pub(crate) mapping: Mapping,
    pub(crate) reference: Reference,
    pub(crate) local: LocalTime,
    in_transition: bool,
}

impl Page {
    /// A page that says "not synchronised".
    pub(crate) fn new(reference: Reference) -> Self {
        let page = Page {
            sequence: AtomicU64::new(0),
            floors: [AtomicI64::new(i64::MIN), AtomicI64::new(i64::MIN)],
            slots: [Slot::new(), Slot::new()],
        };
        page.slots[0].store(None, reference);
        page
    }

    /// Reads the page and the counter together.
    #[inline]
    pub(crate) fn snapshot(&self, counter: impl Fn() -> LocalTime) -> Snapshot {
        loop {
            let before = self.sequence.load(Ordering::Acquire);
            let (mapping, reference) = self.slots[(before & SLOT) as usize].load();
            let local = counter();
            fence(Ordering::Acquire);
            if self.sequence.load(Ordering::Relaxed) == before {
                let in_transition = before & TRANSITION != 0;
                return Snapshot { mapping, reference, local, in_transition };
            }
            #[cfg(loom)]
            loom::thread::yield_now();
        }
    }

    /// The reading that a snapshot gives for its own moment.
    #[inline]
    pub(crate) fn reading(&self, snapshot: &Snapshot) -> Option<Reading> {
        let reading = snapshot.mapping.read(snapshot.local)?;
        if snapshot.in_transition {
            return Some(self.no_earlier_than_others(reading));
        }
        Some(reading)
    }

    #[cold]
    fn no_earlier_than_others(&self, reading: Reading) -> Reading {
        let time = reading.time().as_nanos();
        let floor = self.floor(reading.epoch()).fetch_max(time, Ordering::AcqRel);
        reading.no_earlier_than(UnixTime::from_nanos(floor))
    }

    fn floor(&self, epoch: u64) -> &AtomicI64 {
        &self.floors[(epoch & 1) as usize]
    }
}

/// The writer's side; there is one [`Writer`] for a page at a time.
impl Page {
    /// Announces that the mapping may change. The counter is to be read for the new anchor after
    /// this returns.
    pub(crate) fn announce(&self) {
        let now = self.sequence.load(Ordering::Relaxed);
        // A full barrier: the announcement is visible before the counter is read again.
        self.sequence.swap((now | TRANSITION) + COUNT, Ordering::SeqCst);
    }

    /// Publishes, then ends the transition as soon as the new line has passed everything that
    /// readers may have seen. `counter` is read repeatedly meanwhile.
    pub(crate) fn publish(
        &self,
        mapping: Option<&Mapping>,
        reference: Reference,
        counter: impl Fn() -> LocalTime,
    ) {
        let now = self.sequence.load(Ordering::Relaxed);
        let (old, _) = self.slots[(now & SLOT) as usize].load();
        if let Some(new) = mapping
            && new.epoch() != old.epoch()
        {
            // Nobody reads in this epoch yet; what stands here is of the epoch before the last.
            self.floor(new.epoch()).store(i64::MIN, Ordering::Relaxed);
        }
        // Readers that still copy the other slot must see the flip that took them off it before
        // they see any word of what is written there now.
        fence(Ordering::Release);
        self.slots[((now & SLOT) ^ 1) as usize].store(mapping, reference);
        self.sequence.swap((now ^ SLOT) + COUNT, Ordering::SeqCst);

        if let Some(new) = mapping {
            let flipped = counter();
            let seen = old.read(flipped).filter(|reading| reading.epoch() == new.epoch());
            let floor = self.floor(new.epoch()).load(Ordering::Acquire);
            let highest = seen.map_or(floor, |reading| reading.time().as_nanos().max(floor));
            while new.read(counter()).is_some_and(|r| r.time().as_nanos() < highest) {
                std::hint::spin_loop();
            }
        }
        self.end_transition();
    }

    /// Ends an announced transition in which nothing changed.
    pub(crate) fn end_transition(&self) {
        let now = self.sequence.load(Ordering::Relaxed);
        self.sequence.store((now & !TRANSITION) + COUNT, Ordering::Release);
    }
}

impl Slot {
    fn new() -> Self {
        Slot(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    #[inline]
    fn load(&self) -> (Mapping, Reference) {
        let mut words = [0; SLOT_WORDS];
        for (word, atomic) in words.iter_mut().zip(&self.0) {
            *word = atomic.load(Ordering::Relaxed);
        }
        let [local, wall, slept, mapping @ ..] = words;
        let reference = Reference {
            local: LocalTime::from_nanos(local as i64),
            wall: SystemTime::from_nanos(wall as i64),
            slept: Span::from_nanos(slept as i64),
        };
        (Mapping::from_words(mapping), reference)
    }

    fn store(&self, mapping: Option<&Mapping>, reference: Reference) {
        let head = [
            reference.local.as_nanos() as u64,
            reference.wall.as_nanos() as u64,
            reference.slept.as_nanos() as u64,
        ];
        let words = mapping.map_or(Mapping::UNSYNCHRONISED, Mapping::to_words);
        for (atomic, word) in self.0.iter().zip(head.into_iter().chain(words)) {
            atomic.store(word, Ordering::Relaxed);
        }
    }
}

const SLOT: u64 = 1;
const TRANSITION: u64 = 2;
const COUNT: u64 = 4;
const SLOT_WORDS: usize = REFERENCE_WORDS + Mapping::WORDS;
const REFERENCE_WORDS: usize = 3;

// The layout is meant for shared memory one day: pin it.
#[cfg(not(loom))]
const _: () = assert!(size_of::<Page>() == 64 + 2 * 192);
