//! The key exchange (RFC 8915 section 4): what is said inside the TLS connection.
//!
//! The TLS connection is somebody else's: version 1.3, [`KeyExchange::ALPN`] agreed on, the
//! server's certificate proved. Keys come from its exporter.

mod record;

use alloc::string::String;
use alloc::vec::Vec;

use crate::cookies::{Cookie, CookieLengthError, CookieStore};
use crate::key::Key;
pub use record::Record;

/// A client's key exchange, waiting for the server's answer.
///
/// ```
/// use ntp_clock_nts::{KeyExchange, Record, Step};
/// let request = KeyExchange::request(); // goes into the TLS connection
/// assert_eq!(request.len(), 6 + 6 + 4);
///
/// let mut answer = Vec::new();
/// let records = [
///     (Record::NEXT_PROTOCOL, &[0, 0][..]),
///     (Record::AEAD_ALGORITHM, &[0, 15]),
///     (Record::COOKIE, &[7; 100]),
///     (Record::END_OF_MESSAGE, &[]),
/// ];
/// for (kind, body) in records {
///     assert!(Record { critical: kind < 2, kind, body }.write(&mut answer));
/// }
/// let exchange = KeyExchange::new();
/// let Step::More(exchange) = exchange.receive(&answer[..50]).unwrap() else { panic!() };
/// let Step::Done(negotiated) = exchange.receive(&answer[50..]).unwrap() else { panic!() };
/// assert_eq!(negotiated.cookies.len(), 1);
/// assert_eq!((negotiated.host, negotiated.port), (None, None));
/// ```
#[derive(Clone, Debug, Default)]
pub struct KeyExchange {
    /// Bytes of a record that is not complete.
    rest: Vec<u8>,
    received: usize,
    protocol: bool,
    algorithm: bool,
    negotiated: Negotiated,
}

/// How far the exchange is.
#[derive(Clone, Debug)]
pub enum Step {
    /// The server has more to say.
    More(KeyExchange),
    /// It has said all.
    Done(Negotiated),
}

/// What a server gives a client beside keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Negotiated {
    /// At least one cookie.
    pub cookies: CookieStore,
    /// The host to ask for time: a name or an address. Without one it is the machine with which
    /// keys were exchanged.
    pub host: Option<String>,
    /// The port to ask for time; without one it is NTP's.
    pub port: Option<u16>,
}

/// Why an exchange gave no keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The server refuses.
    #[error("the key exchange's server answers with an error: {0}")]
    Server(ServerError),
    /// The server warns. There is no code yet that could be known, and an unknown one is an error
    /// (RFC 8915 section 4.1.4).
    #[error("the key exchange's server answers with a warning (code {0})")]
    Warning(u16),
    /// A critical record of a type that we do not know.
    #[error("the key exchange's server demands record type {0}, which is not known here")]
    UnknownCritical(u16),
    /// The server does not give keys for NTP version 4.
    #[error("the key exchange's server does not serve NTP version 4")]
    Protocol,
    /// The server does not know the cipher, or chose another than was offered.
    #[error("the key exchange's server does not use AEAD_AES_SIV_CMAC_256")]
    Algorithm,
    /// A record of this type is missing.
    #[error("the key exchange's answer has no record of type {0}")]
    Missing(u16),
    /// A second record of a type that may stand there once.
    #[error("the key exchange's answer has two records of type {0}")]
    Repeated(u16),
    /// A record of this type holds what it cannot hold.
    #[error("the key exchange's answer has a malformed record of type {0}")]
    Malformed(u16),
    /// A cookie with which requests would be too long.
    #[error("the key exchange's server gives a cookie that cannot be used: {0}")]
    Cookie(#[from] CookieLengthError),
    /// The answer is longer than any honest one.
    #[error("the key exchange's answer is longer than {} bytes", KeyExchange::ANSWER_MAX)]
    TooLong,
    /// Bytes follow the end of the message.
    #[error("bytes follow the end of the key exchange's answer")]
    TrailingBytes,
    /// The connection ended before the message did.
    #[error("the key exchange's server closed the connection in the middle of its answer")]
    Truncated,
}

/// What a server says went wrong (RFC 8915 section 4.1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// It did not understand a critical record.
    #[error("unrecognised critical record (code 0)")]
    UnrecognisedCriticalRecord,
    /// It found the request malformed.
    #[error("bad request (code 1)")]
    BadRequest,
    /// It failed itself.
    #[error("internal server error (code 2)")]
    Internal,
    /// A code that is not known here.
    #[error("code {0}")]
    Other(u16),
}

impl ServerError {
    /// The error with this code.
    #[must_use]
    pub const fn from_code(code: u16) -> Self {
        match code {
            0 => ServerError::UnrecognisedCriticalRecord,
            1 => ServerError::BadRequest,
            2 => ServerError::Internal,
            other => ServerError::Other(other),
        }
    }
}

impl KeyExchange {
    /// The protocol's name in TLS.
    pub const ALPN: &'static [u8] = b"ntske/1";

    /// The port where keys are exchanged.
    pub const PORT: u16 = 4_460;

    /// The longest answer that is read, in bytes: no shorter limit should be set (RFC 8915
    /// section 4).
    pub const ANSWER_MAX: usize = 64 * 1_024;

    /// What the client says: it wants keys for NTP version 4 by AEAD_AES_SIV_CMAC_256.
    #[must_use]
    pub fn request() -> Vec<u8> {
        let (protocol, algorithm) = (NTPV4.to_be_bytes(), Key::ALGORITHM.to_be_bytes());
        let records = [
            (Record::NEXT_PROTOCOL, &protocol[..]),
            (Record::AEAD_ALGORITHM, &algorithm),
            (Record::END_OF_MESSAGE, &[]),
        ];
        let mut request = Vec::new();
        for (kind, body) in records {
            // Two bytes fit into a record.
            let _ = Record { critical: true, kind, body }.write(&mut request);
        }
        request
    }

    /// An exchange of which nothing has been received.
    #[must_use]
    pub fn new() -> Self {
        KeyExchange::default()
    }

    /// The next bytes of the server's answer, cut anywhere. Empty bytes change nothing.
    ///
    /// # Errors
    /// An [`ExchangeError`] as soon as the answer cannot become one that gives keys. The
    /// exchange is over then; the connection is to be closed.
    pub fn receive(mut self, bytes: &[u8]) -> Result<Step, ExchangeError> {
        self.received = self.received.saturating_add(bytes.len());
        if self.received > KeyExchange::ANSWER_MAX {
            return Err(ExchangeError::TooLong);
        }
        let mut buffer = core::mem::take(&mut self.rest);
        buffer.extend_from_slice(bytes);
        let mut rest = &buffer[..];
        while let Some((record, after)) = Record::read(rest) {
            rest = after;
            if record.kind != Record::END_OF_MESSAGE {
                self.take(&record)?;
                continue;
            }
            if !record.body.is_empty() {
                return Err(ExchangeError::Malformed(record.kind));
            }
            let negotiated = self.end()?;
            if !rest.is_empty() {
                return Err(ExchangeError::TrailingBytes);
            }
            return Ok(Step::Done(negotiated));
        }
        // In place: a long record that comes byte by byte is not copied each time.
        let taken = buffer.len() - rest.len();
        buffer.drain(..taken);
        self.rest = buffer;
        Ok(Step::More(self))
    }

    /// The connection has ended: why the exchange has failed.
    #[must_use]
    pub fn closed(self) -> ExchangeError {
        ExchangeError::Truncated
    }

    fn take(&mut self, record: &Record<'_>) -> Result<(), ExchangeError> {
        let kind = record.kind;
        match kind {
            Record::NEXT_PROTOCOL => {
                once(&mut self.protocol, kind)?;
                the_one(record, NTPV4, ExchangeError::Protocol)
            }
            Record::AEAD_ALGORITHM => {
                once(&mut self.algorithm, kind)?;
                the_one(record, Key::ALGORITHM, ExchangeError::Algorithm)
            }
            Record::ERROR => Err(ExchangeError::Server(ServerError::from_code(number_in(record)?))),
            Record::WARNING => Err(ExchangeError::Warning(number_in(record)?)),
            Record::COOKIE => {
                if record.body.is_empty() {
                    return Err(ExchangeError::Malformed(kind));
                }
                let cookie = Cookie::new(record.body)?;
                if self.negotiated.cookies.len() < CookieStore::CAPACITY {
                    self.negotiated.cookies.put(cookie);
                }
                Ok(())
            }
            Record::SERVER => {
                let host = host_in(record.body).ok_or(ExchangeError::Malformed(kind))?;
                vacant(self.negotiated.host.replace(host), kind)
            }
            Record::PORT => {
                let port = number_in(record)?;
                if port == 0 {
                    return Err(ExchangeError::Malformed(kind));
                }
                vacant(self.negotiated.port.replace(port), kind)
            }
            _ if record.critical => Err(ExchangeError::UnknownCritical(kind)),
            _ => Ok(()),
        }
    }

    fn end(self) -> Result<Negotiated, ExchangeError> {
        let had = [
            (self.protocol, Record::NEXT_PROTOCOL),
            (self.algorithm, Record::AEAD_ALGORITHM),
            (!self.negotiated.cookies.is_empty(), Record::COOKIE),
        ];
        match had.into_iter().find(|(had, _)| !had) {
            Some((_, kind)) => Err(ExchangeError::Missing(kind)),
            None => Ok(self.negotiated),
        }
    }
}

/// Notes that a record was seen, which may be there once.
fn once(seen: &mut bool, kind: u16) -> Result<(), ExchangeError> {
    vacant(core::mem::replace(seen, true).then_some(()), kind)
}

fn vacant<T>(before: Option<T>, kind: u16) -> Result<(), ExchangeError> {
    if before.is_some() { Err(ExchangeError::Repeated(kind)) } else { Ok(()) }
}

/// The body is this number, the only one that was offered. An empty one refuses it.
fn the_one(record: &Record<'_>, offered: u16, refused: ExchangeError) -> Result<(), ExchangeError> {
    if record.body.is_empty() || number_in(record)? != offered { Err(refused) } else { Ok(()) }
}

fn number_in(record: &Record<'_>) -> Result<u16, ExchangeError> {
    let bytes = record.body.try_into();
    bytes.map(u16::from_be_bytes).map_err(|_| ExchangeError::Malformed(record.kind))
}

/// A name or an address in ASCII (RFC 8915 section 4.1.7), as long as a name may be.
fn host_in(body: &[u8]) -> Option<String> {
    let of_host = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:".contains(byte);
    let whole = (1..=HOST_LEN_MAX).contains(&body.len()) && body.iter().all(of_host);
    let text = core::str::from_utf8(body).ok().filter(|_| whole)?;
    Some(String::from(text))
}

/// NTP version 4, in the registry of protocols for which keys are exchanged.
const NTPV4: u16 = 0;
/// A name in the DNS.
const HOST_LEN_MAX: usize = 253;

#[cfg(test)]
mod tests;
