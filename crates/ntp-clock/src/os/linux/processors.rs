//! Whether the counter is one for all processors, as the kernel promises.
//!
//! Where it is not, readings run back whenever a thread changes its processor. The kernel checks
//! its own counters and takes others where they disagree; an emulator or a shim may not.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use ntp_clock_core::{LocalTime, Span};

/// How far the counter runs back on the way over some of the processors that this thread may run
/// on, from `turn` on; zero where it does not, and where threads may not choose. What is less than
/// the way takes, some microseconds, does not show.
pub(crate) fn counter_steps_back(counter: impl Fn() -> LocalTime, turn: usize) -> Span {
    let this_thread = Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(this_thread) else { return Span::ZERO };
    let all = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu) == Ok(true));
    let processors: Vec<usize> = all.collect();
    if processors.len() < 2 {
        return Span::ZERO;
    }
    let hop = |cpu: usize| {
        let mut one = CpuSet::new();
        let chosen = one.set(cpu).and_then(|()| sched_setaffinity(this_thread, &one));
        chosen.is_ok().then(&counter)
    };
    let way = processors.iter().cycle().skip(turn % processors.len()).take(HOPS);
    let back = most_back(way.filter_map(|cpu| hop(*cpu)));
    // It was allowed before; only a change of what is allowed since then makes it fail.
    let _ = sched_setaffinity(this_thread, &allowed);
    back
}

/// The longest step back in a row of readings.
fn most_back(readings: impl Iterator<Item = LocalTime>) -> Span {
    let mut latest: Option<LocalTime> = None;
    let mut most = Span::ZERO;
    for reading in readings {
        if let Some(latest) = latest {
            most = most.max(latest - reading);
        }
        latest = latest.max(Some(reading));
    }
    most
}

/// To a few others and back to the first of two.
const HOPS: usize = 5;

#[cfg(test)]
mod tests {
    use super::super::clocks::local_now;
    use super::*;

    #[test]
    fn a_counter_that_is_behind_on_one_processor_shows_as_a_step_back() {
        let at = |nanos: &i64| LocalTime::from_nanos(*nanos);
        assert_eq!(most_back([5, 9, 20].iter().map(at)), Span::ZERO);
        assert_eq!(most_back([500, 310, 520, 330].iter().map(at)), Span::from_nanos(190));
        assert_eq!(most_back([].iter().map(at)), Span::ZERO);
    }

    #[test]
    fn this_machines_counter_is_one_and_the_thread_may_run_where_it_might_before() {
        let before = sched_getaffinity(Pid::from_raw(0)).unwrap();
        for turn in 0..8 {
            assert_eq!(counter_steps_back(local_now, turn), Span::ZERO);
        }
        assert_eq!(sched_getaffinity(Pid::from_raw(0)).unwrap(), before);
    }
}
