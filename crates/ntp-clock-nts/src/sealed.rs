//! The body of the authenticator field (RFC 8915 section 5.6).
//!
//! ```text
//! 0  nonce length   2  ciphertext length   4  nonce, padded   ciphertext, padded   more padding
//! ```

use alloc::vec::Vec;

/// Nonce and ciphertext, as an authenticator carries them.
///
/// ```
/// use ntp_clock_nts::Sealed;
/// let sealed = Sealed { nonce: &[1; 16], ciphertext: &[2; 18] };
/// let body = sealed.to_body().unwrap();
/// assert_eq!(body.len(), 4 + 16 + 20);
/// assert_eq!(Sealed::from_body(&body), Some(sealed));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sealed<'a> {
    /// What makes the same plaintext another ciphertext.
    pub nonce: &'a [u8],
    /// The proof, then the fields that nobody else can read.
    pub ciphertext: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// Reads a body. `None` where a length is more than is there, or where padding, which is not
    /// authenticated, is not zero.
    #[must_use]
    pub fn from_body(body: &'a [u8]) -> Option<Self> {
        let (lengths, rest) = body.split_first_chunk::<4>()?;
        let [n0, n1, c0, c1] = *lengths;
        let (nonce, rest) = padded(rest, u16::from_be_bytes([n0, n1]))?;
        let (ciphertext, rest) = padded(rest, u16::from_be_bytes([c0, c1]))?;
        is_zero(rest).then_some(Sealed { nonce, ciphertext })
    }

    /// Writes a body without more padding: a client that wants none need not add any to a nonce of
    /// 16 bytes. `None` where nonce or ciphertext is longer than 65,535 bytes.
    #[must_use]
    pub fn to_body(&self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        for part in [self.nonce, self.ciphertext] {
            body.extend_from_slice(&u16::try_from(part.len()).ok()?.to_be_bytes());
        }
        for part in [self.nonce, self.ciphertext] {
            body.extend_from_slice(part);
            body.resize(body.len().next_multiple_of(WORD), 0);
        }
        Some(body)
    }
}

/// The first `len` bytes, and what follows their padding.
fn padded(bytes: &[u8], len: u16) -> Option<(&[u8], &[u8])> {
    let len = usize::from(len);
    let (padded, rest) = bytes.split_at_checked(len.next_multiple_of(WORD))?;
    let (part, padding) = padded.split_at_checked(len)?;
    is_zero(padding).then_some((part, rest))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

const WORD: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_beyond_the_body_and_padding_that_is_not_zero_are_refused() {
        let sealed = Sealed { nonce: &[1; 15], ciphertext: &[2; 17] };
        let body = sealed.to_body().unwrap();
        assert_eq!(body.len(), 4 + 16 + 20);
        for len in 0..body.len() {
            assert_eq!(Sealed::from_body(&body[..len]), None, "{len} bytes");
        }
        let longer = [&body[..], &[0; 8]].concat();
        assert_eq!(Sealed::from_body(&longer), Some(sealed), "more padding is allowed");
        for padding in [4 + 15, 4 + 16 + 17, 4 + 16 + 19, 4 + 16 + 20, 4 + 16 + 27] {
            let mut malformed = longer.clone();
            malformed[padding] = 1;
            assert_eq!(Sealed::from_body(&malformed), None, "byte {padding}");
        }
    }

    proptest! {
        #[test]
        fn a_body_that_is_read_is_written_again_with_its_padding(bytes: Vec<u8>) {
            if let Some(sealed) = Sealed::from_body(&bytes) {
                let written = sealed.to_body().unwrap();
                prop_assert_eq!(&bytes[..written.len()], &written[..]);
                prop_assert!(is_zero(&bytes[written.len()..]));
            }
        }

        #[test]
        fn nonce_and_ciphertext_of_any_length_survive(nonce: Vec<u8>, ciphertext: Vec<u8>) {
            let sealed = Sealed { nonce: &nonce, ciphertext: &ciphertext };
            let body = sealed.to_body().unwrap();
            prop_assert_eq!(Sealed::from_body(&body), Some(sealed));
        }
    }
}
