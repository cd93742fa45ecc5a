//! What waits for the first synchronisation.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How much may wait for the first synchronisation, and how long, per exporter.
///
/// ```
/// use std::time::Duration;
/// use ntp_clock_opentelemetry::GateLimits;
///
/// let limits = GateLimits::default();
/// assert_eq!((limits.items, limits.bytes), (2_048, 4 << 20));
/// let hasty = GateLimits { wait: Duration::from_secs(2), ..limits };
/// assert!(hasty.wait < limits.wait);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// Spans or log records that may wait; of more, the oldest leave as they are.
    pub items: usize,
    /// Bytes, by estimate, that these may take.
    pub bytes: usize,
    /// How long the first of them waits. After that the gate stays open.
    pub wait: Duration,
}

impl Default for GateLimits {
    fn default() -> Self {
        GateLimits { items: 2_048, bytes: 4 << 20, wait: Duration::from_secs(10) }
    }
}

/// What becomes of a batch that came to the gate.
#[derive(Debug, PartialEq)]
pub(crate) enum Admitted<T> {
    /// It waits; these, the oldest, had to leave for it.
    Waits(Vec<T>),
    /// The gate is open; what waited goes first.
    Passes(Vec<T>),
}

/// The queue in front of an exporter. It reads no clock, so that it is tested without one.
#[derive(Debug)]
pub(crate) struct Gate<T> {
    limits: GateLimits,
    batches: VecDeque<Vec<(usize, T)>>,
    /// How many batches have ever left the queue.
    left: u64,
    /// Of batches that came before this many, all may leave though the gate is shut.
    released: u64,
    items: usize,
    bytes: usize,
    since: Option<Instant>,
    open: bool,
}

impl<T> Gate<T> {
    pub(crate) fn new(limits: GateLimits) -> Self {
        Gate {
            limits,
            batches: VecDeque::new(),
            left: 0,
            released: 0,
            items: 0,
            bytes: 0,
            since: None,
            open: false,
        }
    }

    /// Takes a batch; `bytes` estimates the size of an item.
    pub(crate) fn admit(
        &mut self,
        batch: Vec<T>,
        now: Instant,
        synchronised: bool,
        bytes: impl Fn(&T) -> usize,
    ) -> Admitted<T> {
        if self.is_open(now, synchronised) {
            return Admitted::Passes(batch);
        }
        if batch.is_empty() {
            return Admitted::Waits(Vec::new());
        }
        self.since.get_or_insert(now);
        let sized: Vec<_> = batch.into_iter().map(|item| (bytes(&item), item)).collect();
        self.items += sized.len();
        self.bytes += sized.iter().map(|(size, _)| size).sum::<usize>();
        self.batches.push_back(sized);
        let mut leaving = Vec::new();
        while self.items > self.limits.items || self.bytes > self.limits.bytes {
            let Some(oldest) = self.batches.front_mut() else { break };
            let before = leaving.len();
            let (mut items, mut bytes) = (self.items, self.bytes);
            let count = oldest
                .iter()
                .take_while(|(size, _)| {
                    let over = items > self.limits.items || bytes > self.limits.bytes;
                    if over {
                        items -= 1;
                        bytes -= size;
                    }
                    over
                })
                .count();
            leaving.extend(oldest.drain(..count).map(|(_, item)| item));
            (self.items, self.bytes) = (items, bytes);
            if oldest.is_empty() {
                self.batches.pop_front();
                self.left += 1;
            } else if leaving.len() == before {
                break;
            }
        }
        Admitted::Waits(leaving)
    }

    /// Whether what waits may leave; once open, it stays so.
    pub(crate) fn is_open(&mut self, now: Instant, synchronised: bool) -> bool {
        let waited = self.since.is_some_and(|since| now >= since + self.limits.wait);
        self.open |= synchronised || waited;
        self.open
    }

    pub(crate) fn open(&mut self) {
        self.open = true;
    }

    /// Lets out what waits now, and leaves the gate as it is; gives the number for
    /// [`has_left`](Gate::has_left).
    pub(crate) fn release(&mut self) -> u64 {
        self.released = self.left + self.batches.len() as u64;
        self.released
    }

    /// Whether nothing of what was released then waits here any more.
    pub(crate) fn has_left(&self, released: u64) -> bool {
        self.left >= released
    }

    /// Whether the oldest batch may leave.
    pub(crate) fn is_leaving(&self) -> bool {
        self.open || self.left < self.released
    }

    /// The oldest batch, as it came, if it may leave.
    pub(crate) fn next(&mut self) -> Option<Vec<T>> {
        if !self.is_leaving() {
            return None;
        }
        let batch = self.batches.pop_front()?;
        self.left += 1;
        self.items -= batch.len();
        self.bytes -= batch.iter().map(|(size, _)| size).sum::<usize>();
        Some(batch.into_iter().map(|(_, item)| item).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(items: usize, bytes: usize) -> Gate<u32> {
        Gate::new(GateLimits { items, bytes, wait: Duration::from_secs(10) })
    }

    fn admit(gate: &mut Gate<u32>, batch: &[u32], now: Instant) -> Admitted<u32> {
        gate.admit(batch.to_vec(), now, false, |_| 10)
    }

    #[test]
    fn what_waited_leaves_in_order_and_in_its_batches_before_what_comes_later() {
        let (mut gate, now) = (gate(10, 1_000), Instant::now());
        assert_eq!(admit(&mut gate, &[1, 2], now), Admitted::Waits(vec![]));
        assert_eq!(admit(&mut gate, &[3], now), Admitted::Waits(vec![]));
        assert_eq!(gate.next(), None);
        assert_eq!(gate.admit(vec![4], now, true, |_| 10), Admitted::Passes(vec![4]));
        assert_eq!(
            [gate.next(), gate.next(), gate.next()],
            [Some(vec![1, 2]), Some(vec![3]), None]
        );
    }

    #[test]
    fn of_a_full_gate_the_oldest_leave_and_no_more_than_needed() {
        let (mut items, now) = (gate(3, 1_000), Instant::now());
        assert_eq!(admit(&mut items, &[1, 2], now), Admitted::Waits(vec![]));
        assert_eq!(admit(&mut items, &[3, 4], now), Admitted::Waits(vec![1]));
        assert_eq!(admit(&mut items, &[5, 6, 7, 8], now), Admitted::Waits(vec![2, 3, 4, 5]));
        let mut bytes = gate(100, 25);
        assert_eq!(admit(&mut bytes, &[1, 2, 3], now), Admitted::Waits(vec![1]));
    }

    #[test]
    fn what_was_released_leaves_and_what_comes_later_waits_until_the_time_of_the_first_is_over() {
        let (mut gate, now) = (gate(2, 1_000), Instant::now());
        assert_eq!(admit(&mut gate, &[1], now), Admitted::Waits(vec![]));
        assert_eq!(admit(&mut gate, &[2], now), Admitted::Waits(vec![]));
        let released = gate.release();
        // Also what had to leave for others has left.
        assert_eq!(admit(&mut gate, &[3], now), Admitted::Waits(vec![1]));
        assert!(!gate.has_left(released));
        assert_eq!([gate.next(), gate.next()], [Some(vec![2]), None]);
        assert!(gate.has_left(released) && !gate.is_empty());
        assert!(gate.is_open(now + Duration::from_secs(10), false));
        assert_eq!(gate.next(), Some(vec![3]));
    }

    #[test]
    fn a_gate_that_opened_after_its_time_stays_open() {
        let (mut gate, now) = (gate(10, 1_000), Instant::now());
        assert_eq!(admit(&mut gate, &[1], now), Admitted::Waits(vec![]));
        let almost = now + Duration::from_millis(9_999);
        assert_eq!(admit(&mut gate, &[2], almost), Admitted::Waits(vec![]));
        assert!(gate.is_open(now + Duration::from_secs(10), false));
        assert_eq!(gate.next(), Some(vec![1]));
        assert_eq!(gate.next(), Some(vec![2]));
        assert!(gate.is_empty());
        assert_eq!(admit(&mut gate, &[3], now), Admitted::Passes(vec![3]));
    }
}
