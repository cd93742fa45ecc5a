//! Extension fields (RFC 7822 section 3, RFC 8915 section 5): bytes to fields and back.
//!
//! ```text
//! 0  type    2  length, these four bytes and padding included    4  body, padded with zeros
//! ```

use alloc::vec::Vec;

/// An extension field's type (RFC 8915 section 7.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct FieldKind(pub u16);

impl FieldKind {
    /// A number that only the client knows until it has sent it; the reply carries it, too.
    pub const UNIQUE_IDENTIFIER: FieldKind = FieldKind(0x0104);
    /// What gives the server the keys back, and nobody else anything.
    pub const COOKIE: FieldKind = FieldKind(0x0204);
    /// Room in the reply for another cookie.
    pub const COOKIE_PLACEHOLDER: FieldKind = FieldKind(0x0304);
    /// Proof of everything before it, and fields that nobody else can read.
    pub const AUTHENTICATOR: FieldKind = FieldKind(0x0404);
}

/// One extension field.
///
/// ```
/// use ntp_clock_nts::{Field, FieldKind, Fields};
/// let mut bytes = Vec::new();
/// Field { kind: FieldKind::UNIQUE_IDENTIFIER, body: &[7; 32] }.write(&mut bytes).unwrap();
/// assert_eq!(bytes[..4], [0x01, 0x04, 0, 36]);
/// let fields: Vec<_> = Fields::new(&bytes).collect();
/// assert_eq!(fields, [Ok((0, Field { kind: FieldKind::UNIQUE_IDENTIFIER, body: &[7; 32] }))]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Its type.
    pub kind: FieldKind,
    /// What it carries; where it was read, with padding.
    pub body: &'a [u8],
}

impl Field<'_> {
    /// The longest body, in bytes.
    pub const BODY_MAX: usize = 0xfffc - HEAD;

    /// Bytes that a field with such a body takes: with its head, padded to words, and no shorter
    /// than a field may be (RFC 7822 section 3).
    #[must_use]
    pub const fn len_of(body: usize) -> usize {
        let len = (HEAD + body).next_multiple_of(WORD);
        if len < LEN_MIN { LEN_MIN } else { len }
    }

    /// Appends the field.
    ///
    /// # Errors
    /// [`FieldError::TooLong`] where the body is longer than [`Field::BODY_MAX`]; nothing was
    /// written then.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), FieldError> {
        let too_long = FieldError::TooLong { body: self.body.len() };
        if self.body.len() > Field::BODY_MAX {
            return Err(too_long);
        }
        let len = Field::len_of(self.body.len());
        let on_the_wire = u16::try_from(len).map_err(|_| too_long)?;
        let end = out.len() + len;
        out.extend_from_slice(&self.kind.0.to_be_bytes());
        out.extend_from_slice(&on_the_wire.to_be_bytes());
        out.extend_from_slice(self.body);
        out.resize(end, 0);
        Ok(())
    }
}

/// Why bytes are no extension fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// A field's length is no multiple of 4, less than its own head, or more than is there.
    #[error("extension field at byte {offset} claims an impossible length of {len} bytes")]
    Length {
        /// Where the field begins, in bytes from the first field.
        offset: usize,
        /// The length that it claims, in bytes.
        len: usize,
    },
    /// What is left is too short for a field.
    #[error("{len} bytes at byte {offset} are too few for an extension field")]
    Rest {
        /// Where they begin, in bytes from the first field.
        offset: usize,
        /// How many there are.
        len: usize,
    },
    /// The body does not fit into a field.
    #[error("a body of {body} bytes does not fit into an extension field")]
    TooLong {
        /// Its length, in bytes.
        body: usize,
    },
}

/// The extension fields in these bytes, each with its place: how many bytes stand before it. The
/// first error is the last item.
///
/// Fields shorter than 16 bytes are read, too: RFC 8915 lets them stand among the encrypted ones.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Fields<'a> {
    /// The fields in bytes that hold nothing else.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Fields { rest: bytes, offset: 0 }
    }

    fn read(&mut self) -> Result<(usize, Field<'a>), FieldError> {
        let offset = self.offset;
        let rest = FieldError::Rest { offset, len: self.rest.len() };
        let [k0, k1, l0, l1] = *self.rest.first_chunk::<HEAD>().ok_or(rest)?;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let wrong = FieldError::Length { offset, len };
        if len < HEAD || !len.is_multiple_of(WORD) {
            return Err(wrong);
        }
        let (field, after) = self.rest.split_at_checked(len).ok_or(wrong)?;
        (self.rest, self.offset) = (after, offset + len);
        let body = field.get(HEAD..).unwrap_or_default();
        Ok((offset, Field { kind: FieldKind(u16::from_be_bytes([k0, k1])), body }))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(usize, Field<'a>), FieldError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.rest = &[];
        }
        Some(read)
    }
}

impl core::iter::FusedIterator for Fields<'_> {}

const HEAD: usize = 4;
const WORD: usize = 4;
const LEN_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn fields(bytes: &[u8]) -> Vec<Result<(usize, Field<'_>), FieldError>> {
        Fields::new(bytes).collect()
    }

    #[test]
    fn broken_lengths_are_named_with_their_place_and_end_the_fields() {
        let whole = [0x02, 0x04, 0, 8, 1, 2, 3, 4];
        let cases = [
            (&[0x01, 0x04, 0, 0][..], FieldError::Length { offset: 8, len: 0 }),
            (&[0x01, 0x04, 0, 3], FieldError::Length { offset: 8, len: 3 }),
            (&[0x01, 0x04, 0, 6, 0, 0, 0, 0], FieldError::Length { offset: 8, len: 6 }),
            (&[0x01, 0x04, 0, 12, 0, 0, 0, 0], FieldError::Length { offset: 8, len: 12 }),
            (&[0x01, 0x04, 0xff, 0xfc, 0], FieldError::Length { offset: 8, len: 0xfffc }),
            (&[1, 4, 0], FieldError::Rest { offset: 8, len: 3 }),
        ];
        for (tail, error) in cases {
            let bytes = [&whole, tail].concat();
            let read = fields(&bytes);
            assert_eq!(read.len(), 2, "{read:?}");
            assert_eq!(read[0], Ok((0, Field { kind: FieldKind::COOKIE, body: &[1, 2, 3, 4] })));
            assert_eq!(read[1], Err(error));
        }
    }

    #[test]
    fn a_field_without_a_body_is_read() {
        let empty = |kind| Field { kind: FieldKind(kind), body: &[] };
        assert_eq!(fields(&[0, 7, 0, 4, 0, 8, 0, 4]), [Ok((0, empty(7))), Ok((4, empty(8)))]);
    }

    #[test]
    fn a_body_is_padded_with_zeros_to_words_and_to_the_shortest_field() {
        for (body, len) in [(0, 16), (12, 16), (13, 20), (16, 20), (100, 104)] {
            let mut bytes = vec![];
            let field = Field { kind: FieldKind(1), body: &vec![0xaa; body] };
            field.write(&mut bytes).unwrap();
            assert_eq!((bytes.len(), Field::len_of(body)), (len, len));
            assert_eq!(usize::from(bytes[3]), len);
            assert!(bytes[4 + body..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn a_body_too_long_for_a_field_is_refused_and_nothing_is_written() {
        let mut bytes = vec![9];
        let longest = vec![1; Field::BODY_MAX];
        Field { kind: FieldKind(1), body: &longest }.write(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 1 + 0xfffc);
        bytes.truncate(1);
        let body = vec![1; Field::BODY_MAX + 1];
        let refused = Field { kind: FieldKind(1), body: &body }.write(&mut bytes);
        assert_eq!(refused, Err(FieldError::TooLong { body: body.len() }));
        assert_eq!(bytes, [9]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic_and_what_it_reads_stands_there(bytes: Vec<u8>) {
            let mut end = 0;
            for (offset, field) in Fields::new(&bytes).map_while(Result::ok) {
                prop_assert_eq!(offset, end);
                prop_assert_eq!(&bytes[offset..offset + 2], &field.kind.0.to_be_bytes());
                end = offset + 4 + field.body.len();
                prop_assert_eq!(&bytes[offset + 4..end], field.body);
            }
            let failed = Fields::new(&bytes).any(|field| field.is_err());
            prop_assert!(failed || end == bytes.len(), "every byte is of a field or of an error");
        }

        #[test]
        fn what_is_written_is_read_again(
            kinds in proptest::collection::vec(any::<(u16, Vec<u8>)>(), 0..8),
        ) {
            let mut bytes = vec![];
            for (kind, body) in &kinds {
                Field { kind: FieldKind(*kind), body }.write(&mut bytes).unwrap();
            }
            let read = Fields::new(&bytes).collect::<Result<Vec<_>, _>>().unwrap();
            prop_assert_eq!(read.len(), kinds.len());
            for ((_, field), (kind, body)) in read.iter().zip(&kinds) {
                prop_assert_eq!(field.kind.0, *kind);
                prop_assert_eq!(&field.body[..body.len()], &body[..]);
                prop_assert!(field.body[body.len()..].iter().all(|byte| *byte == 0));
            }
        }
    }
}
