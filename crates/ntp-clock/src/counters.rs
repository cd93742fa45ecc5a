//! Where a clock gets its counters from: the operating system, or a stand-in that a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ntp_clock_core::{LocalTime, Span, SystemTime};

use crate::bridge::RawPair;
use crate::counter_choice::CounterChoice;
use crate::moment::Beside;
use crate::os::{self, Beat, Distrust, HostPage, KernelClock, Slept, Untold};
use crate::past::Past;
use crate::system_counter::SystemCounter;

#[derive(Clone, Debug)]
pub(crate) enum Counters {
    Os(Arc<SystemCounter>),
    StandIn(Arc<StandIn>),
}

/// Counters that move on command and, if `running`, with the real counter as well.
#[derive(Debug, Default)]
pub(crate) struct StandIn {
    running: bool,
    /// How much faster than the counter the wall clock runs, parts per million.
    wall_ppm: i64,
    local_ns: AtomicI64,
    wall_ns: AtomicI64,
    slept_ns: AtomicI64,
    back_ns: AtomicI64,
    /// What only the processor's counter counted.
    ticked_ns: AtomicI64,
    host: Option<&'static HostPage>,
}

/// What tells whether the counter lost time: readings of all clocks at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reference {
    /// The counter.
    pub(crate) local: LocalTime,
    /// The wall clock, coarse: moves when the machine sleeps (and when it is set).
    pub(crate) wall: SystemTime,
    /// What had befallen the counter by then.
    pub(crate) past: Past,
}

impl Counters {
    /// The machine's own.
    pub(crate) fn of_system(choice: CounterChoice) -> Self {
        Counters::Os(Arc::new(SystemCounter::new(choice)))
    }

    /// The one that a page of the machine is by, unless another one was chosen.
    pub(crate) fn for_sharing(choice: CounterChoice) -> Self {
        match choice {
            CounterChoice::Auto => Counters::Os(Arc::new(SystemCounter::kernels(Distrust::Shared))),
            choice => Counters::of_system(choice),
        }
    }

    /// The free-running counter.
    #[inline]
    pub(crate) fn local(&self) -> LocalTime {
        match self {
            Counters::Os(counter) => counter.now(),
            Counters::StandIn(stand_in) => stand_in.local(),
        }
    }

    /// The wall clock, a few milliseconds old at worst, cheap to read.
    #[inline]
    pub(crate) fn wall_coarse(&self) -> SystemTime {
        match self {
            Counters::Os(_) => os::wall_coarse(),
            Counters::StandIn(stand_in) => stand_in.wall(),
        }
    }

    /// The wall clock as programs see it.
    pub(crate) fn system(&self) -> SystemTime {
        match self {
            Counters::Os(_) => os::system_now(),
            Counters::StandIn(stand_in) => stand_in.wall(),
        }
    }

    /// The wall clock that the kernel stamps datagrams with, whatever programs see.
    pub(crate) fn stamping(&self) -> SystemTime {
        match self {
            Counters::Os(_) => os::stamping_now(),
            Counters::StandIn(stand_in) => stand_in.wall(),
        }
    }

    /// How long the machine has slept, from some fixed moment on.
    pub(crate) fn slept(&self) -> Slept {
        match self {
            Counters::Os(_) => os::slept(),
            Counters::StandIn(stand_in) => {
                Slept { least: Span::from_nanos(read(&stand_in.slept_ns)), width: Span::ZERO }
            }
        }
    }

    /// How far the counter runs back from some processor to the next.
    pub(crate) fn steps_back(&self, turn: usize) -> Span {
        match self {
            Counters::Os(counter) => os::counter_steps_back(|| counter.now(), turn),
            Counters::StandIn(stand_in) => Span::from_nanos(read(&stand_in.back_ns)),
        }
    }

    /// Whether the counter may have lost time between boot and now.
    pub(crate) fn may_have_slept(&self) -> bool {
        match self {
            Counters::Os(_) => os::may_have_slept(),
            Counters::StandIn(_) => self.slept() != Slept::default(),
        }
    }

    /// The page in which the host says what happens to this machine, or why there is none to read.
    pub(crate) fn host(&self) -> Result<&'static HostPage, Untold> {
        match self {
            Counters::Os(_) => os::host_page(),
            Counters::StandIn(stand_in) => stand_in.host.ok_or(Untold::Absent),
        }
    }

    /// Counters that run alike, at one moment.
    pub(crate) fn beat(&self) -> Beat {
        match self {
            Counters::Os(counter) => os::beat(|| counter.now(), counter.ticks().is_some()),
            Counters::StandIn(stand_in) => stand_in.beat(),
        }
    }

    /// The processor's counter beside the kernel's, where it is the one in use.
    pub(crate) fn raw_pair(&self) -> Option<RawPair> {
        let Counters::Os(counter) = self else { return None };
        counter.ticks()?;
        os::raw_now()?;
        Some(Beside::read(|| counter.now(), || os::raw_now().unwrap_or_default()).into())
    }

    /// Why the processor's counter, where it is the one in use, is not to be trusted any more.
    pub(crate) fn distrust(&self) -> Option<Distrust> {
        let Counters::Os(counter) = self else { return None };
        counter.ticks().and_then(|_| os::distrust())
    }

    /// Goes on with the kernel's counter.
    pub(crate) fn leave_ticks(&self, why: Distrust, last: Option<RawPair>) {
        if let Counters::Os(counter) = self {
            counter.leave_ticks(why, last);
        }
    }

    /// A moment of the kernel's raw counter, where that is the one in use.
    pub(crate) fn of_raw(&self, raw: Span) -> Option<LocalTime> {
        let raw = LocalTime::from_nanos(0) + raw;
        match self {
            Counters::Os(counter) if counter.ticks().is_some() => None,
            Counters::Os(counter) => os::raw_now().map(|_| counter.of_kernel(raw)),
            Counters::StandIn(_) => Some(raw),
        }
    }

    /// Name of the counter, for the status.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Counters::Os(counter) => counter.name(),
            Counters::StandIn(_) => os::counter_name(),
        }
    }

    /// Why it is not the processor's own, in one word.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Counters::Os(counter) => counter.reason().map(Distrust::name),
            Counters::StandIn(_) => None,
        }
    }

    /// What the kernel says of its clock.
    pub(crate) fn kernel_clock(&self) -> Option<KernelClock> {
        match self {
            Counters::Os(_) => os::kernel_clock(),
            Counters::StandIn(_) => None,
        }
    }

    /// What has befallen the counter, as far as the system and the host say.
    pub(crate) fn past(&self) -> Past {
        let host = self.host().map(HostPage::look).unwrap_or_default();
        Past { slept: self.slept(), host, jumps: 0 }
    }

    /// All of them at one moment. What befell the counter is read first: what comes in between then
    /// shows later.
    pub(crate) fn reference(&self) -> Reference {
        let past = self.past();
        Reference { local: self.local(), wall: self.wall_coarse(), past }
    }
}

impl StandIn {
    /// A machine of a test's own: its counter is the real one, its wall clock is steered.
    #[cfg(test)]
    pub(crate) fn running(wall_ppm: i64) -> Self {
        StandIn { running: true, wall_ppm, ..StandIn::default() }
    }

    /// The same, whose host says what happens to it.
    #[cfg(test)]
    pub(crate) fn hosted(host: &'static HostPage) -> Self {
        StandIn { host: Some(host), ..StandIn::running(0) }
    }

    fn beat(&self) -> Beat {
        let local = self.local();
        let since = local - LocalTime::from_nanos(0);
        let ticks = (since.as_nanos() + read(&self.ticked_ns)) as u64;
        Beat {
            local,
            monotonic: Some(since),
            ticks: Some(ticks),
            wall: self.wall(),
            width: Span::ZERO,
        }
    }

    fn local(&self) -> LocalTime {
        LocalTime::from_nanos(self.real_ns() + read(&self.local_ns))
    }

    fn wall(&self) -> SystemTime {
        let real_ns = self.real_ns();
        let steered = i128::from(real_ns) * i128::from(self.wall_ppm) / 1_000_000;
        SystemTime::from_nanos(real_ns + steered as i64 + read(&self.wall_ns))
    }

    fn real_ns(&self) -> i64 {
        if self.running { os::local_now().as_nanos() } else { 0 }
    }

    /// Time passes: the counter and the wall clock advance.
    pub(crate) fn advance(&self, by: Span) {
        self.local_ns.fetch_add(by.as_nanos(), Ordering::SeqCst);
        self.step_wall(by);
    }

    /// The wall clock alone is set.
    pub(crate) fn step_wall(&self, by: Span) {
        self.wall_ns.fetch_add(by.as_nanos(), Ordering::SeqCst);
    }

    /// From now on the processors disagree by so much.
    #[cfg(test)]
    pub(crate) fn disagree(&self, by: Span) {
        self.back_ns.store(by.as_nanos(), Ordering::SeqCst);
    }

    /// The processor alone counted on, as where a host paused the machine and made good for that.
    #[cfg(test)]
    pub(crate) fn tick(&self, by: Span) {
        self.ticked_ns.fetch_add(by.as_nanos(), Ordering::SeqCst);
    }

    /// The machine has slept: the wall clock went on, the counter did not. On the way to sleep and
    /// back the kernel takes its time, in which no program runs.
    #[cfg(test)]
    pub(crate) fn sleep(&self, by: Span) {
        self.slept_ns.fetch_add(by.as_nanos(), Ordering::SeqCst);
        self.step_wall(by);
        self.advance(Span::from_millis(1));
    }
}

#[inline]
fn read(value: &AtomicI64) -> i64 {
    value.load(Ordering::SeqCst)
}
