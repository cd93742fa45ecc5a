//! A page of the machine's: what stands where, and who may read it.
//!
//! Its layout is version 1 of `docs/HOST_CLOCK.md`.

#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

use std::sync::atomic::{AtomicU64, Ordering};

use ntp_clock_core::{LocalTime, Mapping};

use super::line::{self, Unread};
use crate::counters::Reference;
use crate::latch::Latch;
use crate::page::{View, WORDS, from_words, to_words};

/// Memory of one page: who made it and for whom, and the line.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct MachinePage {
    head: [AtomicU64; HEAD_WORDS],
    latch: Latch<SLOT_WORDS>,
}

/// Memory of a page's control word, which the successor writes.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Control(AtomicU64);

/// A page as this process reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) page: &'static MachinePage,
    pub(crate) control: &'static Control,
    pub(crate) generation: u64,
    /// Process id of its writer, in the writer's own numbering.
    pub(crate) writer: u32,
    /// The control word, where this process may write it and so end the page.
    pub(crate) ending: Option<&'static Control>,
}

/// What a page says of itself, written before anybody else sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    /// What the page is a clock of.
    pub(crate) identity: Identity,
    /// How many pages this machine had before of the same identity, and one more.
    pub(crate) generation: u64,
    /// Process id of the writer.
    pub(crate) writer: u32,
}

/// Which clock it is: pages that differ in any of this never meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) counter: CounterKind,
    /// The boot's id as the kernel gives it.
    pub(crate) boot: [u64; 2],
    /// The time namespace, hashed with its offsets.
    pub(crate) time_namespace: u64,
    /// The server as configured, hashed.
    pub(crate) server: u64,
    /// Whose word counts for proved replies, hashed; 0 where nothing is proved.
    pub(crate) proof: u64,
    /// The machine that the program pretends to be on, hashed; 0 where it does not.
    pub(crate) machine: u64,
}

/// The counter that lines are of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub(crate) enum CounterKind {
    MonotonicRaw = 1,
}

/// Why memory that was handed over is no page for this process.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum NotOurs {
    #[error("{0}")]
    Memory(String),
    #[error("it does not begin as a page of ntp-clock does")]
    Magic,
    #[error("its layout is version {0}; this program knows version {LAYOUT}")]
    Layout(u32),
    #[error("it says that it is {0} bytes long; a page of version {LAYOUT} has {SIZE}")]
    Size(u32),
    #[error("it is of another counter, boot, time namespace or server")]
    Identity,
    #[error("it says that it is generation {0}, and its name says {1}")]
    Generation(u64, u64),
}

impl MachinePage {
    /// Bytes of a page's memory file.
    pub(crate) const BYTES: usize = SIZE as usize;

    /// Writer: fills in who and what it is. The page is busy from now on, until the first line is
    /// published.
    pub(crate) fn begin(&self, head: &Head) {
        self.latch.announce();
        for (atomic, word) in self.head.iter().zip(head.to_words()) {
            atomic.store(word, Ordering::Release);
        }
    }

    /// What the page says of itself, if it is of this clock.
    ///
    /// # Errors
    /// [`NotOurs`] otherwise.
    pub(crate) fn head(&self, wanted: &Identity, generation: u64) -> Result<Head, NotOurs> {
        let words = std::array::from_fn(|i| self.head[i].load(Ordering::Acquire));
        Head::from_words(words, wanted, generation)
    }

    /// Reads line and counter together.
    ///
    /// # Errors
    /// [`Unread`] while the page is busy, and for ever once it is superseded.
    #[inline]
    pub(crate) fn view(
        &self,
        control: &Control,
        counter: impl FnOnce() -> LocalTime,
    ) -> Result<View, Unread> {
        let (words, local) = line::look(&self.latch, &control.0, counter)?;
        let [line @ .., _] = words;
        let (mapping, reference) = from_words(line);
        Ok(View::settled(mapping, reference, local))
    }

    /// The counter at which the writer is to act next, as it last said.
    pub(crate) fn due(&self) -> Option<LocalTime> {
        let [.., due] = line::words(&self.latch)?;
        Some(LocalTime::from_nanos(due as i64))
    }

    /// Whether the page is busy; as long as the number is the same, it is so without a change.
    pub(crate) fn busy(&self) -> Option<u64> {
        self.latch.announced()
    }

    /// Writer: the line may change. The counter at which the next one begins is read after this.
    pub(crate) fn announce(&self) {
        self.latch.announce();
        // As in a page of one process: readers in between get the time to be done.
        for _ in 0..SETTLE_SPINS {
            std::hint::spin_loop();
        }
    }

    /// Writer: publishes and ends what was announced.
    pub(crate) fn publish(&self, mapping: &Mapping, reference: Reference, due: LocalTime) {
        let mut words = [0; SLOT_WORDS];
        words[..WORDS].copy_from_slice(&to_words(mapping, reference));
        words[WORDS] = due.as_nanos() as u64;
        self.latch.write(words);
        self.latch.end_transition();
    }

    /// Successor: ends this page; gives the last line that anybody can have read, if there ever was
    /// one. The counter is to be read after this.
    pub(crate) fn supersede(&self, control: &Control) -> Option<(Mapping, Reference)> {
        let [line @ .., _] = line::supersede(&self.latch, &control.0)?;
        Some(from_words(line)).filter(|(mapping, _)| mapping.epoch() != 0)
    }
}

/// Pages as somebody else may have made them.
#[cfg(test)]
impl MachinePage {
    pub(super) fn with(head: Head, line: [u64; SLOT_WORDS]) -> Self {
        MachinePage { head: head.to_words().map(AtomicU64::new), latch: Latch::new(line) }
    }

    pub(super) fn with_words(head: [u64; HEAD_WORDS]) -> Self {
        MachinePage { head: head.map(AtomicU64::new), latch: Latch::new([0; SLOT_WORDS]) }
    }

    pub(super) fn scribble(&self, sequence: u64, line: [u64; SLOT_WORDS]) {
        self.latch.scribble(sequence, line);
    }
}

#[cfg(test)]
impl Head {
    pub(super) fn words(self) -> [u64; HEAD_WORDS] {
        self.to_words()
    }
}

impl Shown {
    /// Reads line and counter together.
    ///
    /// # Errors
    /// As [`MachinePage::view`].
    #[inline]
    pub(crate) fn view(&self, counter: impl FnOnce() -> LocalTime) -> Result<View, Unread> {
        self.page.view(self.control, counter)
    }

    /// The epoch of its line, if it ever had one.
    pub(crate) fn epoch(&self) -> Option<u64> {
        let [line @ .., _] = line::words(&self.page.latch)?;
        Some(from_words(line).0.epoch())
    }
}

impl Control {
    /// Bytes of its memory file.
    pub(crate) const BYTES: usize = size_of::<Control>();

    /// Whether another page has taken the place of this one.
    pub(crate) fn is_superseded(&self) -> bool {
        self.0.load(Ordering::SeqCst) != line::CURRENT
    }
}

impl Head {
    fn to_words(self) -> [u64; HEAD_WORDS] {
        let Identity { counter, boot, time_namespace, server, proof, machine } = self.identity;
        let mut words = [0; HEAD_WORDS];
        words[..11].copy_from_slice(&[
            MAGIC,
            u64::from(LAYOUT) | u64::from(SIZE) << 32,
            counter as u64,
            boot[0],
            boot[1],
            time_namespace,
            self.generation,
            u64::from(self.writer),
            server,
            proof,
            machine,
        ]);
        words
    }

    fn from_words(
        words: [u64; HEAD_WORDS],
        wanted: &Identity,
        generation: u64,
    ) -> Result<Self, NotOurs> {
        let [magic, layout, ..] = words;
        if magic != MAGIC {
            return Err(NotOurs::Magic);
        }
        let (version, size) = (layout as u32, (layout >> 32) as u32);
        if version != LAYOUT {
            return Err(NotOurs::Layout(version));
        }
        if size != SIZE {
            return Err(NotOurs::Size(size));
        }
        let head = Head { identity: *wanted, generation: words[6], writer: words[7] as u32 };
        if head.generation != generation {
            return Err(NotOurs::Generation(head.generation, generation));
        }
        if head.to_words() != words {
            return Err(NotOurs::Identity);
        }
        Ok(head)
    }
}

const MAGIC: u64 = u64::from_le_bytes(*b"NTPCLOCK");
pub(crate) const LAYOUT: u32 = 1;
const SIZE: u32 = size_of::<MachinePage>() as u32;
const HEAD_WORDS: usize = 16;
/// The reference and the mapping, and when the next round is due.
const SLOT_WORDS: usize = WORDS + 1;
const SETTLE_SPINS: usize = 64;

#[cfg(target_os = "linux")]
mod words {
    #![allow(unsafe_code)]

    use super::{Control, MachinePage};
    use crate::os::Words;

    // SAFETY: atomics of eight bytes and nothing else; what pads the latch to its alignment is
    // never looked at.
    unsafe impl Words for MachinePage {}
    // SAFETY: one atomic.
    unsafe impl Words for Control {}
}

// The layout is a protocol: pin it.
const _: () = {
    assert!(SIZE == 8 * (16 + 8 + 2 * 24));
    assert!(std::mem::offset_of!(MachinePage, latch) == 8 * 16);
    assert!(WORDS == 22);
};
