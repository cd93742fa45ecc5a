//! What the server does now.

use std::time::Duration;

use ntp_clock_core::{Leap, ReferenceId, Span};

use crate::delay::Delay;
use crate::dice::Probability;
use crate::fault::Faults;

/// Everything that can be set about a server, before it starts or while it runs.
///
/// ```
/// use ntp_clock_core::Span;
/// use ntp_test_server::{Behaviour, Fault, Probability};
/// let mut b = Behaviour::default();
/// b.offset = Span::from_millis(250);
/// b.to_client.loss = Probability::new(0.1);
/// b.faults.always(Fault::Stratum(16));
/// ```
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Behaviour {
    /// What the server's clock says less truth, now. Under a drift it changes by itself: it is
    /// brought up to date before it is shown, so adding to it is a step.
    pub offset: Span,
    /// How fast the offset grows, parts per million; negative for a slow clock.
    pub drift_ppm: f64,
    /// The way of requests: before T2.
    pub to_server: Path,
    /// The way of replies: after T3.
    pub to_client: Path,
    /// How likely a reply is sent twice.
    pub duplicate: Probability,
    /// How likely a reply is kept back until the next reply (to whomever) has gone.
    pub reorder: Probability,
    /// How long a reply is kept back if no other follows.
    pub reorder_hold: Duration,
    /// Leap indicator.
    pub leap: Leap,
    /// Stratum: 0 is a kiss, 1 a primary server, 16 unsynchronised.
    pub stratum: u8,
    /// Precision of the clock, log2 seconds.
    pub precision_log2_s: i8,
    /// Round trip to the primary source. The wire has units of 2^-16 s (15.3 us): rounded up.
    pub root_delay: Span,
    /// Error to the primary source; rounded up to units of 2^-16 s as well.
    pub root_dispersion: Span,
    /// The server's source.
    pub reference_id: ReferenceId,
    /// What is wrong with which replies.
    pub faults: Faults,
}

/// One direction of the network.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct Path {
    /// How long a packet takes.
    pub delay: Delay,
    /// How likely a packet is lost.
    pub loss: Probability,
}

impl Behaviour {
    /// Sets the delay of both directions (each draws its own).
    pub fn set_delay(&mut self, delay: Delay) {
        self.to_server.delay = delay;
        self.to_client.delay = delay;
    }

    /// Sets the loss of both directions.
    pub fn set_loss(&mut self, loss: Probability) {
        self.to_server.loss = loss;
        self.to_client.loss = loss;
    }
}

impl Default for Behaviour {
    /// An honest primary server next door: no offset, no delay, no loss, root delay 0, root
    /// dispersion 10 us, precision 2^-24 s (60 ns), reference id `TEST`.
    fn default() -> Self {
        Behaviour {
            offset: Span::ZERO,
            drift_ppm: 0.0,
            to_server: Path::default(),
            to_client: Path::default(),
            duplicate: Probability::NEVER,
            reorder: Probability::NEVER,
            reorder_hold: Duration::from_millis(500),
            leap: Leap::None,
            stratum: 1,
            precision_log2_s: -24,
            root_delay: Span::ZERO,
            root_dispersion: Span::from_micros(10),
            reference_id: ReferenceId::from_bytes(*b"TEST"),
            faults: Faults::default(),
        }
    }
}
