//! Answers of honest, careless and hostile servers.

use super::*;
use proptest::prelude::*;
use std::vec;

type Written<'a> = (bool, u16, &'a [u8]);

const PROTOCOL: Written<'_> = (true, Record::NEXT_PROTOCOL, &[0, 0]);
const ALGORITHM: Written<'_> = (true, Record::AEAD_ALGORITHM, &[0, 15]);
const COOKIE: Written<'_> = (false, Record::COOKIE, &[7; 100]);
const END: Written<'_> = (true, Record::END_OF_MESSAGE, &[]);

fn message(records: &[Written<'_>]) -> Vec<u8> {
    let mut bytes = vec![];
    for (critical, kind, body) in records {
        assert!(Record { critical: *critical, kind: *kind, body }.write(&mut bytes));
    }
    bytes
}

fn receive(bytes: &[u8]) -> Result<Step, ExchangeError> {
    KeyExchange::new().receive(bytes)
}

fn negotiated(records: &[Written<'_>]) -> Negotiated {
    match receive(&message(records)) {
        Ok(Step::Done(negotiated)) => negotiated,
        other => panic!("{other:?}"),
    }
}

fn refused(records: &[Written<'_>]) -> ExchangeError {
    match receive(&message(records)) {
        Err(error) => error,
        other => panic!("{other:?}"),
    }
}

/// An answer that is whole but for these records in its middle.
fn with(records: &[Written<'_>]) -> Vec<Written<'static>> {
    let leaked = records.iter().map(|(critical, kind, body)| -> Written<'static> {
        (*critical, *kind, Vec::leak(body.to_vec()))
    });
    [PROTOCOL, ALGORITHM].into_iter().chain(leaked).chain([COOKIE, END]).collect()
}

#[test]
fn the_request_asks_for_ntp_by_one_cipher_and_for_nothing_else() {
    assert_eq!(KeyExchange::request(), [0x80, 1, 0, 2, 0, 0, 0x80, 4, 0, 2, 0, 15, 0x80, 0, 0, 0]);
}

#[test]
fn cookies_host_and_port_are_given_out_as_the_server_gives_them() {
    let records = with(&[
        (true, Record::SERVER, b"time.example"),
        (false, Record::PORT, &[0x2b, 0x67]),
        (false, Record::COOKIE, &[8; 64]),
    ]);
    let mut negotiated = negotiated(&records);
    assert_eq!(negotiated.host.as_deref(), Some("time.example"));
    assert_eq!(negotiated.port, Some(11_111));
    assert_eq!(negotiated.cookies.take().unwrap().as_bytes(), [8; 64]);
    assert_eq!(negotiated.cookies.take().unwrap().as_bytes(), [7; 100]);
    assert_eq!(negotiated.cookies.take(), None);
}

#[test]
fn of_more_than_eight_cookies_the_first_eight_are_kept() {
    let bodies: Vec<_> = (0..12_u8).map(|number| [number; 100]).collect();
    let cookies: Vec<_> = bodies.iter().map(|body| (false, Record::COOKIE, &body[..])).collect();
    let mut negotiated = negotiated(&with(&cookies));
    for number in 0..8 {
        assert_eq!(negotiated.cookies.take().unwrap().as_bytes(), [number; 100]);
    }
    assert!(negotiated.cookies.is_empty());
}

#[test]
fn an_error_or_a_warning_ends_the_exchange_with_its_code() {
    let cases = [
        (0, ServerError::UnrecognisedCriticalRecord),
        (1, ServerError::BadRequest),
        (2, ServerError::Internal),
        (0x8001, ServerError::Other(0x8001)),
    ];
    for (code, error) in cases {
        let body = u16::to_be_bytes(code);
        let record = (true, Record::ERROR, &body[..]);
        assert_eq!(refused(&[record]), ExchangeError::Server(error), "before its end is there");
        assert_eq!(refused(&with(&[record])), ExchangeError::Server(error));
        let warning = refused(&with(&[(true, Record::WARNING, &body)]));
        assert_eq!(warning, ExchangeError::Warning(code));
    }
}

#[test]
fn what_was_not_offered_cannot_be_chosen() {
    use ExchangeError::{Algorithm, Malformed, Protocol};
    let cases = [
        ((true, Record::NEXT_PROTOCOL, &[][..]), Protocol),
        ((true, Record::NEXT_PROTOCOL, &[0x80, 1]), Protocol),
        ((true, Record::NEXT_PROTOCOL, &[0, 0, 0x80, 1]), Malformed(Record::NEXT_PROTOCOL)),
        ((true, Record::NEXT_PROTOCOL, &[0]), Malformed(Record::NEXT_PROTOCOL)),
        ((true, Record::AEAD_ALGORITHM, &[]), Algorithm),
        ((true, Record::AEAD_ALGORITHM, &[0, 30]), Algorithm),
        ((true, Record::AEAD_ALGORITHM, &[0, 15, 0, 30]), Malformed(Record::AEAD_ALGORITHM)),
    ];
    for (record, error) in cases {
        assert_eq!(refused(&[record]), error);
    }
}

#[test]
fn a_record_that_must_be_there_once_is_neither_missing_nor_there_twice() {
    use ExchangeError::{Missing, Repeated};
    assert_eq!(refused(&[ALGORITHM, COOKIE, END]), Missing(Record::NEXT_PROTOCOL));
    assert_eq!(refused(&[PROTOCOL, COOKIE, END]), Missing(Record::AEAD_ALGORITHM));
    assert_eq!(refused(&[PROTOCOL, ALGORITHM, END]), Missing(Record::COOKIE));
    for record in [
        PROTOCOL,
        ALGORITHM,
        (true, Record::SERVER, b"time.example"),
        (true, Record::PORT, &[0, 123]),
    ] {
        assert_eq!(refused(&with(&[record, record])), Repeated(record.1));
    }
}

#[test]
fn records_that_hold_what_they_cannot_hold_are_refused() {
    let long = [b'a'; 254];
    let cases = [
        (Record::ERROR, &[1][..]),
        (Record::WARNING, &[]),
        (Record::PORT, &[0, 0]),
        (Record::PORT, &[0, 0, 123]),
        (Record::SERVER, b""),
        (Record::SERVER, b"time.example\0"),
        (Record::SERVER, "zeit.\u{f6}st.example".as_bytes()),
        (Record::SERVER, b"a b"),
        (Record::SERVER, &long),
        (Record::COOKIE, &[]),
    ];
    for (kind, body) in cases {
        let error = refused(&with(&[(false, kind, body)]));
        assert_eq!(error, ExchangeError::Malformed(kind), "{body:?}");
    }
    let end = [PROTOCOL, ALGORITHM, COOKIE, (true, Record::END_OF_MESSAGE, &[0])];
    assert_eq!(refused(&end), ExchangeError::Malformed(Record::END_OF_MESSAGE));
    for host in [&b"2001:db8::1"[..], b"192.0.2.1", b"_ntp.a-b.example", &long[1..]] {
        let given = negotiated(&with(&[(true, Record::SERVER, host)])).host;
        assert_eq!(given.as_deref().map(str::as_bytes), Some(host));
    }
}

#[test]
fn a_cookie_too_long_for_a_datagram_is_refused() {
    let body = [1; Cookie::LEN_MAX + 1];
    let error = refused(&with(&[(false, Record::COOKIE, &body)]));
    assert_eq!(error, ExchangeError::Cookie(CookieLengthError { len: body.len() }));
}

#[test]
fn an_unknown_record_is_skipped_unless_it_is_critical() {
    for kind in [8, 1_024, 0x7fff] {
        negotiated(&with(&[(false, kind, b"whatever")]));
        let error = refused(&with(&[(true, kind, b"whatever")]));
        assert_eq!(error, ExchangeError::UnknownCritical(kind));
    }
}

#[test]
fn bytes_after_the_end_and_an_end_before_it_are_refused() {
    let whole = message(&with(&[]));
    assert!(matches!(receive(&[&whole[..], &[0]].concat()), Err(ExchangeError::TrailingBytes)));
    for len in 0..whole.len() {
        let Ok(Step::More(exchange)) = receive(&whole[..len]) else { panic!("{len} bytes") };
        assert_eq!(exchange.closed(), ExchangeError::Truncated);
    }
}

#[test]
fn an_answer_as_long_as_rfc_8915_wants_it_read_gives_keys_however_it_is_cut() {
    let around = message(&with(&[])).len() + 4;
    let filler = vec![0; KeyExchange::ANSWER_MAX - around];
    let answer = message(&with(&[(false, 1_024, &filler)]));
    assert_eq!(answer.len(), 65_536);
    assert!(matches!(receive(&answer), Ok(Step::Done(_))));
    let in_bytes = in_pieces(&answer, &vec![1; answer.len()]);
    assert_eq!(in_bytes.map(|given| given.map(|keys| keys.cookies.len())), Ok(Some(1)));
}

#[test]
fn an_endless_answer_is_cut_off_and_an_empty_read_changes_nothing() {
    let filler = message(&[(false, 1_024, &[0; 1_000])]);
    let mut exchange = KeyExchange::new();
    for _ in 0..KeyExchange::ANSWER_MAX / filler.len() {
        let Ok(Step::More(more)) = exchange.receive(&filler) else { panic!("well within") };
        let Ok(Step::More(more)) = more.receive(&[]) else { panic!("nothing came") };
        exchange = more;
    }
    let error = exchange.receive(&filler).err();
    assert_eq!(error, Some(ExchangeError::TooLong));
    let mut one_record = KeyExchange::new();
    let head = [0x04, 0, 0xff, 0xff];
    let Ok(Step::More(more)) = one_record.receive(&head) else { panic!("a head") };
    one_record = more;
    let error = one_record.receive(&[0; KeyExchange::ANSWER_MAX]).err();
    assert_eq!(error, Some(ExchangeError::TooLong));
}

/// What becomes of an answer that comes in these pieces.
fn in_pieces(bytes: &[u8], pieces: &[usize]) -> Result<Option<Negotiated>, ExchangeError> {
    let mut exchange = KeyExchange::new();
    let mut rest = bytes;
    let mut pieces = pieces.iter().copied();
    while !rest.is_empty() {
        let len = pieces.next().unwrap_or(rest.len()).clamp(1, rest.len());
        let (piece, after) = rest.split_at(len);
        rest = after;
        match exchange.receive(piece)? {
            Step::More(more) => exchange = more,
            Step::Done(_) if !rest.is_empty() => return Err(ExchangeError::TrailingBytes),
            Step::Done(negotiated) => return Ok(Some(negotiated)),
        }
    }
    Ok(None)
}

fn any_record() -> impl Strategy<Value = (bool, u16, Vec<u8>)> {
    let body = prop_oneof![
        Just(vec![0, 0]),
        Just(vec![0, 15]),
        Just(vec![]),
        Just(b"time.example".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..200),
    ];
    (any::<bool>(), prop_oneof![0..8_u16, any::<u16>()], body)
}

proptest! {
    #[test]
    fn no_bytes_make_the_exchange_panic(bytes: Vec<u8>) {
        let _ = receive(&bytes);
    }

    #[test]
    fn how_the_answer_is_cut_makes_no_difference(
        records in proptest::collection::vec(any_record(), 0..6),
        whole: bool,
        pieces in proptest::collection::vec(1..300_usize, 0..20),
    ) {
        let middle: Vec<_> =
            records.iter().map(|(critical, kind, body)| (*critical, *kind, &body[..])).collect();
        let bytes = message(&if whole { with(&middle) } else { middle });
        let at_once = in_pieces(&bytes, &[]);
        prop_assert_eq!(&in_pieces(&bytes, &pieces), &at_once);
        prop_assert_eq!(&in_pieces(&bytes, &vec![1; bytes.len()]), &at_once);
        if let Ok(Some(negotiated)) = at_once {
            prop_assert!(!negotiated.cookies.is_empty());
        }
    }
}
