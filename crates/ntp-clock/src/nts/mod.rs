//! Network Time Security (RFC 8915): keys from a server whose certificate is proved.
//!
//! What is said inside the TLS connection, and what is done with the keys, is
//! [`ntp_clock_nts`](https://docs.rs/ntp-clock-nts)'s; here are the connection and its limits.

mod certificate;
mod exchange;
#[cfg(test)]
pub(crate) mod giver;
mod judge;
mod key_server;
mod keyring;
mod roots;
mod validity;
mod words;

pub use judge::Judged;
pub use key_server::{KeyServer, Keys, KeysError};
pub(crate) use keyring::Keyring;
