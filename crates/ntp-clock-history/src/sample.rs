//! What goes into a history and what comes out.

/// One look at both clocks.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample {
    /// The counter before the look at the SDK's clock, nanoseconds.
    pub counter_ns: i64,
    /// How long the look took, nanoseconds: the SDK's clock showed `system_ns` at some moment from
    /// `counter_ns` to `counter_ns + width_ns`.
    pub width_ns: i64,
    /// What the SDK's clock showed, Unix nanoseconds by that clock.
    pub system_ns: i64,
    /// The SDK's clock is rounded down to multiples of this: 1, or 1 000 000 for `Date.now()`.
    pub resolution_ns: i64,
    /// Which counter it is. Two samples with different ones have a sleep of the machine between
    /// them, in which the counter stood still for a time that nobody knows. The next one may go on
    /// where this one stood, or begin lower.
    pub counter: u64,
    /// True time at `counter_ns`, if the synchronised clock knew it.
    pub reading: Option<Dated>,
}

/// True time with its errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dated {
    /// True time, Unix nanoseconds.
    pub time_ns: i64,
    /// Hard bound on its error, nanoseconds.
    pub max_error_ns: i64,
    /// One standard deviation, nanoseconds.
    pub est_error_ns: i64,
    /// Times of one epoch never decrease with the counter. Where a moment may be of two, it is the
    /// later; the error covers both.
    pub epoch: u64,
}

/// A moment of a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// What the counter read, nanoseconds.
    pub counter_ns: i64,
    /// Which counter that is, as in [`Sample::counter`].
    pub counter: u64,
}

/// The moments at which the SDK's clock can have shown a time: all of them are from `earliest` to
/// `latest`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traced {
    /// The first of them.
    pub earliest: Moment,
    /// The last of them.
    pub latest: Moment,
    /// The clock was stepped back, and showed this time more than once.
    pub ambiguous: bool,
}

/// What the caller knows of the moment itself, by the counter that the last sample is of, or one that
/// this went on from. A counter that began lower: all that is before it was earlier than any of its
/// readings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Window {
    /// It was not earlier than this, nanoseconds.
    pub not_before_ns: Option<i64>,
    /// It was not later than this, nanoseconds.
    pub not_after_ns: Option<i64>,
}
