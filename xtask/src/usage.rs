//! The processor time of a command and of all that it has waited for, as Linux says.

use std::fs;
use std::time::Duration;

/// What a child has used that is not waited for yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Usage {
    pub(crate) time: Duration,
    pub(crate) has_ended: bool,
}

impl Usage {
    /// `None` where the system has no `/proc`.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Usage::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // The name before it, in brackets, may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // Its own time in programs and in the system, then the same of its children.
        let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>());
        let ticks = ticks.sum::<Result<u64, _>>().ok()?;
        let time = Duration::from_millis(ticks * TICK_MS);
        Some(Usage { time, has_ended: fields.first() == Some(&"Z") })
    }
}

/// Linux counts in hundredths of a second here, on all machines.
const TICK_MS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_and_of_its_children_is_read() {
        let stat = "7 (a) b) Z 1 7 7 0 -1 4 1 2 0 0 150 50 300 100 20 0 1 0 5 6 7";
        let usage = Usage { time: Duration::from_secs(6), has_ended: true };
        assert_eq!(Usage::parse(stat), Some(usage));
        assert_eq!(Usage::parse("7 (a) S 1"), None);
        assert_eq!(Usage::parse(""), None);
    }
}
