//! What the server has seen and done.

use std::collections::VecDeque;
use std::time::Duration;

/// Counts since the server's start (they go on through [`stop`](crate::TestServer::stop) and
/// [`start`](crate::TestServer::start)).
///
/// Everything is counted before its packet is sent: who has seen the reply also sees the count.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Requests that reached the socket, also those that are then "lost" on their way.
    pub requests: u64,
    /// Datagrams that are no NTP request from a client; they get no answer.
    pub ignored: u64,
    /// Requests dropped by [`Behaviour::to_server`](crate::Behaviour::to_server).
    pub lost_to_server: u64,
    /// Requests left unanswered by [`Fault::Silence`](crate::Fault::Silence).
    pub silenced: u64,
    /// Replies dropped by [`Behaviour::to_client`](crate::Behaviour::to_client).
    pub lost_to_client: u64,
    /// Replies sent, second copies not counted.
    pub replies: u64,
    /// Second copies sent.
    pub duplicates: u64,
    /// Replies that the system refused to send (counted among `replies` too).
    pub send_errors: u64,
    recent: VecDeque<Duration>,
}

impl Stats {
    /// How many request times are kept.
    pub const RECENT_MAX: usize = 1024;

    /// When the last requests (at most [`RECENT_MAX`](Self::RECENT_MAX)) reached the socket,
    /// since the server's start, oldest first.
    #[must_use]
    pub fn recent(&self) -> impl DoubleEndedIterator<Item = Duration> + '_ {
        self.recent.iter().copied()
    }

    /// The most recent requests that any window of this length holds: how polite the clients are.
    ///
    /// ```no_run
    /// # let server = ntp_test_server::TestServer::builder().spawn()?;
    /// let window = std::time::Duration::from_secs(8);
    /// assert!(server.stats().most_requests_within(window) <= 8);
    /// # Ok::<(), ntp_test_server::Error>(())
    /// ```
    #[must_use]
    pub fn most_requests_within(&self, window: Duration) -> usize {
        let mut first = 0;
        let mut most = 0;
        for (last, at) in self.recent.iter().enumerate() {
            while self.recent.get(first).is_some_and(|begin| begin.saturating_add(window) <= *at) {
                first += 1;
            }
            most = most.max((last + 1).saturating_sub(first));
        }
        most
    }

    /// Notes a request.
    pub(crate) fn count_request(&mut self, at: Duration) {
        self.requests += 1;
        if self.recent.len() == Self::RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_requests_at(secs: impl IntoIterator<Item = u64>) -> Stats {
        let mut stats = Stats::default();
        secs.into_iter().for_each(|s| stats.count_request(Duration::from_secs(s)));
        stats
    }

    #[test]
    fn the_busiest_window_is_found_wherever_it_is() {
        let stats = with_requests_at([0, 1, 10, 11, 12, 19, 40]);
        assert_eq!(stats.most_requests_within(Duration::from_secs(8)), 3);
        assert_eq!(stats.most_requests_within(Duration::from_secs(10)), 4);
        assert_eq!(stats.most_requests_within(Duration::ZERO), 0);
        assert_eq!(Stats::default().most_requests_within(Duration::from_secs(8)), 0);
    }

    #[test]
    fn only_the_last_1024_times_are_kept() {
        let stats = with_requests_at(0..2000);
        assert_eq!(stats.requests, 2000);
        assert_eq!(stats.recent().count(), 1024);
        assert_eq!(stats.recent().next(), Some(Duration::from_secs(976)));
        assert_eq!(stats.recent().next_back(), Some(Duration::from_secs(1999)));
    }
}
