//! Other ways of estimating time, rebuilt from their published descriptions, for comparison.

mod chrony;
mod feed;
mod kalman;
mod min_rtt;
mod regression;
mod sntp;

pub use chrony::Chrony;
pub use feed::Feed;
pub use kalman::Kalman;
pub use min_rtt::MinimumRtt;
pub use sntp::Sntp;

use ntp_clock_core::{Exchange, Span};

use crate::candidate::{Candidate, Replayed};
use crate::world::Setup;

/// This project's estimator and all peers.
#[must_use]
pub fn all_peers(setup: &Setup) -> Vec<Box<dyn Candidate>> {
    vec![
        Box::new(Replayed::new(
            Span::from_nanos(setup.oscillator.resolution_ns),
            setup.steering_ppm,
        )),
        Box::new(Sntp::default()),
        Box::new(MinimumRtt::fed()),
        Box::new(Chrony::fed(Feed::Every, 1.0)),
        Box::new(Chrony::fed(Feed::BestOfRound, 1.0)),
        Box::new(Kalman::fed(Feed::Every)),
        Box::new(Kalman::fed(Feed::BestOfRound)),
    ]
}

/// An exchange in the numbers that estimators need.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Sample {
    /// Between request and reply, by the counter, nanoseconds.
    local_ns: i64,
    /// Server's time less the counter there, nanoseconds.
    offset_ns: i64,
    /// Time on the path, nanoseconds.
    delay_ns: f64,
    /// The server's own error by its account, half its root delay included, nanoseconds.
    root_ns: f64,
}

impl Sample {
    fn new(exchange: &Exchange) -> Self {
        let reply = exchange.reply();
        let (t1, t4) = (exchange.sent_at().as_nanos(), exchange.received_at().as_nanos());
        let (t2, t3) = (reply.receive_time.as_nanos(), reply.transmit_time.as_nanos());
        let middle = t1 + (t4 - t1) / 2;
        Sample {
            local_ns: middle,
            offset_ns: t2 + (t3 - t2) / 2 - middle,
            delay_ns: exchange.delay().as_nanos().max(0) as f64,
            root_ns: reply.max_error().as_nanos() as f64,
        }
    }
}

/// What RFC 5905 assumes of any oscillator: 15 ppm.
const PHI: f64 = 15e-6;
