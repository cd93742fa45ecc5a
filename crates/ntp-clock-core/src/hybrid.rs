//! Hybrid logical time: stamps that follow what caused them, and stay beside true time.
//!
//! The algorithm is that of Kulkarni, Demirbas, Madappa, Avva and Leone, "Logical Physical Clocks"
//! (OPODIS 2014), figure 5: a stamp is a time and a count, in lexical order; a local or send event
//! takes the greater of the last stamp's time and the clock's, a receive event the greatest of
//! those and the message's; where that is not the clock's own, the count goes on.
//!
//! The clock's part of a stamp is the *earliest* that true time can be, not the middle of the
//! bound. So by induction no stamp of an honest clock is ahead of true time, however large that
//! clock's error is, and a stamp that is later than the latest that true time can be here is
//! certainly wrong. The receiver need not know the sender's error, and refuses no honest stamp.

use core::fmt;
use core::str::FromStr;

use crate::mapping::Reading;
use crate::time::{NANOS_PER_SEC, Span, UnixTime};

/// A stamp of a hybrid logical clock: where it happened before another, by a message or within
/// one clock, it is less.
///
/// 64 bits: 44 of true time in units of 2^-12 s (244 µs) since the Unix epoch, until 2106, and 20
/// that count. The paper keeps 48 and 16; but the count has to last for as long as the clock
/// stands behind a stamp that came from elsewhere, which is up to twice its error. At 40 ms, 16
/// bits end at 0.8 million stamps a second, 20 at 13 million, and 244 µs are finer than the error
/// of most clocks.
///
/// Stamps of two clocks can be equal. Where each is to be unique, put the clock's name beside it.
///
/// ```
/// use ntp_clock_core::{HybridTime, Reading, Span, UnixTime};
///
/// let at = |ms| UnixTime::from_nanos(1_759_639_032_000_000_000) + Span::from_millis(ms);
/// let reading = |ms| Reading::new(at(ms), Span::from_millis(20), Span::ZERO, 1);
/// // Another clock is 30 ms ahead of ours; its error is 20 ms as well.
/// let sent = HybridTime::after(None, None, &reading(130))?;
/// let received = HybridTime::after(None, Some(sent), &reading(100))?;
/// assert!(received > sent);
/// assert!(received.time() <= at(110), "it is not ahead of true time, which is 110 to 120");
/// assert_eq!(received.to_string().parse(), Ok(received));
/// # Ok::<(), ntp_clock_core::HybridError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HybridTime(u64);

/// Why there is no stamp. Whatever it is, the clock's last stamp is still that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum HybridError {
    /// The clock is not synchronised.
    #[error("no stamp: the clock is not synchronised")]
    NoReading,
    /// The stamp received is later than true time can be, by this much: the machine that made it
    /// has a wrong clock, or this one has.
    #[error("the stamp received is {by:?} later than true time can be here: a clock is wrong")]
    Future {
        /// From the latest that true time can be until the stamp.
        by: Span,
    },
    /// This clock's own last stamp is later than true time can be, by this much: its readings were
    /// wrong and are right now, or the stamp that it went on from was.
    #[error(
        "the last stamp is {by:?} later than true time can be: a reading was wrong; wait as long"
    )]
    Ahead {
        /// From the latest that true time can be until the last stamp.
        by: Span,
    },
    /// All 2^20 stamps of the last one's moment are taken; or half of them are by the stamp that
    /// was received, so that nobody else can use them up. The next one can be had once the earliest
    /// that true time can be has passed that moment, in so long.
    #[error("the stamps of one moment are used up: the next one is possible in {wait:?}")]
    Exhausted {
        /// From the earliest that true time can be until the next moment.
        wait: Span,
    },
    /// The reading is before 1970 or after 2106.
    #[error("no stamp: hybrid time reaches from 1970 to 2106")]
    OutOfRange,
}

impl HybridError {
    /// The error in one word that stays from version to version.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            HybridError::NoReading => "no_reading",
            HybridError::Future { .. } => "future",
            HybridError::Ahead { .. } => "ahead",
            HybridError::Exhausted { .. } => "exhausted",
            HybridError::OutOfRange => "out_of_range",
        }
    }
}

impl HybridTime {
    /// The stamp of an event: after the clock's last one and, where the event is that a message
    /// came, after the message's.
    ///
    /// # Errors
    /// [`HybridError`] where no stamp would be both after those and no later than true time can be.
    pub fn after(
        last: Option<HybridTime>,
        received: Option<HybridTime>,
        reading: &Reading,
    ) -> Result<HybridTime, HybridError> {
        let earliest = ticks_of(reading.earliest()).ok_or(HybridError::OutOfRange)?;
        let latest = ticks_of(reading.latest()).ok_or(HybridError::OutOfRange)?;
        let beyond = |stamp: &HybridTime| stamp.ticks() > latest;
        let by = |stamp: HybridTime| stamp.time() - reading.latest();
        if let Some(stamp) = received.filter(beyond) {
            return Err(HybridError::Future { by: by(stamp) });
        }
        if let Some(stamp) = last.filter(beyond) {
            return Err(HybridError::Ahead { by: by(stamp) });
        }
        let exhausted = |stamp: HybridTime| {
            let next_moment = time_of(stamp.ticks() + 1);
            Err(HybridError::Exhausted { wait: next_moment - reading.earliest() })
        };
        let current = |stamp: &HybridTime| stamp.ticks() >= earliest;
        match (last.filter(current), received.filter(current)) {
            // A peer may not use up what is left for our own stamps.
            (last, Some(stamp)) if Some(stamp) > last && stamp.count() >= COUNT_OF_OTHERS => {
                exhausted(stamp)
            }
            (last, received) => match last.max(received) {
                None => Ok(HybridTime(earliest << COUNT_BITS)),
                Some(stamp) if stamp.count() < COUNT_MAX => Ok(HybridTime(stamp.0 + 1)),
                Some(stamp) => exhausted(stamp),
            },
        }
    }

    /// True time when it was made was this or later, given that all clocks involved keep their
    /// bounds. How much later nobody promises, but a clock's stamp is never before the earliest
    /// that true time could be there.
    #[must_use]
    pub const fn time(self) -> UnixTime {
        time_of(self.ticks())
    }

    /// Which of the stamps of its moment this one is, from 0.
    #[must_use]
    pub const fn count(self) -> u32 {
        (self.0 & COUNT_MAX as u64) as u32
    }

    /// The stamp as a number, which is in the stamps' order.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The inverse of [`HybridTime::to_bits`]; any number is a stamp.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        HybridTime(bits)
    }

    const fn ticks(self) -> u64 {
        self.0 >> COUNT_BITS
    }
}

/// 16 hexadecimal digits, in the stamps' order as text too.
impl fmt::Display for HybridTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The text of a stamp is not 16 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, thiserror::Error)]
#[error("a hybrid stamp is 16 hexadecimal digits in lower case, such as 68e1f4b8c4a00000")]
pub struct HybridTextError;

impl FromStr for HybridTime {
    type Err = HybridTextError;

    fn from_str(text: &str) -> Result<Self, HybridTextError> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.bytes().all(digit) {
            return Err(HybridTextError);
        }
        u64::from_str_radix(text, 16).map(HybridTime).map_err(|_| HybridTextError)
    }
}

/// Whole units since 1970, floored; `None` before and after what 44 bits hold.
fn ticks_of(time: UnixTime) -> Option<u64> {
    let nanos = u64::try_from(time.as_nanos()).ok()?;
    let (secs, below) = (nanos / NANOS, nanos % NANOS);
    let ticks = (secs << TICK_BITS) + ((below << TICK_BITS) / NANOS);
    (ticks < 1 << (64 - COUNT_BITS)).then_some(ticks)
}

/// The first nanosecond at which this many units have passed since 1970.
const fn time_of(ticks: u64) -> UnixTime {
    let (secs, below) = (ticks >> TICK_BITS, ticks & ((1 << TICK_BITS) - 1));
    UnixTime::from_nanos((secs * NANOS + (below * NANOS).div_ceil(1 << TICK_BITS)) as i64)
}

const NANOS: u64 = NANOS_PER_SEC as u64;
/// A unit is 2^-12 s.
const TICK_BITS: u32 = 12;
const COUNT_BITS: u32 = 20;
const COUNT_MAX: u32 = (1 << COUNT_BITS) - 1;
/// Received stamps that have counted as far are not followed: the other half is for our own.
const COUNT_OF_OTHERS: u32 = 1 << (COUNT_BITS - 1);

#[cfg(test)]
mod tests;
