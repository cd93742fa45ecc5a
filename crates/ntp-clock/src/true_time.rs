//! TrueTime's questions (Corbett et al., "Spanner", OSDI 2012, section 3), put to a [`Clock`].

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ntp_clock_core::{Reading, Span, UnixTime};

use crate::clock::Clock;

/// TrueTime: what has certainly passed, and waiting until something has.
///
/// All times are UTC as the server has it, on Unix's scale. The earliest and the latest that it can
/// be now are the reading's time less and plus its `max_error`. Without a reading every answer is
/// `None`: neither past nor future, and [`Clock::now`] says as much as these.
///
/// Where a leap second was announced, `max_error` is a second more from the last second before it
/// on until the server has shown on which side of it its time is: so a time that is past does not
/// come again when Unix time runs through a second twice. Waits take two seconds longer meanwhile.
/// A new epoch may begin earlier, and a synchronisation may leave a greater error: a time that had
/// certainly passed has passed all the same, though a later look may not know it.
///
/// ```
/// use std::time::Duration;
/// use ntp_clock::{ManualClock, Span, UnixTime};
///
/// let manual = ManualClock::new();
/// let clock = manual.clock();
/// manual.set(UnixTime::from_nanos(1_000_000_000), Span::from_millis(4));
///
/// // Commit wait: the stamp is at or after true time now, and by the time that anybody sees the
/// // commit it has passed on every clock.
/// let stamp = clock.latest().expect("synchronised");
/// assert_eq!(clock.is_past(stamp), Some(false));
/// manual.advance(Duration::from_millis(9)); // others' time goes by itself
/// let reading = clock.wait_until_past(stamp, Duration::from_secs(1))?;
/// assert!(reading.earliest() > stamp);
/// # Ok::<(), ntp_clock::WaitError>(())
/// ```
impl Clock {
    /// The earliest that true time can be now; `None` while the clock is not synchronised.
    #[must_use]
    pub fn earliest(&self) -> Option<UnixTime> {
        self.now().map(|reading| reading.earliest())
    }

    /// The latest that true time can be now; `None` while the clock is not synchronised. It is the
    /// time to give to what is committed now.
    #[must_use]
    pub fn latest(&self) -> Option<UnixTime> {
        self.now().map(|reading| reading.latest())
    }

    /// Whether this time has certainly passed; `None` while the clock is not synchronised.
    #[must_use]
    pub fn is_past(&self, time: UnixTime) -> Option<bool> {
        self.now().map(|reading| reading.is_past(time))
    }

    /// Whether this time has certainly not come yet; `None` while the clock is not synchronised.
    #[must_use]
    pub fn is_future(&self, time: UnixTime) -> Option<bool> {
        self.now().map(|reading| reading.is_future(time))
    }

    /// Waits until this time has certainly passed, at most so long, and gives the reading that
    /// says so: its `earliest()` is later. It never returns one that does not.
    ///
    /// The wait is as long as the error of the moment asks for, and is worked out again whenever
    /// the clock hears of its server: so it ends as early as is right and no earlier, also where
    /// errors grow and shrink meanwhile. It goes on through new epochs, and a clock that has no
    /// reading is waited for, as after a sleep of the machine, during which the time-out stands
    /// still.
    ///
    /// # Errors
    /// [`WaitError`] where the time-out passes first, and at once where it is certain to.
    pub fn wait_until_past(&self, time: UnixTime, timeout: Duration) -> Result<Reading, WaitError> {
        let deadline = Instant::now().checked_add(timeout);
        let left = || match deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        };
        // Not even making the thread's acquaintance is needed where the time has passed.
        if let Look::Past(reading) = self.look_past(time, left())? {
            return Ok(reading);
        }
        self.wait_for(|reading, _| match look(reading, time, left()) {
            Ok(Look::Past(reading)) => ControlFlow::Break(Ok(reading)),
            Ok(Look::NotYet(pause)) => ControlFlow::Continue(pause),
            Err(error) => ControlFlow::Break(Err(error)),
        })
    }

    /// One look at whether this time has certainly passed, for those who wait by themselves, as
    /// async code does; `left` is what is left of their time-out.
    ///
    /// ```no_run
    /// # use std::time::{Duration, Instant};
    /// # use ntp_clock::{Clock, Look, Reading, UnixTime, WaitError};
    /// # async fn sleep(_: Duration) {}
    /// async fn wait_until_past(clock: &Clock, time: UnixTime) -> Result<Reading, WaitError> {
    ///     let (begun, limit) = (Instant::now(), Duration::from_secs(5));
    ///     loop {
    ///         match clock.look_past(time, limit.saturating_sub(begun.elapsed()))? {
    ///             Look::Past(reading) => return Ok(reading),
    ///             Look::NotYet(pause) => sleep(pause).await, // your runtime's
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`WaitError`] where nothing is left, and where the time cannot have passed within what is.
    pub fn look_past(&self, time: UnixTime, left: Duration) -> Result<Look, WaitError> {
        look(self.now(), time, left)
    }
}

/// What [`Clock::look_past`] saw.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Look {
    /// The time has certainly passed, as this reading says.
    Past(Reading),
    /// It is not certain. Look again after this pause, of at most 50 ms.
    NotYet(Duration),
}

/// Why it is not certain that a time has passed. A caller that waited to commit must not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The time-out passed first.
    #[error("timed out before that time had certainly passed: {}", in_words(.left))]
    TimedOut {
        /// How much longer it would have taken, by the error of the moment; `None` where the clock
        /// has no reading.
        left: Option<Span>,
    },
    /// The time is further ahead than the time-out: it was not waited for.
    #[error("that time is at least {ahead:?} ahead, longer than the time-out: did not wait")]
    TooFar {
        /// From the latest that true time can be now; [`Span::MAX`] where it is never past.
        ahead: Span,
    },
}

fn in_words(left: &Option<Span>) -> String {
    match left {
        Some(left) => format!("{:.3} ms more would be needed", left.as_millis_f64()),
        None => "the clock is not synchronised".to_owned(),
    }
}

fn look(reading: Option<Reading>, time: UnixTime, left: Duration) -> Result<Look, WaitError> {
    let gap = reading.map(|reading| reading.until_past(time));
    if let (Some(reading), Some(None)) = (reading, gap) {
        return Ok(Look::Past(reading));
    }
    let ahead = reading.map(|reading| time - reading.latest());
    if time == UnixTime::MAX || ahead.is_some_and(|ahead| ahead > reach_of(left)) {
        return Err(WaitError::TooFar { ahead: ahead.unwrap_or(Span::MAX) });
    }
    let gap = gap.flatten();
    if left.is_zero() {
        return Err(WaitError::TimedOut { left: gap });
    }
    Ok(Look::NotYet(gap.map_or(LOOK, Duration::from).min(LOOK).min(left)))
}

/// What true time may gain at most while so much of the standard library's clock goes by: both are
/// steered, and a second can be left out.
fn reach_of(left: Duration) -> Span {
    let left = Span::from(left);
    left + Span::from_nanos(left.as_nanos() / 256) + Span::from_secs(1)
}

/// Those who wait look so often at least: nobody may be there to wake them.
const LOOK: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: UnixTime = UnixTime::from_nanos(1_759_639_032_000_000_000);

    fn reading(max_error_ms: i64) -> Option<Reading> {
        Some(Reading::new(TIME, Span::from_millis(max_error_ms), Span::ZERO, 1))
    }

    fn after(ms: i64) -> UnixTime {
        TIME + Span::from_millis(ms)
    }

    #[test]
    fn a_pause_is_what_the_error_asks_for_or_what_is_left_and_never_long() {
        let second = Duration::from_secs(1);
        let pause = |error_ms, ms, left| match look(reading(error_ms), after(ms), left) {
            Ok(Look::NotYet(pause)) => pause,
            other => panic!("{other:?}"),
        };
        assert_eq!(pause(7, 7, second), Duration::from_nanos(14_000_001));
        assert_eq!(pause(7, -7, second), Duration::from_nanos(1));
        assert_eq!(pause(7, 900, second), LOOK);
        assert_eq!(pause(7, 7, Duration::from_millis(3)), Duration::from_millis(3));
        assert!(matches!(look(reading(7), after(-8), Duration::ZERO), Ok(Look::Past(_))));
        assert_eq!(look(None, after(-8), second), Ok(Look::NotYet(LOOK)));
    }

    #[test]
    fn a_time_out_says_how_much_longer_it_would_take_or_that_there_is_no_time() {
        let error = look(reading(7), after(0), Duration::ZERO).expect_err("nothing is left");
        assert_eq!(error, WaitError::TimedOut { left: Some(Span::from_nanos(7_000_001)) });
        assert!(error.to_string().ends_with(": 7.000 ms more would be needed"), "{error}");
        let error = look(None, after(0), Duration::ZERO).expect_err("nothing is left");
        assert_eq!(error, WaitError::TimedOut { left: None });
        assert!(error.to_string().ends_with(": the clock is not synchronised"), "{error}");
    }

    #[test]
    fn a_time_that_no_wait_reaches_is_refused_at_once_and_one_that_a_wait_may_reach_is_not() {
        let ten = Duration::from_secs(10);
        let refused = look(reading(7), after(11_100), ten);
        assert_eq!(refused, Err(WaitError::TooFar { ahead: Span::from_millis(11_093) }));
        // Clocks run fast, and a second may be left out.
        assert_eq!(look(reading(7), after(11_040), ten), Ok(Look::NotYet(LOOK)));
        for left in [Duration::ZERO, ten, Duration::MAX] {
            let far = look(reading(7), UnixTime::MAX, left);
            assert!(matches!(far, Err(WaitError::TooFar { .. })), "{far:?}");
            let far = look(None, UnixTime::MAX, left);
            assert_eq!(far, Err(WaitError::TooFar { ahead: Span::MAX }));
        }
        let just_before = UnixTime::MAX - Span::from_nanos(1);
        assert_eq!(look(reading(7), just_before, Duration::MAX), Ok(Look::NotYet(LOOK)));
    }
}
