//! What a client and its server have agreed on: sealing requests and opening replies (RFC 8915
//! section 5.7).

use alloc::vec::Vec;

use ntp_clock_core::{Authenticated, Mode, NtpTimestamp, Packet, ReferenceId, Rejection};

use crate::cookies::{Cookie, CookieStore};
use crate::field::{Field, FieldError, FieldKind, Fields};
use crate::key::{Key, SealError};
use crate::sealed::Sealed;

/// Keys, cookies, and the requests that may still be answered.
#[derive(Clone, Debug)]
pub struct Association {
    to_server: Key,
    to_client: Key,
    cookies: CookieStore,
    /// The newest requests; the next one takes the oldest one's place.
    asked: [Option<Asked>; REMEMBERED],
    next: usize,
    disowned: bool,
}

/// A request that was sealed.
#[derive(Clone, Copy, Debug)]
struct Asked {
    unique_identifier: [u8; UNIQUE_IDENTIFIER_LEN],
    origin: NtpTimestamp,
    answered: bool,
}

/// What a datagram of our server is that need not be refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// A reply, or a kiss-o'-death, for `SyncEngine::handle_authenticated`.
    Authenticated(Authenticated),
    /// An NTS-NAK: the server says that it cannot read our cookie. Nobody proved it, and the reply
    /// may still come: [`Rejection::Nak`] for `SyncEngine::handle_unproved`. See
    /// [`Association::is_disowned`].
    Nak,
}

/// Why a datagram is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is no NTP packet, or its extension fields are broken.
    #[error("malformed packet")]
    Malformed,
    /// It answers none of our requests: a spoof, or a reply much too late.
    #[error("reply to none of our requests (wrong unique identifier)")]
    NotOurs,
    /// It answers a request that was answered before: a replay.
    #[error("duplicate reply")]
    Duplicate,
    /// It carries no proof.
    #[error("reply without authenticator")]
    Unauthenticated,
    /// Its proof is wrong: it was changed on the way, or sealed by somebody else.
    #[error("reply was changed on the way, or is not of our server (wrong authenticator)")]
    Forged,
}

impl From<Refusal> for Rejection {
    /// What `SyncEngine::handle_unproved` counts.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed => Rejection::Malformed,
            Refusal::NotOurs => Rejection::Origin,
            Refusal::Duplicate => Rejection::Duplicate,
            Refusal::Unauthenticated | Refusal::Forged => Rejection::Unauthenticated,
        }
    }
}

/// Why there is no request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// All cookies are used up; keys must be exchanged.
    #[error("no cookie left; keys must be exchanged")]
    NoCookie,
    /// The cipher refused.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A field does not fit, which a [`Cookie`]'s length rules out.
    #[error(transparent)]
    Field(#[from] FieldError),
}

impl Association {
    /// Bytes of randomness that a request takes: they become its unique identifier and its nonce.
    pub const ENTROPY_LEN: usize = UNIQUE_IDENTIFIER_LEN + NONCE_LEN;

    /// The longest request, in bytes: with the headers of UDP and IPv6 it is as long as any packet
    /// that every network carries in one piece. The reply is as long.
    pub const REQUEST_MAX: usize = 1_232;

    /// The association that a key exchange has made.
    #[must_use]
    pub const fn new(to_server: Key, to_client: Key, cookies: CookieStore) -> Self {
        let asked = [None; REMEMBERED];
        Association { to_server, to_client, cookies, asked, next: 0, disowned: false }
    }

    /// Forgets which requests may still be answered, and a NAK to any of them. Their replies come
    /// too late; one that an attacker held back is refused as [`Refusal::NotOurs`].
    pub const fn begin_round(&mut self) {
        self.asked = [None; REMEMBERED];
        self.disowned = false;
    }

    /// A request in place of [`Packet::request`] with the same `transmit_bits`, which the reply
    /// must return. It uses up a cookie, and asks for as many as the store lacks.
    ///
    /// # Errors
    /// [`RequestError::NoCookie`] where all cookies are used up.
    pub fn request(
        &mut self,
        transmit_bits: u64,
        entropy: &[u8; Association::ENTROPY_LEN],
    ) -> Result<Vec<u8>, RequestError> {
        let cookie = self.cookies.take().ok_or(RequestError::NoCookie)?;
        let (unique_identifier, nonce) = split(entropy);
        let origin = NtpTimestamp::from_bits(transmit_bits);
        let mut request = Vec::with_capacity(Association::REQUEST_MAX);
        request.extend_from_slice(&Packet::request(origin).encode());
        let mut write = |kind, body: &[u8]| Field { kind, body }.write(&mut request);
        write(FieldKind::UNIQUE_IDENTIFIER, &unique_identifier)?;
        write(FieldKind::COOKIE, cookie.as_bytes())?;
        let placeholder = [0; Cookie::LEN_MAX];
        let placeholder = placeholder.get(..cookie.as_bytes().len()).unwrap_or_default();
        for _ in 0..self.placeholders(&cookie) {
            write(FieldKind::COOKIE_PLACEHOLDER, placeholder)?;
        }
        let ciphertext = self.to_server.seal(&nonce, &request, &[])?;
        let body = Sealed { nonce: &nonce, ciphertext: &ciphertext }.to_body().ok_or(SealError)?;
        Field { kind: FieldKind::AUTHENTICATOR, body: &body }.write(&mut request)?;
        self.remember(Asked { unique_identifier, origin, answered: false });
        Ok(request)
    }

    /// Opens what came from the server's address. Nothing of it is used before all of it is
    /// proved, its cookies included.
    ///
    /// # Errors
    /// [`Refusal`] where it is not believed. The request that it claims to answer stays
    /// outstanding: a forged reply does not spoil the real one.
    pub fn open(&mut self, datagram: &[u8]) -> Result<Opened, Refusal> {
        let packet = Packet::decode(datagram).map_err(|_| Refusal::Malformed)?;
        let parts = Parts::of(datagram)?;
        let Some(proof) = parts.proof else { return self.open_unproved(&packet, &parts) };
        let asked = asked_with(&mut self.asked, parts.unique_identifier)?;
        let sealed = Sealed::from_body(proof.body).ok_or(Refusal::Forged)?;
        let hidden = self.to_client.open(sealed.nonce, proof.seen, sealed.ciphertext);
        let hidden = hidden.ok_or(Refusal::Forged)?;
        if asked.answered {
            return Err(Refusal::Duplicate);
        }
        if asked.origin != packet.origin_timestamp {
            return Err(Refusal::NotOurs);
        }
        let fields = Fields::new(&hidden).collect::<Result<Vec<_>, _>>();
        let fields = fields.map_err(|_| Refusal::Malformed)?;
        asked.answered = true;
        self.disowned = false;
        for (_, field) in fields.iter().filter(|(_, field)| field.kind == FieldKind::COOKIE) {
            // An empty one, or one that is too long for a request, is of no use.
            if let Ok(cookie) = Cookie::new(field.body) {
                self.cookies.put(cookie);
            }
        }
        Ok(Opened::Authenticated(Authenticated::vouch(packet)))
    }

    /// How many cookies are left: each allows one request before keys must be exchanged.
    #[must_use]
    pub fn cookies(&self) -> usize {
        self.cookies.len()
    }

    /// An NTS-NAK came, and no proved reply since. Wait for the round's end before believing it:
    /// anybody who can see a request can forge it.
    #[must_use]
    pub const fn is_disowned(&self) -> bool {
        self.disowned
    }

    /// Whether keys should be exchanged before the next round.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.disowned || self.cookies.is_empty()
    }

    fn open_unproved(&mut self, packet: &Packet, parts: &Parts<'_>) -> Result<Opened, Refusal> {
        if !is_nak(packet) {
            return Err(Refusal::Unauthenticated);
        }
        if asked_with(&mut self.asked, parts.unique_identifier)?.answered {
            return Err(Refusal::Duplicate);
        }
        self.disowned = true;
        Ok(Opened::Nak)
    }

    /// How many placeholders go with this cookie, which is not in the store any more.
    fn placeholders(&self, cookie: &Cookie) -> usize {
        let room = Association::REQUEST_MAX.saturating_sub(WITHOUT_COOKIES + cookie.field_len());
        // The reply brings one cookie for this one.
        let lacking = (CookieStore::CAPACITY - 1).saturating_sub(self.cookies.len());
        lacking.min(room / cookie.field_len())
    }

    fn remember(&mut self, asked: Asked) {
        if let Some(oldest) = self.asked.get_mut(self.next) {
            *oldest = Some(asked);
        }
        self.next = (self.next + 1) % REMEMBERED;
    }
}

/// The request with this unique identifier.
fn asked_with<'a>(
    asked: &'a mut [Option<Asked>; REMEMBERED],
    unique_identifier: Option<&[u8]>,
) -> Result<&'a mut Asked, Refusal> {
    let unique_identifier = unique_identifier.ok_or(Refusal::NotOurs)?;
    let mut asked = asked.iter_mut().flatten();
    asked.find(|asked| asked.unique_identifier == unique_identifier).ok_or(Refusal::NotOurs)
}

/// Whether the header is an NTS-NAK's (RFC 8915 section 5.7).
fn is_nak(packet: &Packet) -> bool {
    packet.mode == Mode::Server
        && packet.version == 4
        && packet.stratum == 0
        && packet.reference_id == NAK
}

/// A datagram's extension fields up to the authenticator. What stands behind it is not proved,
/// and not looked at (RFC 8915 section 5.7).
#[derive(Default)]
struct Parts<'a> {
    unique_identifier: Option<&'a [u8]>,
    proof: Option<Proof<'a>>,
}

/// An authenticator's body, and all that stands before the field.
struct Proof<'a> {
    seen: &'a [u8],
    body: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The parts of a datagram that was decoded as a packet: what is no field in it is a MAC.
    fn of(datagram: &'a [u8]) -> Result<Self, Refusal> {
        let mut parts = Parts::default();
        let fields = Fields::new(datagram.get(Packet::LEN..).unwrap_or_default());
        for (offset, field) in fields.map_while(Result::ok) {
            if field.kind == FieldKind::AUTHENTICATOR {
                let seen = datagram.get(..Packet::LEN + offset).unwrap_or_default();
                parts.proof = Some(Proof { seen, body: field.body });
                break;
            }
            let is_identifier = field.kind == FieldKind::UNIQUE_IDENTIFIER;
            if is_identifier && parts.unique_identifier.replace(field.body).is_some() {
                return Err(Refusal::Malformed);
            }
        }
        Ok(parts)
    }
}

fn split(
    entropy: &[u8; Association::ENTROPY_LEN],
) -> ([u8; UNIQUE_IDENTIFIER_LEN], [u8; NONCE_LEN]) {
    let (mut unique_identifier, mut nonce) = ([0; UNIQUE_IDENTIFIER_LEN], [0; NONCE_LEN]);
    let (first, last) = entropy.split_at(UNIQUE_IDENTIFIER_LEN);
    unique_identifier.copy_from_slice(first);
    nonce.copy_from_slice(last);
    (unique_identifier, nonce)
}

const UNIQUE_IDENTIFIER_LEN: usize = 32;
const NONCE_LEN: usize = 16;
/// Header, unique identifier, and an authenticator without encrypted fields.
const WITHOUT_COOKIES: usize = Packet::LEN
    + Field::len_of(UNIQUE_IDENTIFIER_LEN)
    + Field::len_of(4 + NONCE_LEN + Key::OVERHEAD);
/// More than an engine sends in a round; its own memory says what is too late.
const REMEMBERED: usize = 8;
/// The kiss code of an NTS-NAK.
const NAK: ReferenceId = ReferenceId::from_bytes(*b"NTSN");

#[cfg(test)]
mod tests;
