//! Moments that are known by the counter alone.

use ntp_clock_history::{Dated, History, Limits, Sample};

const SECOND_NS: i64 = 1_000_000_000;

/// The machine sleeps for an hour between the second and third sample; the counter stands still.
fn slept() -> History {
    let mut history = History::new(Limits::default());
    let truth = [1_000, 1_001, 4_602, 4_603];
    for (second, (truth, counter)) in truth.into_iter().zip([1, 1, 2, 2]).enumerate() {
        let reading = Dated {
            time_ns: truth * SECOND_NS,
            max_error_ns: 1_000_000,
            est_error_ns: 1_000,
            epoch: counter,
        };
        history.sample(Sample {
            counter_ns: second as i64 * SECOND_NS,
            width_ns: 0,
            system_ns: truth * SECOND_NS,
            resolution_ns: 1,
            counter,
            reading: Some(reading),
        });
    }
    history
}

fn dated(counter_ns: i64) -> Option<Dated> {
    let history = slept();
    history.date(history.moment(counter_ns)?, |_| None)
}

#[test]
fn a_moment_before_a_sleep_is_dated_by_the_counter_of_then() {
    let dated = dated(SECOND_NS / 2).unwrap();
    assert!((dated.time_ns - 1_000_500_000_000).abs() <= dated.max_error_ns);
    assert!(dated.max_error_ns < 2_000_000);
}

#[test]
fn a_moment_that_may_lie_before_or_after_a_sleep_has_an_error_that_covers_both() {
    let dated = dated(3 * SECOND_NS / 2).unwrap();
    for truth in [1_001_500_000_000, 4_601_500_000_000_i64] {
        assert!((dated.time_ns - truth).abs() <= dated.max_error_ns);
    }
}

#[test]
fn a_moment_outside_of_the_samples_is_not_dated() {
    assert_eq!((dated(-1), dated(3 * SECOND_NS + 1)), (None, None));
    assert!(dated(0).is_some() && dated(3 * SECOND_NS).is_some());
}
