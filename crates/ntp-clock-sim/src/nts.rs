//! Network Time Security between a simulated client and its server: the real requests and replies
//! of `ntp-clock-nts`, with keys that both have agreed on already.

use ntp_clock_core::{Authenticated, LocalTime, Packet, Rejection};
use ntp_clock_nts::{
    Association, Cookie, CookieStore, Field, FieldKind, Fields, Key, Opened, Renewal, Sealed,
};

use crate::dice::Dice;

/// What client and server know of one another.
#[derive(Debug)]
pub(crate) struct Nts {
    association: Association,
    renewal: Renewal,
    /// The server's half.
    to_client: Key,
    dice: Dice,
    /// The round of the last request.
    round: u64,
}

impl Nts {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "nts");
        let (association, to_client) = agreed(&mut dice);
        Nts { association, renewal: Renewal::new(), to_client, dice, round: 0 }
    }

    /// The client's next request. Keys are exchanged again before a round that could not be asked
    /// with the old ones, as often as that may be.
    pub(crate) fn request(&mut self, bits: u64, round: u64, now: LocalTime) -> Option<Vec<u8>> {
        let begins = std::mem::replace(&mut self.round, round) != round;
        if begins && self.association.is_spent() && self.renewal.is_due(now) {
            self.renewal.begin(now, self.dice.bits());
            (self.association, self.to_client) = agreed(&mut self.dice);
        }
        let entropy = self.dice.bytes();
        self.association.request(bits, &entropy).ok()
    }

    /// The server's reply with its proof, and a cookie for each that the request asks for.
    pub(crate) fn seal(&mut self, request: &[u8], reply: &Packet) -> Vec<u8> {
        let fields = Fields::new(&request[Packet::LEN..]).map_while(Result::ok);
        let mut sealed = reply.encode().to_vec();
        let mut hidden = Vec::new();
        for (_, field) in fields {
            match field.kind {
                FieldKind::UNIQUE_IDENTIFIER => field.write(&mut sealed).expect("it was read"),
                FieldKind::COOKIE | FieldKind::COOKIE_PLACEHOLDER => {
                    let body: [u8; COOKIE_LEN] = self.dice.bytes();
                    let cookie = Field { kind: FieldKind::COOKIE, body: &body };
                    cookie.write(&mut hidden).expect("short");
                }
                _ => {}
            }
        }
        let nonce: [u8; 16] = self.dice.bytes();
        let ciphertext = self.to_client.seal(&nonce, &sealed, &hidden).expect("any can be sealed");
        let body = Sealed { nonce: &nonce, ciphertext: &ciphertext }.to_body().expect("short");
        let proof = Field { kind: FieldKind::AUTHENTICATOR, body: &body };
        proof.write(&mut sealed).expect("short");
        sealed
    }

    /// The client opens what came.
    pub(crate) fn open(&mut self, datagram: &[u8]) -> Result<Authenticated, Rejection> {
        match self.association.open(datagram) {
            Ok(Opened::Authenticated(reply)) => {
                self.renewal.proved();
                Ok(reply)
            }
            Ok(Opened::Nak) => Err(Rejection::Nak),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// What a key exchange leaves: the client's association, and the server's key.
fn agreed(dice: &mut Dice) -> (Association, Key) {
    let mut cookies = CookieStore::new();
    for _ in 0..CookieStore::CAPACITY {
        let cookie: [u8; COOKIE_LEN] = dice.bytes();
        cookies.put(Cookie::new(&cookie).expect("short"));
    }
    let to_client: [u8; Key::LEN] = dice.bytes();
    let association = Association::new(Key::new(dice.bytes()), Key::new(to_client), cookies);
    (association, Key::new(to_client))
}

/// As long as chrony's.
const COOKIE_LEN: usize = 100;
