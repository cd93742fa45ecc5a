//! Any datagram either decodes, and then says the same when encoded again, or is refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntp_clock_core::{NtpShort, NtpTimestamp, Packet, Span};

fuzz_target!(|datagram: &[u8]| {
    let Ok(packet) = Packet::decode(datagram) else { return };
    let header = packet.encode();
    assert_eq!(header, datagram[..Packet::LEN], "the header is written as it was read");
    assert_eq!(Packet::decode(&header), Ok(packet));
    for stamp in [packet.receive_timestamp, packet.transmit_timestamp] {
        let time = stamp.to_unix();
        let again = NtpTimestamp::from_unix(time).to_unix();
        assert!((again - time).abs() <= Span::from_nanos(1), "{time:?} became {again:?}");
    }
    for span in [packet.root_delay, packet.root_dispersion] {
        assert!(span.to_span() >= Span::ZERO);
        assert!(NtpShort::from_span_ceil(span.to_span()).to_span() >= span.to_span());
    }
});
