//! Requests and replies, against real servers.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use ntp_clock::Span;
use ntp_clock_nts::{Opened, Refusal};

use crate::peer::Peer;
use crate::support::{Authority, NtsServer, authenticated, now};

#[test]
fn by_one_exchange_ten_thousand_requests_have_replies_that_are_authentic() {
    let Some(server) = NtsServer::start() else { return };
    let mut association = server.exchange().association;
    let mut client = server.client();
    for _ in 0..10_000 {
        let before = now();
        let reply = client.ask(&mut association);
        let packet = authenticated(association.open(&reply));
        let transmitted = packet.transmit_timestamp.to_unix();
        let slack = Span::from_millis(1);
        assert!(transmitted > before - slack && transmitted < now() + slack, "{transmitted}");
        assert_eq!(packet.stratum, 1);
        assert_eq!(association.cookies(), 8, "one for each that was used");
    }
}

#[test]
fn no_reply_is_believed_with_any_bit_changed_or_any_byte_missing() {
    let Some(server) = NtsServer::start() else { return };
    let mut association = server.exchange().association;
    let reply = server.client().ask(&mut association);
    for bit in 0..8 * reply.len() {
        let mut changed = reply.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let opened = association.open(&changed);
        assert!(opened.is_err(), "bit {bit}: {opened:?}");
    }
    for len in 0..reply.len() {
        let opened = association.open(&reply[..len]);
        assert!(opened.is_err(), "{len} bytes: {opened:?}");
    }
    authenticated(association.open(&reply));
    assert_eq!(association.open(&reply), Err(Refusal::Duplicate));
}

#[test]
fn chrony_answers_no_request_with_a_changed_authenticator_and_no_plain_one_is_taken_for_proved() {
    let Some(server) = NtsServer::start() else { return };
    let mut association = server.exchange().association;
    let mut client = server.client();
    let mut request = client.seal(&mut association);
    *request.last_mut().expect("long") ^= 1;
    let reply = client.send(&request);
    assert_eq!(association.open(&reply), Ok(Opened::Nak));
    let plain = client.send(&request[..48]);
    assert_eq!(association.open(&plain), Err(Refusal::Unauthenticated));
}

#[test]
fn cookies_that_were_lost_on_the_way_come_back_with_the_next_reply() {
    let Some(server) = NtsServer::start() else { return };
    let mut association = server.exchange().association;
    let mut client = server.client();
    for lost in 0..8 {
        for _ in 0..lost {
            client.ask(&mut association);
        }
        assert_eq!(association.cookies(), 8 - lost);
        let reply = client.ask(&mut association);
        authenticated(association.open(&reply));
        assert_eq!(association.cookies(), 8);
    }
}

#[test]
fn cookies_outlive_a_change_of_the_servers_key_and_not_many() {
    let authority = Authority::new();
    let certified = authority.certify();
    let server = NtsServer::of(authority, &certified, Peer::keys_at(), "ntsrotate 1");
    let Some(server) = server else { return };
    let (mut association, mut client) = (server.exchange().association, server.client());
    let (unused, mut later) = (association.clone(), server.client());
    let begun = Instant::now();
    // chrony's cookies begin with the number of the key that they were made with.
    let mut keys = BTreeSet::new();
    let mut forgotten = false;
    while keys.len() < 4 || !forgotten {
        assert!(begun.elapsed() < Duration::from_secs(60), "{keys:?}, {forgotten}");
        let request = client.seal(&mut association);
        authenticated(association.open(&client.send(&request)));
        assert_eq!(association.cookies(), 8);
        keys.insert(request[48 + 36 + 4..][..4].to_vec());
        let mut unused = unused.clone();
        let reply = later.ask(&mut unused);
        let opened = unused.open(&reply);
        if keys.len() == 2 {
            authenticated(opened);
        } else {
            forgotten |= opened == Ok(Opened::Nak);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_server_that_lost_its_own_key_answers_with_a_nak_if_at_all_and_gives_new_keys() {
    let Some(mut server) = NtsServer::start() else { return };
    let mut association = server.exchange().association;
    server.peer.restart();
    let mut client = server.client();
    let request = client.seal(&mut association);
    if server.peer.answers_by_nak() {
        let nak = client.send(&request);
        assert!(!association.is_spent());
        assert_eq!(association.open(&nak), Ok(Opened::Nak));
        assert!(association.is_spent());
    } else {
        client.expect_silence(&request);
    }
    let mut association = server.exchange().association;
    let reply = client.ask(&mut association);
    authenticated(association.open(&reply));
}
