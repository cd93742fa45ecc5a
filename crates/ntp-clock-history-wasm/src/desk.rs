//! A history, and the table through which it is asked and answers.

use ntp_clock_history::{Dated, History, Limits, Moment, Sample, Traced, Window};

/// A history and its table of whole numbers.
///
/// Places: 0 to 3 are a traced time (earliest counter's reading and number, latest one's), 4 to 8
/// the first reading (whether there is one, time, maximum and estimated error, epoch), 9 to 13 the
/// second, and a dated time goes to 5 to 8.
#[derive(Debug)]
pub struct Desk {
    history: History,
    /// What JavaScript writes before it asks, and reads afterwards.
    pub numbers: [i64; 14],
}

impl Default for Desk {
    fn default() -> Self {
        Desk { history: History::new(Limits::default()), numbers: [0; 14] }
    }
}

impl Desk {
    /// Whether it needs a sample.
    #[must_use]
    pub fn is_due(&self, counter_ns: i64) -> bool {
        self.history.is_due(counter_ns)
    }

    /// How many samples are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.history.len()
    }

    /// Whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.history.is_empty()
    }

    /// Takes a sample; its reading is the first one of the table.
    pub fn sample(
        &mut self,
        (counter_ns, width_ns): (i64, i64),
        (system_ns, resolution_ns): (i64, i64),
        counter: u64,
    ) {
        let reading = self.reading(FIRST);
        let sample = Sample { counter_ns, width_ns, system_ns, resolution_ns, counter, reading };
        self.history.sample(sample);
    }

    /// Where a time of the SDK's clock can have come from: 0 is nowhere, 2 is more than one place.
    pub fn trace(&mut self, system_ns: i64, resolution_ns: i64, window: Window) -> u32 {
        self.tell(self.history.trace(system_ns, resolution_ns, window))
    }

    /// The moment when the counter read this; 0 is one that the history does not reach.
    pub fn moment(&mut self, counter_ns: i64) -> u32 {
        self.tell(self.history.moment(counter_ns))
    }

    /// True time of what is traced in the table; its readings are what the clock says at the two
    /// ends. The dated time takes the first reading's place.
    pub fn date(&mut self) -> bool {
        let [earliest_ns, earliest, latest_ns, latest, ..] = self.numbers;
        let moment = |counter_ns, counter: i64| Moment { counter_ns, counter: counter as u64 };
        let traced = Traced {
            earliest: moment(earliest_ns, earliest),
            latest: moment(latest_ns, latest),
            ambiguous: false,
        };
        let (first, last) = (self.reading(FIRST), self.reading(SECOND));
        let at = |counter_ns| if counter_ns == earliest_ns { first } else { last };
        let dated = self.history.date(traced, at);
        if let Some(dated) = dated {
            self.numbers[FIRST + 1..FIRST + 5].copy_from_slice(&[
                dated.time_ns,
                dated.max_error_ns,
                dated.est_error_ns,
                dated.epoch as i64,
            ]);
        }
        dated.is_some()
    }

    fn reading(&self, place: usize) -> Option<Dated> {
        let [is_there, time_ns, max_error_ns, est_error_ns, epoch] =
            *self.numbers.get(place..)?.first_chunk()?;
        let epoch = epoch as u64;
        (is_there != 0).then_some(Dated { time_ns, max_error_ns, est_error_ns, epoch })
    }

    fn tell(&mut self, traced: Option<Traced>) -> u32 {
        let Some(Traced { earliest, latest, ambiguous }) = traced else { return 0 };
        self.numbers[..FIRST].copy_from_slice(&[
            earliest.counter_ns,
            earliest.counter as i64,
            latest.counter_ns,
            latest.counter as i64,
        ]);
        1 + u32::from(ambiguous)
    }
}

const FIRST: usize = 4;
const SECOND: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    fn desk() -> Desk {
        let mut desk = Desk::default();
        for second in 0..3 {
            desk.numbers = [0; 14];
            let counter_ns = second * SECOND_NS;
            desk.sample((counter_ns, 0), (counter_ns + 500 * SECOND_NS, 1_000_000), 7);
        }
        desk
    }

    #[test]
    fn a_time_is_traced_and_dated_by_what_the_clock_says_at_both_ends() {
        let mut desk = desk();
        assert_eq!(desk.trace(501_500_000_000, 1_000_000, Window::default()), 1);
        let [earliest_ns, 7, latest_ns, 7, ..] = desk.numbers else { panic!("{desk:?}") };
        assert!(earliest_ns <= 1_500_000_000 && 1_501_000_000 <= latest_ns);
        let reading = |counter_ns: i64| [1, counter_ns + 100 * SECOND_NS, 1000, 10, 4];
        desk.numbers[4..9].copy_from_slice(&reading(earliest_ns));
        desk.numbers[9..14].copy_from_slice(&reading(latest_ns));
        assert!(desk.date());
        let [_, time_ns, max_error_ns, _, epoch] = desk.numbers[4..9] else { panic!("{desk:?}") };
        assert!((time_ns - 101_500_500_000).abs() < 1_000_000);
        assert!(time_ns - max_error_ns <= 100 * SECOND_NS + earliest_ns - 1000);
        assert!(time_ns + max_error_ns >= 100 * SECOND_NS + latest_ns + 1000);
        assert_eq!(epoch, 4);
    }

    #[test]
    fn nothing_is_dated_without_a_reading() {
        let mut desk = desk();
        assert_eq!(desk.moment(1_500_000_000), 1);
        assert!(!desk.date());
        assert_eq!((desk.moment(-1), desk.trace(1, 1, Window::default())), (0, 0));
    }
}
