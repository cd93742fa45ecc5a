//! The key exchange: certificates, limits, and answers that give no keys.

use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use ntp_clock::nts::{Judged, KeyServer, KeysError};
use ntp_clock::{NtsError, NtsRoots, Span, UnixTime};
use ntp_clock_nts::ExchangeError;
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::CertificateError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::{
    Authority, HOST, LIMIT, NtsServer, authenticated, free_tcp_address, key_server, listen, now,
};

fn year(year: i64) -> UnixTime {
    UnixTime::from_nanos((year - 1970) * 31_556_952 * 1_000_000_000)
}

fn why_not(outcome: Result<impl fmt::Debug, KeysError>, what: &str) -> CertificateError {
    match outcome {
        Err(KeysError::Tls(rustls::Error::InvalidCertificate(why))) => why,
        other => panic!("{what}: {other:?}"),
    }
}

fn refusal_of(address: SocketAddr, limit: Duration) -> KeysError {
    let server = key_server(HOST, PORT_OF_NONE, &Authority::new());
    server.exchange(address, Judged::At(now()), limit).expect_err("no keys there")
}

/// A server of TLS with our certificate that answers whatever is asked with these bytes.
fn answer_as(certified: (String, String), alpn: &[&[u8]], answer: Vec<u8>) -> SocketAddr {
    serve_tls(certified, alpn, move |stream| {
        if stream.write_all(&answer).is_ok() {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    })
}

type Stream = rustls::StreamOwned<rustls::ServerConnection, TcpStream>;

/// A server of TLS with our certificate that does this when it is asked.
fn serve_tls(
    certified: (String, String),
    alpn: &[&[u8]],
    serve: impl FnOnce(&mut Stream) + Send + 'static,
) -> SocketAddr {
    let (certificate, key) = certified;
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let provider = rustls::crypto::ring::default_provider();
    let mut config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a version")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    listen(move |socket| {
        let tls = rustls::ServerConnection::new(config.into()).expect("sound");
        let mut stream = rustls::StreamOwned::new(tls, socket);
        let mut request = [0; 16];
        if stream.read_exact(&mut request).is_ok() {
            serve(&mut stream);
        }
        drop(stream.sock.read_to_end(&mut Vec::new()));
    })
}

#[test]
fn a_certificate_that_does_not_prove_the_server_gives_no_keys_with_a_clock_or_without() {
    let Some(server) = NtsServer::start() else { return };
    let (ours, other) = (&server.authority, &Authority::new());
    let attempts = [
        ("another name", "other.example", ours),
        ("an address for a name", "127.0.0.1", ours),
        ("another authority", HOST, other),
    ];
    for (what, host, authority) in attempts {
        let named = key_server(host, PORT_OF_NONE, authority);
        for judged in [Judged::At(now()), Judged::WithoutClock] {
            let why = why_not(named.exchange(server.keys_at, judged, LIMIT), what);
            println!("{what}, {judged:?}: {why:?}");
        }
    }
    for at in [year(2_019), year(2_041)] {
        let outcome = server.key_server().exchange(server.keys_at, Judged::At(at), LIMIT);
        why_not(outcome, "outside its years");
    }
    let local = "fe80::1%lo".parse().expect("a server");
    let error = KeyServer::new(&local, NtsRoots::Platform).expect_err("no name of a certificate");
    assert_eq!(error, NtsError::Host("fe80::1%lo".to_owned()));
    server.exchange();
}

#[test]
fn without_a_clock_keys_come_first_and_the_certificate_is_judged_by_the_time_they_prove() {
    let Some(server) = NtsServer::start() else { return };
    let key_server = server.key_server();
    let mut keys = key_server.exchange(server.keys_at, Judged::WithoutClock, LIMIT).expect("keys");
    let reply = server.client().ask(&mut keys.association);
    let time = authenticated(keys.association.open(&reply)).transmit_timestamp.to_unix();
    let judge = |at, max_error| key_server.judge(&keys.certificates, at, max_error);
    judge(time, Span::from_millis(1)).expect("valid now");

    let day = Span::from_secs(86_400);
    judge(year(2_039), day).expect("still valid");
    // Both ends of what the time may be must be within.
    why_not(judge(year(2_039), day.times(500)), "its latest is past the end");
    why_not(judge(year(2_041), Span::ZERO), "expired");
    // Valid from 2020 on, but nothing is believed that is older than the program.
    why_not(judge(year(2_026), Span::ZERO), "before the floor");
    why_not(judge(time, day.times(10_000)), "its earliest is before the floor");
    let none = key_server.judge(&[], time, Span::ZERO);
    assert!(matches!(none, Err(KeysError::Tls(rustls::Error::NoCertificatesPresented))));
}

#[test]
fn without_a_clock_a_certificate_of_the_past_gives_no_keys_and_one_of_the_future_does() {
    let authority = Authority::new();
    let server = key_server(HOST, PORT_OF_NONE, &authority);
    let ask = |from, to| {
        let answer = KEYS_GIVEN.to_vec();
        let address = answer_as(authority.certify_for(from, to), NTSKE, answer);
        server.exchange(address, Judged::WithoutClock, LIMIT)
    };
    let why = why_not(ask(2_000, 2_026), "over before the floor");
    assert!(matches!(why, CertificateError::ExpiredContext { .. }), "{why:?}");
    for (from, to) in [(2_026, 2_027), (2_000, 2_100), (2_100, 2_101)] {
        let keys = ask(from, to).expect("keys");
        assert_eq!(keys.association.cookies(), 1);
    }
}

#[test]
fn a_silent_slow_or_endless_server_takes_no_more_than_the_limit() {
    let limit = Duration::from_millis(300);
    let silent = listen(|mut socket| drop(socket.read_to_end(&mut Vec::new())));
    // A byte of a handshake record now and then.
    let slow = listen(|mut socket| {
        for byte in [22, 3, 3, 0x20, 0].into_iter().chain(std::iter::repeat(0)) {
            if socket.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    // Bytes that may become a message, without end.
    let endless = listen(|mut socket| {
        let record = [&[22, 3, 3, 0x40, 0][..], &[2, 0xff, 0xff, 0xff], &[0; 0x3ffc]].concat();
        while socket.write_all(&record).is_ok() {}
    });
    let error = refusal_of(endless, LIMIT);
    assert!(matches!(error, KeysError::Tls(_)), "{error:?}");
    for address in [silent, slow] {
        let began = Instant::now();
        let error = refusal_of(address, limit);
        assert!(matches!(error, KeysError::TimedOut(_)), "{error:?}");
        // Not a speed: it may not wait for the server's sake.
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn an_answer_that_trickles_takes_no_more_than_the_limit() {
    let authority = Authority::new();
    let address = serve_tls(authority.certify(), NTSKE, |stream| {
        // Records that mean nothing, one after the other.
        let begun = Instant::now();
        while begun.elapsed() < LIMIT && stream.write_all(&[0x04, 0, 0, 0]).is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let server = key_server(HOST, PORT_OF_NONE, &authority);
    let limit = Duration::from_secs(1);
    let error = server.exchange(address, Judged::At(now()), limit).expect_err("no keys there");
    assert!(matches!(error, KeysError::TimedOut(_)), "{error:?}");
}

#[test]
fn a_certificate_that_its_server_has_signed_itself_gives_no_keys_with_a_clock_or_without() {
    let mut params = CertificateParams::new([HOST.to_owned()]).expect("a name");
    params.not_after = date_time_ymd(2_100, 1, 1);
    let key = KeyPair::generate().expect("randomness");
    // In the name of whom we trust, then in its own.
    let forged = params.self_signed(&key).expect("signed").pem();
    params.distinguished_name.push(DnType::CommonName, HOST);
    let own = params.self_signed(&key).expect("signed").pem();
    for (pem, expected) in
        [(forged, CertificateError::BadSignature), (own, CertificateError::UnknownIssuer)]
    {
        for judged in [Judged::At(now()), Judged::WithoutClock] {
            let certified = (pem.clone(), key.serialize_pem());
            let address = answer_as(certified, NTSKE, KEYS_GIVEN.to_vec());
            let server = key_server(HOST, PORT_OF_NONE, &Authority::new());
            let why = why_not(server.exchange(address, judged, LIMIT), "signed by itself");
            assert_eq!(why, expected, "{judged:?}");
        }
    }
}

#[test]
fn a_server_that_refuses_hangs_up_or_speaks_no_tls_gives_no_keys() {
    let closed = refusal_of(free_tcp_address(), LIMIT);
    assert!(matches!(closed, KeysError::Unreachable(_)), "{closed:?}");
    let hangs_up = refusal_of(listen(drop), LIMIT);
    assert!(matches!(hangs_up, KeysError::Connection(_)), "{hangs_up:?}");
    let speaks = listen(|mut socket| {
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        drop(socket.read_to_end(&mut Vec::new()));
    });
    let garbled = refusal_of(speaks, LIMIT);
    assert!(matches!(garbled, KeysError::Tls(_)), "{garbled:?}");
}

#[test]
fn a_server_that_is_proved_and_gives_no_keys_is_refused_for_its_own_reason() {
    let authority = Authority::new();
    let server = key_server(HOST, PORT_OF_NONE, &authority);
    let refused = |alpn: &[&[u8]], answer: Vec<u8>| {
        let address = answer_as(authority.certify(), alpn, answer);
        server.exchange(address, Judged::At(now()), LIMIT).expect_err("no keys there")
    };
    let error = refused(&[], vec![]);
    assert!(matches!(error, KeysError::NoKeysHere), "{error:?}");
    let error = refused(&[b"http/1.1"], vec![]);
    assert!(matches!(error, KeysError::Tls(rustls::Error::AlertReceived(_))), "{error:?}");
    let cases = [
        (vec![], ExchangeError::Truncated),
        (vec![0x80, 1, 0, 2, 0], ExchangeError::Truncated),
        (vec![0x80, 0, 0, 0], ExchangeError::Missing(1)),
        (vec![0x80, 9, 0, 0], ExchangeError::UnknownCritical(9)),
        ([0x04, 0, 0, 0].repeat(20_000), ExchangeError::TooLong),
    ];
    for (answer, expected) in cases {
        let error = refused(NTSKE, answer);
        assert!(matches!(error, KeysError::Answer(found) if found == expected), "{error:?}");
    }
}

/// An answer with one cookie, of four bytes.
const KEYS_GIVEN: &[u8] =
    &[0x80, 1, 0, 2, 0, 0, 0, 4, 0, 2, 0, 15, 0, 5, 0, 4, 7, 7, 7, 7, 0x80, 0, 0, 0];
const NTSKE: &[&[u8]] = &[b"ntske/1"];
/// Of a server whose address is known.
const PORT_OF_NONE: u16 = 1;
