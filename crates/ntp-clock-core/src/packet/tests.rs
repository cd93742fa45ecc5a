//! Packets of RFC 5905, byte by byte.

use super::*;
use proptest::prelude::*;
use std::format;
use std::vec::Vec;

/// A stratum 1 reply, laid out by hand from RFC 5905 figure 8.
const REPLY: [u8; 48] = [
    0x24, 0x01, 0x06, 0xe7, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x0a, 0x7f, 0x7f, 0x01, 0x01,
    0xeb, 0xd4, 0x31, 0x07, 0x80, 0x00, 0x00, 0x00, 0xde, 0xad, 0xbe, 0xef, 0x01, 0x23, 0x45, 0x67,
    0xeb, 0xd4, 0x31, 0x08, 0x40, 0x00, 0x00, 0x00, 0xeb, 0xd4, 0x31, 0x08, 0xc0, 0x00, 0x00, 0x00,
];

fn reply() -> Packet {
    Packet {
        leap: Leap::None,
        version: 4,
        mode: Mode::Server,
        stratum: 1,
        poll_log2_s: 6,
        precision_log2_s: -25,
        root_delay: NtpShort(1),
        root_dispersion: NtpShort(10),
        reference_id: ReferenceId([127, 127, 1, 1]),
        reference_timestamp: NtpTimestamp(0xebd4_3107_8000_0000),
        origin_timestamp: NtpTimestamp(0xdead_beef_0123_4567),
        receive_timestamp: NtpTimestamp(0xebd4_3108_4000_0000),
        transmit_timestamp: NtpTimestamp(0xebd4_3108_c000_0000),
    }
}

#[test]
fn every_field_stands_at_its_place_in_the_header() {
    assert_eq!(Packet::decode(&REPLY), Ok(reply()));
    assert_eq!(reply().encode(), REPLY);
}

#[test]
fn a_request_carries_nothing_but_its_cookie() {
    let bytes = Packet::request(NtpTimestamp(0x0102_0304_0506_0708)).encode();
    assert_eq!(bytes[0], 0x23);
    assert!(bytes[1..40].iter().all(|b| *b == 0));
    assert_eq!(bytes[40..], [1, 2, 3, 4, 5, 6, 7, 8]);
}

fn with_tail(tail: &[u8]) -> Vec<u8> {
    let mut bytes = REPLY.to_vec();
    bytes.extend_from_slice(tail);
    bytes
}

fn extension(len: u16, body: usize) -> Vec<u8> {
    let mut bytes = [0x01, 0x04].to_vec();
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.resize(4 + body, 0xaa);
    bytes
}

#[test]
fn extension_fields_and_macs_are_stepped_over() {
    for tail in [
        Vec::new(),
        [0; 4].to_vec(),
        [7; 20].to_vec(),
        [7; 24].to_vec(),
        extension(28, 24),
        [extension(16, 12), extension(28, 24)].concat(),
        [extension(16, 12), [7; 20].to_vec()].concat(),
    ] {
        assert_eq!(Packet::decode(&with_tail(&tail)), Ok(reply()), "tail {tail:?}");
    }
}

#[test]
fn broken_lengths_are_named_with_their_place() {
    use DecodeError::*;
    let cases = [
        (with_tail(&extension(40, 24)), ExtensionLength { offset: 48, len: 40 }),
        (with_tail(&extension(0, 24)), ExtensionLength { offset: 48, len: 0 }),
        (with_tail(&extension(30, 28)), ExtensionLength { offset: 48, len: 30 }),
        (with_tail(&[0; 3]), TrailingBytes { offset: 48, len: 3 }),
        (
            with_tail(&[extension(28, 24), [9; 2].to_vec()].concat()),
            TrailingBytes { offset: 76, len: 2 },
        ),
        (REPLY[..47].to_vec(), Truncated { len: 47 }),
        (Vec::new(), Truncated { len: 0 }),
    ];
    for (bytes, error) in cases {
        assert_eq!(Packet::decode(&bytes), Err(error));
    }
    assert_eq!(
        format!("{}", Truncated { len: 3 }),
        "datagram of 3 bytes is shorter than an NTP header (48 bytes)"
    );
}

#[test]
fn fractions_scale_by_exactly_two_to_the_32() {
    let start = NtpTimestamp::from_unix(UnixTime::from_nanos(0)).to_bits();
    assert_eq!(start, 2_208_988_800 << 32);
    let at = |bits: u64| NtpTimestamp(start + bits).to_unix().as_nanos() - era_shift();
    assert_eq!(at(1 << 31), 500_000_000);
    assert_eq!(at(1 << 30), 250_000_000);
    assert_eq!(at(0xffff_ffff), 1_000_000_000);
    assert_eq!(at(4), 1);
}

/// 1970 lies before the era window, so it reads as one era later.
fn era_shift() -> i64 {
    (1 << 32) * NANOS_PER_SEC
}

#[test]
fn times_on_both_sides_of_2036_are_an_era_apart_in_bits_only() {
    let before = NtpTimestamp(0xffff_ffff_ffff_ffff).to_unix();
    let after = NtpTimestamp(0x0000_0000_0000_0001).to_unix();
    assert_eq!((after - before).as_nanos(), 0, "one unit of 2^-32 s is under a nanosecond");
    let later = NtpTimestamp(10 << 32).to_unix();
    assert_eq!(later - before, Span::from_secs(10));
}

#[test]
fn shorts_round_up_and_saturate() {
    assert_eq!(NtpShort(1 << 16).to_span(), Span::from_secs(1));
    assert_eq!(NtpShort(1).to_span(), Span::from_nanos(15_259));
    assert_eq!(NtpShort::from_span_ceil(Span::from_nanos(1)), NtpShort(1));
    assert_eq!(NtpShort::from_span_ceil(Span::MAX), NtpShort(u32::MAX));
    assert_eq!(NtpShort::from_span_ceil(Span::MIN), NtpShort::ZERO);
}

#[test]
fn fields_keep_their_bits() {
    assert_eq!(NtpShort::from_bits(0x0001_8000).to_bits(), 0x0001_8000);
    assert_eq!(NtpShort::from_bits(0x0001_8000).to_span(), Span::from_millis(1_500));
    assert_eq!(NtpTimestamp::from_bits(0x0123_4567_89ab_cdef).to_bits(), 0x0123_4567_89ab_cdef);
}

#[test]
fn a_reference_is_text_where_all_of_it_is_printable_and_an_address_otherwise() {
    let cases = [
        (*b"RATE", "RATE"),
        (*b"GPS\0", "GPS"),
        ([0; 4], "0.0.0.0"),
        ([10, 0, 0, 1], "10.0.0.1"),
        ([b'A', 0, b'B', 0], "65.0.66.0"),
        ([b'A', 7, 0, 0], "65.7.0.0"),
    ];
    for (bytes, text) in cases {
        assert_eq!(format!("{}", ReferenceId::from_bytes(bytes)), text);
    }
    assert_eq!(format!("{:?}", ReferenceId::from_bytes(*b"GPS\0")), "ReferenceId(GPS)");
}

proptest! {
    #[test]
    fn any_48_bytes_decode_and_encode_to_themselves(bytes: [u8; 16], more: [u8; 32]) {
        let mut all = [0; 48];
        all[..16].copy_from_slice(&bytes);
        all[16..].copy_from_slice(&more);
        prop_assert_eq!(Packet::decode(&all).unwrap().encode(), all);
    }

    #[test]
    fn no_datagram_makes_the_decoder_panic(bytes: Vec<u8>) {
        let _ = Packet::decode(&bytes);
    }

    #[test]
    fn a_time_in_the_window_survives_the_wire_to_the_nanosecond(
        nanos in ERA_WINDOW_START_UNIX_S * NANOS_PER_SEC
            ..(ERA_WINDOW_START_UNIX_S + (1 << 32)) * NANOS_PER_SEC,
    ) {
        let time = UnixTime::from_nanos(nanos);
        prop_assert_eq!(NtpTimestamp::from_unix(time).to_unix(), time);
    }
}
