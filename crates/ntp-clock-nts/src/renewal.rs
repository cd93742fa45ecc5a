//! When keys may be exchanged again (RFC 8915 section 4.2).

use ntp_clock_core::{LocalTime, Span};

/// The pauses between key exchanges: 10 s and half as much again after each, as RFC 8915 section
/// 4.2 suggests.
///
/// They grow with each exchange after which no reply was proved, whether the exchange itself
/// succeeded or not: anyone who forges NTS-NAKs and drops replies causes one exchange per pause.
///
/// ```
/// use ntp_clock_core::{LocalTime, Span};
/// use ntp_clock_nts::Renewal;
/// let now = LocalTime::from_nanos(0);
/// let mut renewal = Renewal::new();
/// assert!(renewal.is_due(now), "the first one at once");
/// renewal.begin(now, 0);
/// assert!(!renewal.is_due(now + Span::from_secs(8)));
/// assert!(renewal.is_due(now + Span::from_secs(10)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Renewal {
    not_before: Option<LocalTime>,
    /// Exchanges since a reply was proved.
    in_vain: u32,
}

impl Renewal {
    /// After the first exchange in vain.
    pub const PAUSE_MIN: Span = Span::from_secs(10);
    /// However many are in vain. RFC 8915 suggests up to five days, which a clock without time
    /// cannot wait.
    pub const PAUSE_MAX: Span = Span::from_secs(3_600);

    /// No exchange has been tried.
    #[must_use]
    pub const fn new() -> Self {
        Renewal { not_before: None, in_vain: 0 }
    }

    /// Whether keys may be exchanged now.
    #[must_use]
    pub fn is_due(&self, now: LocalTime) -> bool {
        self.not_before.is_none_or(|not_before| now >= not_before)
    }

    /// When keys may be exchanged; `None` for at once.
    #[must_use]
    pub const fn not_before(&self) -> Option<LocalTime> {
        self.not_before
    }

    /// An exchange begins. `entropy`, 64 random bits, makes the pause after it up to a tenth
    /// longer, so that a server's clients do not come back together.
    pub fn begin(&mut self, now: LocalTime, entropy: u64) {
        let mut pause = Renewal::PAUSE_MIN;
        for _ in 0..self.in_vain.min(STEPS) {
            pause = (pause + pause.half_ceil()).min(Renewal::PAUSE_MAX);
        }
        let tenth = Span::from_nanos(pause.as_nanos() / 10);
        self.not_before = Some(now + pause + tenth.share(entropy));
        self.in_vain = self.in_vain.saturating_add(1);
    }

    /// A reply was proved with the keys of the last exchange: nothing less may make pauses short
    /// again, no reply that older keys have proved either. The pause that has begun stands.
    pub const fn proved(&mut self) {
        self.in_vain = 0;
    }

    /// The last exchange reached no server: no name, no route, nobody listening. Nobody's work was
    /// wasted, so it does not make pauses grow: after an outage the clock has time again as soon as
    /// one without keys. Those before it count as they did, or a server that refuses every other
    /// connection would keep pauses short.
    pub const fn unreached(&mut self) {
        self.in_vain = self.in_vain.saturating_sub(1);
    }

    /// The machine is on another network than when the last exchange was tried: what failed there
    /// says nothing about here. Nothing that comes over a network may lead to this.
    pub const fn moved(&mut self) {
        (self.not_before, self.in_vain) = (None, 0);
    }
}

/// More of them change nothing: 10 s times 1.5 to the 15th is over an hour.
const STEPS: u32 = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const NOW: LocalTime = LocalTime::from_nanos(1_000);

    fn pause(renewal: &mut Renewal, entropy: u64) -> Span {
        renewal.begin(NOW, entropy);
        renewal.not_before().unwrap() - NOW
    }

    #[test]
    fn pauses_grow_by_half_from_ten_seconds_to_an_hour() {
        let mut renewal = Renewal::new();
        let pauses: Vec<_> =
            (0..20).map(|_| pause(&mut renewal, 0).as_nanos() / 1_000_000_000).collect();
        assert_eq!(pauses[..6], [10, 15, 22, 33, 50, 75]);
        assert_eq!(pauses[15..], [3_600; 5]);
        assert!(pauses.is_sorted() && pauses[14] < 3_600, "{pauses:?}");
    }

    #[test]
    fn a_pause_is_longer_by_a_tenth_at_most() {
        for (entropy, least_ms) in [(0, 10_000), (1, 10_000), (1 << 63, 10_500), (u64::MAX, 10_999)]
        {
            let pause = pause(&mut Renewal::new(), entropy);
            let least = Span::from_millis(least_ms);
            assert!(pause >= least && pause < Span::from_secs(11), "{pause:?}");
        }
    }

    #[test]
    fn only_a_proved_reply_makes_the_next_pause_short_and_none_ends_the_one_that_stands() {
        let mut renewal = Renewal::new();
        for _ in 0..10 {
            renewal.begin(NOW, 0);
        }
        let not_before = renewal.not_before().unwrap();
        renewal.proved();
        assert_eq!(renewal.not_before(), Some(not_before));
        assert!(!renewal.is_due(not_before - Span::from_nanos(1)) && renewal.is_due(not_before));
        assert_eq!(pause(&mut renewal, 0), Renewal::PAUSE_MIN);
    }

    #[test]
    fn exchanges_that_reach_no_server_do_not_make_pauses_grow() {
        let mut renewal = Renewal::new();
        for _ in 0..100 {
            assert_eq!(pause(&mut renewal, 0), Renewal::PAUSE_MIN);
            renewal.unreached();
            assert!(!renewal.is_due(NOW), "and end none");
        }
    }

    #[test]
    fn an_exchange_that_reaches_no_server_does_not_make_pauses_short_again() {
        let mut renewal = Renewal::new();
        let pauses = [10, 15, 22].map(Span::from_secs);
        for expected in pauses {
            for _ in 0..3 {
                let pause = pause(&mut renewal, 0);
                assert!(pause >= expected && pause < expected + Span::from_secs(1), "{pause:?}");
                renewal.unreached();
            }
            renewal.begin(NOW, 0);
        }
    }

    #[test]
    fn a_machine_that_moved_need_not_wait() {
        let mut renewal = Renewal::new();
        for _ in 0..10 {
            renewal.begin(NOW, 0);
        }
        renewal.moved();
        assert!(renewal.is_due(NOW));
        assert_eq!(pause(&mut renewal, 0), Renewal::PAUSE_MIN);
    }
}
