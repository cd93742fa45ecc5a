//! What readers and the background thread share, and how a reading is made.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use ntp_clock_core::{EngineConfig, EngineStatus, LocalTime, Mapping, Reading, Span};

use crate::counters::Counters;
use crate::driver::Driver;
use crate::event::Subscribers;
use crate::fork::{self, ForkCell};
use crate::os::{self, Bell, Waiter};
use crate::page::{Page, Snapshot};
use crate::recording::Journal;
use crate::server::{Server, ServerError};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) page: Page,
    pub(crate) counters: Counters,
    /// The server, or why there is none to ask.
    pub(crate) server: Result<Server, ServerError>,
    config: EngineConfig,
    poll_interval_ns: AtomicI64,
    /// The fork generation that `runtime` belongs to.
    generation: AtomicU64,
    runtime: ForkCell<Runtime>,
}

/// Everything with a lock, a thread or a descriptor: made anew in a forked child.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// The fork generation that this belongs to.
    generation: u64,
    state: Mutex<State>,
    changed: Condvar,
    bell: Option<Bell>,
    stop: AtomicBool,
    /// A reader saw the clocks drift apart and rang the bell.
    alarmed: AtomicBool,
    /// Descriptors to be closed in a forked child; the last is the socket's.
    descriptors: Vec<i32>,
    socket: AtomicI32,
}

/// What the thread last told about itself, and what is asked of it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) status: Option<EngineStatus>,
    pub(crate) address: Option<SocketAddr>,
    /// The last failure in words.
    pub(crate) last_error: Option<String>,
    /// The counter and the standard library's clock at one moment.
    pub(crate) instant: Option<(LocalTime, Instant)>,
    pub(crate) subscribers: Subscribers,
    /// Rounds asked for so far; each has a number.
    pub(crate) requested: u64,
    /// The newest request whose round is over, and how it ended.
    pub(crate) answered: u64,
    pub(crate) answer: Option<Result<(), String>>,
}

impl Shared {
    /// A clock that synchronises by itself with `server`, from now on. What it does goes into the
    /// journal for as long as somebody keeps that.
    pub(crate) fn start(
        server: Result<Server, ServerError>,
        config: EngineConfig,
        counters: Counters,
        journal: Weak<Journal>,
    ) -> Arc<Self> {
        fork::watch();
        // Had the machine slept before, an earlier reading of the counter might be from before.
        let counter_whole_since =
            if counters.may_have_slept() { counters.local() } else { LocalTime::MIN };
        let (runtime, waiter) = Runtime::prepare(&server);
        let shared = Arc::new(Shared {
            page: Page::new(counters.reference()),
            poll_interval_ns: AtomicI64::new(config.poll_interval.as_nanos()),
            config: EngineConfig { counter_whole_since, ..config },
            generation: AtomicU64::new(runtime.generation),
            runtime: ForkCell::new(runtime),
            counters,
            server,
        });
        shared.launch(waiter, None, journal);
        shared
    }

    /// A clock that nobody synchronises: its page is written by hand.
    pub(crate) fn by_hand(counters: Counters) -> Arc<Self> {
        Arc::new(Shared {
            page: Page::new(counters.reference()),
            poll_interval_ns: AtomicI64::new(0),
            config: EngineConfig::default(),
            generation: AtomicU64::new(u64::MAX),
            runtime: ForkCell::new(Runtime::idle()),
            counters,
            server: Ok(Server::by_hand()),
        })
    }

    /// What a clock that nobody synchronises says from now on.
    pub(crate) fn set_by_hand(&self, reading: Option<Reading>) {
        let mapping = reading.map(|reading| Mapping::through(&reading, self.counters.local()));
        self.page.announce();
        self.page.publish(mapping.as_ref(), self.counters.reference(), || self.counters.local());
        self.runtime().lock().subscribers.send(&[]);
        self.runtime().notify();
    }

    /// The reading of now.
    #[inline]
    pub(crate) fn now(self: &Arc<Self>) -> Option<Reading> {
        self.notice_fork();
        let snapshot = self.page.snapshot(|| self.counters.local());
        let reading = self.page.reading(&snapshot)?;
        if self.clocks_drifted(&snapshot) && self.counter_lost_time(&snapshot) {
            return None;
        }
        Some(reading)
    }

    /// The reading of another moment of the counter.
    pub(crate) fn at(self: &Arc<Self>, local: LocalTime) -> Option<Reading> {
        self.now()?;
        self.page.snapshot(|| self.counters.local()).mapping.read(local)
    }

    #[inline]
    pub(crate) fn notice_fork(self: &Arc<Self>) {
        let generation = self.generation.load(Ordering::Relaxed);
        if generation != fork::generation() && generation != NO_THREAD {
            self.start_in_child();
        }
    }

    /// Whether counter and wall clock moved apart by more than steering explains: cheap to tell,
    /// true after every sleep, and after every step of the wall clock.
    #[inline]
    fn clocks_drifted(&self, snapshot: &Snapshot) -> bool {
        let elapsed = snapshot.local - snapshot.reference.local;
        let drift = (self.counters.wall_coarse() - snapshot.reference.wall) - elapsed;
        drift.abs().as_nanos() > DRIFT_FIXED_NS + elapsed.abs().as_nanos() / DRIFT_DIVISOR
    }

    /// Tells the causes apart, and has the thread look after either.
    #[cold]
    fn counter_lost_time(&self, snapshot: &Snapshot) -> bool {
        let elapsed = snapshot.local - snapshot.reference.local;
        let lost = os::has_slept(snapshot.reference.slept, self.counters.slept(), elapsed);
        self.runtime().alarm();
        lost
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.runtime.get()
    }

    pub(crate) fn poll_interval(&self) -> Span {
        Span::from_nanos(self.poll_interval_ns.load(Ordering::Relaxed))
    }

    pub(crate) fn set_poll_interval(&self, interval: Span) {
        self.poll_interval_ns.store(interval.as_nanos(), Ordering::Relaxed);
        self.runtime().ring();
    }

    pub(crate) fn config(&self) -> EngineConfig {
        EngineConfig { poll_interval: self.poll_interval(), ..self.config }
    }

    /// The mapping that readers use at this moment, while it is valid.
    pub(crate) fn mapping(&self) -> Option<Mapping> {
        let snapshot = self.page.snapshot(|| self.counters.local());
        snapshot.mapping.read(snapshot.local).map(|_| snapshot.mapping)
    }

    #[cold]
    fn start_in_child(self: &Arc<Self>) {
        let inherited = self.runtime();
        if inherited.generation == fork::generation() {
            return; // Another thread of the child was faster.
        }
        let (runtime, waiter) = Runtime::prepare(&self.server);
        let generation = runtime.generation;
        // From this exchange on nobody meets a lock of the parent's.
        if !self.runtime.replace(inherited, runtime) {
            return;
        }
        self.generation.store(generation, Ordering::Release);
        os::close_inherited(&inherited.descriptors);
        os::close_inherited(inherited.socket_descriptor().as_slice());
        self.launch(waiter, self.mapping(), Weak::new());
    }

    /// Starts the thread, if there is anything for it to do.
    fn launch(
        self: &Arc<Self>,
        waiter: Option<Waiter>,
        inherited: Option<Mapping>,
        journal: Weak<Journal>,
    ) {
        let Some(waiter) = waiter else { return };
        let driver = Driver::new(Arc::clone(self), waiter, inherited, journal);
        let thread = std::thread::Builder::new().name(THREAD_NAME.to_owned());
        if let Err(error) = thread.spawn(move || driver.run()) {
            let message = format!("could not start the synchronisation thread: {error}");
            self.runtime().lock().last_error = Some(message);
        }
    }
}

impl Runtime {
    fn idle() -> Self {
        Runtime {
            generation: fork::generation(),
            state: Mutex::default(),
            changed: Condvar::new(),
            bell: None,
            stop: AtomicBool::new(false),
            alarmed: AtomicBool::new(false),
            descriptors: Vec::new(),
            socket: AtomicI32::new(NO_DESCRIPTOR),
        }
    }

    /// What a thread for this server needs; without one its state says why there is none.
    fn prepare(server: &Result<Server, ServerError>) -> (Self, Option<Waiter>) {
        let problem = match server {
            Ok(_) => match Waiter::new() {
                Ok(waiter) => {
                    let (bell, descriptors) = (Some(waiter.bell()), waiter.descriptors());
                    return (Runtime { bell, descriptors, ..Runtime::idle() }, Some(waiter));
                }
                Err(error) => format!("could not start: {error}"),
            },
            Err(error) => error.to_string(),
        };
        let runtime = Runtime::idle();
        runtime.lock().last_error = Some(problem);
        (runtime, None)
    }

    /// The state; a panic of another holder does not spoil it, every field stands for itself.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready` gives something or the deadline passes.
    pub(crate) fn wait_for<T>(
        &self,
        deadline: Option<Instant>,
        mut ready: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(value) = ready(&mut state) {
                return Some(value);
            }
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    pub(crate) fn has_thread(&self) -> bool {
        self.bell.is_some()
    }

    pub(crate) fn ring(&self) {
        if let Some(bell) = &self.bell {
            bell.ring();
        }
    }

    fn alarm(&self) {
        if !self.alarmed.swap(true, Ordering::AcqRel) {
            self.ring();
        }
    }

    /// Whether a reader raised the alarm since the last look.
    pub(crate) fn take_alarm(&self) -> bool {
        self.alarmed.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.ring();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Notes which socket a forked child would have to close.
    pub(crate) fn set_socket(&self, descriptor: Option<i32>) {
        self.socket.store(descriptor.unwrap_or(NO_DESCRIPTOR), Ordering::Release);
    }

    fn socket_descriptor(&self) -> Option<i32> {
        Some(self.socket.load(Ordering::Acquire)).filter(|fd| *fd != NO_DESCRIPTOR)
    }
}

const THREAD_NAME: &str = "ntp-clock";
const NO_THREAD: u64 = u64::MAX;
const NO_DESCRIPTOR: i32 = -1;
/// Ticks of the coarse clock and scheduling between two readings ...
const DRIFT_FIXED_NS: i64 = 50_000_000;
/// ... and steering of up to 500 ppm with a margin: one part in so many is 600 ppm.
const DRIFT_DIVISOR: i64 = 1_667;
