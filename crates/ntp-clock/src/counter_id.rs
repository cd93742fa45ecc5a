//! Which counter a moment is of.
//!
//! Two moments can be ordered by a counter alone where both are of the same one. Processes of
//! one boot and one time namespace share the system's counter, and so they share its name, which
//! each works out for itself. A counter that stopped while the machine slept is another one
//! afterwards: the time between two of its moments is not known any more.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::process;

use ntp_clock_core::Span;

use crate::counters::Counters;
use crate::fork::{self, ForkCell};
use crate::os;
use crate::past::Past;

/// Names a free-running counter: its moments ([`LocalTime`](crate::LocalTime)) can be compared
/// with those of the same name, by whichever process they were read.
///
/// All processes of one boot and time namespace have the same; another machine, boot or namespace
/// has another, and so has the counter after a sleep of the machine, and after its host has moved
/// or restored it (as far as [the host says so](crate::Status::vmclock)). Where the system has no name
/// for the boot, and of a [`ManualClock`](crate::ManualClock), it is random; so it is on a machine
/// that was loaded from a snapshot, from which another one may have been loaded, too. The environment
/// variable `PORTACODE_MACHINE`, any text, pretends another machine: programs with different
/// values name the counter differently.
///
/// Shown as 16 hexadecimal digits.
///
/// ```
/// use ntp_clock::Clock;
/// let clock = Clock::builder().server("localhost:11123".parse()?).build()?;
/// assert_eq!(clock.counter_id().to_string().len(), 16);
/// assert_eq!(clock.counter_id(), clock.stamp().counter_id);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterId(u64);

impl fmt::Display for CounterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for CounterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CounterId({self})")
    }
}

/// Keeps the name of one clock's counter, and takes another one when the counter loses time.
#[derive(Debug)]
pub(crate) struct CounterName {
    /// Machine, boot and kind of counter; `None` where no other process can have the same.
    root: Option<Hash>,
    known: ForkCell<Known>,
}

/// The name, and when it was the right one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    id: CounterId,
    /// What had befallen the counter when the name was taken.
    past: Past,
    /// What the page said of that.
    page: Past,
    /// A reader noticed a disruption that the page does not show yet.
    ahead: bool,
    /// In a forked child the time namespace may be another.
    generation: u64,
}

impl CounterName {
    /// The name of this counter, of which the page says this.
    pub(crate) fn of(counters: &Counters, past: Past) -> Self {
        let root = match counters {
            Counters::Os(counter) => os::boot_id().map(|boot| {
                let machine = pretended_machine().unwrap_or_default();
                let hash = Hash::default().with(boot.as_bytes()).with(counter.kind().as_bytes());
                hash.with(machine.as_encoded_bytes())
            }),
            Counters::StandIn(_) => None,
        };
        let known = Known {
            id: made(root, past),
            past,
            page: past,
            ahead: false,
            generation: fork::generation(),
        };
        CounterName { root, known: ForkCell::new(known) }
    }

    /// What is known before a look at the counter, and has to stand after it.
    #[inline]
    pub(crate) fn known(&self) -> &Known {
        self.known.get()
    }

    /// Takes what is true instead of what does not stand, unless another thread was faster. What
    /// is replaced is leaked: some bytes a sleep, a fork.
    #[cold]
    pub(crate) fn renew(&self, known: &Known, page: Past, noticed: Option<Past>) {
        self.known.replace(known, self.next(*known, page, noticed));
    }

    fn next(&self, known: Known, page: Past, noticed: Option<Past>) -> Known {
        let generation = fork::generation();
        let past = match noticed {
            // The page has caught up with the reader that noticed.
            None if known.ahead && known.page != page && !apart(known.past, page) => known.past,
            None if known.page != page => page,
            Some(past) if !known.names(page, past) => past,
            _ if known.generation != generation => known.past,
            _ => return known,
        };
        let same = past == known.past && known.generation == generation;
        let id = if same { known.id } else { made(self.root, past) };
        Known { id, past, page, ahead: noticed.is_some(), generation }
    }
}

impl Known {
    /// The name, if it is that of a look at the counter begun after this was known, for which the
    /// page said `page`; `noticed` is what a reader found who noticed a disruption that the page
    /// does not show.
    #[inline]
    pub(crate) fn id(&self, page: Past, noticed: Option<Past>) -> Option<CounterId> {
        let stands = match noticed {
            None => self.page == page,
            Some(past) => self.names(page, past),
        };
        (stands && self.generation == fork::generation()).then_some(self.id)
    }

    /// Whether it is the name that a reader gave after it had noticed that disruption.
    fn names(&self, page: Past, past: Past) -> bool {
        self.ahead && self.page == page && !apart(self.past, past)
    }
}

/// Whether anything happened between the two.
fn apart(before: Past, now: Past) -> bool {
    before.until(&now, Span::ZERO).is_some()
}

/// The name that everybody works out who knows the same, or a random one.
fn made(root: Option<Hash>, past: Past) -> CounterId {
    // What this process alone noticed gives it a name of its own, and so does a snapshot, of which
    // there may be copies that know just the same.
    let shared = past.jumps == 0 && past.host.generation == 0;
    let root = root.filter(|_| shared);
    let namespace = root.and_then(|root| Some(root.with(os::time_namespace()?.as_bytes())));
    let Some(mut hash) = namespace else { return CounterId(random()) };
    if past.host.marker != 0 {
        hash = hash.with(&past.host.marker.to_le_bytes());
    }
    let slept = past.slept;
    if os::has_slept(os::Slept::default(), slept, Span::ZERO) {
        let middle = slept.least + Span::from_nanos(slept.width.as_nanos() / 2);
        hash = hash.with(&(middle.as_nanos().div_euclid(1_000_000)).to_le_bytes());
    }
    CounterId(hash.mixed())
}

fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| {
        // Not secret, only unlike others.
        let moments = [os::local_now().as_nanos(), os::system_now().as_nanos()];
        let hash = Hash::default().with(&process::id().to_le_bytes());
        moments.iter().fold(hash, |hash, moment| hash.with(&moment.to_le_bytes())).mixed()
    })
}

/// FNV-1a, which stays the same from build to build: processes of one machine may be of several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Hash(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    /// With another part, so that no two lists of parts look alike.
    pub(crate) fn with(self, part: &[u8]) -> Self {
        let length = (part.len() as u64).to_le_bytes();
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        Hash(length.iter().chain(part).fold(self.0, step))
    }

    /// Every bit of what went in moves half of these (the finaliser of MurmurHash3).
    pub(crate) fn mixed(self) -> u64 {
        let mut bits = self.0;
        for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
            bits = (bits ^ (bits >> 33)).wrapping_mul(factor);
        }
        bits ^ (bits >> 33)
    }
}

/// The machine that this program pretends to be on, if it does.
pub(crate) fn pretended_machine() -> Option<OsString> {
    env::var_os(MACHINE_VARIABLE)
}

/// Names the machine that a program pretends to be on.
const MACHINE_VARIABLE: &str = "PORTACODE_MACHINE";
