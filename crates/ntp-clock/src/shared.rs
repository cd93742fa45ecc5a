//! What readers and the background thread share, and how a reading is made.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use ntp_clock_core::{EngineConfig, LocalTime, Mapping, Reading, Span};

use crate::counters::Counters;
use crate::driver::Driver;
use crate::failure::{Failure, FailureKind};
use crate::fork::{self, ForkCell};
use crate::journal::Journal;
use crate::os::{self, Waiter};
use crate::page::{Page, View};
use crate::runtime::Runtime;
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
        self.look().map(|(_, reading)| reading)
    }

    /// The reading of another moment of the counter, by the very page that gives one of now.
    pub(crate) fn at(self: &Arc<Self>, local: LocalTime) -> Option<Reading> {
        self.look()?.0.mapping.read(local)
    }

    /// One look at the page, and the reading of now that it gives.
    #[inline]
    fn look(self: &Arc<Self>) -> Option<(View, Reading)> {
        self.notice_fork();
        let view = self.page.view(|| self.counters.local());
        let reading = self.page.reading(&view)?;
        if self.clocks_drifted(&view) && self.counter_lost_time(&view) {
            return None;
        }
        Some((view, reading))
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
    fn clocks_drifted(&self, view: &View) -> bool {
        let elapsed = view.local - view.reference.local;
        let drift = (self.counters.wall_coarse() - view.reference.wall) - elapsed;
        drift.abs().as_nanos() > DRIFT_FIXED_NS + elapsed.abs().as_nanos() / DRIFT_DIVISOR
    }

    /// Tells the causes apart, and has the thread look after either.
    #[cold]
    fn counter_lost_time(&self, view: &View) -> bool {
        let elapsed = view.local - view.reference.local;
        let lost = os::has_slept(view.reference.slept, self.counters.slept(), elapsed);
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
        let view = self.page.view(|| self.counters.local());
        view.mapping.read(view.local).map(|_| view.mapping)
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
        os::close_inherited(&inherited.socket_descriptors());
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
            let failure = Failure::new(FailureKind::of_system(&error), message);
            self.runtime().lock().last_error = Some(failure);
        }
    }
}

const THREAD_NAME: &str = "ntp-clock";
const NO_THREAD: u64 = u64::MAX;
/// Ticks of the coarse clock and scheduling between two readings ...
const DRIFT_FIXED_NS: i64 = 50_000_000;
/// ... and steering of up to 500 ppm with a margin: one part in so many is 600 ppm.
const DRIFT_DIVISOR: i64 = 1_667;
