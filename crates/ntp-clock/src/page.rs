//! The published mapping: a [`Latch`] that holds it, and what keeps readings in order while it
//! changes.
//!
//! The new line starts where the old one stood at one moment of the counter, and may run slower
//! from there on. A writer that is preempted between choosing that moment and publishing would
//! let readers run ahead on the old line. So the writer first *announces* a transition, then
//! chooses the moment. From the announcement on, readers record what they return in a floor and
//! return no less than it, until the new line has passed everything that the old one may have
//! given. Readers that had not seen the announcement read their counter before that moment.

use std::sync::atomic::{AtomicI64, Ordering};

use ntp_clock_core::{LocalTime, Mapping, Reading, Span, SystemTime, UnixTime};

use crate::counters::Reference;
use crate::latch::Latch;
use crate::os::{Life, Slept};
use crate::past::Past;

/// The page that one writer publishes and everybody reads.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Page {
    latch: Latch<WORDS>,
    /// What readers returned during transitions, for even and odd epochs.
    floors: [AtomicI64; 2],
}

/// A consistent copy of the page and a reading of the counter for which it held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) mapping: Mapping,
    pub(crate) reference: Reference,
    pub(crate) local: LocalTime,
    in_transition: bool,
}

impl View {
    /// One of a line that does not change at that moment.
    pub(crate) fn settled(mapping: Mapping, reference: Reference, local: LocalTime) -> Self {
        View { mapping, reference, local, in_transition: false }
    }
}

/// A reading as the page gives it, and what stands or falls with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance {
    pub(crate) reading: Reading,
    pub(crate) local: LocalTime,
    pub(crate) host: Life,
}

impl Page {
    /// A page that says "not synchronised".
    pub(crate) fn new(reference: Reference) -> Self {
        Page {
            latch: Latch::new(to_words(&unsynchronised(), reference)),
            floors: [AtomicI64::new(i64::MIN), AtomicI64::new(i64::MIN)],
        }
    }

    /// Reads the page and the counter together.
    #[inline]
    pub(crate) fn view(&self, counter: impl Fn() -> LocalTime) -> View {
        let held = self.latch.read(counter);
        let (mapping, reference) = from_words(held.words);
        View { mapping, reference, local: held.during, in_transition: held.in_transition }
    }

    /// The reading of now where the page holds one and does not change, with its moment and what the
    /// host had said: what [`Page::view`] and [`Page::reading`] give, in less time. No more is
    /// looked at than needed, and nothing is kept.
    #[inline]
    pub(crate) fn glance(&self, counter: impl FnOnce() -> LocalTime) -> Option<Glance> {
        self.latch.glance(counter, |local, word| {
            let mapping = Mapping::from_words(std::array::from_fn(|i| word(REFERENCE_WORDS + i)));
            let host = Life { marker: word(HOST_WORD), generation: word(HOST_WORD + 1) };
            Some(Glance { reading: mapping.read(local)?, local, host })
        })?
    }

    /// The reading that a view gives for its own moment.
    #[inline(always)]
    pub(crate) fn reading(&self, view: &View) -> Option<Reading> {
        let reading = view.mapping.read(view.local)?;
        if view.in_transition {
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

/// The writer's side; a page has one writer at a time.
impl Page {
    /// Announces that the mapping may change. The moment at which the new line is to meet the old
    /// one is to be read from the counter after this.
    pub(crate) fn announce(&self) {
        self.latch.announce();
        // The counter may be read a little ahead of the check that belongs to it: give readers
        // that are in between the time to be done.
        for _ in 0..SETTLE_SPINS {
            std::hint::spin_loop();
        }
    }

    /// Publishes, then ends the transition as soon as the new line has passed everything that
    /// readers may have seen. `counter` is read repeatedly meanwhile.
    pub(crate) fn publish(
        &self,
        new: &Mapping,
        reference: Reference,
        counter: impl Fn() -> LocalTime,
    ) {
        let (old, _) = from_words(self.latch.words());
        if new.epoch() != old.epoch() {
            // Nobody reads in this epoch yet; what stands here is of the epoch before the last.
            self.floor(new.epoch()).store(i64::MIN, Ordering::Relaxed);
        }
        self.latch.write(to_words(new, reference));
        if let Some(last_seen) = old.read(counter()).filter(|seen| seen.epoch() == new.epoch()) {
            self.floor(new.epoch()).fetch_max(last_seen.time().as_nanos(), Ordering::AcqRel);
        }
        self.end_transition(counter);
    }

    /// Ends an announced transition as soon as the line has passed everything that readers may
    /// have seen. Where that takes long, because the counter returned nonsense once, the transition
    /// goes on, in which readings are in order as well, and the next one ends it.
    pub(crate) fn end_transition(&self, counter: impl Fn() -> LocalTime) {
        let (line, _) = from_words(self.latch.words());
        let floor = self.floor(line.epoch()).load(Ordering::Acquire);
        for _ in 0..PASSING_SPINS {
            if line.read(counter()).is_none_or(|reading| reading.time().as_nanos() >= floor) {
                self.latch.end_transition();
                return;
            }
            std::hint::spin_loop();
        }
    }
}

#[inline]
pub(crate) fn from_words(words: [u64; WORDS]) -> (Mapping, Reference) {
    let [local, wall, slept, slept_width, marker, generation, jumps, mapping @ ..] = words;
    let reference = Reference {
        local: LocalTime::from_nanos(local as i64),
        wall: SystemTime::from_nanos(wall as i64),
        past: Past {
            slept: Slept {
                least: Span::from_nanos(slept as i64),
                width: Span::from_nanos(slept_width as i64),
            },
            host: Life { marker, generation },
            jumps,
        },
    };
    (Mapping::from_words(mapping), reference)
}

pub(crate) fn to_words(mapping: &Mapping, reference: Reference) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    let (head, tail) = words.split_at_mut(REFERENCE_WORDS);
    head.copy_from_slice(&[
        reference.local.as_nanos() as u64,
        reference.wall.as_nanos() as u64,
        reference.past.slept.least.as_nanos() as u64,
        reference.past.slept.width.as_nanos() as u64,
        reference.past.host.marker,
        reference.past.host.generation,
        reference.past.jumps,
    ]);
    tail.copy_from_slice(&mapping.to_words());
    words
}

/// What a page says that nobody has published yet.
fn unsynchronised() -> Mapping {
    Mapping::from_words(Mapping::UNSYNCHRONISED)
}

const REFERENCE_WORDS: usize = 7;
/// Where what the host said begins among them.
const HOST_WORD: usize = 4;
pub(crate) const WORDS: usize = REFERENCE_WORDS + Mapping::WORDS;
const SETTLE_SPINS: usize = 64;
/// Some 100 ms; a line that is slewed takes microseconds, and milliseconds after a preemption.
const PASSING_SPINS: usize = 2_000_000;

// The layout is meant for shared memory one day: pin it.
const _: () = assert!(size_of::<Latch<WORDS>>() == 64 + 2 * 192 && WORDS == 22);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, AtomicU64};

    /// The counter; Miri has none of the system's.
    fn counter() -> LocalTime {
        static TICKS: AtomicI64 = AtomicI64::new(0);
        if cfg!(miri) {
            LocalTime::from_nanos(TICKS.fetch_add(100, Ordering::SeqCst))
        } else {
            crate::os::local_now()
        }
    }

    /// A line in the test's epoch. The words' order is pinned by `Mapping::to_words`.
    fn line(anchor: LocalTime, centre_ns: i64, rate: f64, left_ns: f64) -> Mapping {
        let mut words = Mapping::UNSYNCHRONISED;
        words[0] = anchor.as_nanos() as u64;
        words[1] = centre_ns as u64;
        words[2] = rate.to_bits();
        words[3] = left_ns.to_bits();
        words[4] = 0.05_f64.to_bits();
        words[11] = i64::MIN as u64;
        words[12] = i64::MAX as u64;
        words[14] = 7;
        Mapping::from_words(words)
    }

    fn reference(local: LocalTime) -> Reference {
        // Equal words everywhere show whether a reader ever mixes two writes.
        let nanos = local.as_nanos();
        let slept = Slept { least: Span::from_nanos(nanos), width: Span::from_nanos(nanos) };
        let host = Life { marker: nanos as u64, generation: nanos as u64 };
        let past = Past { slept, host, jumps: nanos as u64 };
        Reference { local, wall: SystemTime::from_nanos(nanos), past }
    }

    /// Publishes lines that meet the one before at the announced moment and then run at another
    /// speed, as the engine's do.
    fn republish(page: &Page, old: &Mapping, turn: u64) -> Mapping {
        page.announce();
        let now = counter();
        let stood = old.read(now).expect("valid for ever").time().as_nanos();
        let swing = ((turn * 7_919) % 2_001) as f64 - 1_000.0;
        let left = swing * 1_000.0;
        let new = line(now, stood - left as i64, swing * 5e-7, left);
        if turn.is_multiple_of(400) {
            // A preemption at the worst moment: readers run ahead on the old line meanwhile.
            std::thread::yield_now();
        }
        page.publish(&new, reference(now), counter);
        new
    }

    fn read(page: &Page) -> i64 {
        let view = page.view(counter);
        let Reference { local, wall, past: Past { slept, host, jumps } } = view.reference;
        let whole = [wall.as_nanos(), slept.least.as_nanos(), slept.width.as_nanos()];
        assert_eq!(whole, [local.as_nanos(); 3]);
        let state = [host.marker, host.generation, jumps];
        assert_eq!(state, [local.as_nanos() as u64; 3]);
        page.reading(&view).expect("synchronised").time().as_nanos()
    }

    fn page() -> (Page, Mapping) {
        let now = counter();
        let page = Page::new(reference(now));
        let first = line(now, 1_800_000_000_000_000_000, 0.0, 0.0);
        page.announce();
        page.publish(&first, reference(now), counter);
        (page, first)
    }

    #[test]
    fn sixty_four_readers_see_no_torn_and_no_backward_reading_while_the_mapping_changes() {
        let (readers, updates) = if cfg!(miri) { (3, 20) } else { (64, 20_000) };
        let (page, first) = page();
        let stop = AtomicBool::new(false);
        let started = Barrier::new(readers + 1);
        let latest = AtomicI64::new(i64::MIN);
        let readings = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..readers {
                scope.spawn(|| {
                    started.wait();
                    while !stop.load(Ordering::Relaxed) {
                        // Whatever any thread returned before this began is a floor for it.
                        let before = latest.load(Ordering::SeqCst);
                        let time = read(&page);
                        assert!(time >= before, "{time} after {before}: back {}", before - time);
                        latest.fetch_max(time, Ordering::SeqCst);
                        readings.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            started.wait();
            let mut current = first;
            for turn in 0..updates {
                current = republish(&page, &current, turn);
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert!(readings.into_inner() > 0);
    }

    #[cfg(all(unix, not(miri)))]
    #[test]
    #[allow(unsafe_code)]
    fn a_thousand_forks_in_mid_update_leave_every_child_a_whole_page_that_it_can_go_on_from() {
        use nix::sys::wait::{WaitStatus, waitpid};
        use nix::unistd::{ForkResult, fork};

        let (page, first) = page();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut current = first;
                for turn in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    current = republish(&page, &current, turn);
                }
            });
            for turn in 0..1_000 {
                let before = read(&page);
                // SAFETY: the child touches only the page, on its own memory, and ends by `_exit`.
                match unsafe { fork() }.expect("fork") {
                    ForkResult::Child => {
                        let inherited = read(&page);
                        let mapping = page.view(counter).mapping;
                        republish(&page, &mapping, turn);
                        let own = read(&page);
                        let in_order = before <= inherited && inherited <= own;
                        // SAFETY: ends the process without running anything of the parent's.
                        unsafe { libc::_exit(i32::from(!in_order)) }
                    }
                    ForkResult::Parent { child } => {
                        assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
                    }
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn a_new_epoch_may_start_earlier() {
        let (page, _) = page();
        page.announce();
        let seen = read(&page);
        let now = counter();
        let mut words = line(now, seen - 1_000_000_000, 0.0, 0.0).to_words();
        words[14] = 8;
        page.publish(&Mapping::from_words(words), reference(now), counter);
        page.announce();
        assert!(read(&page) < seen);
    }

    #[test]
    fn nothing_is_read_from_a_page_that_says_not_synchronised() {
        let (page, _) = page();
        page.announce();
        page.publish(&unsynchronised(), reference(counter()), counter);
        let view = page.view(counter);
        assert_eq!(page.reading(&view), None);
    }

    #[test]
    fn a_counter_that_returned_nonsense_once_does_not_hold_the_writer_up_and_readings_stay_in_order()
     {
        let at = LocalTime::from_nanos;
        let page = Page::new(reference(at(0)));
        page.announce();
        page.publish(&line(at(0), 1_000, 0.0, 0.0), reference(at(0)), || at(0));
        page.announce();
        let nonsense = page.reading(&page.view(|| at(1_000_000))).unwrap();
        page.publish(&line(at(5), 1_005, 0.0, 0.0), reference(at(5)), || at(5));
        let after = page.reading(&page.view(|| at(6))).unwrap();
        assert!(after.time() >= nonsense.time(), "{after:?} after {nonsense:?}");
        page.announce();
        page.end_transition(|| at(2_000_000));
        let later = page.reading(&page.view(|| at(2_000_001))).unwrap();
        assert_eq!(later.time().as_nanos(), 2_001_001);
        assert!(!page.view(|| at(2_000_002)).in_transition);
    }
}
