//! A latch of atomic words: one writer, any number of readers that never lock or wait for it.
//!
//! Two slots and a sequence number. The writer fills the slot that readers are not directed to, then
//! flips the sequence; a writer that dies half-way (the other threads of a forked child are gone)
//! leaves readers with the whole old slot. A reader copies the slot, does what it has to do with
//! it in the same moment (reads its counter), and takes both only if the sequence has not moved
//! meanwhile: so what it did came before the next flip.

#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering, fence};

#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Latch<const N: usize> {
    /// Count of changes, then [`TRANSITION`], then [`SLOT`].
    sequence: AtomicU64,
    slots: [Slot<N>; 2],
}

#[derive(Debug)]
#[repr(C, align(64))]
struct Slot<const N: usize>([AtomicU64; N]);

/// What a reader gets: words that held while it did something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held<const N: usize, T> {
    pub(crate) words: [u64; N],
    /// What was done while the words held.
    pub(crate) during: T,
    /// The writer has announced that the words may change.
    pub(crate) in_transition: bool,
}

impl<const N: usize> Latch<N> {
    pub(crate) fn new(words: [u64; N]) -> Self {
        Latch {
            sequence: AtomicU64::new(0),
            slots: [
                Slot(std::array::from_fn(|i| AtomicU64::new(words[i]))),
                Slot(std::array::from_fn(|_| AtomicU64::new(0))),
            ],
        }
    }

    /// Reads the words and does something while they hold. It may be done more than once.
    #[inline]
    pub(crate) fn read<T>(&self, during: impl Fn() -> T) -> Held<N, T> {
        loop {
            if let Some(held) = self.look(&during) {
                return held;
            }
            #[cfg(loom)]
            loom::thread::yield_now();
        }
    }

    /// One attempt at that; `None` where the words changed meanwhile.
    #[inline]
    pub(crate) fn look<T>(&self, during: impl FnOnce() -> T) -> Option<Held<N, T>> {
        let sequence = self.sequence.load(Ordering::Acquire);
        let words = self.slots[(sequence & SLOT) as usize].load();
        let done = during();
        fence(Ordering::Acquire);
        let stands = self.sequence.load(Ordering::Relaxed) == sequence;
        let in_transition = sequence & TRANSITION != 0;
        stands.then_some(Held { words, during: done, in_transition })
    }

    /// One attempt at less than that, for those who are in a hurry: does something, then makes
    /// something of it and of the words that it needs. `None` where the words did not hold, or a
    /// change is announced. What `make` sees may be of two states: then nobody sees what it made.
    #[inline]
    pub(crate) fn glance<D, T>(
        &self,
        during: impl FnOnce() -> D,
        make: impl FnOnce(D, &dyn Fn(usize) -> u64) -> T,
    ) -> Option<T> {
        let sequence = self.sequence.load(Ordering::Acquire);
        if sequence & TRANSITION != 0 {
            return None;
        }
        let done = during();
        let slot = &self.slots[(sequence & SLOT) as usize];
        let made = make(done, &|index| slot.0[index].load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        (self.sequence.load(Ordering::Relaxed) == sequence).then_some(made)
    }

    /// The writer's own look.
    pub(crate) fn words(&self) -> [u64; N] {
        self.slots[(self.sequence.load(Ordering::Relaxed) & SLOT) as usize].load()
    }

    /// The sequence, while an announcement stands: another one after each change.
    pub(crate) fn announced(&self) -> Option<u64> {
        Some(self.sequence.load(Ordering::Acquire)).filter(|sequence| sequence & TRANSITION != 0)
    }

    /// Writer: the words may change from now on. What the writer does after this comes after
    /// everything that readers did without seeing the announcement.
    pub(crate) fn announce(&self) {
        let now = self.sequence.load(Ordering::Relaxed);
        // A full barrier: nothing of the writer's is done before the announcement is seen.
        self.sequence.swap((now | TRANSITION) + COUNT, Ordering::SeqCst);
    }

    /// Writer: changes the words.
    pub(crate) fn write(&self, words: [u64; N]) {
        let now = self.sequence.load(Ordering::Relaxed);
        // Readers that still copy the other slot must see the flip that took them off it before
        // they see any word of what is written there now.
        fence(Ordering::Release);
        self.slots[((now & SLOT) ^ 1) as usize].store(words);
        self.sequence.swap((now ^ SLOT) + COUNT, Ordering::SeqCst);
    }

    /// Writer: the words stay as they are until the next announcement.
    pub(crate) fn end_transition(&self) {
        let now = self.sequence.load(Ordering::Relaxed);
        self.sequence.store((now & !TRANSITION) + COUNT, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
impl<const N: usize> Latch<N> {
    /// What nobody does who keeps to the rules.
    pub(crate) fn scribble(&self, sequence: u64, words: [u64; N]) {
        self.slots[(sequence & SLOT) as usize].store(words);
        self.sequence.store(sequence, Ordering::SeqCst);
    }
}

impl<const N: usize> Slot<N> {
    #[inline]
    fn load(&self) -> [u64; N] {
        std::array::from_fn(|i| self.0[i].load(Ordering::Relaxed))
    }

    fn store(&self, words: [u64; N]) {
        for (atomic, word) in self.0.iter().zip(words) {
            atomic.store(word, Ordering::Relaxed);
        }
    }
}

const SLOT: u64 = 1;
const TRANSITION: u64 = 2;
const COUNT: u64 = 4;
