//! The server: its own error inside what it states, and what it does when it is not well.

use ntp_clock_core::{Leap, Mode, NtpShort, NtpTimestamp, Packet, ReferenceId, Span, UnixTime};

use crate::dice::unit_at;
use crate::duration::SECOND_NS;

/// A stretch during which the server's clock is off by more than it states, or jumps within it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrongTime {
    /// From when, true nanoseconds since the world's beginning.
    pub from_ns: i64,
    /// Until when.
    pub to_ns: i64,
    /// What is added to its time, nanoseconds.
    pub by_ns: i64,
}

/// A stretch during which the server answers with a kiss-o'-death.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// From when, true nanoseconds since the world's beginning.
    pub from_ns: i64,
    /// Until when.
    pub to_ns: i64,
    /// `RATE`, `DENY` or `RSTR`.
    pub code: [u8; 4],
}

/// A server as drawn.
#[derive(Clone, PartialEq, Debug)]
pub struct Server {
    /// Stated round trip to its own source.
    pub root_delay: Span,
    /// Stated dispersion just after it asked its own source.
    pub root_dispersion: Span,
    /// Its clock wanders within plus and minus this, nanoseconds: inside what it states.
    pub wander_ns: f64,
    /// How long one swing takes, nanoseconds.
    pub wander_period_ns: i64,
    /// How long it holds a request, nanoseconds.
    pub hold_ns: i64,
    /// Times at which its clock is off on top of that.
    pub wrong: Vec<WrongTime>,
    /// Times at which it refuses.
    pub refusals: Vec<Refusal>,
    /// It answers a request that comes sooner than this after the one before with the kiss RATE,
    /// nanoseconds.
    pub least_gap_ns: i64,
    /// When truth itself repeats (1) or leaves out (-1) a second, announced for the day before.
    pub leap: Option<(i64, i64)>,
    /// Noise that is asked for by moment.
    pub key: u64,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            root_delay: Span::ZERO,
            root_dispersion: Span::from_micros(30),
            wander_ns: 0.0,
            wander_period_ns: 600 * SECOND_NS,
            hold_ns: 30_000,
            wrong: Vec::new(),
            refusals: Vec::new(),
            least_gap_ns: 0,
            leap: None,
            key: 0,
        }
    }
}

impl Server {
    /// Its clock less the truth, nanoseconds.
    #[must_use]
    pub fn error_ns(&self, t_ns: i64) -> i64 {
        let slow = smooth(self.key, t_ns, self.wander_period_ns);
        let fast = smooth(self.key ^ FAST, t_ns, (self.wander_period_ns / 16).max(1));
        let wander = self.wander_ns * (0.85 * slow + 0.15 * fast);
        let wrong = self.wrong.iter().filter(|w| w.from_ns <= t_ns && t_ns < w.to_ns);
        wander as i64 + wrong.map(|w| w.by_ns).sum::<i64>()
    }

    /// What the leap does to truth at a moment.
    #[must_use]
    pub fn leap_shift_ns(&self, t_ns: i64) -> i64 {
        match self.leap {
            Some((at_ns, seconds)) if t_ns >= at_ns => -seconds * SECOND_NS,
            _ => 0,
        }
    }

    /// The kiss with which it answers a request that comes at `received_ns`, the one before having
    /// come at `last_ns`.
    pub(crate) fn kiss(&self, received_ns: i64, last_ns: Option<i64>) -> Option<[u8; 4]> {
        let refusal =
            self.refusals.iter().find(|r| r.from_ns <= received_ns && received_ns < r.to_ns);
        let hurried = last_ns.is_some_and(|last| (received_ns - last).abs() < self.least_gap_ns);
        refusal.map(|refusal| refusal.code).or(hurried.then_some(*b"RATE"))
    }

    /// The reply to a request that came at `received` and is sent at `sent` by the truth; `kiss`
    /// where it is a refusal.
    pub(crate) fn reply(
        &self,
        cookie: u64,
        kiss: Option<[u8; 4]>,
        (received_ns, received): (i64, UnixTime),
        (sent_ns, sent): (i64, UnixTime),
    ) -> Packet {
        let aged = SINCE_UPDATE_PPB * (sent_ns.rem_euclid(UPDATE_NS)) / SECOND_NS;
        let leap = match self.leap {
            Some((at_ns, seconds)) if sent_ns < at_ns && sent_ns >= at_ns - ANNOUNCED_NS => {
                if seconds > 0 {
                    Leap::Insert
                } else {
                    Leap::Delete
                }
            }
            _ => Leap::None,
        };
        Packet {
            leap,
            mode: Mode::Server,
            stratum: if kiss.is_some() { 0 } else { 1 },
            precision_log2_s: -25,
            root_delay: NtpShort::from_span_ceil(self.root_delay),
            root_dispersion: NtpShort::from_span_ceil(
                self.root_dispersion + Span::from_nanos(aged),
            ),
            reference_id: ReferenceId::from_bytes(kiss.unwrap_or(*b"GPS\0")),
            reference_timestamp: NtpTimestamp::from_unix(received),
            origin_timestamp: NtpTimestamp::from_bits(cookie),
            receive_timestamp: NtpTimestamp::from_unix(
                received + Span::from_nanos(self.error_ns(received_ns)),
            ),
            transmit_timestamp: NtpTimestamp::from_unix(
                sent + Span::from_nanos(self.error_ns(sent_ns)),
            ),
            ..Packet::request(NtpTimestamp::from_bits(cookie))
        }
    }
}

/// Between -1 and 1, smooth, the same at the same moment in any order of asking.
fn smooth(key: u64, t_ns: i64, period_ns: i64) -> f64 {
    let place = t_ns.div_euclid(period_ns);
    let x = t_ns.rem_euclid(period_ns) as f64 / period_ns as f64;
    let corner = |place| 2.0 * unit_at(key, place) - 1.0;
    let (a, b) = (corner(place), corner(place + 1));
    a + (b - a) * x * x * (3.0 - 2.0 * x)
}

const FAST: u64 = 0x6661_7374;
/// A server asks its own source every so often ...
const UPDATE_NS: i64 = 64 * SECOND_NS;
/// ... and states so much more dispersion for each second since (RFC 5905's PHI, 15 ppm).
const SINCE_UPDATE_PPB: i64 = 15_000;
const ANNOUNCED_NS: i64 = 12 * 3600 * SECOND_NS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_wander_is_smooth_and_within_its_amplitude() {
        let server = Server { wander_ns: 1e6, key: 5, ..Server::default() };
        let errors: Vec<i64> = (0..5_000).map(|s| server.error_ns(s * SECOND_NS)).collect();
        assert!(errors.iter().all(|e| e.abs() <= 1_000_000));
        assert!(errors.iter().any(|e| e.abs() > 300_000));
        assert!(errors.windows(2).all(|w| (w[1] - w[0]).abs() < 30_000), "a step");
    }

    #[test]
    fn a_refusal_is_a_kiss_of_death() {
        let refusal = Refusal { from_ns: 0, to_ns: 10, code: *b"DENY" };
        let server = Server { refusals: vec![refusal], ..Server::default() };
        let at = |ns| (ns, UnixTime::from_nanos(1_759_639_032_000_000_000 + ns));
        let stratum = |ns| server.reply(1, server.kiss(ns, None), at(ns), at(ns + 1)).stratum;
        assert_eq!((stratum(5), stratum(15)), (0, 1));
    }

    #[test]
    fn a_server_with_a_rate_limit_answers_hurried_requests_with_rate() {
        let server = Server { least_gap_ns: 100, ..Server::default() };
        assert_eq!(server.kiss(5, None), None);
        assert_eq!(server.kiss(104, Some(5)), Some(*b"RATE"));
        assert_eq!(server.kiss(105, Some(5)), None);
    }
}
