//! An association and its server, with an attacker between them.

use super::*;
use ntp_clock_core::{Leap, NtpShort};
use std::vec;

const TO_SERVER: [u8; 32] = [1; 32];
const TO_CLIENT: [u8; 32] = [2; 32];
const COOKIE_LEN: usize = 100;

/// A server with nothing but its side of the keys.
struct Server {
    cookies_given: u32,
}

impl Server {
    /// Cookies that no two replies have in common.
    fn cookie(&mut self) -> Vec<u8> {
        self.cookies_given += 1;
        self.cookies_given.to_be_bytes().repeat(COOKIE_LEN / 4)
    }

    /// What the server reads in a request that it accepts: its unique identifier, its cookie, and
    /// how many placeholders there are.
    fn read(request: &[u8]) -> (Packet, Vec<u8>, Vec<u8>, usize) {
        let packet = Packet::decode(request).unwrap();
        let fields = Fields::new(&request[48..]).collect::<Result<Vec<_>, _>>().unwrap();
        let of = |kind| fields.iter().filter(move |(_, field)| field.kind == kind);
        let [(_, unique_identifier)] = of(FieldKind::UNIQUE_IDENTIFIER).collect::<Vec<_>>()[..]
        else {
            panic!("one unique identifier")
        };
        let [(_, cookie)] = of(FieldKind::COOKIE).collect::<Vec<_>>()[..] else {
            panic!("one cookie")
        };
        let (offset, proof) = fields.last().unwrap();
        assert_eq!(proof.kind, FieldKind::AUTHENTICATOR);
        let sealed = Sealed::from_body(proof.body).unwrap();
        let key = Key::new(TO_SERVER);
        let hidden = key.open(sealed.nonce, &request[..48 + offset], sealed.ciphertext);
        assert_eq!(hidden, Some(vec![]));
        for (_, placeholder) in of(FieldKind::COOKIE_PLACEHOLDER) {
            assert_eq!(placeholder.body.len(), cookie.body.len());
            assert!(placeholder.body.iter().all(|byte| *byte == 0));
        }
        let placeholders = of(FieldKind::COOKIE_PLACEHOLDER).count();
        (packet, unique_identifier.body.to_vec(), cookie.body.to_vec(), placeholders)
    }

    fn reply(&mut self, request: &[u8]) -> Vec<u8> {
        let (asked, unique_identifier, _, placeholders) = Server::read(request);
        let cookies: Vec<_> = (0..=placeholders).map(|_| self.cookie()).collect();
        seal(&header(asked.transmit_timestamp, 1, *b"GPS\0"), &unique_identifier, &cookies)
    }

    fn nak(request: &[u8]) -> Vec<u8> {
        let (asked, unique_identifier, ..) = Server::read(request);
        let mut nak = header(asked.transmit_timestamp, 0, *b"NTSN").encode().to_vec();
        unsealed(&unique_identifier).write(&mut nak).unwrap();
        nak
    }
}

fn unsealed(unique_identifier: &[u8]) -> Field<'_> {
    Field { kind: FieldKind::UNIQUE_IDENTIFIER, body: unique_identifier }
}

fn header(origin: NtpTimestamp, stratum: u8, reference: [u8; 4]) -> Packet {
    Packet {
        leap: Leap::None,
        version: 4,
        mode: Mode::Server,
        stratum,
        poll_log2_s: 6,
        precision_log2_s: -25,
        root_delay: NtpShort::ZERO,
        root_dispersion: NtpShort::from_bits(10),
        reference_id: ReferenceId::from_bytes(reference),
        reference_timestamp: NtpTimestamp::from_bits(0xebd4_3107_8000_0000),
        origin_timestamp: origin,
        receive_timestamp: NtpTimestamp::from_bits(0xebd4_3108_4000_0000),
        transmit_timestamp: NtpTimestamp::from_bits(0xebd4_3108_c000_0000),
    }
}

fn seal(header: &Packet, unique_identifier: &[u8], cookies: &[Vec<u8>]) -> Vec<u8> {
    let mut reply = header.encode().to_vec();
    unsealed(unique_identifier).write(&mut reply).unwrap();
    let mut hidden = vec![];
    for body in cookies {
        Field { kind: FieldKind::COOKIE, body }.write(&mut hidden).unwrap();
    }
    seal_onto(&mut reply, &hidden);
    reply
}

fn seal_onto(reply: &mut Vec<u8>, hidden: &[u8]) {
    let nonce = [9; 16];
    let ciphertext = Key::new(TO_CLIENT).seal(&nonce, reply, hidden).unwrap();
    let body = Sealed { nonce: &nonce, ciphertext: &ciphertext }.to_body().unwrap();
    Field { kind: FieldKind::AUTHENTICATOR, body: &body }.write(reply).unwrap();
}

fn association(cookies: usize) -> Association {
    association_with(cookies, COOKIE_LEN)
}

fn association_with(cookies: usize, cookie_len: usize) -> Association {
    let mut store = CookieStore::new();
    for number in 0..cookies {
        store.put(Cookie::new(&vec![0x80 + number as u8; cookie_len]).unwrap());
    }
    Association::new(Key::new(TO_SERVER), Key::new(TO_CLIENT), store)
}

fn server() -> Server {
    Server { cookies_given: 0 }
}

/// A request whose randomness is this number.
fn ask(association: &mut Association, number: u8) -> Vec<u8> {
    association.request(u64::from(number), &[number; Association::ENTROPY_LEN]).unwrap()
}

fn origin_of(opened: Result<Opened, Refusal>) -> u64 {
    let Ok(Opened::Authenticated(reply)) = opened else { panic!("{opened:?}") };
    reply.packet().origin_timestamp.to_bits()
}

#[test]
fn a_reply_of_the_server_is_opened_and_brings_a_cookie_for_the_one_it_took() {
    let (mut association, mut server) = (association(8), server());
    for number in 1..100 {
        let request = ask(&mut association, number);
        assert_eq!(association.cookies(), 7);
        let reply = server.reply(&request);
        assert_eq!(reply.len(), request.len(), "nobody is attacked with our server's help");
        assert_eq!(origin_of(association.open(&reply)), u64::from(number));
        assert_eq!((association.cookies(), association.is_spent()), (8, false));
    }
}

#[test]
fn no_cookie_is_sent_twice_and_none_is_left_after_eight_requests_without_a_reply() {
    let mut association = association(8);
    let mut sent = vec![];
    for number in 0..8 {
        assert!(!association.is_spent());
        sent.push(Server::read(&ask(&mut association, number)).2);
    }
    sent.sort_unstable();
    sent.dedup();
    assert_eq!((sent.len(), association.is_spent()), (8, true));
    let refused = association.request(9, &[9; 48]);
    assert_eq!(refused, Err(RequestError::NoCookie));
}

#[test]
fn placeholders_ask_for_what_the_store_lacks_and_have_the_cookies_length() {
    for (left, placeholders) in [(8, 0), (7, 1), (3, 5), (1, 7)] {
        let (mut association, mut server) = (association(left), server());
        let request = ask(&mut association, 1);
        assert_eq!(Server::read(&request).3, placeholders, "of {left} cookies");
        origin_of(association.open(&server.reply(&request)));
        assert_eq!(association.cookies(), 8);
    }
}

#[test]
fn no_request_is_longer_than_what_every_network_carries_in_one_piece() {
    for cookie_len in (0..=Cookie::LEN_MAX).rev().step_by(5) {
        let mut association = association_with(1, cookie_len);
        let request = ask(&mut association, 1);
        assert!(request.len() <= Association::REQUEST_MAX, "{cookie_len}: {}", request.len());
        let wanted = Server::read(&request).3;
        let more = request.len() + Field::len_of(cookie_len);
        assert!(wanted == 7 || more > Association::REQUEST_MAX, "{cookie_len}: {wanted}");
    }
}

#[test]
fn a_reply_with_any_bit_changed_is_refused_and_the_real_one_still_opens() {
    let (mut association, mut server) = (association(7), server());
    let request = ask(&mut association, 1);
    let reply = server.reply(&request);
    for bit in 0..8 * reply.len() {
        let mut changed = reply.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let opened = association.open(&changed);
        assert!(opened.is_err(), "bit {bit} of {}: {opened:?}", reply.len());
    }
    assert_eq!((association.cookies(), association.is_disowned()), (6, false));
    assert_eq!(origin_of(association.open(&reply)), 1);
}

#[test]
fn a_reply_cut_short_or_stripped_of_its_authenticator_is_refused() {
    let (mut association, mut server) = (association(3), server());
    let request = ask(&mut association, 1);
    let reply = server.reply(&request);
    for len in 0..reply.len() {
        assert!(association.open(&reply[..len]).is_err(), "{len} bytes");
    }
    assert_eq!(association.open(&reply[..48]), Err(Refusal::Unauthenticated), "plain NTP");
    assert_eq!(association.open(&reply[..48 + 36]), Err(Refusal::Unauthenticated));
    origin_of(association.open(&reply));
}

#[test]
fn what_stands_behind_the_authenticator_is_not_looked_at() {
    let (mut association, mut server) = (association(8), server());
    let request = ask(&mut association, 1);
    let mut reply = server.reply(&request);
    unsealed(&[7; 32]).write(&mut reply).unwrap();
    Field { kind: FieldKind::COOKIE, body: &[7; COOKIE_LEN] }.write(&mut reply).unwrap();
    origin_of(association.open(&reply));
    assert_eq!(association.cookies(), 8, "no cookie that nobody proved");
    assert_eq!(Server::read(&ask(&mut association, 2)).2, [0x81; COOKIE_LEN]);
}

#[test]
fn a_cookie_that_is_not_encrypted_is_not_taken() {
    let mut association = association(1);
    let (asked, unique_identifier, ..) = Server::read(&ask(&mut association, 1));
    let mut reply = header(asked.transmit_timestamp, 1, *b"GPS\0").encode().to_vec();
    unsealed(&unique_identifier).write(&mut reply).unwrap();
    Field { kind: FieldKind::COOKIE, body: &[7; COOKIE_LEN] }.write(&mut reply).unwrap();
    seal_onto(&mut reply, &[]);
    origin_of(association.open(&reply));
    assert_eq!(association.cookies(), 0);
}

#[test]
fn a_replay_is_a_duplicate_and_brings_no_cookies() {
    let (mut association, mut server) = (association(2), server());
    let reply = server.reply(&ask(&mut association, 1));
    origin_of(association.open(&reply));
    for number in 2..5 {
        ask(&mut association, number);
    }
    let left = association.cookies();
    assert_eq!(association.open(&reply), Err(Refusal::Duplicate));
    assert_eq!(association.cookies(), left);
    for number in 5..10 {
        ask(&mut association, number);
    }
    assert_eq!(association.open(&reply), Err(Refusal::NotOurs), "forgotten");
}

#[test]
fn replies_are_not_swapped_between_requests_nor_between_clients() {
    let (mut mine, mut server) = (association(8), server());
    let (first, second) = (ask(&mut mine, 1), ask(&mut mine, 2));
    let (asked, ..) = Server::read(&first);
    let (_, other_identifier, ..) = Server::read(&second);
    let crossed = seal(&header(asked.transmit_timestamp, 1, *b"GPS\0"), &other_identifier, &[]);
    assert_eq!(mine.open(&crossed), Err(Refusal::NotOurs));

    let mut theirs = association(8);
    let reply = server.reply(&ask(&mut theirs, 3));
    assert_eq!(mine.open(&reply), Err(Refusal::NotOurs));
    let mut same_identifier = association(8);
    same_identifier.to_client = Key::new([3; 32]);
    let reply = server.reply(&ask(&mut same_identifier, 1));
    assert_eq!(same_identifier.open(&reply), Err(Refusal::Forged), "sealed for another client");
    assert_eq!(origin_of(mine.open(&server.reply(&first))), 1);
    assert_eq!(origin_of(mine.open(&server.reply(&second))), 2);
}

#[test]
fn our_own_request_is_no_reply() {
    let mut association = association(8);
    let request = ask(&mut association, 1);
    assert_eq!(association.open(&request), Err(Refusal::Forged));
}

#[test]
fn a_kiss_is_believed_only_with_proof() {
    for code in [*b"DENY", *b"RSTR", *b"RATE", *b"NTSN"] {
        let mut association = association(8);
        let (asked, unique_identifier, ..) = Server::read(&ask(&mut association, 1));
        let kiss = header(asked.transmit_timestamp, 0, code);
        let proved = seal(&kiss, &unique_identifier, &[]);
        let bare = &proved[..48 + 36];
        if code != *b"NTSN" {
            assert_eq!(association.open(bare), Err(Refusal::Unauthenticated));
        }
        assert_eq!(association.open(&kiss.encode()).ok(), None);
        assert_eq!(
            association.open(&proved),
            Ok(Opened::Authenticated(Authenticated::vouch(kiss)))
        );
    }
}

#[test]
fn a_nak_with_our_unique_identifier_gives_no_time_and_leaves_room_for_the_real_reply() {
    let (mut association, mut server) = (association(8), server());
    let request = ask(&mut association, 1);
    assert!(!association.is_disowned());
    for _ in 0..3 {
        assert_eq!(association.open(&Server::nak(&request)), Ok(Opened::Nak));
        assert!(association.is_disowned() && association.is_spent());
    }
    origin_of(association.open(&server.reply(&request)));
    assert!(!association.is_disowned() && !association.is_spent(), "the server reads our cookies");
    assert_eq!(association.open(&Server::nak(&request)), Err(Refusal::Duplicate));
    assert!(!association.is_disowned());
}

#[test]
fn a_reply_or_a_nak_that_was_held_back_until_the_next_round_is_refused() {
    let (mut association, mut server) = (association(8), server());
    let request = ask(&mut association, 1);
    assert_eq!(association.open(&Server::nak(&request)), Ok(Opened::Nak));
    association.begin_round();
    assert!(!association.is_disowned());
    for late in [server.reply(&request), Server::nak(&request)] {
        assert_eq!(association.open(&late), Err(Refusal::NotOurs));
    }
    assert!(!association.is_spent());
    let request = ask(&mut association, 2);
    assert_eq!(origin_of(association.open(&server.reply(&request))), 2);
}

#[test]
fn an_empty_cookie_of_a_reply_is_not_kept() {
    let mut association = association(3);
    let (asked, unique_identifier, ..) = Server::read(&ask(&mut association, 1));
    let mut reply = header(asked.transmit_timestamp, 1, *b"GPS\0").encode().to_vec();
    unsealed(&unique_identifier).write(&mut reply).unwrap();
    let mut hidden = vec![2, 4, 0, 4];
    Field { kind: FieldKind::COOKIE, body: &[7; COOKIE_LEN] }.write(&mut hidden).unwrap();
    seal_onto(&mut reply, &hidden);
    origin_of(association.open(&reply));
    assert_eq!(association.cookies(), 3, "two were left, and one came");
}

#[test]
fn a_nak_to_no_request_of_ours_or_in_another_shape_is_refused() {
    let mut association = association(8);
    let request = ask(&mut association, 1);
    let (asked, unique_identifier, ..) = Server::read(&request);
    let nak = header(asked.transmit_timestamp, 0, *b"NTSN");
    let with = |header: &Packet, identifiers: &[&[u8]]| {
        let mut datagram = header.encode().to_vec();
        for identifier in identifiers {
            unsealed(identifier).write(&mut datagram).unwrap();
        }
        datagram
    };
    let ours = &unique_identifier[..];
    let cases = [
        (with(&nak, &[]), Refusal::NotOurs),
        (with(&nak, &[&[7; 32]]), Refusal::NotOurs),
        (with(&nak, &[&ours[..28]]), Refusal::NotOurs),
        (with(&nak, &[&[ours, &[0; 4]].concat()]), Refusal::NotOurs),
        (with(&nak, &[ours, ours]), Refusal::Malformed),
        (with(&Packet { stratum: 1, ..nak }, &[ours]), Refusal::Unauthenticated),
        (with(&Packet { version: 3, ..nak }, &[ours]), Refusal::Unauthenticated),
        (with(&Packet { mode: Mode::Client, ..nak }, &[ours]), Refusal::Unauthenticated),
    ];
    for (datagram, refusal) in cases {
        assert_eq!(association.open(&datagram), Err(refusal), "{datagram:?}");
    }
    assert!(!association.is_disowned());
}

#[test]
fn a_server_may_choose_any_nonce_and_more_padding_but_not_none_of_the_proof() {
    for nonce_len in [1, 12, 16, 24] {
        let mut association = association(8);
        let (asked, unique_identifier, ..) = Server::read(&ask(&mut association, 1));
        let mut reply = header(asked.transmit_timestamp, 1, *b"GPS\0").encode().to_vec();
        unsealed(&unique_identifier).write(&mut reply).unwrap();
        let nonce = vec![5; nonce_len];
        let ciphertext = Key::new(TO_CLIENT).seal(&nonce, &reply, &[]).unwrap();
        let body = |ciphertext| Sealed { nonce: &nonce, ciphertext }.to_body().unwrap();
        let with = |body: &[u8]| {
            let mut reply = reply.clone();
            Field { kind: FieldKind::AUTHENTICATOR, body }.write(&mut reply).unwrap();
            reply
        };
        assert_eq!(association.open(&with(&body(&ciphertext[..12]))), Err(Refusal::Forged));
        assert_eq!(association.open(&with(&body(&[]))), Err(Refusal::Forged));
        let padded = [body(&ciphertext), vec![0; 16]].concat();
        assert_eq!(origin_of(association.open(&with(&padded))), 1);
    }
}

#[test]
fn hidden_fields_that_are_broken_make_the_reply_malformed_and_leave_its_request_open() {
    let (mut association, mut server) = (association(3), server());
    let request = ask(&mut association, 1);
    let (asked, unique_identifier, ..) = Server::read(&request);
    let mut reply = header(asked.transmit_timestamp, 1, *b"GPS\0").encode().to_vec();
    unsealed(&unique_identifier).write(&mut reply).unwrap();
    let mut hidden = vec![];
    Field { kind: FieldKind::COOKIE, body: &[7; COOKIE_LEN] }.write(&mut hidden).unwrap();
    seal_onto(&mut reply, &[&hidden[..], &[2, 4, 0, 99]].concat());
    assert_eq!(association.open(&reply), Err(Refusal::Malformed));
    assert_eq!(association.cookies(), 2);
    origin_of(association.open(&server.reply(&request)));
}

#[test]
fn random_changes_of_random_replies_are_never_believed() {
    let seed = fastrand::u64(..);
    std::println!("seed {seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let (mut association, mut server) = (association(8), server());
    for round in 0..300_u64 {
        let entropy = core::array::from_fn(|_| dice.u8(..));
        let request = association.request(round, &entropy).unwrap();
        let reply = server.reply(&request);
        let mut changed = reply.clone();
        for _ in 0..dice.usize(1..4) {
            let at = dice.usize(..changed.len());
            match dice.u8(..5) {
                0 => changed[at] ^= dice.u8(1..),
                1 => changed.truncate(at.max(1)),
                2 => changed.insert(at, dice.u8(..)),
                3 => drop(changed.remove(at)),
                _ => changed.extend_from_within(at..),
            }
            if changed.len() < 2 {
                break;
            }
        }
        let opened = association.open(&changed);
        if changed.starts_with(&reply) {
            // Only behind the authenticator: the reply itself is as it was, or the tail is broken.
            assert!(matches!(opened, Ok(Opened::Authenticated(_)) | Err(Refusal::Malformed)));
        } else {
            assert!(opened.is_err(), "{opened:?} of {changed:?}");
        }
        let again = association.open(&reply);
        assert!(opened.is_ok() || again.is_ok(), "{again:?}");
    }
}
