//! Whatever is done to replies on the way: only what the server sealed is believed, once, and as it
//! was sealed; what it did not seal leaves nothing behind, no cookie either.

#![no_main]

use std::collections::HashMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ntp_clock_core::{Mode, Packet, ReferenceId};
use ntp_clock_nts::{
    Association, Cookie, CookieStore, Field, FieldKind, Fields, Key, Opened, Sealed,
};

#[derive(Arbitrary, Debug)]
enum Step {
    Ask,
    /// The server answers a request before the newest, by this many, and this befalls the answer.
    Reply {
        before: u8,
        kiss: bool,
        edits: Vec<Edit>,
    },
    Nak {
        before: u8,
        edits: Vec<Edit>,
    },
    Bytes(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum Edit {
    Change {
        at: u16,
        with: u8,
    },
    Insert {
        at: u16,
        bytes: Vec<u8>,
    },
    Remove {
        at: u16,
        len: u16,
    },
    /// A field that is put before the one that begins there.
    Field {
        at: u16,
        kind: Kind,
        body: Vec<u8>,
    },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    UniqueIdentifier,
    Cookie,
    Authenticator,
    Any(u16),
}

/// A request as the server read it.
struct Asked {
    packet: Packet,
    unique_identifier: Vec<u8>,
    placeholders: usize,
}

fuzz_target!(|steps: Vec<Step>| {
    let mut cookies = CookieStore::new();
    for number in 0..8 {
        cookies.put(Cookie::new(&[number; 100]).expect("short"));
    }
    let mut association = Association::new(Key::new(TO_SERVER), Key::new(TO_CLIENT), cookies);
    let mut asked: Vec<Asked> = Vec::new();
    // What the server has sealed, and to which request.
    let mut sealed: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut believed: Vec<usize> = Vec::new();
    for (number, step) in steps.iter().take(64).enumerate() {
        let datagram = match step {
            Step::Ask => {
                let request = association.request(number as u64, &[number as u8; 48]);
                if let Ok(request) = request {
                    assert!(request.len() <= Association::REQUEST_MAX);
                    asked.push(read(&request));
                }
                continue;
            }
            Step::Reply { before, kiss, edits } => {
                let Some(index) = index(&asked, *before) else { continue };
                let reply = reply(&asked[index], *kiss);
                sealed.insert(reply.clone(), index);
                edited(reply, edits)
            }
            Step::Nak { before, edits } => {
                let Some(index) = index(&asked, *before) else { continue };
                edited(nak(&asked[index]), edits)
            }
            Step::Bytes(bytes) => bytes.clone(),
        };
        let had = (association.cookies(), association.is_disowned());
        match association.open(&datagram) {
            Ok(Opened::Authenticated(proved)) => {
                // More padding may have come behind it; nothing before it has changed.
                let same = |reply: &[u8]| datagram.get(..PROVED) == reply.get(..PROVED);
                let (reply, index) =
                    sealed.iter().find(|(reply, _)| same(reply)).expect("the server sealed it");
                assert_eq!(proved.packet().encode(), reply[..Packet::LEN]);
                assert!(!believed.contains(index), "a second reply");
                believed.push(*index);
                assert!(!association.is_disowned());
                let placeholders = asked[*index].placeholders;
                assert_eq!(association.cookies(), (had.0 + 1 + placeholders).min(8));
            }
            Ok(Opened::Nak) => {
                assert!(association.is_disowned());
                assert_eq!(association.cookies(), had.0);
            }
            Err(_) => assert_eq!((association.cookies(), association.is_disowned()), had),
        }
    }
});

fn index(asked: &[Asked], before: u8) -> Option<usize> {
    asked.len().checked_sub(1 + usize::from(before % 9))
}

fn read(request: &[u8]) -> Asked {
    let fields: Vec<_> = Fields::new(&request[Packet::LEN..]).map(|f| f.expect("sound")).collect();
    let of = |kind| fields.iter().filter(move |(_, field)| field.kind == kind);
    let (offset, proof) = fields.last().expect("an authenticator");
    let opened = Sealed::from_body(proof.body).and_then(|sealed| {
        let seen = &request[..Packet::LEN + offset];
        Key::new(TO_SERVER).open(sealed.nonce, seen, sealed.ciphertext)
    });
    assert_eq!(opened.as_deref(), Some(&[][..]));
    Asked {
        packet: Packet::decode(request).expect("a packet"),
        unique_identifier: of(FieldKind::UNIQUE_IDENTIFIER).next().expect("one").1.body.to_vec(),
        placeholders: of(FieldKind::COOKIE_PLACEHOLDER).count(),
    }
}

fn start(asked: &Asked, stratum: u8, reference: [u8; 4]) -> Vec<u8> {
    let packet = Packet {
        mode: Mode::Server,
        stratum,
        reference_id: ReferenceId::from_bytes(reference),
        origin_timestamp: asked.packet.transmit_timestamp,
        ..asked.packet
    };
    let mut datagram = packet.encode().to_vec();
    write(&mut datagram, FieldKind::UNIQUE_IDENTIFIER, &asked.unique_identifier);
    datagram
}

fn nak(asked: &Asked) -> Vec<u8> {
    start(asked, 0, *b"NTSN")
}

fn reply(asked: &Asked, kiss: bool) -> Vec<u8> {
    let mut reply = if kiss { start(asked, 0, *b"RATE") } else { start(asked, 1, *b"GPS\0") };
    let mut hidden = Vec::new();
    for _ in 0..=asked.placeholders {
        write(&mut hidden, FieldKind::COOKIE, &[0xc0; 100]);
    }
    let nonce = [5; 16];
    let ciphertext = Key::new(TO_CLIENT).seal(&nonce, &reply, &hidden).expect("sealed");
    let body = Sealed { nonce: &nonce, ciphertext: &ciphertext }.to_body().expect("short");
    write(&mut reply, FieldKind::AUTHENTICATOR, &body);
    reply
}

fn write(out: &mut Vec<u8>, kind: FieldKind, body: &[u8]) {
    Field { kind, body }.write(out).expect("short");
}

fn edited(mut datagram: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits.iter().take(8) {
        let place = |at: &u16| usize::from(*at) % (datagram.len() + 1);
        match edit {
            Edit::Change { at, with } => {
                let at = place(at);
                if let Some(byte) = datagram.get_mut(at) {
                    *byte ^= with;
                }
            }
            Edit::Insert { at, bytes } => {
                let at = place(at);
                datagram.splice(at..at, bytes.iter().copied());
            }
            Edit::Remove { at, len } => {
                let at = place(at);
                let end = (at + usize::from(*len)).min(datagram.len());
                datagram.drain(at..end);
            }
            Edit::Field { at, kind, body } => {
                let at = place(at) / 4 * 4;
                let kind = match kind {
                    Kind::UniqueIdentifier => FieldKind::UNIQUE_IDENTIFIER,
                    Kind::Cookie => FieldKind::COOKIE,
                    Kind::Authenticator => FieldKind::AUTHENTICATOR,
                    Kind::Any(kind) => FieldKind(*kind),
                };
                let mut field = Vec::new();
                write(&mut field, kind, body);
                datagram.splice(at..at, field);
            }
        }
    }
    datagram
}

/// Header and unique identifier of the server's replies.
const PROVED: usize = Packet::LEN + 36;
const TO_SERVER: [u8; 32] = [1; 32];
const TO_CLIENT: [u8; 32] = [2; 32];
