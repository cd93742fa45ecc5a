//! Each fault of replies shows on the wire, alone, and ends when it should.

mod common;

use common::{Answer, Client, server, wait_until};
use ntp_clock_core::{DecodeError, Leap, Mode, NtpTimestamp, Packet, Span};
use ntp_test_server::{Fault, Script, TestServer, When};
use std::time::Duration;

fn under(fault: Fault) -> (Answer, NtpTimestamp) {
    let server = server(|b| b.faults.always(fault));
    let mut client = Client::of(&server);
    let cookie = client.send();
    let answer = client.receive();
    assert_eq!(answer.from == server.addr(), fault != Fault::OtherPort);
    (answer, cookie)
}

fn packet_under(fault: Fault) -> Packet {
    let (answer, cookie) = under(fault);
    let packet = answer.packet();
    assert_eq!(packet.origin_timestamp == cookie, fault != Fault::WrongOrigin, "{fault:?}");
    packet
}

#[test]
fn any_kiss_code_comes_with_stratum_0() {
    for code in [*b"RATE", *b"DENY", *b"X1?!"] {
        let packet = packet_under(Fault::Kiss(code));
        assert_eq!((packet.stratum, packet.reference_id.to_bytes()), (0, code));
        assert_eq!(packet.leap, Leap::Unsynchronised);
    }
}

#[test]
fn all_leap_indicators_and_strata_can_be_sent() {
    for leap in [Leap::None, Leap::Insert, Leap::Delete, Leap::Unsynchronised] {
        assert_eq!(packet_under(Fault::Leap(leap)).leap, leap);
    }
    for stratum in [0, 2, 16, 255] {
        assert_eq!(packet_under(Fault::Stratum(stratum)).stratum, stratum);
    }
}

#[test]
fn a_wrong_origin_is_not_the_clients() {
    packet_under(Fault::WrongOrigin);
}

#[test]
fn stamps_can_be_zero() {
    let packet = packet_under(Fault::ZeroReceive);
    assert_eq!(packet.receive_timestamp, NtpTimestamp::ZERO);
    assert_ne!(packet.transmit_timestamp, NtpTimestamp::ZERO);
    let packet = packet_under(Fault::ZeroTransmit);
    assert_ne!(packet.receive_timestamp, NtpTimestamp::ZERO);
    assert_eq!(packet.transmit_timestamp, NtpTimestamp::ZERO);
}

#[test]
fn stamps_can_run_backwards_or_be_far_off() {
    let at_server = |fault| {
        let packet = packet_under(fault);
        packet.transmit_timestamp.to_unix() - packet.receive_timestamp.to_unix()
    };
    let hour = Span::from_secs(3600);
    let nearly = |span: Span, expected: Span| (span - expected).abs() < Span::from_secs(60);
    assert_eq!(at_server(Fault::Backwards(Span::from_secs(1))), Span::from_secs(-1));
    assert!(nearly(at_server(Fault::ShiftReceive(hour)), -hour));
    assert!(nearly(at_server(Fault::ShiftTransmit(hour)), hour));
}

#[test]
fn replies_can_be_truncated_to_any_length() {
    for len in [0, 1, 47] {
        let (answer, _) = under(Fault::Truncate(len));
        assert_eq!(answer.bytes.len(), len);
        assert_eq!(Packet::decode(&answer.bytes), Err(DecodeError::Truncated { len }));
    }
    assert_eq!(under(Fault::Truncate(500)).0.bytes.len(), Packet::LEN);
}

#[test]
fn replies_can_be_oversized_with_a_valid_header() {
    for junk in [1, 3, 1000, 60_000] {
        let (answer, cookie) = under(Fault::Junk(junk));
        assert_eq!(answer.bytes.len(), Packet::LEN + junk);
        let header = Packet::decode(&answer.bytes[..Packet::LEN]).unwrap();
        assert_eq!((header.stratum, header.origin_timestamp), (1, cookie));
    }
}

#[test]
fn extension_fields_are_valid() {
    let (answer, cookie) = under(Fault::Extensions(3));
    assert_eq!(answer.bytes.len(), Packet::LEN + 3 * 28);
    assert_eq!(answer.packet().origin_timestamp, cookie);
}

#[test]
fn mode_version_and_port_can_be_wrong() {
    assert_eq!(packet_under(Fault::Mode(Mode::Broadcast)).mode, Mode::Broadcast);
    assert_eq!(packet_under(Fault::Version(1)).version, 1);
    let (answer, _) = under(Fault::OtherPort);
    assert_eq!(answer.packet().stratum, 1);
}

#[test]
fn what_the_server_says_about_itself_is_as_configured() {
    let server = server(|b| {
        b.leap = Leap::Insert;
        b.stratum = 3;
        b.precision_log2_s = -10;
        b.root_delay = Span::from_millis(500);
        b.root_dispersion = Span::from_millis(250);
        b.reference_id = ntp_clock_core::ReferenceId::from_bytes([10, 0, 0, 1]);
    });
    let packet = Client::of(&server).ask().packet();
    assert_eq!((packet.leap, packet.stratum, packet.precision_log2_s), (Leap::Insert, 3, -10));
    assert_eq!(packet.root_delay.to_span(), Span::from_millis(500));
    assert_eq!(packet.root_dispersion.to_span(), Span::from_millis(250));
    assert_eq!(packet.reference_id.to_string(), "10.0.0.1");
}

#[test]
fn silence_lasts_until_it_is_changed() {
    let server = server(|b| b.faults.always(Fault::Silence));
    let mut client = Client::of(&server);
    assert!(client.hears_nothing());
    wait_until("silent", || server.stats().silenced == 1);
    server.set(|b| b.faults.clear());
    client.ask();
    assert_eq!((server.stats().silenced, server.stats().requests), (1, 2));
}

#[test]
fn silence_for_a_while_ends_by_itself() {
    let while_ = Duration::from_millis(50);
    let server = server(|b| b.faults.set(Fault::Silence, When::For(while_)));
    let mut client = Client::of(&server);
    client.send();
    std::thread::sleep(while_);
    client.ask();
    assert!(server.stats().silenced <= 1);
}

#[test]
fn a_fault_for_the_next_replies_befalls_just_those() {
    let server = server(|b| b.faults.next(2, Fault::WrongOrigin));
    let mut client = Client::of(&server);
    let right: Vec<bool> = (0..4)
        .map(|_| {
            let cookie = client.send();
            client.receive().packet().origin_timestamp == cookie
        })
        .collect();
    assert_eq!(right, [false, false, true, true]);
}

#[test]
fn a_script_brings_faults_and_takes_them_away() {
    let script: Script = "0s kiss RATE\n60ms kiss off\n60ms stratum 16".parse().unwrap();
    let server = TestServer::builder().script(script).spawn().unwrap();
    let mut client = Client::of(&server);
    let stratum = client.ask().packet().stratum;
    assert!(stratum == 0 || server.elapsed() > Duration::from_millis(60), "{stratum}");
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(client.ask().packet().stratum, 16);
}
