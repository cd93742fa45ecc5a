//! The history of this process: the SDK's clock beside the clock's counter.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, SystemTime};

use ntp_clock::{Clock, LocalTime, Reading};
use ntp_clock_history::{Dated, History, Knots, Limits, Sample, Traced, Window};

use crate::times::{Times, unix_ns};

/// How often the thread looks at both clocks where nobody else does.
const TICK: Duration = Duration::from_secs(1);
/// How old a look may be where a span or record begins or ends.
const OLD: Duration = Duration::from_millis(50);

const MOST_STEPS: usize = 256;

/// Reads the clock that the SDK stamps with.
type SdkClock = Box<dyn Fn() -> SystemTime + Send + Sync>;

pub(crate) struct Keeper {
    clock: Clock,
    sdk_clock: SdkClock,
    server: Arc<str>,
    seen: Mutex<Seen>,
    synchronised: AtomicBool,
    /// The last look is old. It is the thread that finds this out, so that a span's beginning and
    /// end read this flag instead of a clock; who finds it set looks at both clocks.
    due: AtomicBool,
    last_look_ms: AtomicI64,
    thread: OnceLock<Thread>,
}

/// What was seen of the SDK's clock.
struct Seen {
    history: History,
    last: Option<Sample>,
    /// The earliest time that the clock was seen to show.
    lowest_ns: i64,
    knots: Knots,
    /// The looks after which the clock was disturbed, by what it showed: the last few.
    stepped_ms: VecDeque<i64>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Keeper {
    /// Looks at both clocks from now on, until the last holder is gone.
    pub(crate) fn begin(clock: Clock, sdk_clock: SdkClock) -> Arc<Self> {
        let server = clock.server().map(ToString::to_string).unwrap_or_default().into();
        let history = History::new(Limits::default());
        let seen = Mutex::new(Seen {
            history,
            last: None,
            lowest_ns: i64::MAX,
            knots: Knots::default(),
            stepped_ms: VecDeque::new(),
        });
        let synchronised = AtomicBool::new(false);
        let last_look_ms = AtomicI64::new(0);
        let (due, thread) = (AtomicBool::new(false), OnceLock::new());
        let keeper = Arc::new(Keeper {
            clock,
            sdk_clock,
            server,
            seen,
            synchronised,
            due,
            last_look_ms,
            thread,
        });
        keeper.look_now();
        let weak = Arc::downgrade(&keeper);
        let name = String::from("ntp-clock-look");
        // Without the thread every span and record looks.
        if let Ok(begun) = thread::Builder::new().name(name).spawn(move || look_on(&weak)) {
            keeper.thread.get_or_init(|| begun.thread().clone());
        } else {
            keeper.due.store(true, Ordering::Relaxed);
        }
        keeper
    }

    fn sample(&self, seen: &mut Seen) {
        let stamp = self.clock.stamp();
        let system = (self.sdk_clock)();
        let after = self.clock.local_now();
        let Some(system_ns) = unix_ns(system) else { return };
        let counter = u64::from_str_radix(&stamp.counter_id.to_string(), 16).unwrap_or_default();
        let sample = Sample {
            counter_ns: stamp.counter.as_nanos(),
            width_ns: (after - stamp.counter).as_nanos(),
            system_ns,
            resolution_ns: 1,
            counter,
            reading: stamp.reading.map(dated),
        };
        if let Some(last) = seen.last
            && seen.knots.look(&last, &sample, seen.lowest_ns)
        {
            if seen.stepped_ms.len() >= MOST_STEPS {
                seen.stepped_ms.pop_front();
            }
            seen.stepped_ms.push_back(last.system_ns.div_euclid(1_000_000));
        }
        seen.last = Some(sample);
        self.last_look_ms.store(system_ns.div_euclid(1_000_000), Ordering::Relaxed);
        seen.lowest_ns = seen.lowest_ns.min(sample.system_ns);
        seen.history.sample(sample);
    }

    #[cold]
    fn look_if_nobody_does(&self) {
        // Who finds it locked need not look: another one does.
        if let Ok(mut seen) = self.seen.try_lock() {
            self.sample(&mut seen);
            if let Some(thread) = self.thread.get() {
                self.due.store(false, Ordering::Relaxed);
                thread.unpark();
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn date_traced(&self, history: &History, traced: Traced) -> Option<Dated> {
        history
            .date(traced, |counter_ns| self.clock.at(LocalTime::from_nanos(counter_ns)).map(dated))
    }
}

impl Times for Keeper {
    fn look(&self) -> i64 {
        if self.due.load(Ordering::Relaxed) {
            self.look_if_nobody_does();
        }
        self.last_look_ms.load(Ordering::Relaxed)
    }

    fn look_now(&self) {
        self.sample(&mut self.seen());
    }

    fn stepped_after(&self, is_look: &dyn Fn(i64) -> bool) -> bool {
        // It may be the last look after which it was stepped.
        self.look_now();
        self.seen().stepped_ms.iter().any(|&look_ms| is_look(look_ms))
    }

    fn synchronised(&self) -> bool {
        let ever = self.synchronised.load(Ordering::Relaxed) || self.clock.now().is_some();
        self.synchronised.fetch_or(ever, Ordering::Relaxed);
        ever
    }

    fn date(&self, system_ns: i64) -> Option<Dated> {
        let mut seen = self.seen();
        let Seen { history, last, knots, .. } = &mut *seen;
        knots.date(system_ns, last.as_ref()?.system_ns, |system_ns| {
            let traced = history.trace(system_ns, 1, Window::default())?;
            let width_ns = if traced.earliest.counter == traced.latest.counter {
                traced.latest.counter_ns - traced.earliest.counter_ns
            } else {
                i64::MAX
            };
            Some((self.date_traced(history, traced)?, width_ns))
        })
    }

    fn date_after(&self, system_ns: i64, before_ns: i64) -> Option<Dated> {
        let seen = self.seen();
        let before = seen.history.trace(before_ns, 1, Window::default())?;
        let window = Window { not_before_ns: Some(before.earliest.counter_ns), not_after_ns: None };
        self.date_traced(&seen.history, seen.history.trace(system_ns, 1, window)?)
    }

    fn trace(&self, system_ns: i64) -> Option<Traced> {
        self.seen().history.trace(system_ns, 1, Window::default())
    }

    fn server(&self) -> Arc<str> {
        Arc::clone(&self.server)
    }
}

/// Says when a look is due, and looks where nobody else does: once more after the last span or
/// record, so that what followed it is not taken for it, and once a second.
fn look_on(keeper: &Weak<Keeper>) {
    let mut due = false;
    loop {
        if due {
            // Who looks wakes this thread.
            thread::park_timeout(TICK);
        } else {
            thread::sleep(OLD);
        }
        let Some(keeper) = keeper.upgrade() else { return };
        if !due || keeper.due.load(Ordering::Relaxed) {
            keeper.look_now();
            keeper.due.store(true, Ordering::Relaxed);
        }
        due = keeper.due.load(Ordering::Relaxed);
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
