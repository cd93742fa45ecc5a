//! The clock that OpenTelemetry's SDK stamps with, remembered beside the clock's counter.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};

use ntp_clock::{LocalTime, Span, UnixTime};
use ntp_clock_history::{Dated, History, Knots, Limits, Moment, Sample, Window};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::clock::Clock;
use crate::reading::Reading;

/// From a time that `time.time_ns()` gave to true time.
///
/// Also from before the first synchronisation. It remembers what the system's clock showed beside
/// a counter that nobody sets: at most 4096 samples and one hour. Its numbers are nanoseconds.
#[pyclass(frozen, module = "portacode._native")]
pub(crate) struct SdkHistory {
    clock: Py<Clock>,
    seen: Mutex<Seen>,
    /// Whether a look found the clock synchronised.
    synchronised: AtomicBool,
}

/// What was seen of the system's clock.
struct Seen {
    history: History,
    last: Option<Sample>,
    /// The earliest time that it was seen to show.
    lowest_ns: i64,
    knots: Knots,
}

impl Seen {
    fn sample(&mut self, sample: Sample) {
        if let Some(last) = self.last {
            self.knots.look(&last, &sample, self.lowest_ns);
        }
        self.last = Some(sample);
        self.lowest_ns = self.lowest_ns.min(sample.system_ns);
        self.history.sample(sample);
    }
}

/// The earliest moment and the latest, each with the name of its counter; whether the clock showed
/// this more than once.
type PlainTraced = ((i64, String), (i64, String), bool);

#[pymethods]
impl SdkHistory {
    #[new]
    fn new(clock: Py<Clock>) -> Self {
        let seen = Mutex::new(Seen {
            history: History::new(Limits::default()),
            last: None,
            lowest_ns: i64::MAX,
            knots: Knots::default(),
        });
        SdkHistory { clock, seen, synchronised: AtomicBool::new(false) }
    }

    /// Looks at both clocks, if the last look is more than 50 ms ago.
    fn look(&self, py: Python<'_>) -> PyResult<()> {
        self.look_at(py, self.clock(py)?.local_now());
        Ok(())
    }

    /// Looks at both clocks. Times up to now can be dated then.
    fn sample(&self, py: Python<'_>) -> PyResult<()> {
        let clock = self.clock(py)?;
        let mut seen = self.seen();
        seen.sample(self.take(clock));
        Ok(())
    }

    /// Takes a look of somebody else's; for tests with numbers that are known.
    #[pyo3(signature = (counter_ns, width_ns, system_ns, resolution_ns, counter, reading = None))]
    fn feed(
        &self,
        counter_ns: i64,
        width_ns: i64,
        system_ns: i64,
        resolution_ns: i64,
        counter: &str,
        reading: Option<Reading>,
    ) -> PyResult<()> {
        self.seen().sample(Sample {
            counter_ns,
            width_ns,
            system_ns,
            resolution_ns,
            counter: counter_number(counter)?,
            reading: reading.map(Dated::from),
        });
        Ok(())
    }

    /// The counter now, if the system's clock showed this within the last second; else None.
    ///
    /// Who gives such a time has not just taken it. Looks at both clocks as `look()` does. Up to
    /// 1 µs after the clock's time now it counts as taken just now: seconds as floating-point
    /// numbers are that coarse.
    fn moment_of(&self, py: Python<'_>, system_ns: i64) -> PyResult<Option<i64>> {
        let counter = self.clock(py)?.local_now();
        let ago_ns = system_now_ns().saturating_sub(system_ns);
        self.look_at(py, counter);
        Ok((-FLOAT_NS..JUST_NOW_NS).contains(&ago_ns).then_some(counter.as_nanos()))
    }

    /// True time of the moment at which the system's clock showed this.
    ///
    /// None from before the first sample, from after the last one, or where the clock cannot say.
    /// The time is known to `resolution_ns`, rounded down; the moment was not before and not after
    /// these readings of the counter.
    #[pyo3(signature = (
        system_ns, resolution_ns = 1, *, not_before_ns = None, not_after_ns = None
    ))]
    fn date(
        &self,
        py: Python<'_>,
        system_ns: i64,
        resolution_ns: i64,
        not_before_ns: Option<i64>,
        not_after_ns: Option<i64>,
    ) -> PyResult<Option<Reading>> {
        let clock = self.clock(py)?;
        let window = Window { not_before_ns, not_after_ns };
        let seen = self.seen();
        let at = |counter_ns| clock.at(LocalTime::from_nanos(counter_ns)).map(dated);
        let traced = seen.history.trace(system_ns, resolution_ns, window);
        Ok(traced.and_then(|traced| seen.history.date(traced, at)).map(Reading::from))
    }

    /// The same, so that times keep their order whenever they are dated.
    ///
    /// What the clock learns between two calls swaps no two times, where the system's clock was not
    /// disturbed and the synchronised one not stepped. The error is some 0.02 ms wider.
    #[pyo3(signature = (
        system_ns, resolution_ns = 1, *, not_before_ns = None, not_after_ns = None
    ))]
    fn date_in_order(
        &self,
        py: Python<'_>,
        system_ns: i64,
        resolution_ns: i64,
        not_before_ns: Option<i64>,
        not_after_ns: Option<i64>,
    ) -> PyResult<Option<Reading>> {
        let clock = self.clock(py)?;
        let half_ns = resolution_ns.max(1) / 2;
        let asked_ns = system_ns.saturating_add(half_ns);
        let mut seen = self.seen();
        let Seen { history, last, knots, .. } = &mut *seen;
        let Some(last) = last.as_ref() else { return Ok(None) };
        let at = |counter_ns| clock.at(LocalTime::from_nanos(counter_ns)).map(dated);
        let found = knots.date(asked_ns, last.system_ns, |found_ns| {
            // It says when the time itself was taken.
            let window = if found_ns == asked_ns {
                Window { not_before_ns, not_after_ns }
            } else {
                Window::default()
            };
            let traced = history.trace(found_ns, 1, window)?;
            let width_ns = if traced.earliest.counter == traced.latest.counter {
                traced.latest.counter_ns - traced.earliest.counter_ns
            } else {
                i64::MAX
            };
            Some((history.date(traced, at)?, width_ns))
        });
        Ok(found.map(|found| {
            let max_error_ns = found.max_error_ns.saturating_add(half_ns);
            Reading::from(Dated { max_error_ns, ..found })
        }))
    }

    /// The moments of the counter at which the system's clock can have shown this.
    ///
    /// The earliest and the latest, each with the name of its counter, and whether the clock was
    /// stepped back and showed this more than once. None as for `date()`.
    #[pyo3(signature = (
        system_ns, resolution_ns = 1, *, not_before_ns = None, not_after_ns = None
    ))]
    fn trace(
        &self,
        system_ns: i64,
        resolution_ns: i64,
        not_before_ns: Option<i64>,
        not_after_ns: Option<i64>,
    ) -> Option<PlainTraced> {
        let window = Window { not_before_ns, not_after_ns };
        let traced = self.seen().history.trace(system_ns, resolution_ns, window)?;
        let plain = |moment: Moment| (moment.counter_ns, format!("{:016x}", moment.counter));
        Some((plain(traced.earliest), plain(traced.latest), traced.ambiguous))
    }

    /// Whether the clock is synchronised, or has been at one of the looks.
    fn synchronised(&self, py: Python<'_>) -> PyResult<bool> {
        let clock = self.clock(py)?;
        if !self.synchronised.load(Ordering::Relaxed) && clock.now().is_some() {
            self.synchronised.store(true, Ordering::Relaxed);
        }
        Ok(self.synchronised.load(Ordering::Relaxed))
    }

    /// Whether a forked child can use it: False where another thread held the lock.
    fn survived(&self) -> bool {
        !matches!(self.seen.try_lock(), Err(TryLockError::WouldBlock))
    }

    fn __len__(&self) -> usize {
        self.seen().history.len()
    }
}

impl SdkHistory {
    fn clock(&self, _py: Python<'_>) -> PyResult<&ntp_clock::Clock> {
        self.clock.get().clock()
    }

    /// Nothing of Python runs while it is locked.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The narrowest of a few looks: a thread may lose the processor in the midst of one.
    fn take(&self, clock: &ntp_clock::Clock) -> Sample {
        let mut best = look(clock);
        for _ in 1..LOOKS {
            if best.width_ns <= NARROW_NS {
                break;
            }
            let next = look(clock);
            if next.width_ns < best.width_ns {
                best = next;
            }
        }
        if best.reading.is_some() {
            self.synchronised.store(true, Ordering::Relaxed);
        }
        best
    }

    fn look_at(&self, py: Python<'_>, counter: LocalTime) {
        // Who finds it locked need not look: another one does.
        if let (Ok(mut seen), Ok(clock)) = (self.seen.try_lock(), self.clock(py))
            && seen.history.is_due(counter.as_nanos())
        {
            seen.sample(self.take(clock));
        }
    }
}

fn look(clock: &ntp_clock::Clock) -> Sample {
    let stamp = clock.stamp();
    let system_ns = system_now_ns();
    let width = clock.local_now() - stamp.counter;
    Sample {
        counter_ns: stamp.counter.as_nanos(),
        width_ns: width.as_nanos(),
        system_ns,
        resolution_ns: 1,
        counter: u64::from_str_radix(&stamp.counter_id.to_string(), 16).unwrap_or_default(),
        reading: stamp.reading.map(dated),
    }
}

/// What `time.time_ns()` gives: both ask the C library for the system's clock.
fn system_now_ns() -> i64 {
    let ns = |duration: std::time::Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => ns(since),
        Err(before) => -ns(before.duration()),
    }
}

fn counter_number(name: &str) -> PyResult<u64> {
    u64::from_str_radix(name, 16).map_err(|_| {
        PyValueError::new_err(format!("a counter's name is 16 hexadecimal digits, not {name:?}"))
    })
}

fn dated(reading: ntp_clock::Reading) -> Dated {
    Dated {
        time_ns: reading.time().as_nanos(),
        max_error_ns: reading.max_error().as_nanos(),
        est_error_ns: reading.est_error().as_nanos(),
        epoch: reading.epoch(),
    }
}

impl From<Reading> for Dated {
    fn from(reading: Reading) -> Self {
        dated(reading.into())
    }
}

impl From<Dated> for Reading {
    fn from(dated: Dated) -> Self {
        let est_error_ns = dated.est_error_ns.min(dated.max_error_ns);
        Reading::from(ntp_clock::Reading::new(
            UnixTime::from_nanos(dated.time_ns),
            Span::from_nanos(dated.max_error_ns),
            Span::from_nanos(est_error_ns),
            dated.epoch,
        ))
    }
}

const JUST_NOW_NS: i64 = 1_000_000_000;
const FLOAT_NS: i64 = 1_000;
const NARROW_NS: i64 = 5_000;
const LOOKS: usize = 4;
