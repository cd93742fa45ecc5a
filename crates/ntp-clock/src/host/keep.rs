//! The life of a thread behind a clock that is shared: it follows another process's page or writes
//! one, and changes from the one to the other.

use std::sync::Arc;
use std::time::Duration;

use ntp_clock_core::{LocalTime, Span};

#[cfg(not(target_os = "linux"))]
use super::elsewhere::{Follower, Member, Part, Unshared};
#[cfg(target_os = "linux")]
use super::member::{Follower, Member, Part, Unshared};
use super::page::{CounterKind, Identity, Shown};
use super::sharing::{SharedPart, Sharing, SharingStatus};
use crate::counter_id::{Hash, pretended_machine};
use crate::counters::Counters;
use crate::driver::{Driver, Ending};
use crate::failure::{Failure, FailureKind};
use crate::moment::Moment;
use crate::os::{self, Line, Waiter};
use crate::shared::Shared;

/// Looks after a clock until it is dropped.
pub(crate) fn keep(shared: &Arc<Shared>) {
    match &shared.sharing {
        Ok(None) => {
            Driver::new(Arc::clone(shared)).run();
        }
        Ok(Some(sharing)) => Keep::new(shared, sharing).run(),
        Err(word) => {
            tell(shared, SharingStatus::alone(word.to_string()));
            Driver::new(Arc::clone(shared)).run();
        }
    }
}

struct Keep<'a> {
    shared: &'a Arc<Shared>,
    sharing: &'a Sharing,
    waiter: Waiter,
}

/// What to do next.
enum Next {
    Join,
    Succeed(Shown),
    Stop,
}

impl<'a> Keep<'a> {
    fn new(shared: &'a Arc<Shared>, sharing: &'a Sharing) -> Self {
        Keep { shared, sharing, waiter: Waiter::at(shared.runtime().bell().clone()) }
    }

    fn run(&self) {
        let (mut next, mut vain) = (Next::Join, 0);
        loop {
            let part = match &next {
                Next::Stop => return,
                _ if self.shared.runtime().is_stopped() => return,
                Next::Join => self
                    .member()
                    .and_then(|member| member.join(self.patience(), self.shared.shown())),
                Next::Succeed(shown) => {
                    self.member().and_then(|member| member.succeed(shown, self.patience()))
                }
            };
            next = match part {
                Ok(part) => {
                    vain = 0;
                    self.play(part)
                }
                Err(why) if self.sharing.reads_only() || (why.passes() && vain < VAIN) => {
                    vain += 1;
                    tell(self.shared, SharingStatus::joining(Some(why.to_string())));
                    self.pause(PAUSE);
                    Next::Join
                }
                Err(why) => {
                    self.shared.detach();
                    tell(self.shared, SharingStatus::alone(why.to_string()));
                    Driver::new(Arc::clone(self.shared)).run();
                    return;
                }
            };
        }
    }

    fn member(&self) -> Result<Member, Unshared> {
        check_counters(&self.shared.counters).map_err(Unshared::Counters)?;
        Member::new(self.sharing, identity(self.shared))
    }

    /// A process that has readings looks for others sooner than one that can only begin another
    /// epoch beside them.
    fn patience(&self) -> Duration {
        if self.shared.shown().is_some() { STOPPED } else { STARVED }
    }

    fn play(&self, part: Part) -> Next {
        match part {
            Part::Follower(follower) => self.follow(&follower),
            Part::Writer(writer) => {
                let shown = writer.shown;
                let driver = Driver::of_machine(Arc::clone(self.shared), *writer);
                tell(
                    self.shared,
                    SharingStatus {
                        part: SharedPart::Writer,
                        writer: Some(shown.writer),
                        generation: Some(shown.generation),
                        reason: None,
                    },
                );
                match driver.run() {
                    Ending::Stopped => Next::Stop,
                    Ending::Replaced => Next::Join,
                    Ending::Unreachable => Next::Succeed(shown),
                }
            }
        }
    }

    /// Follows a page until it ends or its writer does.
    fn follow(&self, follower: &Follower) -> Next {
        let (shared, Follower { shown, lifeline }) = (self.shared, follower);
        shared.attach(*shown);
        // It is for the page's writer to know when there are none.
        shared.runtime().set_serving(false);
        tell(
            shared,
            SharingStatus {
                part: SharedPart::Reader,
                writer: Some(shown.writer),
                generation: Some(shown.generation),
                reason: None,
            },
        );
        let (mut watch, mut served) = (Watch::default(), false);
        loop {
            let runtime = shared.runtime();
            if runtime.is_stopped() {
                return Next::Stop;
            }
            runtime.take_alarm();
            self.answer(shown.writer);
            match lifeline.look() {
                _ if shown.control.is_superseded() => return Next::Join,
                Line::Whole => {}
                Line::Cut => return Next::Succeed(*shown),
                Line::Lost => return Next::Join,
            }
            let now = shared.counters.local();
            let Some(mut wait) = watch.look(now, shown.page.busy(), shown.page.due()) else {
                return Next::Succeed(*shown);
            };
            if !served {
                served = shared.now().is_some();
                if served {
                    note(shared, |_| {});
                } else {
                    wait = wait.min(FIRST_READING);
                }
            }
            watch.planned = now + wait;
            self.waiter.wait([], Some(lifeline.to_wait_for()), None, Duration::from(wait));
        }
    }

    /// A process that only reads asks nobody.
    fn answer(&self, writer: u32) {
        let runtime = self.shared.runtime();
        let open = {
            let state = runtime.lock();
            state.requested > state.answered
        };
        if open {
            let detail = format!(
                "process {writer} synchronises this machine's clock; this process only reads it"
            );
            note(self.shared, |state| {
                state.answered = state.requested;
                state.answer = Some(Err(Failure::new(FailureKind::OnlyReads, detail)));
            });
        }
    }

    fn pause(&self, pause: Span) {
        let until = self.shared.counters.local() + pause;
        loop {
            let left = until - self.shared.counters.local();
            if left <= Span::ZERO || self.shared.runtime().is_stopped() {
                return;
            }
            self.waiter.wait([], None, None, Duration::from(left));
        }
    }
}

/// What a follower has seen of its writer.
#[derive(Debug)]
struct Watch {
    /// The page is busy by this change, since it was looked at first.
    busy: Option<(u64, LocalTime)>,
    /// When this thread was to look again.
    planned: LocalTime,
}

impl Default for Watch {
    fn default() -> Self {
        Watch { busy: None, planned: LocalTime::MAX }
    }
}

impl Watch {
    /// How long to wait before the next look; `None` where the writer has to be replaced.
    fn look(&mut self, now: LocalTime, busy: Option<u64>, due: Option<LocalTime>) -> Option<Span> {
        // Had this thread been stopped, the writer was perhaps stopped with it, and has its turn.
        let late = now - self.planned > LATE;
        if let Some(change) = busy {
            let since = self.busy.filter(|(seen, _)| *seen == change && !late);
            let since = since.map_or(now, |(_, since)| since);
            self.busy = Some((change, since));
            let left = BUSY_LIMIT - (now - since);
            return (left > Span::ZERO).then(|| left.min(BUSY_LOOK));
        }
        self.busy = None;
        let Some(due) = due else { return Some(BUSY_LOOK) };
        let left = due + OVERDUE - now;
        match left > Span::ZERO {
            true => Some(left.min(LONGEST)),
            false => late.then_some(LATE),
        }
    }
}

/// What clocks have to have in common to be one.
pub(super) fn identity(shared: &Shared) -> Identity {
    let boot = os::boot_id().unwrap_or_default();
    let halves = [b"1", b"2"].map(|half| Hash::default().with(half).with(boot.as_bytes()).mixed());
    let hash = |text: &str| Hash::default().with(text.as_bytes()).mixed();
    let server = shared.server.as_ref().map_or_else(|_| String::new(), ToString::to_string);
    let required = shared.security.as_ref().ok().and_then(|security| security.status());
    Identity {
        counter: CounterKind::MonotonicRaw,
        boot: uuid(&boot).unwrap_or(halves),
        time_namespace: hash(&os::time_namespace().unwrap_or_default()),
        server: hash(&server),
        proof: required.map_or(0, |nts| hash(&nts.roots.to_string()).max(1)),
        machine: pretended_machine()
            .map_or(0, |name| Hash::default().with(name.as_encoded_bytes()).mixed().max(1)),
    }
}

/// A boot's id as two numbers.
fn uuid(text: &str) -> Option<[u64; 2]> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32)?;
    Some([(number >> 64) as u64, number as u64])
}

/// Whether this process's counter is that of the other processes; else, why it is not shared.
fn check_counters(counters: &Counters) -> Result<(), &'static str> {
    match counters {
        Counters::StandIn(_) => Err("this clock's counter is moved by hand"),
        Counters::Os(counter) if counter.ticks().is_some() => Err(
            "this clock counts with the processor's own counter, and the page is by the system's",
        ),
        Counters::Os(_) if os::boot_id().is_none() => {
            Err("the system does not say which boot this is")
        }
        Counters::Os(_) if os::time_namespace().is_none() => {
            Err("the system does not say which time namespace this is")
        }
        Counters::Os(_) if os::counter_is_faked() => {
            Err("the clocks of this process are faked: they are not those of other processes")
        }
        Counters::Os(_) => Ok(()),
    }
}

fn tell(shared: &Shared, status: SharingStatus) {
    let moment = Moment::read(|| shared.counters.local());
    note(shared, |state| {
        // What was known as another part.
        if status.part != SharedPart::Writer {
            state.status = None;
            state.nts = None;
            state.last_error = None;
        }
        state.sharing = Some(status);
        state.moment = Some(moment);
    });
}

/// Changes the state, and wakes those who wait for that.
fn note(shared: &Shared, change: impl FnOnce(&mut crate::runtime::State)) {
    let runtime = shared.runtime();
    let mut state = runtime.lock();
    change(&mut state);
    let delivered = state.subscribers.send(&[]);
    drop(state);
    runtime.notify();
    delivered.notify();
}

/// A writer that does not answer for so long is stopped ...
const STOPPED: Duration = Duration::from_secs(1);
/// ... for those who have no page yet, which would begin another one beside it.
const STARVED: Duration = Duration::from_secs(5);
/// A page that is busy for so long has a writer that is stopped.
const BUSY_LIMIT: Span = Span::from_millis(950);
const BUSY_LOOK: Span = Span::from_millis(100);
/// A writer that is so late with what it had to do is stopped.
const OVERDUE: Span = Span::from_secs(5);
/// A thread that wakes so late was stopped itself.
const LATE: Span = Span::from_secs(1);
const LONGEST: Span = Span::from_secs(3_600);
/// How soon a first reading is noticed.
const FIRST_READING: Span = Span::from_millis(100);
/// How often, and with what pauses, a part is looked for that may be had in a moment.
const VAIN: u32 = 10;
const PAUSE: Span = Span::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> LocalTime {
        LocalTime::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_writer_is_replaced_where_its_page_stays_busy_by_one_change() {
        let mut watch = Watch::default();
        let due = Some(at(100_000));
        let mut look = |now, busy| watch.look(at(now), busy, due);
        assert_eq!(look(0, Some(7)), Some(BUSY_LOOK));
        assert_eq!(look(900, Some(9)), Some(BUSY_LOOK), "it has changed meanwhile");
        assert_eq!(look(1_800, Some(9)), Some(Span::from_millis(50)));
        assert_eq!(look(1_850, Some(9)), None);
        assert!(look(1_860, None).is_some(), "and not once it is ready");
        assert!(look(1_870, Some(9)).is_some());
    }

    #[test]
    fn a_writer_is_replaced_where_it_is_five_seconds_late_and_this_thread_is_not() {
        let mut watch = Watch::default();
        let due = Some(at(10_000));
        assert_eq!(watch.look(at(0), None, due), Some(Span::from_secs(15)));
        watch.planned = at(15_000);
        assert_eq!(watch.look(at(15_000), None, due), None);
        // Stopped with the writer, it gives it another second.
        assert_eq!(watch.look(at(40_000), None, due), Some(LATE));
        watch.planned = at(41_000);
        assert_eq!(watch.look(at(41_000), None, due), None);
    }

    #[test]
    fn whatever_a_page_says_of_its_writer_there_is_an_answer() {
        for due in [i64::MIN, -1, 0, 1, i64::MAX] {
            for now in [i64::MIN, 0, i64::MAX] {
                for planned in [i64::MIN, 0, i64::MAX] {
                    let planned = LocalTime::from_nanos(planned);
                    let mut watch = Watch { busy: None, planned };
                    let (now, due) = (LocalTime::from_nanos(now), LocalTime::from_nanos(due));
                    if let Some(wait) = watch.look(now, None, Some(due)) {
                        assert!(wait > Span::ZERO && wait <= LONGEST, "{wait:?}");
                    }
                    let wait = watch.look(now, Some(1), None).expect("it was not busy before");
                    assert!(wait > Span::ZERO && wait <= BUSY_LOOK, "{wait:?}");
                }
            }
        }
    }

    #[test]
    fn a_boots_id_is_two_numbers_and_anything_else_is_none() {
        let boot = "01234567-89ab-cdef-0123-456789abcdef";
        assert_eq!(uuid(boot), Some([0x0123_4567_89ab_cdef; 2]));
        assert_eq!((uuid(""), uuid("0123"), uuid(&boot.replace('0', "x"))), (None, None, None));
    }
}
