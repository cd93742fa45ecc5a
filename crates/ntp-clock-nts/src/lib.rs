//! Network Time Security (RFC 8915) for an NTP client, without sockets, TLS, clocks or randomness.
//!
//! - [`KeyExchange`] is the talk inside a TLS 1.3 connection (section 4): bytes in, cookies out.
//!   The TLS library gives the two [`Key`]s by its exporter, with [`Direction::exporter_context`].
//! - [`Association`] has keys and cookies: it seals each request and opens each reply (section 5).
//! - [`Renewal`] says when keys may be exchanged again.
//!
//! A reply is believed only as a whole: an [`Association`] gives out a packet of which every bit
//! was proved, or a [`Refusal`].
//!
//! ```
//! use ntp_clock_nts::{Association, Cookie, CookieStore, Direction, Key, Refusal};
//!
//! let mut cookies = CookieStore::new();
//! cookies.put(Cookie::new(&[7; 100]).unwrap());
//! // Here a TLS connection's exporter stands, which is given these contexts.
//! let exported = |direction: Direction| [direction.exporter_context()[4]; Key::LEN];
//! let [to_server, to_client] =
//!     [Direction::ToServer, Direction::ToClient].map(|direction| Key::new(exported(direction)));
//! let mut association = Association::new(to_server, to_client, cookies);
//!
//! // 48 bytes of the system's randomness; 0x1234 is what the header carries to be returned.
//! let request = association.request(0x1234, &[3; 48]).unwrap();
//! assert_eq!(request.len(), 48 + 36 + 104 + 7 * 104 + 40);
//! // Whatever is not sealed by the server is refused: here the request itself.
//! assert_eq!(association.open(&request), Err(Refusal::Forged));
//! assert!(association.request(0x1235, &[4; 48]).is_err(), "no cookie is used twice");
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod association;
mod cookies;
mod exchange;
mod field;
mod key;
mod renewal;
mod sealed;

pub use association::{Association, Opened, Refusal, RequestError};
pub use cookies::{Cookie, CookieLengthError, CookieStore};
pub use exchange::{ExchangeError, KeyExchange, Negotiated, Record, ServerError, Step};
pub use field::{Field, FieldError, FieldKind, Fields};
pub use key::{Direction, Key, SealError};
pub use renewal::Renewal;
pub use sealed::Sealed;
