//! Cookies, and how many are kept.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::field::Field;

/// A server's cookie: opaque, and sent back once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cookie(Vec<u8>);

impl Cookie {
    /// The longest cookie, in bytes: with it a request is not longer than a datagram may be that
    /// no network cuts in two.
    pub const LEN_MAX: usize = 1_024;

    /// The cookie with these bytes.
    ///
    /// # Errors
    /// [`CookieLengthError`] where there are none, or more than [`Cookie::LEN_MAX`].
    pub fn new(bytes: &[u8]) -> Result<Self, CookieLengthError> {
        if bytes.is_empty() || bytes.len() > Cookie::LEN_MAX {
            return Err(CookieLengthError { len: bytes.len() });
        }
        Ok(Cookie(bytes.to_vec()))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes of the field that carries it, and of each placeholder for one like it.
    pub(crate) fn field_len(&self) -> usize {
        Field::len_of(self.0.len())
    }
}

/// The server's cookie is empty, or would make requests longer than a datagram may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a cookie of {len} bytes; it must have 1 to 1024")]
pub struct CookieLengthError {
    /// Its length, in bytes.
    pub len: usize,
}

/// Up to eight cookies, as RFC 8915 section 5.7 advises; the oldest is used first.
///
/// ```
/// use ntp_clock_nts::{Cookie, CookieStore};
/// let mut cookies = CookieStore::new();
/// for number in 0..9 {
///     cookies.put(Cookie::new(&[number; 100]).unwrap());
/// }
/// assert_eq!(cookies.len(), CookieStore::CAPACITY);
/// assert_eq!(cookies.take(), Some(Cookie::new(&[1; 100]).unwrap()), "the oldest made room");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct CookieStore(VecDeque<Cookie>);

impl CookieStore {
    /// How many cookies are kept.
    pub const CAPACITY: usize = 8;

    /// A store without cookies.
    #[must_use]
    pub const fn new() -> Self {
        CookieStore(VecDeque::new())
    }

    /// Keeps a cookie. A full store gives up its oldest: the newest survive a change of the
    /// server's keys for longest.
    pub fn put(&mut self, cookie: Cookie) {
        if self.0.len() == CookieStore::CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(cookie);
    }

    /// The oldest cookie, which is not here any more.
    pub fn take(&mut self) -> Option<Cookie> {
        self.0.pop_front()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn a_cookie_is_given_out_once_oldest_first() {
        let mut cookies = CookieStore::new();
        for number in 0..3 {
            cookies.put(Cookie::new(&[number; 4]).unwrap());
        }
        for number in 0..3 {
            assert_eq!(cookies.take().unwrap().as_bytes(), [number; 4]);
        }
        assert_eq!((cookies.take(), cookies.is_empty()), (None, true));
    }

    #[test]
    fn a_cookie_that_is_empty_or_too_long_for_a_datagram_is_refused() {
        assert!(Cookie::new(&[1]).is_ok() && Cookie::new(&[1; Cookie::LEN_MAX]).is_ok());
        for len in [0, 1_025] {
            assert_eq!(Cookie::new(&vec![1; len]), Err(CookieLengthError { len }));
        }
    }
}
