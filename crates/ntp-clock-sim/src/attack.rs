//! Somebody who sends packets or changes them. What only delays packets is part of the path.

use ntp_clock_core::{Mode, NtpTimestamp, Packet, ReferenceId, Span, UnixTime};

use crate::dice::Dice;
use crate::duration::SECOND_NS;
use crate::path::Episode;

/// Who they are and what they do.
#[derive(Clone, PartialEq, Debug)]
pub enum Attacker {
    /// Off the path: sees no packet, and hits the right port with all that it sends.
    Spoofer {
        /// Forged packets for each request, within the two seconds in which a reply is awaited.
        packets: u64,
        /// How far off the time is that they tell, nanoseconds.
        off_ns: i64,
    },
    /// On the path: sends old replies again, of this round and of others, before and after the
    /// real ones, which it holds back as it likes.
    Replayer {
        /// Old replies for each real one, at most.
        copies: u64,
    },
    /// On the path: changes the times of replies and writes kisses, without a key.
    Forger {
        /// When, and how far off the time is that it tells, nanoseconds.
        episode: Episode,
        /// Nothing else passes; otherwise what is forged comes just before the real reply.
        drops: bool,
    },
}

/// One attacker at work.
#[derive(Debug)]
pub(crate) struct Attack<'a> {
    attacker: Option<&'a Attacker>,
    dice: Dice,
    recorded: Vec<Vec<u8>>,
}

/// A datagram and when it arrives.
pub(crate) type Arrival = (i64, Vec<u8>);

impl<'a> Attack<'a> {
    pub(crate) fn new(attacker: Option<&'a Attacker>, seed: u64) -> Self {
        Attack { attacker, dice: Dice::new(seed, "attacker"), recorded: Vec::new() }
    }

    /// What arrives because a request was awaited to be answered from `t_ns` on.
    pub(crate) fn on_request(&mut self, t_ns: i64, truth: UnixTime) -> Vec<Arrival> {
        let Some(&Attacker::Spoofer { packets, off_ns }) = self.attacker else { return Vec::new() };
        (0..packets)
            .map(|_| {
                let after_ns = (self.dice.unit() * AWAITED_NS) as i64;
                let claimed = truth + Span::from_nanos(after_ns + off_ns);
                (t_ns + after_ns, self.guess(claimed))
            })
            .collect()
    }

    /// What arrives in place of a reply that would arrive at `t_ns`.
    pub(crate) fn on_reply(&mut self, t_ns: i64, reply: Vec<u8>) -> Vec<Arrival> {
        match self.attacker {
            Some(&Attacker::Replayer { copies }) => self.replay(t_ns, reply, copies),
            Some(Attacker::Forger { episode, drops }) if episode.contains(t_ns) => {
                let mut arrivals = self.forge(t_ns, &reply, episode.size as i64);
                if !drops {
                    arrivals.push((t_ns, reply));
                }
                arrivals
            }
            _ => vec![(t_ns, reply)],
        }
    }

    /// A reply or a kiss to a request that nobody saw, with or without fields that look like a
    /// proof.
    fn guess(&mut self, claimed: UnixTime) -> Vec<u8> {
        let origin = match self.dice.count(0, 3) {
            0 => 0,
            // As a client would write that tells its time.
            1 => NtpTimestamp::from_unix(claimed).to_bits(),
            _ => self.dice.bits(),
        };
        let kisses = [*b"RATE", *b"DENY", *b"RSTR", *b"NTSN"];
        let kiss = self.dice.chance(0.5).then(|| kisses[self.dice.count(0, 3) as usize]);
        let packet = Packet {
            mode: Mode::Server,
            stratum: u8::from(kiss.is_none()),
            precision_log2_s: -25,
            reference_id: ReferenceId::from_bytes(kiss.unwrap_or(*b"GPS\0")),
            origin_timestamp: NtpTimestamp::from_bits(origin),
            receive_timestamp: NtpTimestamp::from_unix(claimed),
            transmit_timestamp: NtpTimestamp::from_unix(claimed),
            ..Packet::request(NtpTimestamp::ZERO)
        };
        let mut datagram = packet.encode().to_vec();
        if self.dice.chance(0.5) {
            // A unique identifier and, mostly, an authenticator: of bytes that mean nothing.
            let identifier: [u8; 32] = self.dice.bytes();
            datagram.extend([0x01, 0x04, 0, 36]);
            datagram.extend(identifier);
            let proof: [u8; 36] = self.dice.bytes();
            datagram.extend([0x04, 0x04, 0, 40, 0, 16, 0, 16]);
            datagram.extend(&proof[..32]);
            datagram.truncate(datagram.len() - if self.dice.chance(0.2) { 40 } else { 0 });
        }
        datagram
    }

    fn replay(&mut self, t_ns: i64, reply: Vec<u8>, copies: u64) -> Vec<Arrival> {
        let held = self.dice.chance(0.2);
        let held_ns = if held { (self.dice.unit() * 0.9 * AWAITED_NS) as i64 } else { 0 };
        let mut arrivals = vec![(t_ns + held_ns, reply.clone())];
        for _ in 0..self.dice.count(0, copies) {
            let after_ns = (self.dice.within(-0.01, 1.0) * AWAITED_NS) as i64;
            let newest = self.recorded.len() as u64;
            let old = match self.dice.count(0, 2) {
                0 => Some(&reply),
                // Of this round or the last ones, or of any.
                1 => self.recorded.iter().rev().nth(self.dice.count(0, 12) as usize),
                _ => self.recorded.get(self.dice.count(0, newest) as usize),
            };
            // Not before it was sent for the first time.
            let at_ns =
                if old == Some(&reply) { t_ns + held_ns.max(after_ns) } else { t_ns + after_ns };
            arrivals.extend(old.map(|old| (at_ns, old.clone())));
        }
        self.recorded.push(reply);
        arrivals
    }

    /// The reply with other times, and kisses in its name, a little before it.
    fn forge(&mut self, t_ns: i64, reply: &[u8], off_ns: i64) -> Vec<Arrival> {
        let Ok(real) = Packet::decode(reply) else { return Vec::new() };
        let moved = |time: NtpTimestamp| {
            let fractions = i128::from(off_ns) * (1_i128 << 32) / i128::from(SECOND_NS);
            NtpTimestamp::from_bits(time.to_bits().wrapping_add(fractions as u64))
        };
        let forged = Packet {
            receive_timestamp: moved(real.receive_timestamp),
            transmit_timestamp: moved(real.transmit_timestamp),
            ..real
        };
        let tail = &reply[Packet::LEN..];
        let mut arrivals = vec![(t_ns - 2, [&forged.encode()[..], tail].concat())];
        if !tail.is_empty() {
            // The key is missing: with the proof taken off, and NAKs, which need none.
            arrivals.push((t_ns - 3, forged.encode().to_vec()));
            let nak = ReferenceId::from_bytes(*b"NTSN");
            let nak = Packet { stratum: 0, reference_id: nak, ..real };
            arrivals.push((t_ns - 1, [&nak.encode()[..], &tail[..36]].concat()));
        }
        arrivals
    }
}

/// How long a reply is awaited, nanoseconds.
const AWAITED_NS: f64 = 2e9;
