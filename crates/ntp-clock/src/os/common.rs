//! What all systems tell in the same words, and the wall clock, which they share.

#[cfg(feature = "nts")]
use std::io;
use std::time::UNIX_EPOCH;
#[cfg(feature = "nts")]
use std::time::{Duration, Instant};

use ntp_clock_core::{LocalTime, Span, SystemTime};

/// The wall clock, read through the C library so that a faked one is seen as the program sees it.
pub(crate) fn system_now() -> SystemTime {
    let now = std::time::SystemTime::now();
    let nanos = match now.duration_since(UNIX_EPOCH) {
        Ok(since) => Span::from(since),
        Err(before) => -Span::from(before.duration()),
    };
    SystemTime::from_nanos(nanos.as_nanos())
}

/// What woke the thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Woken {
    /// The wall clock was set, or the machine has woken from sleep.
    pub(crate) clock_set: bool,
    /// The host rang.
    pub(crate) host: bool,
}

/// What a lifeline shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(crate) enum Line {
    /// Its other end is held.
    Whole,
    /// Its other end is closed.
    Cut,
    /// This program has closed our end.
    Lost,
}

/// Counters that run alike, all at one moment, give or take `width`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Beat {
    /// The counter.
    pub(crate) local: LocalTime,
    /// The system's counter that daemons steer.
    pub(crate) monotonic: Option<Span>,
    /// Another counter that nobody steers, of unknown speed: the processor's own, or where that is
    /// the counter, the kernel's.
    pub(crate) ticks: Option<u64>,
    /// The wall clock.
    pub(crate) wall: SystemTime,
    pub(crate) width: Span,
}

/// What the kernel says of its wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct KernelClock {
    /// Nobody keeps it in step any more.
    pub(crate) unsynchronised: bool,
    /// Its length of a tick, by which daemons steer it where it is far off.
    pub(crate) tick_us: i64,
}

/// A datagram as it came in: its length, and when the kernel saw it by the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Received {
    pub(crate) len: usize,
    pub(crate) kernel_time: Option<SystemTime>,
}

/// What the host says of a virtual machine's life: another value after each thing that may have
/// disturbed the counter. All zero where no host says anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Life {
    /// Changes when the counter is disturbed, as by a live migration.
    pub(crate) marker: u64,
    /// Changes when the machine is loaded from a snapshot; zero where the host does not count that.
    pub(crate) generation: u64,
}

impl Life {
    /// The host is about to say something, and nobody knows what.
    pub(crate) const UNCLEAR: Life = Life { marker: u64::MAX, generation: u64::MAX };
}

/// Why nothing is read from the host's page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(crate) enum Untold {
    /// There is none.
    Absent,
    /// It cannot be opened or mapped.
    Unreadable,
    /// It is a file that could be cut while it is read.
    MayShrink,
    /// It is something else.
    NoVmclock,
    /// It is of a version that is not known here.
    OtherVersion,
    /// It has not all fields.
    TooShort,
}

impl Untold {
    /// The reason in one word, for the status.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Untold::Absent => "absent",
            Untold::Unreadable => "unreadable",
            Untold::MayShrink => "may_shrink",
            Untold::NoVmclock => "no_vmclock",
            Untold::OtherVersion => "other_version",
            Untold::TooShort => "too_short",
        }
    }
}

/// Why the processor's own counter is not the one in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
#[repr(u8)]
pub(crate) enum Distrust {
    /// The system's counter was chosen, or nobody chose.
    Chosen = 1,
    /// The processor, or what is known of it on this system, has none that is of use.
    Unsuitable,
    /// The kernel does not make its clocks of it.
    ClockSource,
    /// This program may not read it.
    Forbidden,
    /// How fast it runs is not known.
    RateUnknown,
    /// It ran apart from the kernel's counter.
    Apart,
    /// The environment's word for a choice is unknown.
    Misspelt,
    /// The clock is shared with other processes, by the system's counter.
    Shared,
}

impl Distrust {
    /// The reason in one word, for the status.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Distrust::Chosen => "chosen",
            Distrust::Unsuitable => "unsuitable",
            Distrust::ClockSource => "clock_source",
            Distrust::Forbidden => "forbidden",
            Distrust::RateUnknown => "rate_unknown",
            Distrust::Apart => "apart",
            Distrust::Misspelt => "misspelt",
            Distrust::Shared => "shared",
        }
    }

    /// The one whose number this is.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        let all = [
            Distrust::Chosen,
            Distrust::Unsuitable,
            Distrust::ClockSource,
            Distrust::Forbidden,
            Distrust::RateUnknown,
            Distrust::Apart,
            Distrust::Misspelt,
            Distrust::Shared,
        ];
        all.into_iter().find(|why| *why as u8 == number)
    }
}

/// How long the machine has slept: somewhere from `least` to `width` more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Slept {
    pub(crate) least: Span,
    pub(crate) width: Span,
}

impl Slept {
    /// How far two of them certainly are from one another.
    pub(crate) fn distance(self, other: Slept) -> Span {
        let most = |slept: Slept| slept.least + slept.width;
        (other.least - most(self)).max(self.least - most(other)).max(Span::ZERO)
    }
}

/// When something must be over; never, if that is further away than instants go.
#[cfg(feature = "nts")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Deadline(Option<Instant>);

#[cfg(feature = "nts")]
impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        Deadline(Instant::now().checked_add(limit))
    }

    /// How long there is still, or that it is over.
    pub(crate) fn left(self) -> io::Result<Duration> {
        let Some(deadline) = self.0 else { return Ok(Duration::MAX) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}
