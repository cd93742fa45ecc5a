//! Keys that come, are used up, and come too late.

use super::*;
use std::time::Duration;

use ntp_clock_core::{Mode, NtpTimestamp, Packet, ReferenceId};
use ntp_clock_nts::{Cookie, CookieStore, Field, FieldKind, Fields, Key, Sealed};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::RootCertStore;

use crate::nts::giver::Named;
use crate::nts_choice::NtsRoots;

const NOW: LocalTime = LocalTime::from_nanos(0);
/// What the clock reads, where it does. 2 November 2026.
const OURS: UnixTime = UnixTime::from_nanos(1_793_577_600_000_000_000);

/// Of a server whose name leads nowhere.
fn keyring() -> Keyring {
    let server = "no-such-host.invalid".parse().expect("a server");
    let (trusted, roots) = (NtsRoots::Platform, RootCertStore::empty());
    let server = KeyServer::trusting(&server, trusted, roots).expect("a name");
    Keyring::new(server, Bell::default())
}

fn keys(cookies: u8, host: Option<&str>, port: Option<u16>) -> Keys {
    let mut store = CookieStore::new();
    for number in 0..cookies {
        store.put(Cookie::new(&[number; 100]).expect("short"));
    }
    let association = Association::new(Key::new([1; 32]), Key::new([2; 32]), store);
    let ntp_host = host.map(str::to_owned);
    let took = Duration::from_millis(4);
    Keys { association, ntp_host, ntp_port: port, certificates: vec![], took }
}

/// An exchange that is over, with this outcome; it has judged certificates by the clock.
fn give(keyring: &mut Keyring, outcome: Option<Outcome>) {
    keyring.judged = Judged::At(OURS);
    keyring.exchange = Some(Arc::new(Mutex::new(outcome)));
}

fn address() -> SocketAddr {
    "192.0.2.1:4460".parse().expect("an address")
}

fn vain(reached: bool) -> Outcome {
    let failure = Failure::new(FailureKind::KeyExchange, "in vain");
    Err(InVain { failure, reached })
}

#[test]
fn time_is_asked_where_the_exchange_says_or_at_the_address_that_gave_the_keys() {
    let target = |host, port| target_of(&keys(1, host, port), address());
    let named = |host, port| target(host, port).map(|server| server.to_string()).ok();
    assert_eq!(named(None, None).as_deref(), Some("192.0.2.1"));
    assert_eq!(named(None, Some(11_123)).as_deref(), Some("192.0.2.1:11123"));
    assert_eq!(named(Some("time.example"), None).as_deref(), Some("time.example"));
    assert_eq!(named(Some("time.example."), None).as_deref(), Some("time.example."));
    assert_eq!(named(Some("2001:db8::1"), Some(7)).as_deref(), Some("[2001:db8::1]:7"));
    let shown = |host| target(Some(host), None).map(|server| with_port(&server)).ok();
    assert_eq!(shown("2001:db8::1").as_deref(), Some("[2001:db8::1]:123"));
    assert_eq!(shown("time.example").as_deref(), Some("time.example:123"));
    let linked = "[fe80::1%2]:4460".parse().expect("an address");
    let linked = target_of(&keys(1, None, None), linked).expect("a server");
    assert_eq!(with_port(&linked), "[fe80::1%2]:123", "with its link");
    for nobody in ["0.0.0.0", "224.0.0.1", "a:b", "::"] {
        let error = target(Some(nobody), None).expect_err(nobody);
        assert_eq!(error.code(), "key_exchange", "{nobody}");
    }
}

#[test]
fn keys_that_were_given_are_used_until_their_cookies_are() {
    let mut keyring = keyring();
    give(&mut keyring, Some(Ok((keys(2, None, None), address()))));
    assert!(matches!(keyring.prepare(1, NOW, None), Connecting::Ready));
    assert!(keyring.take_target().is_some() && keyring.take_target().is_none());
    for cookies in [1, 0] {
        keyring.request(7).expect("a cookie");
        assert_eq!(keyring.status().cookies, cookies);
    }
    assert_eq!(keyring.request(7).map_err(|e| e.code()), Err("key_exchange"));
    // Within the round nothing is done about it, in the next one keys are exchanged.
    assert!(matches!(keyring.prepare(1, NOW, None), Connecting::Failed(_)));
    assert!(matches!(keyring.prepare(2, NOW, None), Connecting::Waiting));
    assert!(keyring.is_exchanging() && !keyring.renewal.is_due(NOW));
}

#[test]
fn a_thread_that_died_is_an_exchange_in_vain() {
    let mut keyring = keyring();
    give(&mut keyring, None);
    keyring.round = 1;
    let Connecting::Failed(failure) = keyring.prepare(1, NOW, None) else { panic!("waits") };
    assert_eq!(failure.detail(), "the key exchange ended by a fault of its own");
    assert!(!keyring.is_exchanging());
}

#[test]
fn an_exchange_in_vain_takes_no_keys_away_and_is_reported() {
    let mut keyring = keyring();
    give(&mut keyring, Some(Ok((keys(2, None, None), address()))));
    assert!(matches!(keyring.prepare(1, NOW, None), Connecting::Ready));
    give(&mut keyring, Some(vain(true)));
    assert!(matches!(keyring.prepare(2, NOW, None), Connecting::Ready));
    let status = keyring.status();
    assert_eq!(
        (status.cookies, status.last_error.map(|e| e.detail().to_owned())),
        (2, Some("in vain".to_owned()))
    );
    assert_eq!(status.ntp_host.as_deref(), Some("192.0.2.1:123"));
}

#[test]
fn nothing_is_proved_without_keys() {
    assert_eq!(keyring().open(&[0x24; 48], None), Err(Rejection::Unauthenticated));
}

/// What the server that has these keys answers to a request, with this in its header.
fn reply(request: &[u8], change: impl FnOnce(Packet) -> Packet) -> Vec<u8> {
    let asked = Packet::decode(request).expect("a packet");
    let time = NtpTimestamp::from_unix(OURS);
    let header = Packet {
        mode: Mode::Server,
        stratum: 1,
        reference_id: ReferenceId::from_bytes(*b"GPS\0"),
        origin_timestamp: asked.transmit_timestamp,
        receive_timestamp: time,
        transmit_timestamp: time,
        ..asked
    };
    let mut reply = change(header).encode().to_vec();
    let (_, identifier) =
        Fields::new(&request[Packet::LEN..]).next().expect("a field").expect("sound");
    identifier.write(&mut reply).expect("short");
    let nonce = [5; 16];
    let ciphertext = Key::new([2; 32]).seal(&nonce, &reply, &[]).expect("sealed");
    let body = Sealed { nonce: &nonce, ciphertext: &ciphertext }.to_body().expect("short");
    Field { kind: FieldKind::AUTHENTICATOR, body: &body }.write(&mut reply).expect("short");
    reply
}

/// A keyring with such keys.
fn keyring_in_use() -> Keyring {
    let mut keyring = keyring();
    take_keys(&mut keyring, 1);
    keyring
}

fn take_keys(keyring: &mut Keyring, round: u64) {
    give(keyring, Some(Ok((keys(8, None, None), address()))));
    assert!(matches!(keyring.prepare(round, NOW, None), Connecting::Ready));
}

fn is_proved(keyring: &mut Keyring) -> bool {
    let request = keyring.request(7).expect("a cookie");
    keyring.open(&reply(&request, |header| header), Some(OURS)).is_ok()
}

#[test]
fn a_reply_that_older_keys_have_proved_makes_no_pause_short_again() {
    let mut keyring = keyring_in_use();
    let pause = |keyring: &mut Keyring| {
        keyring.begin(NOW, None);
        let pause = keyring.renewal.not_before().expect("begun") - NOW;
        pause.as_nanos() / 1_000_000_000
    };
    // Somebody forges NAKs, breaks each exchange, and lets a reply through now and then.
    for (round, least) in [(2, 10), (3, 15), (4, 22), (5, 33)] {
        let pause = pause(&mut keyring);
        assert!((least..least + least / 10 + 2).contains(&pause), "{pause} s in round {round}");
        assert!(is_proved(&mut keyring), "while keys are exchanged");
        give(&mut keyring, Some(vain(true)));
        assert!(matches!(keyring.prepare(round, NOW, None), Connecting::Ready));
        assert!(is_proved(&mut keyring), "when that was in vain");
    }
    assert!(pause(&mut keyring) >= 50);
    take_keys(&mut keyring, 6);
    assert!(is_proved(&mut keyring), "by new keys");
    assert!(matches!(keyring.prepare(7, NOW, None), Connecting::Ready), "the round went well");
    assert!(pause(&mut keyring) < 12);
}

#[test]
fn a_server_that_says_it_has_no_time_is_not_judged_by_the_time_it_has() {
    let mut keyring = keyring_in_use();
    let request = keyring.request(7).expect("a cookie");
    let without_time = |header| Packet {
        leap: Leap::Unsynchronised,
        transmit_timestamp: NtpTimestamp::from_unix(UnixTime::from_nanos(0)),
        ..header
    };
    let opened = keyring.open(&reply(&request, without_time), None);
    assert_eq!(opened.expect("for the engine to refuse").packet().leap, Leap::Unsynchronised);
    assert_eq!(keyring.status().last_error, None);
    let request = keyring.request(7).expect("a cookie");
    // No certificate: whatever is judged is refused.
    let opened = keyring.open(&reply(&request, |header| header), None);
    assert_eq!(opened, Err(Rejection::Unauthenticated), "with time it is judged");
    assert_eq!(keyring.status().cookies, 0, "and its keys are given up");
}

#[test]
fn after_a_round_of_silence_keys_are_exchanged_while_the_old_ones_are_still_used() {
    let mut keyring = keyring_in_use();
    assert!(matches!(keyring.prepare(4, NOW, None), Connecting::Ready));
    assert!(is_proved(&mut keyring) && !keyring.is_exchanging());
    for _ in 0..2 {
        assert!(matches!(keyring.prepare(5, NOW, None), Connecting::Ready));
        keyring.request(7).expect("a cookie");
        assert!(!keyring.is_exchanging(), "the round is not over");
    }
    assert!(matches!(keyring.prepare(6, NOW, None), Connecting::Ready), "nothing waits");
    assert!(keyring.is_exchanging());
    let request = keyring.request(7).expect("a cookie");
    let opened = keyring.open(&reply(&request, |header| header), Some(OURS));
    assert!(opened.is_ok(), "the keys were good");
    give(&mut keyring, Some(vain(true)));
    // Silence goes on: the next exchange has to wait for its pause.
    for round in 7..9 {
        assert!(matches!(keyring.prepare(round, NOW, None), Connecting::Ready));
        keyring.request(7).expect("a cookie");
    }
    assert!(!keyring.is_exchanging());
    let later = NOW + Span::from_secs(20);
    assert!(matches!(keyring.prepare(9, later, None), Connecting::Ready));
    assert!(keyring.is_exchanging());
}

#[test]
fn rounds_whose_last_reply_is_lost_cause_no_exchange_of_keys() {
    let mut keyring = keyring_in_use();
    for round in 2..5 {
        assert!(is_proved(&mut keyring));
        keyring.request(7).expect("a cookie");
        assert!(matches!(keyring.prepare(round, NOW, None), Connecting::Ready));
        assert!(!keyring.is_exchanging(), "round {round}");
    }
}

#[test]
fn a_forged_nak_beside_a_proved_reply_causes_no_exchange_of_keys() {
    let mut keyring = keyring_in_use();
    assert!(is_proved(&mut keyring));
    nak(&mut keyring);
    assert!(matches!(keyring.prepare(2, NOW, None), Connecting::Ready));
    assert!(!keyring.is_exchanging());
}

#[test]
fn after_a_round_of_naks_keys_are_exchanged_while_the_old_ones_are_still_used() {
    let mut keyring = keyring_in_use();
    nak(&mut keyring);
    assert!(matches!(keyring.prepare(1, NOW, None), Connecting::Ready));
    assert!(!keyring.is_exchanging(), "the round is not over");
    assert!(matches!(keyring.prepare(2, NOW, None), Connecting::Ready), "nothing waits");
    assert!(keyring.is_exchanging());
    assert!(is_proved(&mut keyring), "the keys were good, and the NAK forged");
}

#[test]
fn a_reply_held_back_until_the_next_round_is_not_judged_at_all() {
    let mut keyring = keyring_in_use();
    let request = keyring.request(7).expect("a cookie");
    assert!(matches!(keyring.prepare(2, NOW, None), Connecting::Ready));
    let two_months_later = OURS + Span::from_secs(86_400 * 60);
    let opened = keyring.open(&reply(&request, |header| header), Some(two_months_later));
    assert_eq!(opened, Err(Rejection::Origin));
    assert!(keyring.status().cookies > 0, "nor are its keys given up");
}

#[test]
fn keys_that_come_in_the_midst_of_a_round_wait_for_its_end_as_long_as_the_old_ones_have_cookies() {
    let mut keyring = keyring_in_use();
    let request = keyring.request(7).expect("a cookie");
    give(&mut keyring, Some(Ok((keys(5, None, None), address()))));
    assert!(matches!(keyring.prepare(1, NOW, None), Connecting::Ready));
    let opened = keyring.open(&reply(&request, |header| header), Some(OURS));
    assert!(opened.is_ok(), "a reply was under way to the old keys");
    assert!(matches!(keyring.prepare(2, NOW, None), Connecting::Ready));
    assert_eq!((keyring.status().cookies, keyring.status().exchanges), (5, 2));
    assert!(!keyring.is_exchanging());
    for _ in 0..5 {
        keyring.request(7).expect("a cookie");
    }
    give(&mut keyring, Some(Ok((keys(4, None, None), address()))));
    assert!(matches!(keyring.prepare(2, NOW, None), Connecting::Ready));
    assert_eq!(keyring.status().cookies, 4, "at once, where none is left");
}

#[test]
fn why_an_exchange_failed_is_reported_until_a_round_is_proved_with_the_old_keys() {
    let mut keyring = keyring_in_use();
    assert!(is_proved(&mut keyring));
    give(&mut keyring, Some(vain(true)));
    assert!(matches!(keyring.prepare(2, NOW, None), Connecting::Ready));
    assert!(keyring.status().last_error.is_some());
    assert!(is_proved(&mut keyring));
    assert!(keyring.status().last_error.is_some(), "the round is not over");
    assert!(matches!(keyring.prepare(3, NOW, None), Connecting::Ready));
    assert_eq!(keyring.status().last_error, None);
    assert!(is_proved(&mut keyring));
    give(&mut keyring, Some(vain(true)));
    assert!(!keyring.have_keys_come() && !keyring.is_exchanging(), "it ends between two rounds");
    assert!(matches!(keyring.prepare(4, NOW, None), Connecting::Ready));
    assert!(keyring.status().last_error.is_some(), "only that before was proved");
}

#[test]
fn before_a_certificate_ends_keys_are_exchanged_beside_the_requests_once_a_day() {
    let (server, keys) = of_november();
    let mut keyring = Keyring::new(server, Bell::default());
    give(&mut keyring, Some(Ok((keys(), address()))));
    let hour = |hours: i64| OURS + Span::from_secs(3_600 * hours);
    let mut round = 0_u32;
    let mut exchanges_at = |keyring: &mut Keyring, hours: i64| {
        round += 1;
        let now = NOW + Span::from_secs(60 * i64::from(round));
        let prepared = keyring.prepare(u64::from(round), now, Some(hour(hours)));
        assert!(matches!(prepared, Connecting::Ready), "requests go on after {hours} h");
        keyring.is_exchanging()
    };
    assert!(!exchanges_at(&mut keyring, 0));
    assert!(!exchanges_at(&mut keyring, 18 * 24), "more than a third of its life is left");
    assert!(exchanges_at(&mut keyring, 22 * 24));
    tell(&mut keyring, hour(22 * 24), Some(hour(22 * 24))).expect("with the old keys");
    give(&mut keyring, Some(Ok((keys(), address()))));
    assert!(!exchanges_at(&mut keyring, 22 * 24 + 1));
    assert_eq!(keyring.status().exchanges, 2);
    assert!(!exchanges_at(&mut keyring, 22 * 24 + 23), "it is the same certificate");
    assert!(exchanges_at(&mut keyring, 23 * 24));
}

/// Somebody answers the next request by a NAK.
fn nak(keyring: &mut Keyring) {
    let request = keyring.request(7).expect("a cookie");
    let header =
        |header| Packet { stratum: 0, reference_id: ReferenceId::from_bytes(*b"NTSN"), ..header };
    let unproved = &reply(&request, header)[..Packet::LEN + 36];
    assert_eq!(keyring.open(unproved, Some(OURS)), Err(Rejection::Nak));
}

#[test]
fn a_thief_of_a_key_can_give_no_time_outside_its_certificates_validity() {
    let (server, stolen) = of_november();
    let day = |days: i64| OURS + Span::from_secs(86_400 * days);
    let limits = |before: Option<UnixTime>, time, ours| {
        let mut keyring = Keyring::new(server.clone(), Bell::default());
        give(&mut keyring, Some(Ok((stolen(), address()))));
        keyring.judged = Judged::WithoutClock;
        assert!(matches!(keyring.prepare(1, NOW, None), Connecting::Ready));
        if let Some(before) = before {
            tell(&mut keyring, before, None).expect("within its validity");
            // Now there is a reading.
            tell(&mut keyring, before, Some(before)).expect("as before");
        }
        tell(&mut keyring, time, ours).is_ok()
    };
    assert!(limits(None, day(0), None), "within its validity");
    assert!(!limits(None, day(60), None), "the first reply");
    // The engine may have refused that, and a clock that was stopped has no time any more.
    assert!(!limits(Some(day(0)), day(60), None), "a later one, where there is still no time");
    assert!(!limits(Some(day(0)), day(60), Some(day(0))), "far from the time that there is");
    assert!(limits(Some(day(0)), day(20), Some(day(0))), "far from it, within its validity");
    assert!(limits(Some(day(0)), day(60), Some(day(60))), "it has expired since, and time agrees");
    // The clock has its time from older keys, whose reply came while keys were exchanged.
    assert!(!limits(None, day(60), Some(day(60))), "expired by our time, which has not judged it");
    assert!(!limits(None, day(0), Some(day(60))), "nor by a time of its validity");
}

#[test]
fn certificates_judged_without_a_clock_are_judged_by_our_time_as_soon_as_there_is_one() {
    let (server, expired) = of_november();
    let mut keyring = Keyring::new(server, Bell::default());
    give(&mut keyring, Some(Ok((expired(), address()))));
    keyring.judged = Judged::WithoutClock;
    keyring.round = 1;
    let ours = OURS + Span::from_secs(86_400 * 60);
    let Connecting::Failed(failure) = keyring.prepare(1, NOW, Some(ours)) else { panic!("taken") };
    assert_eq!(failure.code(), "certificate", "{failure}");
    assert!(failure.detail().contains("this clock's time, 2027-01-01"), "{failure}");
    assert!(failure.detail().ends_with("within 5 s"), "{failure}");
    assert_eq!(keyring.status().cookies, 0);
    let mut keyring = keyring_in_use();
    give(&mut keyring, Some(Ok((expired(), address()))));
    keyring.judged = Judged::WithoutClock;
    assert!(matches!(keyring.prepare(2, NOW, Some(ours)), Connecting::Ready));
    assert!(keyring.chain.is_empty(), "older keys stay");
}

/// What the server tells this keyring, whose clock reads this.
fn tell(
    keyring: &mut Keyring,
    time: UnixTime,
    ours: Option<UnixTime>,
) -> Result<Authenticated, Rejection> {
    let request = keyring.request(7).expect("a cookie");
    let transmit_timestamp = NtpTimestamp::from_unix(time);
    keyring.open(&reply(&request, |header| Packet { transmit_timestamp, ..header }), ours)
}

/// A server whose certificate is of November 2026, and keys that it gives.
fn of_november() -> (KeyServer, impl Fn() -> Keys) {
    let mut params = CertificateParams::new(["time.example".to_owned()]).expect("a name");
    (params.not_before, params.not_after) =
        (date_time_ymd(2_026, 11, 1), date_time_ymd(2_026, 12, 1));
    let signing = KeyPair::generate().expect("randomness");
    let certificate = params.self_signed(&signing).expect("signed").der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a root");
    let server = "time.example".parse().expect("a server");
    let server = KeyServer::trusting(&server, NtsRoots::Platform, roots).expect("a name");
    (server, move || Keys { certificates: vec![certificate.clone()], ..keys(8, None, None) })
}

/// Exchanges keys until they are those of the next address; gives where time is asked then.
fn next_target(keyring: &mut Keyring, round: u64, now: LocalTime) -> String {
    keyring.prepare(round, now, None);
    assert!(keyring.is_exchanging(), "round {round}");
    let begun = std::time::Instant::now();
    while !keyring.have_keys_come() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", keyring.exchange);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(!keyring.have_keys_come(), "it is said once");
    assert!(matches!(keyring.prepare(round + 1, now, None), Connecting::Ready));
    keyring.take_target().expect("new keys").to_string()
}

#[test]
fn after_keys_that_gave_no_time_the_next_exchange_begins_with_the_next_address() {
    let named = Named::new("keys-deaf.test");
    let [a, b] = [11_001, 11_002].map(|port| named.giver(Duration::ZERO, port));
    let mut keyring = Keyring::new(named.client(&[a, b]), Bell::default());
    assert_eq!(next_target(&mut keyring, 1, NOW), "127.0.0.1:11001");
    keyring.request(7).expect("a cookie");
    let later = NOW + Span::from_secs(60);
    assert_eq!(next_target(&mut keyring, 3, later), "127.0.0.1:11002", "after silence");

    // It is proved to be there, and says itself that it has no time.
    keyring.useless();
    let later = later + Span::from_secs(60);
    assert_eq!(next_target(&mut keyring, 5, later), "127.0.0.1:11001");
    keyring.served = true;
    keyring.association = None;
    let later = later + Span::from_secs(60);
    assert_eq!(next_target(&mut keyring, 7, later), "127.0.0.1:11001", "which gave time");
}
