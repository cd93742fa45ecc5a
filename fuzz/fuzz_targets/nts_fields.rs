//! Any bytes either are fields, an authenticator's body or a record, and are written again as they
//! were read, or are refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntp_clock_nts::{Field, Fields, Record, Sealed};

fuzz_target!(|bytes: &[u8]| {
    let mut end = 0;
    for read in Fields::new(bytes) {
        let Ok((offset, field)) = read else { break };
        assert_eq!(offset, end, "fields follow one another");
        end += 4 + field.body.len();
        assert_eq!(&bytes[offset + 4..end], field.body);
        let mut written = Vec::new();
        field.write(&mut written).expect("it was in a field");
        assert_eq!(written.len(), Field::len_of(field.body.len()));
        let again = Fields::new(&written).next().expect("one field").expect("well formed");
        assert_eq!((again.0, again.1.kind), (0, field.kind));
        // A field shorter than a field may be becomes longer.
        assert!(again.1.body.starts_with(field.body));
    }
    let whole = Fields::new(bytes).all(|read| read.is_ok());
    assert!(!whole || end == bytes.len(), "every byte is a field's, or an error");

    if let Some(sealed) = Sealed::from_body(bytes) {
        let body = sealed.to_body().expect("it was in a body");
        let (same, padding) = bytes.split_at(body.len());
        assert_eq!(same, body);
        assert!(padding.iter().all(|byte| *byte == 0), "nothing unproved but zeros");
    }

    let mut rest = bytes;
    while let Some((record, after)) = Record::read(rest) {
        let mut written = Vec::new();
        assert!(record.write(&mut written));
        assert_eq!([&written[..], after].concat(), rest);
        rest = after;
    }
});
