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

/// What steps rest on, each once, as they first come.
pub(crate) fn reasons(steps: impl IntoIterator<Item = Why>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for reason in steps.into_iter().filter_map(Why::reason) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

/// Reasons in words, each once; given the names of a link's ends and those of a cause's stamps.
pub(crate) fn in_words<'a>(
    reasons: &[Reason],
    link: impl Fn(usize) -> Option<(&'a str, &'a str)>,
    cause: impl Fn(usize) -> Option<(&'a str, &'a str)>,
) -> Vec<String> {
    let mut said: Vec<String> = Vec::with_capacity(reasons.len());
    for reason in reasons {
        let words = match *reason {
            Reason::Counter(_) => Some("own counter".to_owned()),
            Reason::Reading(_) => Some("synchronised time".to_owned()),
            Reason::Link(place) => link(place).map(|(a, b)| format!("link {a}-{b}")),
            Reason::Cause(place) => {
                cause(place).map(|(earlier, later)| format!("message {earlier} -> {later}"))
            }
        };
        said.extend(words.filter(|words| !said.contains(words)));
    }
    said
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
    /// In words; nothing for the beginning.
    pub(crate) fn reason(self) -> Option<Reason> {
        match self {
            Why::Start => None,
            Why::Link(link) => Some(Reason::Link(link as usize)),
            Why::Cause(cause) => Some(Reason::Cause(cause as usize)),
            Why::Reading(stamp) => Some(Reason::Reading(stamp as usize)),
        }
    }
}
