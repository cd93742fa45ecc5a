//! What was seen so far: samples for the plot, events for the log. Both are bounded.

use std::collections::VecDeque;
use std::time::Duration;

use ntp_clock::Status;

/// What the screen shows of the past.
#[derive(Debug, Default)]
pub(super) struct History {
    samples: VecDeque<Sample>,
    /// There was no time to tell since the newest sample.
    gap: bool,
    events: VecDeque<Entry>,
}

/// The offset and its probable error at one moment; times since the start, the rest in
/// milliseconds. The hard bound is not among it: on a long path it is a hundred times as wide as
/// all that moves, and a plot that holds it shows a flat line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Sample {
    pub(super) at_secs: f64,
    pub(super) offset_ms: f64,
    pub(super) est_error_ms: f64,
    /// Before it there was no time to tell.
    pub(super) after_gap: bool,
}

/// An event, as it is to be shown.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Entry {
    pub(super) time: String,
    pub(super) text: String,
    pub(super) warning: bool,
}

impl History {
    /// Notes the status of a moment.
    pub(super) fn note(&mut self, at: Duration, status: &Status) {
        let (Some(offset), Some(est_error)) = (status.offset, status.est_error) else {
            self.gap = true;
            return;
        };
        if self.samples.len() == SAMPLES_MAX {
            self.thin_out();
        }
        self.samples.push_back(Sample {
            at_secs: at.as_secs_f64(),
            offset_ms: offset.as_millis_f64(),
            est_error_ms: est_error.as_millis_f64(),
            after_gap: std::mem::take(&mut self.gap),
        });
    }

    pub(super) fn tell(&mut self, entry: Entry) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(entry);
    }

    /// Runs of samples without a gap in between.
    pub(super) fn runs(&mut self) -> impl Iterator<Item = &[Sample]> {
        self.samples.make_contiguous().chunk_by(|_, next| !next.after_gap)
    }

    /// When the first sample was taken, seconds since the start.
    pub(super) fn begin_secs(&self) -> f64 {
        self.samples.front().map_or(0.0, |sample| sample.at_secs)
    }

    /// The newest first.
    pub(super) fn events(&self) -> impl Iterator<Item = &Entry> {
        self.events.iter().rev()
    }

    /// What a plot has to show: all that the offset did, and a few of its newest probable errors
    /// on both sides. The wide errors of a clock's first seconds would press all later ones flat.
    pub(super) fn range_ms(&self) -> Option<(f64, f64)> {
        let room = FEW * self.samples.back()?.est_error_ms;
        let offsets = self.samples.iter().map(|sample| sample.offset_ms);
        let (low, high) = offsets.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), ms| {
            (low.min(ms), high.max(ms))
        });
        Some((low - room, high + room))
    }

    /// Keeps every other sample of the older half: a long history in little memory.
    fn thin_out(&mut self) {
        let half = SAMPLES_MAX / 2;
        let mut index = 0;
        self.samples.retain(|sample| {
            index += 1;
            index > half || index % 2 == 1 || sample.after_gap
        });
        self.samples.truncate(SAMPLES_MAX - 1);
    }
}

const SAMPLES_MAX: usize = 4_000;
const EVENTS_MAX: usize = 200;
/// Nearly all of what is probable: three standard deviations.
const FEW: f64 = 3.0;

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_clock::{ManualClock, Span, UnixTime};

    fn sample(n: usize) -> Sample {
        Sample { at_secs: n as f64, offset_ms: n as f64, est_error_ms: 0.5, after_gap: false }
    }

    #[test]
    fn a_long_history_stays_bounded_and_keeps_its_beginning_and_its_end() {
        let mut history = History::default();
        for n in 0..20_000 {
            if history.samples.len() == SAMPLES_MAX {
                history.thin_out();
            }
            history.samples.push_back(sample(n));
        }
        let seconds: Vec<_> = history.samples.iter().map(|s| s.at_secs).collect();
        assert!(seconds.len() <= SAMPLES_MAX && seconds.is_sorted());
        assert_eq!((seconds[0], seconds[seconds.len() - 1]), (0.0, 19_999.0));
    }

    #[test]
    fn the_range_holds_every_offset_with_a_few_of_the_newest_probable_errors() {
        let mut history = History::default();
        assert_eq!(history.range_ms(), None);
        history.samples.extend([sample(3), sample(1), sample(5)]);
        history.samples[0].est_error_ms = 100.0;
        assert_eq!(history.range_ms(), Some((-0.5, 6.5)));
    }

    #[test]
    fn a_time_without_readings_is_a_gap_between_two_runs() {
        let manual = ManualClock::new();
        let clock = manual.clock();
        let mut history = History::default();
        manual.set(UnixTime::from_nanos(0), Span::from_millis(1));
        history.note(Duration::from_secs(1), &clock.status());
        history.note(Duration::from_secs(2), &clock.status());
        manual.fail();
        history.note(Duration::from_secs(3), &clock.status());
        manual.set(UnixTime::from_nanos(0), Span::from_millis(1));
        history.note(Duration::from_secs(4), &clock.status());
        let runs: Vec<Vec<f64>> =
            history.runs().map(|run| run.iter().map(|s| s.at_secs).collect()).collect();
        assert_eq!(runs, [vec![1.0, 2.0], vec![4.0]]);
    }

    #[test]
    fn the_newest_events_come_first_and_the_oldest_give_way() {
        let mut history = History::default();
        for n in 0..EVENTS_MAX + 5 {
            let entry = Entry { time: String::new(), text: n.to_string(), warning: false };
            history.tell(entry);
        }
        let texts: Vec<_> = history.events().map(|entry| entry.text.as_str()).collect();
        assert_eq!((texts.len(), texts[0], texts[EVENTS_MAX - 1]), (EVENTS_MAX, "204", "5"));
    }
}
