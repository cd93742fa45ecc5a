//! A hybrid logical clock over a [`Clock`].

use ntp_clock_core::{HybridError, HybridTime};

use crate::clock::Clock;
use crate::last_stamp::LastStamp;

/// Stamps that follow what caused them, by messages and within this clock, and are never ahead of
/// true time: a hybrid logical clock (Kulkarni et al., 2014).
///
/// A stamp holds the earliest that true time can be, and a count ([`HybridTime`]). So no stamp of
/// an honest clock is ahead of true time, and a stamp received that is later than true time can be
/// here is refused, before it can carry the clocks of everybody along; no honest one is. All who
/// exchange stamps have to make them so.
///
/// While the clock has no reading there is no stamp either ([`HybridError::NoReading`]), though one
/// could count on: a stamp's time would grow older than any bound that the clock ever gave, and what
/// is received could not be examined. The last stamp stays, so stamps go on after it as soon as
/// there are readings, also in a new epoch that begins earlier. Where that is because readings were
/// wrong, and the last stamp is ahead of true time by what is known now, there is none until that
/// has passed ([`HybridError::Ahead`]); make another clock if you cannot wait. While a leap
/// second is pending true time may be a second earlier, and stamps count for as long.
///
/// Any number of threads may share it; it never locks or waits. In a forked child it is another
/// clock, whose stamps may equal those of its parent.
///
/// ```
/// use std::time::Duration;
/// use ntp_clock::{HybridClock, HybridError, ManualClock, Span, UnixTime};
///
/// let manual = ManualClock::new();
/// let ours = HybridClock::new(manual.clock());
/// assert_eq!(ours.now(), Err(HybridError::NoReading));
///
/// manual.set(UnixTime::from_nanos(1_759_639_032_000_000_000), Span::from_millis(2));
/// let sent = ours.now()?; // goes along with a message, as `to_bits()` or as text
///
/// let other = ManualClock::new();
/// other.set(UnixTime::from_nanos(1_759_639_031_999_000_000), Span::from_millis(5));
/// let theirs = HybridClock::new(other.clock());
/// assert!(theirs.receive(sent)? > sent);
///
/// manual.advance(Duration::from_secs(60));
/// let wrong = ours.now()?;
/// assert!(matches!(theirs.receive(wrong), Err(HybridError::Future { .. })));
/// # Ok::<(), HybridError>(())
/// ```
#[derive(Debug)]
pub struct HybridClock {
    clock: Clock,
    last: LastStamp,
}

impl HybridClock {
    /// One that has made no stamp yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        HybridClock { clock, last: LastStamp::new(0) }
    }

    /// One that goes on from a stamp that was kept, as after a restart: all its stamps are later.
    #[must_use]
    pub fn resume(clock: Clock, last: HybridTime) -> Self {
        HybridClock { clock, last: LastStamp::new(last.to_bits()) }
    }

    /// The stamp of an event here, such as that a message is sent: later than all before it.
    ///
    /// # Errors
    /// [`HybridError`]; the last stamp stays what it is.
    pub fn now(&self) -> Result<HybridTime, HybridError> {
        self.advance(None)
    }

    /// The stamp of the event that a message came: later than the message's and all before it here.
    ///
    /// # Errors
    /// [`HybridError::Future`] where the stamp received is later than true time can be, or another
    /// [`HybridError`]; the last stamp stays what it is.
    pub fn receive(&self, stamp: HybridTime) -> Result<HybridTime, HybridError> {
        self.advance(Some(stamp))
    }

    /// The last stamp, to be kept for [`HybridClock::resume`]; `None` before the first.
    #[must_use]
    pub fn last(&self) -> Option<HybridTime> {
        stamp_of(self.last.get())
    }

    fn advance(&self, received: Option<HybridTime>) -> Result<HybridTime, HybridError> {
        let after = |last| {
            let reading = self.clock.now().ok_or(HybridError::NoReading)?;
            HybridTime::after(stamp_of(last), received, &reading).map(HybridTime::to_bits)
        };
        self.last.advance(after).map(HybridTime::from_bits)
    }
}

fn stamp_of(bits: u64) -> Option<HybridTime> {
    (bits != 0).then(|| HybridTime::from_bits(bits))
}
