//! When to ask: every interval of the engine, its limits and its jitter, in one place.

use crate::time::{LocalTime, Span};

/// Requests of the first round, once the server answers: one less than the budget, so that a
/// program that asks for a round right after start is answered at once.
pub(super) const FIRST_BURST: u8 = 7;
/// Requests of later rounds, once the server answers; of the first round, those that follow one
/// another quickly.
pub(super) const LATER_BURST: u8 = 4;
/// Distance between the requests of a burst.
const BURST_SPACING: Span = Span::from_millis(50);
/// Distances between the requests of the first round beyond those, 1.5 s together: a queue that
/// stands for some hundred milliseconds, which a quick burst meets as a whole, meets one of these
/// at most. The first comes early, because correcting what the queue did takes its time: 5 % of it.
const SPREAD_SPACING: [Span; (FIRST_BURST - LATER_BURST) as usize] =
    [Span::from_millis(200), Span::from_millis(500), Span::from_millis(800)];
/// While nothing is answered, the distance doubles up to this.
const PROBE_SPACING_MAX: Span = Span::from_millis(400);
/// How long the last request of a round may wait for its reply.
pub(crate) const REPLY_TIMEOUT: Span = Span::from_secs(2);
/// Attempts until the clock is failed.
pub(crate) const ATTEMPTS: u32 = 3;
/// A mapping expires so long after its next poll was due, whatever happens to the thread.
pub(super) const EXPIRY_GRACE: Span = Span::from_secs(120);
/// How long DENY and RSTR silence us.
pub(super) const DENY_HOLD: Span = Span::from_secs(3600);

/// When a synchronised clock makes its attempts, after the poll was due.
const RETRY_AFTER: [Span; ATTEMPTS as usize] =
    [Span::ZERO, Span::from_secs(15), Span::from_secs(60)];
/// Pauses after the first rounds, so that the frequency is learnt within minutes.
const EARLY_GAPS: [Span; 5] = [
    Span::from_secs(10),
    Span::from_secs(20),
    Span::from_secs(40),
    Span::from_secs(80),
    Span::from_secs(150),
];
/// The first pause after a clock has failed.
pub(super) const FIRST_BACKOFF: Span = Span::from_secs(15);
const BACKOFF_MAX: Span = Span::from_secs(300);
/// How long RATE silences us, at least.
pub(super) const RATE_HOLD_MIN: Span = Span::from_secs(60);
const RATE_HOLD_MAX: Span = Span::from_secs(3600);
/// Intervals lose up to a tenth at random, so that a fleet does not march in step.
const JITTER_PARTS: i64 = 10;
/// A public server's usual rate limit allows this many packets ...
const BUDGET_PACKETS: usize = 8;
/// ... in 8 s, as it sees them: the path may draw them closer together.
const BUDGET_WINDOW: Span = Span::from_millis(8_200);

/// Requests sent in an attempt while none is answered.
///
/// A clock that was never synchronised makes its three attempts at once, out of one budget: most
/// of it goes to the first, spread over a second so that a burst of loss does not take all.
pub(super) const fn probes(ever_synced: bool, failed_attempts: u32) -> u8 {
    match (ever_synced, failed_attempts) {
        (false, 0) => 6,
        (false, 1..ATTEMPTS) => 1,
        _ => 3,
    }
}

/// Pause before the next request of a round, `sent` requests into it, once a reply is believed.
pub(super) fn burst_spacing(sent: u8) -> Span {
    let spread = sent.checked_sub(LATER_BURST).and_then(|n| SPREAD_SPACING.get(usize::from(n)));
    spread.copied().unwrap_or(BURST_SPACING)
}

/// Pause before the next request of a round, `sent` requests and no reply into it.
pub(super) fn probe_spacing(sent: u8) -> Span {
    let doubled = BURST_SPACING.times(1 << sent.saturating_sub(1).min(8));
    doubled.min(PROBE_SPACING_MAX)
}

/// Pause between the end of one successful round and the next poll, `rounds` into this
/// synchronisation.
pub(super) fn poll_gap(rounds: u32, interval: Span, entropy: u64) -> Span {
    let early = usize::try_from(rounds).ok().and_then(|r| EARLY_GAPS.get(r.checked_sub(1)?));
    let gap = early.copied().unwrap_or(interval).min(interval);
    less_jitter(gap, entropy)
}

/// When the next attempt of a synchronised clock is due, after `failed` of them.
pub(super) fn retry_at(due: LocalTime, failed: u32, entropy: u64) -> LocalTime {
    let after = RETRY_AFTER.get(failed as usize).copied().unwrap_or(Span::ZERO);
    due + less_jitter(after, entropy)
}

/// `span` shortened by up to a tenth.
pub(super) fn less_jitter(span: Span, entropy: u64) -> Span {
    span - Span::from_nanos(span.as_nanos() / JITTER_PARTS).share(entropy)
}

/// Waiting times that double from one failure to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    next: Span,
    first: Span,
    most: Span,
}

impl Backoff {
    /// Between the rounds of a failed clock.
    pub(super) const FAILED: Backoff =
        Backoff { next: FIRST_BACKOFF, first: FIRST_BACKOFF, most: BACKOFF_MAX };
    /// After each kiss-o'-death RATE to a burst of one request.
    pub(super) const RATE: Backoff =
        Backoff { next: RATE_HOLD_MIN, first: RATE_HOLD_MIN, most: RATE_HOLD_MAX };

    pub(super) fn step(&mut self) -> Span {
        let now = self.next;
        self.next = now.times(2).min(self.most);
        now
    }

    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// The last packets sent: no window of [`BUDGET_WINDOW`] holds more than [`BUDGET_PACKETS`].
#[derive(Clone, Debug)]
pub(super) struct Budget {
    sent: [Option<LocalTime>; BUDGET_PACKETS],
    next: usize,
}

impl Budget {
    pub(super) const fn new() -> Self {
        Budget { sent: [None; BUDGET_PACKETS], next: 0 }
    }

    /// From when on one more packet may be sent; `None` is at once.
    pub(super) fn free_at(&self) -> Option<LocalTime> {
        let oldest = self.sent.get(self.next).copied().flatten()?;
        Some(oldest + BUDGET_WINDOW)
    }

    pub(super) fn allows(&self, now: LocalTime) -> bool {
        self.free_at().is_none_or(|free| now >= free)
    }

    /// Counts a packet handed out and returns its slot.
    pub(super) fn spend(&mut self, now: LocalTime) -> usize {
        let slot = self.next;
        if let Some(sent) = self.sent.get_mut(slot) {
            *sent = Some(now);
        }
        self.next = (slot + 1) % BUDGET_PACKETS;
        slot
    }

    /// The packet in this slot left later than it was handed out.
    pub(super) fn sent(&mut self, slot: usize, at: LocalTime) {
        if let Some(Some(sent)) = self.sent.get_mut(slot) {
            *sent = (*sent).max(at.min(*sent + BUDGET_WINDOW));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_first_attempts_fit_one_budget() {
        let first: u8 = (0..ATTEMPTS).map(|failed| probes(false, failed)).sum();
        assert_eq!(usize::from(first), BUDGET_PACKETS);
        assert_eq!(probes(false, ATTEMPTS), 3);
        assert_eq!(probes(true, 0), 3);
    }

    #[test]
    fn unanswered_requests_spread_over_a_second() {
        let pauses = (1..6).map(probe_spacing);
        let millis = pauses.map(|p| p.as_nanos() / 1_000_000).collect::<std::vec::Vec<_>>();
        assert_eq!(millis, [50, 100, 200, 400, 400]);
    }

    #[test]
    fn the_last_requests_of_the_first_burst_spread_over_a_second_and_a_half() {
        let pauses = (1..FIRST_BURST).map(burst_spacing);
        let millis = pauses.map(|p| p.as_nanos() / 1_000_000).collect::<std::vec::Vec<_>>();
        assert_eq!(millis, [50, 50, 50, 200, 500, 800]);
    }

    #[test]
    fn polls_come_close_together_at_first_and_never_after_the_interval() {
        let interval = Span::from_secs(300);
        for entropy in [0, u64::MAX / 3, u64::MAX] {
            assert!(poll_gap(1, interval, entropy) >= Span::from_secs(9));
            assert!(poll_gap(1, interval, entropy) <= Span::from_secs(10));
            assert!(poll_gap(6, interval, entropy) <= interval);
            assert!(poll_gap(6, interval, entropy) >= Span::from_secs(270));
            assert!(poll_gap(2, Span::from_secs(5), entropy) <= Span::from_secs(5));
        }
    }

    #[test]
    fn retries_come_at_0_15_and_60_seconds_after_the_poll_was_due() {
        let due = LocalTime::from_nanos(0);
        let at = |failed| retry_at(due, failed, 0) - due;
        assert_eq!([at(0), at(1), at(2)], [Span::ZERO, Span::from_secs(15), Span::from_secs(60)]);
    }

    #[test]
    fn backoff_doubles_from_15_to_300_seconds() {
        let mut backoff = Backoff::FAILED;
        let waits = core::array::from_fn::<_, 7, _>(|_| backoff.step().as_nanos() / 1_000_000_000);
        assert_eq!(waits, [15, 30, 60, 120, 240, 300, 300]);
        backoff.reset();
        assert_eq!(backoff.step(), FIRST_BACKOFF);
    }

    #[test]
    fn no_eight_seconds_hold_more_than_eight_packets() {
        let mut budget = Budget::new();
        let at = LocalTime::from_nanos;
        for i in 0..8 {
            assert!(budget.allows(at(i)));
            budget.spend(at(i));
        }
        assert!(!budget.allows(at(8_199_999_999)));
        assert!(budget.allows(at(8_200_000_000)));
        assert_eq!(budget.free_at(), Some(at(8_200_000_000)));
    }

    #[test]
    fn a_packet_counts_from_when_it_left_but_no_later_than_the_budgets_window() {
        let at = LocalTime::from_nanos;
        let free = |left: i64| {
            let mut budget = Budget::new();
            for _ in 0..8 {
                let slot = budget.spend(at(1_000));
                budget.sent(slot, at(left));
            }
            budget.free_at().map(LocalTime::as_nanos)
        };
        assert_eq!(free(5_000), Some(5_000 + 8_200_000_000));
        assert_eq!(free(0), Some(1_000 + 8_200_000_000));
        assert_eq!(free(i64::MAX), Some(1_000 + 2 * 8_200_000_000));
        Budget::new().sent(0, at(5));
    }

    #[test]
    fn jitter_takes_up_to_a_tenth_away() {
        let whole = Span::from_secs(300);
        assert_eq!(less_jitter(whole, 0), whole);
        assert_eq!(less_jitter(whole, 1 << 63), Span::from_secs(285));
        assert_eq!(less_jitter(whole, u64::MAX), Span::from_secs(270) + Span::from_nanos(1));
    }
}
