//! What verdicts rest on.

/// A piece of what is known, by its place in what a closure was made of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// Both stamps are of this clock, whose counter runs forwards.
    Counter(usize),
    /// A link.
    Link(usize),
    /// A cause.
    Cause(usize),
    /// What time it was at this stamp.
    Reading(usize),
}

/// What one step from clock to clock rests on, small.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// It is where the way begins.
    Start,
    Link(u32),
    Cause(u32),
    Reading(u32),
}

impl Why {
    /// For whoever asks; nothing for the beginning.
    pub(crate) fn reason(self) -> Option<Reason> {
        match self {
            Why::Start => None,
            Why::Link(link) => Some(Reason::Link(link as usize)),
            Why::Cause(cause) => Some(Reason::Cause(cause as usize)),
            Why::Reading(stamp) => Some(Reason::Reading(stamp as usize)),
        }
    }
}
