//! Notices, without any host's help, that the machine or the process was disturbed: counters that
//! run alike, a thread that wakes too late, the kernel's clock.

use ntp_clock_core::{Disruption, LocalTime, Span};

use crate::os::{Beat, KernelClock};

/// Compares what the machine's clocks say from one look to the next.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    last: Option<Beat>,
    /// Nanoseconds a tick of the processor's counter takes.
    tick_ns: Option<f64>,
    /// How often in a row that counter alone ran apart.
    strayed: u32,
    kernel: Option<KernelClock>,
    /// No round is asked for until then, whatever the clocks say ...
    quiet_until: Option<LocalTime>,
    /// ... and however late the thread is.
    awake_until: Option<LocalTime>,
}

impl Watchdog {
    /// Whether it is time for another look.
    pub(crate) fn is_due(&self, now: LocalTime) -> bool {
        self.last.is_none_or(|last| now - last.local >= SHORTEST)
    }

    /// After a disruption that is known already nothing is compared with the time before.
    pub(crate) fn begin_again(&mut self) {
        self.last = None;
    }

    /// The next look. `bound` is the clock's own error, where it has the time.
    pub(crate) fn look(
        &mut self,
        beat: Beat,
        kernel: Option<KernelClock>,
        bound: Option<Span>,
    ) -> Option<Disruption> {
        let last = self.last.replace(beat);
        let before = std::mem::replace(&mut self.kernel, kernel);
        let last = last?;
        let between = Between { last, beat };
        if between.steered_apart() || self.ticks_apart(&between) {
            return Some(Disruption::CountersApart);
        }
        let suspicion = if bound.is_some_and(|bound| between.wall_step() > bound) {
            Disruption::WallClockSet
        } else if before.zip(kernel).is_some_and(|(before, now)| gave_up(before, now)) {
            Disruption::KernelClock
        } else {
            return None;
        };
        suspect(&mut self.quiet_until, PAUSE, beat.local).then_some(suspicion)
    }

    /// Whether a thread that should have been back by `due` did not run for a while.
    pub(crate) fn wake(&mut self, due: LocalTime, now: LocalTime) -> Option<Disruption> {
        let paused = now - due > LATE && suspect(&mut self.awake_until, BREATH, now);
        paused.then_some(Disruption::Paused)
    }

    /// Whether the processor's counter ran apart from the kernel's. Its speed is learnt from look
    /// to look. One that does so again and again is itself what is wrong, and is left alone.
    fn ticks_apart(&mut self, between: &Between) -> bool {
        let (Some(ticks), true) = (between.ticks(), self.strayed < STRAYS) else { return false };
        let elapsed = between.elapsed();
        let apart = self.tick_ns.is_some_and(|tick_ns| {
            let counted = Span::from_nanos((ticks * tick_ns) as i64);
            (counted - elapsed).abs() > JITTER + between.width() + share(elapsed, DRIFT_DIVISOR)
        });
        if apart {
            self.tick_ns = None;
            self.strayed += 1;
        } else if elapsed >= SHORTEST && ticks > 0.0 {
            if self.tick_ns.is_some() {
                self.strayed = 0;
            }
            self.tick_ns = Some(elapsed.as_nanos() as f64 / ticks);
        }
        apart
    }
}

/// Every suspicion costs the server a round, so there are not many: whether this one counts.
fn suspect(quiet_until: &mut Option<LocalTime>, pause: Span, now: LocalTime) -> bool {
    let counts = quiet_until.is_none_or(|until| now >= until);
    if counts {
        *quiet_until = Some(now + pause);
    }
    counts
}

/// Two looks one after the other.
struct Between {
    last: Beat,
    beat: Beat,
}

impl Between {
    fn elapsed(&self) -> Span {
        self.beat.local - self.last.local
    }

    fn width(&self) -> Span {
        self.last.width + self.beat.width
    }

    fn ticks(&self) -> Option<f64> {
        let (before, now) = self.last.ticks.zip(self.beat.ticks)?;
        Some(now.wrapping_sub(before) as i64 as f64)
    }

    /// Whether the steered counter ran apart by more than anybody may steer it.
    fn steered_apart(&self) -> bool {
        let Some((before, now)) = self.last.monotonic.zip(self.beat.monotonic) else {
            return false;
        };
        let apart = (now - before - self.elapsed()).abs();
        apart > JITTER + self.width() + share(self.elapsed(), STEERING_DIVISOR)
    }

    /// How far the wall clock was set, at least.
    fn wall_step(&self) -> Span {
        let step = (self.beat.wall - self.last.wall - self.elapsed()).abs();
        step - JITTER - self.width() - share(self.elapsed(), STEERING_DIVISOR)
    }
}

/// Whether somebody gave the kernel's clock up, or steers it by the length of its ticks, as is done
/// where it is found to be far off.
fn gave_up(before: KernelClock, now: KernelClock) -> bool {
    (now.unsynchronised && !before.unsynchronised) || now.tick_us != before.tick_us
}

fn share(elapsed: Span, divisor: i64) -> Span {
    Span::from_nanos(elapsed.abs().as_nanos() / divisor)
}

/// The thread looks that often when nothing wakes it.
pub(crate) const LONGEST: Span = Span::from_secs(5);
/// Looks closer together say nothing about a counter's speed.
const SHORTEST: Span = Span::from_millis(500);
/// A thread that is that late did not run; a machine that is merely busy is seldom that slow.
const LATE: Span = Span::from_secs(2);
/// Rounds for the sake of what the clocks say are at least that far apart ...
const PAUSE: Span = Span::from_secs(30);
/// ... and those of a process that does not get its turn.
const BREATH: Span = Span::from_secs(8);
/// Interrupted looks, and clocks that move by ticks.
const JITTER: Span = Span::from_millis(50);
/// The kernel steers by up to 500 ppm and by a tenth more of a tick: a ninth is above both.
const STEERING_DIVISOR: i64 = 9;
/// Nobody steers the processor's counter, nor the one that it is compared with: 600 ppm is for
/// what the kernel is wrong about its speed.
const DRIFT_DIVISOR: i64 = 1_667;
const STRAYS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_clock_core::SystemTime;

    /// A machine whose clocks are moved one by one: milliseconds of each.
    #[derive(Clone, Copy, Default)]
    struct Machine {
        local: i64,
        monotonic: i64,
        ticks: i64,
        wall: i64,
    }

    impl Machine {
        fn run(&mut self, ms: i64) {
            self.run_without_ticks(ms);
            self.ticks += ms;
        }

        fn run_without_ticks(&mut self, ms: i64) {
            self.local += ms;
            self.monotonic += ms;
            self.wall += ms;
        }

        fn beat(&self) -> Beat {
            let nanos = |ms: i64| ms * 1_000_000;
            Beat {
                local: LocalTime::from_nanos(nanos(self.local)),
                monotonic: Some(Span::from_nanos(nanos(self.monotonic))),
                ticks: Some(2_400_000 * self.ticks as u64),
                wall: SystemTime::from_nanos(nanos(self.wall)),
                width: Span::from_micros(1),
            }
        }
    }

    const BOUND: Option<Span> = Some(Span::from_millis(10));

    fn watched() -> (Machine, Watchdog) {
        let (mut machine, mut dog) = (Machine::default(), Watchdog::default());
        for _ in 0..3 {
            machine.run(5_000);
            assert_eq!(dog.look(machine.beat(), None, BOUND), None);
        }
        (machine, dog)
    }

    #[test]
    fn counters_that_run_alike_are_no_disruption_however_long_nobody_looks() {
        let (mut machine, mut dog) = watched();
        for ms in [500, 5_000, 1_000_000, 86_400_000] {
            machine.run(ms);
            machine.monotonic += ms / 11;
            machine.wall += ms / 11;
            assert_eq!(dog.look(machine.beat(), None, BOUND), None, "{ms} ms");
        }
    }

    #[test]
    fn a_processor_that_counted_on_while_the_kernels_counter_stood_is_a_disruption() {
        let (mut machine, mut dog) = watched();
        machine.run(5_000);
        machine.ticks += 80;
        assert_eq!(dog.look(machine.beat(), None, BOUND), Some(Disruption::CountersApart));
        for _ in 0..3 {
            machine.run(5_000);
            assert_eq!(dog.look(machine.beat(), None, BOUND), None);
        }
        machine.run(5_000);
        machine.ticks = 0; // Loaded on another host, whose counter is another one.
        assert_eq!(dog.look(machine.beat(), None, BOUND), Some(Disruption::CountersApart));
    }

    #[test]
    fn a_processors_counter_that_strays_again_and_again_is_not_believed_any_more() {
        let (mut machine, mut dog) = watched();
        let mut alarms = 0;
        for _ in 0..20 {
            machine.run(5_000);
            machine.ticks += 1_000 * (alarms + 1);
            alarms += i64::from(dog.look(machine.beat(), None, BOUND).is_some());
        }
        assert!((1..=3).contains(&alarms), "{alarms}");
    }

    #[test]
    fn a_steered_counter_that_jumps_is_a_disruption() {
        let (mut machine, mut dog) = watched();
        machine.run(5_000);
        machine.monotonic += 700;
        assert_eq!(dog.look(machine.beat(), None, BOUND), Some(Disruption::CountersApart));
    }

    #[test]
    fn a_wall_clock_that_is_set_or_steered_by_force_asks_for_a_round_and_not_for_many() {
        let (mut machine, mut dog) = watched();
        machine.run(600);
        machine.wall += 200;
        assert_eq!(dog.look(machine.beat(), None, BOUND), Some(Disruption::WallClockSet));
        machine.run(600);
        machine.wall -= 3_600_000;
        assert_eq!(dog.look(machine.beat(), None, BOUND), None, "one was made just now");
        machine.run(30_000);
        assert_eq!(dog.look(machine.beat(), None, None), None);
        let kernel = |unsynchronised, tick_us| Some(KernelClock { unsynchronised, tick_us });
        let (good, lost, forced) =
            (kernel(false, 10_000), kernel(true, 10_000), kernel(true, 9_500));
        for (says, finds) in [
            (good, None),
            (lost, Some(Disruption::KernelClock)),
            (lost, None),
            (forced, Some(Disruption::KernelClock)),
            (None, None),
            (good, None),
        ] {
            machine.run(31_000);
            assert_eq!(dog.look(machine.beat(), says, BOUND), finds, "{says:?}");
        }
        machine.run(31_000);
        machine.wall += 3_500;
        let wide = Some(Span::from_secs(1));
        assert_eq!(dog.look(machine.beat(), good, wide), None, "within the error and steering");
    }

    #[test]
    fn a_thread_that_wakes_far_too_late_was_paused() {
        let at = |ms: i64| LocalTime::from_nanos(ms * 1_000_000);
        let mut dog = Watchdog::default();
        assert_eq!(dog.wake(at(5_000), at(6_900)), None);
        assert_eq!(dog.wake(at(5_000), at(7_100)), Some(Disruption::Paused));
        assert_eq!(dog.wake(at(12_000), at(15_000)), None, "a round was asked for just now");
        assert_eq!(dog.wake(at(12_000), at(15_200)), Some(Disruption::Paused));
        assert_eq!(dog.wake(LocalTime::MAX, at(60_000)), None, "it waited for nothing");
    }
}
