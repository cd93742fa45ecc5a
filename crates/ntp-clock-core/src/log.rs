//! What an engine logs, so that it can be done again.

use crate::exchange::Exchange;
use crate::time::LocalTime;

/// What a live engine did, in the order in which it did it: enough to do it again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LogEntry {
    /// An exchange was weighed.
    Exchange {
        /// The exchange.
        exchange: Exchange,
        /// When it was taken into account, no earlier than its arrival.
        handled_at: LocalTime,
    },
    /// A round ended without a reply to this request that could be weighed.
    Lost {
        /// When the request was sent.
        sent_at: LocalTime,
    },
    /// A round ended.
    RoundEnd {
        /// When.
        at: LocalTime,
    },
    /// The counter lost time.
    Suspend {
        /// When that was noticed.
        at: LocalTime,
    },
    /// The counter may be another one, of another frequency.
    CounterChanged {
        /// When that was noticed.
        at: LocalTime,
    },
}
