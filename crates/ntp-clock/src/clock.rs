//! The clock as programs use it.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ntp_clock_core::{LocalTime, Reading, Span};

use crate::config::{ConfigError, check_poll_interval};
use crate::counter_id::CounterId;
use crate::environment::EnvironmentError;
use crate::event::Events;
use crate::failure::{Failure, FailureKind};
use crate::keeper;
use crate::moment::Moment;
use crate::runtime::{State, Thread};
use crate::server::{Server, ServerError};
use crate::shared::Shared;
use crate::stamp::Stamp;
use crate::status::Status;

/// A clock that keeps itself synchronised with one server, on one background thread.
///
/// Cheap to clone: all clones are one clock. It stops when the last clone is dropped. Readings
/// never lock, allocate or wait.
///
/// ```no_run
/// use std::time::Duration;
/// use ntp_clock::Clock;
///
/// let clock = Clock::global();
/// clock.wait_synced(Duration::from_secs(5));
/// match clock.now() {
///     Some(reading) => println!("{} ± {:?}", reading.time(), reading.max_error()),
///     None => println!("no time: {:?}", clock.status().last_error_code()),
/// }
/// ```
#[derive(Clone)]
pub struct Clock(Arc<Handle>);

/// Stops the clock when dropped; the thread holds the shared part, but not this.
struct Handle {
    shared: Arc<Shared>,
}

impl Clock {
    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        Clock(Arc::new(Handle { shared }))
    }
}

/// For tests that look behind it.
#[cfg(test)]
impl Clock {
    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

/// Reading.
impl Clock {
    /// The time now with its errors, or `None` while the clock is not synchronised.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Option<Reading> {
        let shared = &self.0.shared;
        let reading = shared.now_at_a_glance();
        if reading.is_none() || shared.runtime().is_inherited() {
            return self.look_closer();
        }
        reading
    }

    /// The reading of now where a glance at the page is not enough.
    #[inline(never)]
    fn look_closer(&self) -> Option<Reading> {
        let shared = &self.0.shared;
        keeper::notice_fork(shared);
        let reading = shared.now();
        if reading.is_none() {
            keeper::look_after(shared);
        }
        reading
    }

    /// The time at another moment of the local counter, for events captured earlier with
    /// [`Clock::local_now`], also from before the first synchronisation.
    ///
    /// `None` while the clock is not synchronised, for moments before the last sleep of the
    /// machine, and for moments beyond the time for which the clock can speak.
    #[must_use]
    pub fn at(&self, local: LocalTime) -> Option<Reading> {
        keeper::notice_fork(&self.0.shared);
        self.0.shared.at(local)
    }

    /// The time at a moment of the standard library's clock.
    ///
    /// That clock may be steered (on Linux), so the errors grow by what steering can have done
    /// since the two clocks were last compared.
    #[must_use]
    pub fn at_instant(&self, instant: Instant) -> Option<Reading> {
        let shared = &self.0.shared;
        keeper::notice_fork(shared);
        let now = Moment::read(|| shared.counters.local());
        let then = shared.runtime().lock().moment;
        let (local, error) = now.local_at(instant, then);
        self.at(local).map(|reading| reading.widened(error))
    }

    /// The time at a moment of the kernel's raw counter (`CLOCK_MONOTONIC_RAW`), as other programs
    /// and tools of this machine tell it. `None` where [`Clock::at`] gives none, and on other
    /// systems than Linux.
    ///
    /// Where the clock uses the processor's own counter, the moment is carried over to that by
    /// comparisons of both, one a round; what they may be off by is in both errors.
    #[must_use]
    pub fn at_raw(&self, raw: Duration) -> Option<Reading> {
        let shared = &self.0.shared;
        keeper::notice_fork(shared);
        let (local, error) = shared.local_of_raw(Span::from(raw))?;
        self.at(local).map(|reading| reading.widened(error))
    }

    /// The local counter now, to be dated later by [`Clock::at`].
    #[inline]
    #[must_use]
    pub fn local_now(&self) -> LocalTime {
        self.0.shared.counters.local()
    }

    /// The counter, which counter it is, and the time now: all of one moment.
    ///
    /// It is what to keep of an event that others are to compare with theirs: the counter is there
    /// also while the clock is not synchronised.
    #[inline]
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        let shared = &self.0.shared;
        keeper::notice_fork(shared);
        let stamp = shared.stamp();
        if stamp.reading.is_none() {
            keeper::look_after(shared);
        }
        stamp
    }

    /// Which counter [`Clock::local_now`] reads; another one after a sleep of the machine.
    #[must_use]
    pub fn counter_id(&self) -> CounterId {
        self.stamp().counter_id
    }

    /// Waits until the clock is synchronised, at most so long; gives whether it is.
    #[must_use]
    pub fn wait_synced(&self, timeout: Duration) -> bool {
        // Not even making the thread's acquaintance is needed where there is a reading.
        self.now().is_some() || self.wait_until(timeout, |reading, _| reading.map(drop)).is_some()
    }

    /// Waits until `ready` gives something or the time-out passes.
    fn wait_until<T>(
        &self,
        timeout: Duration,
        mut ready: impl FnMut(Option<Reading>, &State) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now().checked_add(timeout);
        self.wait_for(|reading, state| {
            if let Some(value) = ready(reading, state) {
                return ControlFlow::Break(Some(value));
            }
            let left = deadline.map_or(LOOK, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return ControlFlow::Break(None);
            }
            ControlFlow::Continue(left.min(LOOK))
        })
    }

    /// Looks until a look ends it, again after the pause that each look gives or earlier, and has
    /// the clock looked after meanwhile.
    pub(crate) fn wait_for<T>(
        &self,
        mut look: impl FnMut(Option<Reading>, &State) -> ControlFlow<T, Duration>,
    ) -> T {
        let shared = &self.0.shared;
        loop {
            keeper::look_after(shared);
            // Read by what is shared alone: the keeper would ask for the lock that is held here.
            let look = |state: &State| look(shared.now(), state);
            if let ControlFlow::Break(value) = shared.runtime().look_and_wait(look) {
                return value;
            }
        }
    }
}

/// Looking after it.
impl Clock {
    /// The one server, or why there is none: the environment variable that was to name it is
    /// malformed.
    ///
    /// # Errors
    /// [`ServerError`] for a clock that will never be synchronised, for this reason.
    pub fn server(&self) -> Result<&Server, &ServerError> {
        self.0.shared.server.as_ref()
    }

    /// Why this clock, which all of the program shares, will never be synchronised: the environment
    /// variables for it cannot be followed. `None` for all other clocks.
    #[must_use]
    pub fn environment_error(&self) -> Option<EnvironmentError> {
        self.0.shared.environment_error()
    }

    /// Everything about the clock at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(&self.0.shared, self.now())
    }

    /// Holds a round now and waits for its end; joins one that is under way. The last requests of a
    /// first round, which are spread over 1.5 s, are not waited for.
    ///
    /// # Errors
    /// [`SyncError`] where the round had no believed reply, where the server asked not to be
    /// asked for now, or where this clock has no server.
    pub fn sync_now(&self) -> Result<Reading, SyncError> {
        let ticket = self.request_sync();
        let outcome = self.wait_until(SYNC_LIMIT, |_, state| self.outcome_in(state, &ticket));
        let silent = || Failure::new(FailureKind::NoAnswer, "no answer from the clock's thread");
        let lost = || Failure::new(FailureKind::LostTime, "the clock lost its time meanwhile");
        outcome.unwrap_or_else(|| Err(SyncError(silent())))?;
        self.now().ok_or_else(|| SyncError(lost()))
    }

    /// Asks for a round without waiting; [`Clock::sync_outcome`] tells how it ended.
    #[must_use]
    pub fn request_sync(&self) -> SyncTicket {
        let shared = &self.0.shared;
        keeper::look_after(shared);
        let runtime = shared.runtime();
        let ticket = {
            let mut state = runtime.lock();
            state.requested += 1;
            state.requested
        };
        runtime.ring();
        SyncTicket(ticket)
    }

    /// How a round asked for by [`Clock::request_sync`] ended; `None` while it has not.
    #[must_use]
    pub fn sync_outcome(&self, ticket: &SyncTicket) -> Option<Result<(), SyncError>> {
        self.outcome_in(&self.0.shared.runtime().lock(), ticket)
    }

    fn outcome_in(&self, state: &State, ticket: &SyncTicket) -> Option<Result<(), SyncError>> {
        let failed = |kind, detail| match &state.last_error {
            Some(failure) => failure.clone(),
            None => Failure::new(kind, detail),
        };
        match self.0.shared.runtime().thread() {
            Thread::None => {
                return Some(Err(SyncError(failed(FailureKind::ByHand, "set by hand"))));
            }
            Thread::Wanted => {
                let detail = "the synchronisation thread could not be started";
                return Some(Err(SyncError(failed(FailureKind::NoResources, detail))));
            }
            Thread::Running => {}
        }
        if state.answered < ticket.0 {
            return None;
        }
        state.answer.clone().map(|answer| answer.map_err(SyncError))
    }

    /// Pause between polls.
    #[must_use]
    pub fn poll_interval(&self) -> Duration {
        self.0.shared.poll_interval().into()
    }

    /// Changes the pause between polls, from the next one on or at once if it becomes shorter.
    ///
    /// # Errors
    /// [`ConfigError::PollInterval`] outside 1 s to one day.
    pub fn set_poll_interval(&self, interval: Duration) -> Result<(), ConfigError> {
        keeper::notice_fork(&self.0.shared);
        self.0.shared.set_poll_interval(check_poll_interval(interval)?);
        Ok(())
    }

    /// Events from now on. In a forked child, subscribe again.
    ///
    /// ```
    /// use ntp_clock::{Clock, Event};
    /// let clock = Clock::builder().server("localhost:11123".parse()?).build()?;
    /// let events = clock.subscribe();
    /// while let Some(event) = events.try_next() {
    ///     if let Event::Disrupted(disruption) = event.kind() {
    ///         println!("{event} [{}]", disruption.name()); // "restored", "paused" ...
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn subscribe(&self) -> Events {
        keeper::notice_fork(&self.0.shared);
        self.0.shared.runtime().lock().subscribers.subscribe(None)
    }

    /// Events from now on; `notify` is called whenever there are new ones, readings begin or end,
    /// or a round asked for is over. It is called on a thread of its own, once for several of them
    /// that come together, and delays nothing, however long it takes.
    #[must_use]
    pub fn subscribe_with(&self, notify: impl Fn() + Send + Sync + 'static) -> Events {
        keeper::notice_fork(&self.0.shared);
        self.0.shared.runtime().lock().subscribers.subscribe(Some(Box::new(notify)))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.runtime().stop();
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("server", &self.0.shared.server).finish_non_exhaustive()
    }
}

/// A round asked for.
#[derive(Debug)]
pub struct SyncTicket(u64);

/// Why a round that was asked for did not synchronise the clock.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not synchronised: {0}")]
pub struct SyncError(Failure);

impl SyncError {
    /// What went wrong.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.0
    }
}

/// Those who wait look so often by themselves: waiting depends on nobody who wakes them.
const LOOK: Duration = Duration::from_millis(100);
/// A round takes 2.4 s at most and may have to wait 8 s for its packets and 2 s for another one.
const SYNC_LIMIT: Duration = Duration::from_secs(15);
