//! What has befallen the counter up to some moment.

use ntp_clock_core::{Disruption, Span};

use crate::os::{self, Life, Slept};

/// What has befallen the counter up to some moment. Two of its moments can be compared where this
/// was alike at both; where it was not, no reading of the one says anything of the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Past {
    /// How long the machine has slept since boot.
    pub(crate) slept: Slept,
    /// What the host says of this virtual machine.
    pub(crate) host: Life,
    /// How often this process found that its counters had run apart.
    pub(crate) jumps: u64,
}

impl Past {
    /// What happened between this and `now`, if anything did, where so much time went by.
    pub(crate) fn until(&self, now: &Past, elapsed: Span) -> Option<Disruption> {
        if self.host != now.host {
            return Some(match (self.host, now.host) {
                (Life::UNCLEAR, _) | (_, Life::UNCLEAR) => Disruption::HostUnclear,
                (before, now) if before.generation != now.generation => Disruption::Restored,
                _ => Disruption::Moved,
            });
        }
        if self.jumps != now.jumps {
            return Some(Disruption::CountersApart);
        }
        os::has_slept(self.slept, now.slept, elapsed).then_some(Disruption::Suspend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_in_what_the_host_says_names_the_disruption() {
        let life =
            |marker, generation| Past { host: Life { marker, generation }, ..Past::default() };
        let unclear = Past { host: Life::UNCLEAR, ..Past::default() };
        let between = |before: Past, now: Past| before.until(&now, Span::ZERO);
        assert_eq!(between(life(1, 0), life(1, 0)), None);
        assert_eq!(between(life(1, 0), life(2, 0)), Some(Disruption::Moved));
        assert_eq!(between(life(1, 7), life(2, 8)), Some(Disruption::Restored));
        assert_eq!(between(life(1, 7), life(1, 8)), Some(Disruption::Restored));
        assert_eq!(between(life(1, 7), unclear), Some(Disruption::HostUnclear));
        assert_eq!(between(unclear, life(1, 7)), Some(Disruption::HostUnclear));
        assert_eq!(between(unclear, unclear), None);
        let jumped = Past { jumps: 1, ..life(1, 0) };
        assert_eq!(between(life(1, 0), jumped), Some(Disruption::CountersApart));
    }
}
