//! The path to the server and the server itself, honest by default.

use ntp_clock_core::{Leap, Mode, NtpShort, NtpTimestamp, Packet, ReferenceId, Span, UnixTime};

use super::dice::Dice;

/// Time on the way in one direction: a constant and a uniform part.
#[derive(Clone, Copy)]
pub(crate) struct Delay {
    pub(crate) base: Span,
    pub(crate) jitter: Span,
}

impl Delay {
    pub(crate) const fn of_millis(base: i64) -> Self {
        Delay { base: Span::from_millis(base), jitter: Span::ZERO }
    }

    pub(crate) const fn with_jitter_micros(self, jitter: i64) -> Self {
        Delay { jitter: Span::from_micros(jitter), ..self }
    }

    fn roll(&self, dice: &mut Dice) -> i64 {
        self.base.as_nanos() + dice.up_to(self.jitter.as_nanos())
    }
}

pub(crate) struct Link {
    pub(crate) forth: Delay,
    pub(crate) back: Delay,
    /// Of each direction.
    pub(crate) loss_permille: u32,
    /// Sending itself fails (no route, no address).
    pub(crate) unplugged: bool,
}

impl Default for Link {
    fn default() -> Self {
        let delay = Delay::of_millis(5).with_jitter_micros(100);
        Link { forth: delay, back: delay, loss_permille: 0, unplugged: false }
    }
}

/// A datagram that leaves the server so much later than the honest reply would.
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) later: Span,
}

/// What becomes of an honest reply.
pub(crate) type Fault = Box<dyn FnMut(Packet) -> Vec<Answer>>;

pub(crate) struct Server {
    /// Its clock less the truth.
    pub(crate) offset: Span,
    pub(crate) root_delay: Span,
    pub(crate) root_dispersion: Span,
    pub(crate) hold: Span,
    pub(crate) leap: Leap,
    pub(crate) silent: bool,
    /// A request that comes sooner than this after the one before meets the kiss RATE.
    pub(crate) least_gap: Span,
    last_request_ns: Option<i64>,
    pub(crate) fault: Option<Fault>,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            offset: Span::ZERO,
            root_delay: Span::ZERO,
            root_dispersion: Span::from_micros(20),
            hold: Span::from_micros(30),
            leap: Leap::None,
            silent: false,
            least_gap: Span::ZERO,
            last_request_ns: None,
            fault: None,
        }
    }
}

impl Server {
    fn reply(&self, request: &[u8], received: UnixTime, sent: UnixTime) -> Packet {
        let request = Packet::decode(request).expect("our own request");
        Packet {
            leap: self.leap,
            mode: Mode::Server,
            stratum: 1,
            precision_log2_s: -25,
            root_delay: NtpShort::from_span_ceil(self.root_delay),
            root_dispersion: NtpShort::from_span_ceil(self.root_dispersion),
            reference_id: ReferenceId::from_bytes(*b"GPS\0"),
            reference_timestamp: NtpTimestamp::from_unix(received),
            origin_timestamp: request.transmit_timestamp,
            receive_timestamp: NtpTimestamp::from_unix(received + self.offset),
            transmit_timestamp: NtpTimestamp::from_unix(sent + self.offset),
            ..request
        }
    }
}

/// The datagrams that come back for a request sent at `t_ns`, each with the time of its arrival.
pub(crate) fn exchange(
    (link, server): (&Link, &mut Server),
    dice: &mut Dice,
    request: &[u8],
    t_ns: i64,
    truth: impl Fn(i64) -> UnixTime,
) -> Vec<(i64, Vec<u8>)> {
    if server.silent || dice.one_in_thousand(link.loss_permille) {
        return Vec::new();
    }
    let received = t_ns + link.forth.roll(dice);
    let sent = received + server.hold.as_nanos();
    let mut honest = server.reply(request, truth(received), truth(sent));
    let last = server.last_request_ns.replace(received);
    if last.is_some_and(|last| (received - last).abs() < server.least_gap.as_nanos()) {
        honest.stratum = 0;
        honest.reference_id = ReferenceId::from_bytes(*b"RATE");
    }
    let answers = match &mut server.fault {
        None => vec![Answer { bytes: honest.encode().to_vec(), later: Span::ZERO }],
        Some(fault) => fault(honest),
    };
    let mut arrivals = Vec::new();
    for answer in answers {
        if !dice.one_in_thousand(link.loss_permille) {
            let arrival = sent + answer.later.as_nanos() + link.back.roll(dice);
            arrivals.push((arrival, answer.bytes));
        }
    }
    arrivals
}

/// Faults that only change the packet.
pub(crate) fn changed(change: impl Fn(&mut Packet) + 'static) -> Option<Fault> {
    Some(Box::new(move |mut packet| {
        change(&mut packet);
        vec![Answer { bytes: packet.encode().to_vec(), later: Span::ZERO }]
    }))
}
