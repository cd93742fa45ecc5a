//! The bytes of a reply: an honest packet, then what the faults make of it.

use fastrand::Rng;
use ntp_clock_core::{Leap, Mode, NtpShort, NtpTimestamp, Packet, ReferenceId, Span, UnixTime};

use crate::behaviour::Behaviour;
use crate::fault::{EXTENSIONS_MAX, Fault, JUNK_MAX};

/// A reply as it goes onto the wire.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) bytes: Vec<u8>,
    pub(crate) other_port: bool,
}

/// Builds a reply. `received` is T2; T3 is asked for as late as can be.
pub(crate) fn build(
    request: &Packet,
    behaviour: &Behaviour,
    received: UnixTime,
    transmitted: impl FnOnce() -> UnixTime,
    faults: &[Fault],
    rng: &mut Rng,
) -> Wire {
    let mut packet = Packet {
        leap: behaviour.leap,
        version: request.version,
        mode: Mode::Server,
        stratum: behaviour.stratum,
        poll_log2_s: request.poll_log2_s,
        precision_log2_s: behaviour.precision_log2_s,
        root_delay: NtpShort::from_span_ceil(behaviour.root_delay),
        root_dispersion: NtpShort::from_span_ceil(behaviour.root_dispersion),
        reference_id: behaviour.reference_id,
        reference_timestamp: NtpTimestamp::from_unix(received - SINCE_SET),
        origin_timestamp: request.transmit_timestamp,
        receive_timestamp: NtpTimestamp::from_unix(received),
        transmit_timestamp: NtpTimestamp::ZERO,
    };
    if faults.is_empty() {
        packet.transmit_timestamp = NtpTimestamp::from_unix(transmitted());
        return Wire { bytes: packet.encode().to_vec(), other_port: false };
    }
    let transmitted = transmitted();
    packet.transmit_timestamp = NtpTimestamp::from_unix(transmitted);
    for fault in faults {
        befall_packet(&mut packet, *fault, received, transmitted, rng);
    }
    let mut wire = Wire { bytes: packet.encode().to_vec(), other_port: false };
    for fault in faults {
        befall_tail(&mut wire, *fault, rng);
    }
    // Last, so that it also cuts what others have added.
    for fault in faults {
        if let Fault::Truncate(len) = fault {
            wire.bytes.truncate(*len);
        }
    }
    wire
}

fn befall_packet(
    packet: &mut Packet,
    fault: Fault,
    received: UnixTime,
    transmitted: UnixTime,
    rng: &mut Rng,
) {
    match fault {
        Fault::Kiss(code) => {
            packet.leap = Leap::Unsynchronised;
            packet.stratum = 0;
            packet.reference_id = ReferenceId::from_bytes(code);
        }
        Fault::Leap(leap) => packet.leap = leap,
        Fault::Stratum(stratum) => packet.stratum = stratum,
        Fault::WrongOrigin => {
            // Never zero, so the result differs from the right origin.
            let difference = rng.u64(1..);
            let bits = packet.origin_timestamp.to_bits() ^ difference;
            packet.origin_timestamp = NtpTimestamp::from_bits(bits);
        }
        Fault::ZeroReceive => packet.receive_timestamp = NtpTimestamp::ZERO,
        Fault::ZeroTransmit => packet.transmit_timestamp = NtpTimestamp::ZERO,
        Fault::Backwards(span) => {
            packet.transmit_timestamp = NtpTimestamp::from_unix(received - span);
        }
        Fault::ShiftReceive(span) => {
            packet.receive_timestamp = NtpTimestamp::from_unix(received + span);
        }
        Fault::ShiftTransmit(span) => {
            packet.transmit_timestamp = NtpTimestamp::from_unix(transmitted + span);
        }
        Fault::Mode(mode) => packet.mode = mode,
        Fault::Version(version) => packet.version = version & 0b111,
        Fault::Truncate(_)
        | Fault::Junk(_)
        | Fault::Extensions(_)
        | Fault::OtherPort
        | Fault::Silence => {}
    }
}

fn befall_tail(wire: &mut Wire, fault: Fault, rng: &mut Rng) {
    match fault {
        Fault::Junk(len) => {
            wire.bytes.extend(std::iter::repeat_with(|| rng.u8(..)).take(len.min(JUNK_MAX)));
        }
        Fault::Extensions(count) => {
            for _ in 0..count.min(EXTENSIONS_MAX) {
                wire.bytes.extend(EXTENSION_TYPE.to_be_bytes());
                wire.bytes.extend((EXTENSION_LEN as u16).to_be_bytes());
                wire.bytes.extend([0; EXTENSION_LEN - 4]);
            }
        }
        Fault::OtherPort => wire.other_port = true,
        _ => {}
    }
}

/// How long before a request a primary server's clock was last set: it has a pulse each second.
const SINCE_SET: Span = Span::from_secs(1);
/// From the range that RFC 9748 reserves for experiments (0xF000 to 0xFFFF).
const EXTENSION_TYPE: u16 = 0xf5ff;
/// The least that RFC 7822 section 3 allows the last field of a packet without a MAC.
const EXTENSION_LEN: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;

    fn built(faults: &[Fault]) -> Wire {
        let request =
            Packet { version: 3, poll_log2_s: 6, ..Packet::request(NtpTimestamp::from_bits(77)) };
        let t2 = UnixTime::from_nanos(1_800_000_000_000_000_000);
        let t3 = t2 + Span::from_micros(5);
        build(&request, &Behaviour::default(), t2, || t3, faults, &mut Rng::with_seed(1))
    }

    #[test]
    fn an_honest_reply_returns_origin_version_and_poll() {
        let wire = built(&[]);
        let packet = Packet::decode(&wire.bytes).unwrap();
        assert_eq!(packet.origin_timestamp, NtpTimestamp::from_bits(77));
        assert_eq!((packet.version, packet.poll_log2_s, packet.stratum), (3, 6, 1));
        assert_eq!(packet.mode, Mode::Server);
        let at_server = packet.transmit_timestamp.to_unix() - packet.receive_timestamp.to_unix();
        assert_eq!(at_server, Span::from_micros(5));
        assert!(packet.reference_timestamp.to_unix() < packet.receive_timestamp.to_unix());
        assert_eq!(packet.reference_id.to_string(), "TEST");
        assert!(!wire.other_port);
    }

    #[test]
    fn faults_combine_and_truncation_comes_last() {
        let wire = built(&[Fault::Truncate(60), Fault::Extensions(2), Fault::Kiss(*b"DENY")]);
        assert_eq!(wire.bytes.len(), 60);
        assert_eq!((wire.bytes[0] >> 6, wire.bytes[1], &wire.bytes[12..16]), (3, 0, &b"DENY"[..]));
    }

    #[test]
    fn sizes_beyond_a_datagram_are_cut_to_what_fits() {
        let wire = built(&[Fault::Junk(usize::MAX)]);
        assert_eq!(wire.bytes.len(), Packet::LEN + JUNK_MAX);
        let wire = built(&[Fault::Extensions(usize::MAX)]);
        assert!(wire.bytes.len() < 65_000);
    }
}
