//! A machine that synchronises itself with a far NTP server.

use ntp_clock_core::{LocalTime, LogEntry, Span};

use crate::candidate::{Candidate, Replayed};
use crate::outcome::{Options, Record};
use crate::peers::{Chrony, Feed};
use crate::run::run;
use crate::world::Setup;

/// What was exchanged with the server, in order, and two clocks that live off it.
pub(super) struct Synchronised {
    entries: std::iter::Peekable<std::vec::IntoIter<LogEntry>>,
    clocks: [Box<dyn Candidate>; 2],
}

impl Synchronised {
    /// A machine's life.
    pub(super) fn new(setup: &Setup) -> Self {
        let record = run(setup, &mut [], Options { record: true, ..Options::default() }).record;
        let entries: Vec<LogEntry> = record
            .into_iter()
            .filter_map(|record| match record {
                Record::Entry(entry) => Some(entry),
                Record::Read { .. } => None,
            })
            .collect();
        let resolution = Span::from_nanos(setup.oscillator.resolution_ns);
        Synchronised {
            entries: entries.into_iter().peekable(),
            clocks: [
                Box::new(Replayed::new(resolution, setup.steering_ppm)),
                Box::new(Chrony::fed(Feed::Every, 1.0)),
            ],
        }
    }

    /// The time at a moment that is not before the last one asked for: this project's with its
    /// bound, and that of an ordinary NTP client, Unix nanoseconds.
    pub(super) fn read(&mut self, at: LocalTime) -> Option<((i64, i64), i64)> {
        while let Some(entry) = self.entries.next_if(|entry| logged_at(entry) <= at) {
            self.clocks.iter_mut().for_each(|clock| clock.entry(&entry));
        }
        let [ours, ordinary] = [0, 1].map(|place| self.clocks[place].read(at));
        let (ours, ordinary) = (ours?, ordinary?);
        Some(((ours.time.as_nanos(), ours.max_error.as_nanos()), ordinary.time.as_nanos()))
    }
}

fn logged_at(entry: &LogEntry) -> LocalTime {
    match entry {
        LogEntry::Exchange { handled_at, .. } => *handled_at,
        LogEntry::Lost { sent_at } => *sent_at,
        LogEntry::RoundEnd { at } | LogEntry::Suspend { at } | LogEntry::CounterChanged { at } => {
            *at
        }
        _ => LocalTime::MIN,
    }
}
