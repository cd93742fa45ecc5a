//! What readers and the background thread share, and how a reading is made.

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use ntp_clock_core::{Authentication, EngineConfig, LocalTime, Mapping, Reading, Span};

use crate::bridge::Bridge;
use crate::compared::Compared;
use crate::counter_id::CounterName;
use crate::counters::Counters;
use crate::environment::EnvironmentError;
use crate::fork::ForkCell;
use crate::host::{BadWord, Sharing, SharingStatus, Shown, Unread};
use crate::journal::Journal;
use crate::nts_choice::NtsError;
use crate::os::{self, HostPage};
use crate::page::{Page, View};
use crate::past::Past;
use crate::proof::Security;
use crate::runtime::{Runtime, State, Thread};
use crate::server::{Server, ServerError};
use crate::stamp::Stamp;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) page: Page,
    pub(crate) counters: Counters,
    counter_name: CounterName,
    /// Where the host says what happens to this machine.
    host: Option<&'static HostPage>,
    /// The server, or why there is none to ask.
    pub(crate) server: Result<Server, ServerError>,
    /// What its replies must prove, or why that cannot be had: then nobody is asked either.
    pub(crate) security: Result<Security, NtsError>,
    /// Where the engine's log goes while somebody records.
    pub(crate) journal: Weak<Journal>,
    /// How it is shared with other processes, if it is to be, or why that is not known.
    pub(crate) sharing: Result<Option<Sharing>, BadWord>,
    /// The machine's page, while it is read instead of this process's own.
    shown: ForkCell<Option<Shown>>,
    /// Whether there is one, for readers of clocks that are not shared: one load, which waits for no
    /// other one.
    is_attached: AtomicBool,
    config: EngineConfig,
    poll_interval_ns: AtomicI64,
    runtime: ForkCell<Runtime>,
    compared: Compared,
}

impl Shared {
    /// What a clock shares that `runtime` is to look after.
    pub(crate) fn new(
        server: Result<Server, ServerError>,
        security: Result<Security, NtsError>,
        config: EngineConfig,
        counters: Counters,
        journal: Weak<Journal>,
        runtime: Runtime,
    ) -> Self {
        // Had the machine slept before, an earlier reading of the counter might be from before.
        let counter_whole_since =
            if counters.may_have_slept() { counters.local() } else { LocalTime::MIN };
        let reference = counters.reference();
        Shared {
            page: Page::new(reference),
            counter_name: CounterName::of(&counters, reference.past),
            host: counters.host().ok(),
            poll_interval_ns: AtomicI64::new(config.poll_interval.as_nanos()),
            config: EngineConfig { counter_whole_since, ..config },
            runtime: ForkCell::new(runtime),
            sharing: Ok(None),
            shown: ForkCell::new(None),
            is_attached: AtomicBool::new(false),
            journal,
            compared: Compared::default(),
            counters,
            server,
            security,
        }
    }

    /// The same, shared with other processes.
    pub(crate) fn shared_as(self, sharing: Result<Option<Sharing>, BadWord>) -> Self {
        Shared { sharing, ..self }
    }

    /// A clock that nobody synchronises: its page is written by hand.
    pub(crate) fn by_hand(counters: Counters) -> Self {
        let runtime = Runtime::new(Thread::None);
        let server = Ok(Server::by_hand());
        let (security, config) = (Ok(Security::None), EngineConfig::default());
        Shared::new(server, security, config, counters, Weak::new(), runtime)
    }

    /// Why this clock will never be synchronised, if so.
    pub(crate) fn environment_error(&self) -> Option<EnvironmentError> {
        EnvironmentError::of(&self.server, &self.security)
    }

    /// Whether proof is required; also where it cannot be had.
    pub(crate) fn authentication(&self) -> Authentication {
        self.security.as_ref().map_or(Authentication::Required, Security::authentication)
    }

    /// What a clock that nobody synchronises says from now on.
    pub(crate) fn set_by_hand(&self, mapping: &Mapping) {
        self.page.announce();
        self.page.publish(mapping, self.counters.reference(), || self.counters.local());
        let delivered = self.runtime().lock().subscribers.send(&[]);
        self.runtime().notify();
        delivered.notify();
    }

    /// The reading of now where there is nothing to look at more closely, as there seldom is. Also in
    /// a forked child: no lock is asked for.
    #[inline]
    pub(crate) fn now_at_a_glance(&self) -> Option<Reading> {
        // Its own page has no reading then: that needs no look at the counter.
        if self.is_attached.load(Ordering::Relaxed) {
            return None;
        }
        let glance = self.page.glance(|| self.counters.local())?;
        let quiet = self.compared.covers(glance.local)
            && self.host.is_none_or(|page| page.glance() == glance.host);
        quiet.then_some(glance.reading)
    }

    /// The reading of now.
    #[inline(always)]
    pub(crate) fn now(&self) -> Option<Reading> {
        if self.is_attached.load(Ordering::Relaxed) {
            return self.now_shown();
        }
        self.checked(&self.own_view())
    }

    // Not inlined: a clock of its own pays for nothing but the question.
    #[cold]
    fn now_shown(&self) -> Option<Reading> {
        let Some(shown) = self.shown.get() else { return self.checked(&self.own_view()) };
        match shown.view(|| self.counters.local()) {
            Ok(view) => self.checked(&view),
            Err(unread) => self.checked(&self.wait_for_view(unread)?),
        }
    }

    /// The reading of another moment of the counter.
    pub(crate) fn at(&self, local: LocalTime) -> Option<Reading> {
        let view = self.view()?;
        self.checked(&view)?;
        view.mapping.read(local)
    }

    /// The reading that a view gives, unless the counter has lost time.
    #[inline(always)]
    fn checked(&self, view: &View) -> Option<Reading> {
        let Some(reading) = self.page.reading(view) else {
            self.notice_expiry();
            return None;
        };
        if self.lost_time(view).is_some() {
            return None;
        }
        Some(reading)
    }

    /// The line and the counter, of one moment; nothing where the machine's page gives none.
    fn view(&self) -> Option<View> {
        let Some(shown) = self.shown.get() else { return Some(self.own_view()) };
        match shown.view(|| self.counters.local()) {
            Ok(view) => Some(view),
            Err(unread) => self.wait_for_view(unread),
        }
    }

    #[inline]
    fn own_view(&self) -> View {
        self.page.view(|| self.counters.local())
    }

    /// Looks again for a moment: the page is busy for microseconds, unless its writer lost the
    /// processor, and the next one comes as soon as this process has found it.
    #[cold]
    fn wait_for_view(&self, mut unread: Unread) -> Option<View> {
        let (mut spins, mut naps) = (0, 0);
        while naps < NAPS {
            if unread == Unread::Busy && spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                // Its thread looks after the writer, or finds the next page.
                naps += 1;
                self.runtime().alarm();
                std::thread::sleep(NAP);
            }
            let Some(shown) = self.shown.get() else { return Some(self.own_view()) };
            match shown.view(|| self.counters.local()) {
                Ok(view) => return Some(view),
                Err(again) => unread = again,
            }
        }
        None
    }

    /// The counter, its name and the reading of now.
    #[inline]
    pub(crate) fn stamp(&self) -> Stamp {
        loop {
            let stamp = if self.is_attached.load(Ordering::Relaxed) {
                self.stamp_shown()
            } else {
                self.stamp_by(|| self.own_view())
            };
            if let Some(stamp) = stamp {
                return stamp;
            }
        }
    }

    /// Its own page has no reading while another one is to be read.
    #[cold]
    fn stamp_shown(&self) -> Option<Stamp> {
        self.stamp_by(|| self.view().unwrap_or_else(|| self.own_view()))
    }

    /// One attempt; nothing where the counter's name had to be renewed.
    #[inline]
    fn stamp_by(&self, look: impl FnOnce() -> View) -> Option<Stamp> {
        let known = self.counter_name.known();
        let view = look();
        let noticed = self.lost_time(&view);
        let Some(counter_id) = known.id(view.reference.past, noticed) else {
            self.counter_name.renew(known, view.reference.past, noticed);
            return None;
        };
        let reading = self.page.reading(&view).filter(|_| noticed.is_none());
        if reading.is_none() {
            self.notice_expiry();
        }
        Some(Stamp { counter: view.local, counter_id, reading })
    }

    /// Readings have run out: if the thread does not know that yet, it has overslept.
    #[cold]
    fn notice_expiry(&self) {
        let runtime = self.runtime();
        if runtime.is_serving() {
            runtime.alarm();
        }
    }

    /// Whether counter and wall clock moved apart by more than steering explains: cheap to tell,
    /// true after every sleep, and after every step of the wall clock.
    #[inline(always)]
    fn clocks_drifted(&self, view: &View) -> bool {
        let elapsed = view.local - view.reference.local;
        let drift = (self.counters.wall_coarse() - view.reference.wall) - elapsed;
        drift.abs().as_nanos() > DRIFT_FIXED_NS + elapsed.abs().as_nanos() / DRIFT_DIVISOR
    }

    /// Whether the host said something since the page was written, or is about to. It is looked at
    /// after the counter was read: a machine stands still while its host moves or restores it, so
    /// what the counter says of afterwards is read by a caller that finds the host's word changed.
    #[inline(always)]
    fn host_spoke(&self, view: &View) -> bool {
        self.host.is_some_and(|page| page.glance() != view.reference.past.host)
    }

    /// What has befallen the counter, if anything has since the page was written.
    #[inline(always)]
    fn lost_time(&self, view: &View) -> Option<Past> {
        let drifted = self.clocks_drifted(view);
        if drifted || self.host_spoke(view) {
            return self.counter_lost_time(view, drifted);
        }
        // References of the own page only become newer, so it is true of the next ones, too.
        if self.shown().is_none() {
            self.compared.note(view.local);
        }
        None
    }

    /// Tells the causes apart, and has the thread look after them. A page that the host has merely
    /// written, as where it knows the time better, is none.
    #[cold]
    fn counter_lost_time(&self, view: &View, drifted: bool) -> Option<Past> {
        let before = view.reference.past;
        // One that runs back is of no use, whatever made it do so.
        let back = view.local < view.reference.local;
        let now =
            Past { jumps: before.jumps.wrapping_add(u64::from(back)), ..self.counters.past() };
        let lost = before.until(&now, view.local - view.reference.local).map(|_| now);
        if drifted || lost.is_some() {
            self.runtime().alarm();
        }
        lost
    }

    /// The machine's page, where it is read.
    pub(crate) fn shown(&self) -> Option<&Shown> {
        self.shown.get().as_ref()
    }

    /// Reads the machine's page from now on.
    pub(crate) fn attach(&self, shown: Shown) {
        self.shown.replace(self.shown.get(), Some(shown));
        self.is_attached.store(true, Ordering::Release);
    }

    /// Reads its own page from now on, which has no reading yet and begins another epoch.
    pub(crate) fn detach(&self) {
        if self.shown().is_some() {
            let nothing = nothing_of_epoch(self.fresh_epoch());
            self.page.announce();
            self.page.publish(&nothing, self.counters.reference(), || self.counters.local());
            self.shown.replace(self.shown.get(), None);
            self.is_attached.store(false, Ordering::Release);
        }
    }

    /// An epoch that neither this process nor an earlier page of this boot has had.
    pub(crate) fn fresh_epoch(&self) -> u64 {
        let sixteenths = os::since_boot().as_nanos().max(0) as u64 / 62_500_000;
        let own = self.own_view().mapping.epoch();
        let shown = self.shown().and_then(Shown::epoch).unwrap_or(0);
        (sixteenths.max(1) << EPOCHS_BITS).max(own.max(shown) + 1)
    }

    /// When the writer of the machine's page is to act next.
    pub(crate) fn writers_due(&self) -> Option<LocalTime> {
        self.shown()?.page.due()
    }

    /// This process's part, where the clock is to be shared.
    pub(crate) fn sharing_status(&self, state: &State) -> Option<SharingStatus> {
        let wanted = !matches!(self.sharing, Ok(None));
        wanted.then(|| state.sharing.clone().unwrap_or_else(|| SharingStatus::joining(None)))
    }

    /// A moment of the kernel's raw counter on the one in use, and how far that may be off.
    pub(crate) fn local_of_raw(&self, raw: Span) -> Option<(LocalTime, Span)> {
        if let Some(local) = self.counters.of_raw(raw) {
            return Some((local, Span::ZERO));
        }
        // Without the thread's comparisons, or against them, there is that of now.
        let now = self.counters.raw_pair()?;
        let earlier = self.runtime().lock().bridge;
        let bridge = earlier.and_then(|bridge| bridge.renewed(now));
        Some(bridge.unwrap_or_else(|| Bridge::begin(now)).local_at(raw))
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.runtime.get()
    }

    /// Puts `runtime` in the place of `old`, unless another thread was faster.
    pub(crate) fn replace_runtime(&self, old: &Runtime, runtime: Runtime) -> bool {
        self.runtime.replace(old, runtime)
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
        let view = self.view()?;
        view.mapping.read(view.local).map(|_| view.mapping)
    }
}

/// A mapping without readings, whose first ones will be of this epoch.
pub(crate) fn nothing_of_epoch(epoch: u64) -> Mapping {
    let mut words = Mapping::UNSYNCHRONISED;
    words[Mapping::WORDS - 1] = epoch;
    Mapping::from_words(words)
}

/// A reader looks that often at once at a page that is busy ...
const SPINS: u32 = 64;
/// ... and then as often after a nap.
const NAPS: u32 = 20;
const NAP: Duration = Duration::from_micros(50);
/// A page's first epoch is the sixteenths of a second since boot, and this many bits for those
/// after.
const EPOCHS_BITS: u32 = 20;

/// Ticks of the coarse clock and scheduling between two readings ...
const DRIFT_FIXED_NS: i64 = 50_000_000;
/// ... and steering of up to 500 ppm and a nominal rate that is off, with a margin: one part in so
/// many is 850 ppm.
const DRIFT_DIVISOR: i64 = 1_176;
