//! The history of this process: the SDK's clock beside the clock's counter.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, SystemTime};

use ntp_clock::{Clock, LocalTime, Reading};
use ntp_clock_history::{Dated, History, Limits, Sample, Window};

use crate::times::{Times, unix_ns};

/// How often the thread looks at both clocks. A time later than the last look can be dated for
/// some seconds more.
const TICK: Duration = Duration::from_secs(1);

/// Reads the clock that the SDK stamps with.
type SdkClock = Box<dyn Fn() -> SystemTime + Send + Sync>;

pub(crate) struct Keeper {
    clock: Clock,
    sdk_clock: SdkClock,
    server: String,
    history: Mutex<History>,
    synchronised: AtomicBool,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Keeper {
    /// Looks at both clocks from now on, until the last holder is gone.
    pub(crate) fn begin(clock: Clock, sdk_clock: SdkClock) -> Arc<Self> {
        let server = clock.server().map(ToString::to_string).unwrap_or_default();
        let history = Mutex::new(History::new(Limits::default()));
        let synchronised = AtomicBool::new(false);
        let keeper = Arc::new(Keeper { clock, sdk_clock, server, history, synchronised });
        keeper.look();
        let weak = Arc::downgrade(&keeper);
        let name = String::from("ntp-clock-look");
        // Without the thread, looks are those of spans, records and exports.
        let _thread = thread::Builder::new().name(name).spawn(move || look_on(&weak));
        keeper
    }

    fn sample(&self, history: &mut History) {
        let stamp = self.clock.stamp();
        let system = (self.sdk_clock)();
        let after = self.clock.local_now();
        let Some(system_ns) = unix_ns(system) else { return };
        let counter = u64::from_str_radix(&stamp.counter_id.to_string(), 16).unwrap_or_default();
        history.sample(Sample {
            counter_ns: stamp.counter.as_nanos(),
            width_ns: (after - stamp.counter).as_nanos(),
            system_ns,
            resolution_ns: 1,
            counter,
            reading: stamp.reading.map(dated),
        });
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Times for Keeper {
    fn look(&self) {
        // Who finds it locked need not look: another one does.
        if let Ok(mut history) = self.history.try_lock()
            && history.is_due(self.clock.local_now().as_nanos())
        {
            self.sample(&mut history);
        }
    }

    fn look_now(&self) {
        self.sample(&mut self.history());
    }

    fn synchronised(&self) -> bool {
        let ever = self.synchronised.load(Ordering::Relaxed) || self.clock.now().is_some();
        self.synchronised.fetch_or(ever, Ordering::Relaxed);
        ever
    }

    fn date(&self, system_ns: i64) -> Option<Dated> {
        let history = self.history();
        let traced = history.trace(system_ns, 1, Window::default())?;
        history
            .date(traced, |counter_ns| self.clock.at(LocalTime::from_nanos(counter_ns)).map(dated))
    }

    fn server(&self) -> String {
        self.server.clone()
    }
}

fn look_on(keeper: &Weak<Keeper>) {
    while let Some(keeper) = keeper.upgrade() {
        keeper.look();
        drop(keeper);
        thread::sleep(TICK);
    }
}

fn dated(reading: Reading) -> Dated {
    Dated {
        time_ns: reading.time().as_nanos(),
        max_error_ns: reading.max_error().as_nanos(),
        est_error_ns: reading.est_error().as_nanos(),
        epoch: reading.epoch(),
    }
}
