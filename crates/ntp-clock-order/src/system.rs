//! What a closure is made of: stamps by several clocks, and what is known of these.

use ntp_clock_core::{LinkSnapshot, LocalTime, Oscillator, Span, UnixTime};

/// An event, by the counter of the entity that stamped it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Whose counter, by its place among the clocks.
    pub clock: usize,
    /// What it read.
    pub counter: LocalTime,
    /// What time it was at that moment, and the hard bound on its error; `None` where the clock
    /// was not synchronised.
    pub utc: Option<(UnixTime, Span)>,
}

/// What a link between two clocks knew at some moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LinkBetween {
    /// The link's A, by its place among the clocks.
    pub a: usize,
    /// The link's B.
    pub b: usize,
    /// The closer its moment to the stamps, the more it says of them.
    pub snapshot: LinkSnapshot,
}

/// One event made the other one happen: a message was sent and received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cause {
    /// The stamp that was taken before the message was sent.
    pub earlier: usize,
    /// The stamp that was taken after it had been received.
    pub later: usize,
}

/// Why there is no closure of this. Places are counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClosureError {
    /// A stamp by a clock that is not there.
    #[error("stamp {stamp} is by clock {clock}, and there are {clocks} clocks")]
    NoClock {
        /// Its place.
        stamp: usize,
        /// What it names.
        clock: usize,
        /// How many there are.
        clocks: usize,
    },
    /// The bound on a reading's error is below zero.
    #[error("the reading of stamp {stamp} has an error below zero")]
    NegativeError {
        /// Its place.
        stamp: usize,
    },
    /// A link that names a clock which is not there.
    #[error("link {link} is of clocks {a} and {b}, and there are {clocks} clocks")]
    NoClockOfLink {
        /// Its place.
        link: usize,
        /// What it names as A.
        a: usize,
        /// What it names as B.
        b: usize,
        /// How many there are.
        clocks: usize,
    },
    /// A clock has no link to itself.
    #[error("link {link} is between clock {clock} and itself")]
    LinkToItself {
        /// Its place.
        link: usize,
        /// What it names twice.
        clock: usize,
    },
    /// The numbers of a link are not those of a link: [`LinkSnapshot::is_sound`].
    #[error(
        "link {link} has numbers that no link has: limits in the wrong order, or rates too far"
    )]
    Unsound {
        /// Its place.
        link: usize,
    },
    /// A cause that names a stamp which is not there, or the same one twice.
    #[error("cause {cause} is of stamps {earlier} and {later}, and there are {stamps} stamps")]
    NoStamps {
        /// Its place.
        cause: usize,
        /// What it names first.
        earlier: usize,
        /// What it names last.
        later: usize,
        /// How many there are.
        stamps: usize,
    },
}

/// All that a closure is made of, checked.
#[derive(Clone, Debug)]
pub(crate) struct System {
    pub(crate) clocks: Vec<Oscillator>,
    pub(crate) stamps: Vec<Stamp>,
    pub(crate) links: Vec<LinkBetween>,
    pub(crate) causes: Vec<Cause>,
}

impl System {
    pub(crate) fn new(
        clocks: &[Oscillator],
        stamps: &[Stamp],
        links: &[LinkBetween],
        causes: &[Cause],
    ) -> Result<Self, ClosureError> {
        let count = clocks.len();
        for (place, stamp) in stamps.iter().enumerate() {
            if stamp.clock >= count {
                return Err(ClosureError::NoClock {
                    stamp: place,
                    clock: stamp.clock,
                    clocks: count,
                });
            }
            if stamp.utc.is_some_and(|(_, max_error)| max_error < Span::ZERO) {
                return Err(ClosureError::NegativeError { stamp: place });
            }
        }
        for (link, &LinkBetween { a, b, snapshot }) in links.iter().enumerate() {
            if a >= count || b >= count {
                return Err(ClosureError::NoClockOfLink { link, a, b, clocks: count });
            }
            if a == b {
                return Err(ClosureError::LinkToItself { link, clock: a });
            }
            if !snapshot.is_sound() {
                return Err(ClosureError::Unsound { link });
            }
        }
        let count = stamps.len();
        for (cause, &Cause { earlier, later }) in causes.iter().enumerate() {
            if earlier >= count || later >= count || earlier == later {
                return Err(ClosureError::NoStamps { cause, earlier, later, stamps: count });
            }
        }
        Ok(System {
            clocks: clocks.to_vec(),
            stamps: stamps.to_vec(),
            links: links.to_vec(),
            causes: causes.to_vec(),
        })
    }

    /// The node of UTC, after those of the counters.
    pub(crate) fn utc(&self) -> usize {
        self.clocks.len()
    }
}
