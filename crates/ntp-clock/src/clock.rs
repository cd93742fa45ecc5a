//! The clock as programs use it.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use ntp_clock_core::{EngineConfig, LocalTime, Reading, Rejection, Span, SyncState};

use crate::counters::Counters;
use crate::event::Events;
use crate::failure::{Failure, FailureKind};
use crate::journal::Journal;
use crate::moment::Moment;
use crate::os;
use crate::recording::Recording;
use crate::runtime::State;
use crate::server::{Server, ServerError};
use crate::shared::Shared;
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

/// Making clocks.
impl Clock {
    /// The clock that all of the program shares: it synchronises with `time.cloudflare.com`, or
    /// with what the environment variable `PORTACODE_NTP_SERVER` names (`host[:port]`).
    ///
    /// A malformed variable leaves the clock unsynchronised, and its status says why.
    pub fn global() -> &'static Clock {
        static GLOBAL: OnceLock<Clock> = OnceLock::new();
        GLOBAL.get_or_init(|| {
            let server = match env::var_os(SERVER_VARIABLE) {
                None => Ok(Server::cloudflare()),
                // What is no text is no server either, and its message shows why.
                Some(text) => OsString::into_string(text)
                    .unwrap_or_else(|raw| raw.to_string_lossy().into_owned())
                    .parse(),
            };
            Clock::start(server, EngineConfig::default(), Weak::new())
        })
    }

    /// A clock of one's own.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use ntp_clock::Clock;
    /// let clock = Clock::builder()
    ///     .server("localhost:11123".parse()?)
    ///     .holdover(Duration::from_secs(600))
    ///     .build()?;
    /// assert!(clock.now().is_none(), "no reply yet, no guess");
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> Builder {
        Builder {
            server: Server::cloudflare(),
            poll_interval: DEFAULT_POLL_INTERVAL,
            holdover: Duration::ZERO,
        }
    }

    fn start(
        server: Result<Server, ServerError>,
        config: EngineConfig,
        journal: Weak<Journal>,
    ) -> Self {
        let shared = Shared::start(server, config, Counters::Os, journal);
        Clock(Arc::new(Handle { shared }))
    }

    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        Clock(Arc::new(Handle { shared }))
    }
}

/// Reading.
impl Clock {
    /// The time now with its errors, or `None` while the clock is not synchronised.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Option<Reading> {
        self.0.shared.now()
    }

    /// The time at another moment of the local counter, for events captured earlier with
    /// [`Clock::local_now`], also from before the first synchronisation.
    ///
    /// `None` while the clock is not synchronised, for moments before the last sleep of the
    /// machine, and for moments beyond the time for which the clock can speak.
    #[must_use]
    pub fn at(&self, local: LocalTime) -> Option<Reading> {
        self.0.shared.at(local)
    }

    /// The time at a moment of the standard library's clock.
    ///
    /// That clock may be steered (on Linux), so the errors grow by what steering can have done
    /// since the two clocks were last compared.
    #[must_use]
    pub fn at_instant(&self, instant: Instant) -> Option<Reading> {
        let shared = &self.0.shared;
        shared.notice_fork();
        let now = Moment::read(&shared.counters);
        let then = shared.runtime().lock().moment;
        let (local, error) = now.local_at(instant, then);
        self.at(local).map(|reading| reading.widened(error))
    }

    /// The local counter now, to be dated later by [`Clock::at`].
    #[inline]
    #[must_use]
    pub fn local_now(&self) -> LocalTime {
        self.0.shared.counters.local()
    }

    /// Waits until the clock is synchronised, at most so long; gives whether it is.
    #[must_use]
    pub fn wait_synced(&self, timeout: Duration) -> bool {
        self.0.shared.notice_fork();
        let deadline = Instant::now().checked_add(timeout);
        self.0.shared.runtime().wait_for(deadline, |_| self.now().map(drop)).is_some()
            || self.now().is_some()
    }
}

/// Looking after it.
impl Clock {
    /// The one server, or why there is none: the environment variable that was to name it is
    /// malformed.
    ///
    /// # Errors
    /// [`ServerError`] for a clock that will never be synchronised.
    pub fn server(&self) -> Result<&Server, &ServerError> {
        self.0.shared.server.as_ref()
    }

    /// Everything about the clock at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        let shared = &self.0.shared;
        let reading = self.now();
        let (local, system) = (self.local_now(), shared.counters.system());
        let state = shared.runtime().lock();
        let engine = state.status;
        let next_in = engine.map(|e| (e.next_sync - local).max(Span::ZERO));
        let mapping = shared.mapping();
        // A clock set by hand, or inherited by a forked child, knows only its mapping.
        let made = mapping.and_then(|m| Some((m.anchor(), m.read(m.anchor())?.time())));
        let replied = engine.and_then(|e| e.last_sync_local.zip(e.last_sync));
        let (last_sync_local, last_sync) = replied.or(made).unzip();
        let by_hand = !shared.runtime().has_thread();
        Status {
            server: match &shared.server {
                Ok(server) => server.to_string(),
                Err(error) => error.text().to_owned(),
            },
            state: match (engine, &reading) {
                // The thread may be about to notice what the reading shows already.
                (_, None) if by_hand => SyncState::Failed,
                (None, Some(_)) => SyncState::Synchronised,
                (None, None) => SyncState::Unsynchronised,
                (Some(engine), _) => engine.state,
            },
            is_synced: reading.is_some(),
            offset: reading.map(|r| {
                Span::from_nanos(r.time().as_nanos()) - Span::from_nanos(system.as_nanos())
            }),
            last_sync: last_sync.filter(|_| reading.is_some()),
            time_since_sync: last_sync_local.map(|at| local - at),
            max_error: reading.map(|r| r.max_error()),
            est_error: reading.map(|r| r.est_error()),
            delay: engine.and_then(|e| e.delay),
            // Not `-rate`: a rate of zero would be told as -0.0.
            drift_ppm: mapping.map(|m| 0.0 - m.rate_ppm()),
            stratum: engine.and_then(|e| e.stratum),
            reference_id: engine.and_then(|e| e.reference_id),
            leap: engine.and_then(|e| e.leap),
            address: state.address,
            server_changes: state.server_changes,
            attempts: engine.map_or(0, |e| e.attempts),
            rejection_counts: engine.map_or([0; Rejection::COUNT], |e| e.rejections),
            requests: engine.map_or(0, |e| e.requests),
            believed: engine.map_or(0, |e| e.believed),
            last_error: state.last_error.clone(),
            next_sync: reading.zip(next_in).map(|(r, wait)| r.time() + wait),
            next_sync_in: next_in,
            epoch: reading.map(|r| r.epoch()).or(engine.map(|e| e.epoch)).unwrap_or(1),
            counter: os::counter_name(),
        }
    }

    /// Holds a round now and waits for its end; joins one that is under way.
    ///
    /// # Errors
    /// [`SyncError`] where the round had no believed reply, where the server asked not to be
    /// asked for now, or where this clock has no server.
    pub fn sync_now(&self) -> Result<Reading, SyncError> {
        let ticket = self.request_sync();
        let deadline = Instant::now().checked_add(SYNC_LIMIT);
        let runtime = self.0.shared.runtime();
        let outcome = runtime.wait_for(deadline, |state| self.outcome_in(state, &ticket));
        let silent = || Failure::new(FailureKind::NoAnswer, "no answer from the clock's thread");
        let lost = || Failure::new(FailureKind::LostTime, "the clock lost its time meanwhile");
        outcome.unwrap_or_else(|| Err(SyncError(silent())))?;
        self.now().ok_or_else(|| SyncError(lost()))
    }

    /// Asks for a round without waiting; [`Clock::sync_outcome`] tells how it ended.
    #[must_use]
    pub fn request_sync(&self) -> SyncTicket {
        let shared = &self.0.shared;
        shared.notice_fork();
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
        if !self.0.shared.runtime().has_thread() {
            let by_hand = || Failure::new(FailureKind::ByHand, "set by hand");
            return Some(Err(SyncError(state.last_error.clone().unwrap_or_else(by_hand))));
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
        self.0.shared.notice_fork();
        self.0.shared.set_poll_interval(check_poll_interval(interval)?);
        Ok(())
    }

    /// Events from now on. In a forked child, subscribe anew.
    #[must_use]
    pub fn subscribe(&self) -> Events {
        self.0.shared.notice_fork();
        self.0.shared.runtime().lock().subscribers.subscribe(None)
    }

    /// Events from now on; `notify` is called from the clock's thread whenever there are new ones,
    /// readings begin or end, or a round asked for is over, and must neither wait nor panic.
    #[must_use]
    pub fn subscribe_with(&self, notify: impl Fn() + Send + Sync + 'static) -> Events {
        self.0.shared.notice_fork();
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

/// Chooses a clock's server and habits.
#[derive(Clone, Debug)]
#[must_use = "nothing happens until build()"]
pub struct Builder {
    server: Server,
    poll_interval: Duration,
    holdover: Duration,
}

impl Builder {
    /// The one server; `time.cloudflare.com` by default.
    pub fn server(mut self, server: Server) -> Self {
        self.server = server;
        self
    }

    /// Pause between polls, 1 s to one day; 5 minutes by default.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// For how long readings go on, with growing errors, once the clock has failed; not at all by
    /// default, at most 30 days.
    pub fn holdover(mut self, holdover: Duration) -> Self {
        self.holdover = holdover;
        self
    }

    /// Starts the clock: its first request leaves at once.
    ///
    /// # Errors
    /// [`ConfigError`] where a value is outside its range.
    pub fn build(self) -> Result<Clock, ConfigError> {
        self.build_with(Weak::new())
    }

    /// Starts the clock, with a log of all it does from its first request on. A
    /// [`Replay`](crate::Replay) of that log reads as this clock does (holdover apart, which no
    /// log tells of).
    ///
    /// # Errors
    /// [`ConfigError`] where a value is outside its range.
    pub fn build_recorded(self) -> Result<(Clock, Recording), ConfigError> {
        let journal = Arc::new(Journal::new());
        let clock = self.build_with(Arc::downgrade(&journal))?;
        let recording = Recording::of(journal, Arc::clone(&clock.0.shared));
        Ok((clock, recording))
    }

    fn build_with(self, journal: Weak<Journal>) -> Result<Clock, ConfigError> {
        let poll_interval = check_poll_interval(self.poll_interval)?;
        if self.holdover > HOLDOVER_MAX {
            return Err(ConfigError::Holdover(self.holdover));
        }
        let config = EngineConfig {
            poll_interval,
            holdover: Span::from(self.holdover),
            ..EngineConfig::default()
        };
        Ok(Clock::start(Ok(self.server), config, journal))
    }
}

/// A value that no clock can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The pause between polls is too short to be polite or too long to be of use.
    #[error("poll interval of {0:?} is outside 1 s to 1 day; 300 s is the usual one")]
    PollInterval(Duration),
    /// Readings would go on for longer than their bound means anything.
    #[error("holdover of {0:?} is longer than 30 days")]
    Holdover(Duration),
}

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

fn check_poll_interval(interval: Duration) -> Result<Span, ConfigError> {
    if (POLL_INTERVAL_MIN..=POLL_INTERVAL_MAX).contains(&interval) {
        Ok(Span::from(interval))
    } else {
        Err(ConfigError::PollInterval(interval))
    }
}

const SERVER_VARIABLE: &str = "PORTACODE_NTP_SERVER";
const DEFAULT_POLL_INTERVAL: Duration = Duration::from_secs(300);
const POLL_INTERVAL_MIN: Duration = Duration::from_secs(1);
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(86_400);
const HOLDOVER_MAX: Duration = Duration::from_secs(30 * 86_400);
/// A round takes 2.4 s at most and may have to wait 8 s for its packets and 2 s for another one.
const SYNC_LIMIT: Duration = Duration::from_secs(15);
