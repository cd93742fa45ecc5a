//! Records of the key exchange (RFC 8915 section 4).
//!
//! ```text
//! 0  critical:1 type:15    2  length of the body    4  body
//! ```

use alloc::vec::Vec;

/// One record.
///
/// ```
/// use ntp_clock_nts::Record;
/// let record = Record { critical: true, kind: Record::ERROR, body: &[0, 1] };
/// let mut bytes = Vec::new();
/// assert!(record.write(&mut bytes));
/// assert_eq!(bytes, [0x80, 2, 0, 2, 0, 1]);
/// assert_eq!(Record::read(&bytes), Some((record, &[][..])));
/// assert_eq!(Record::read(&bytes[..5]), None, "more is to come");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// A receiver that does not know the type must refuse the message.
    pub critical: bool,
    /// Its type, 15 bits.
    pub kind: u16,
    /// What it carries.
    pub body: &'a [u8],
}

impl<'a> Record<'a> {
    /// Nothing follows.
    pub const END_OF_MESSAGE: u16 = 0;
    /// The protocols for which keys are wanted, or given.
    pub const NEXT_PROTOCOL: u16 = 1;
    /// The other side cannot go on.
    pub const ERROR: u16 = 2;
    /// The other side goes on, and finds something strange.
    pub const WARNING: u16 = 3;
    /// The ciphers that can be used, or the one to use.
    pub const AEAD_ALGORITHM: u16 = 4;
    /// A cookie.
    pub const COOKIE: u16 = 5;
    /// The host to ask for time.
    pub const SERVER: u16 = 6;
    /// Its port.
    pub const PORT: u16 = 7;

    /// The first record in these bytes, and what follows it; `None` where not all of it is there.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let ([k0, k1, l0, l1], rest) = bytes.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        let (body, rest) = rest.split_at_checked(len)?;
        let kind = u16::from_be_bytes([*k0, *k1]);
        Some((Record { critical: kind & CRITICAL != 0, kind: kind & !CRITICAL, body }, rest))
    }

    /// Appends the record; a body of more than 65,535 bytes does not fit, and nothing is written.
    #[must_use]
    pub fn write(&self, out: &mut Vec<u8>) -> bool {
        let Ok(len) = u16::try_from(self.body.len()) else { return false };
        let critical = if self.critical { CRITICAL } else { 0 };
        out.extend_from_slice(&(self.kind & !CRITICAL | critical).to_be_bytes());
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(self.body);
        true
    }
}

const CRITICAL: u16 = 0x8000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    #[test]
    fn a_body_too_long_for_a_record_is_not_written() {
        let body = vec![1; 0x1_0000];
        let mut bytes = vec![];
        assert!(!Record { critical: false, kind: 5, body: &body }.write(&mut bytes));
        assert_eq!(bytes, []);
        assert!(Record { critical: false, kind: 5, body: &body[1..] }.write(&mut bytes));
        assert_eq!(bytes.len(), 4 + 0xffff);
    }

    proptest! {
        #[test]
        fn a_record_that_is_read_is_written_as_it_was(bytes: Vec<u8>) {
            if let Some((record, rest)) = Record::read(&bytes) {
                let mut written = vec![];
                prop_assert!(record.write(&mut written));
                prop_assert_eq!([&written[..], rest].concat(), bytes);
            }
        }
    }
}
