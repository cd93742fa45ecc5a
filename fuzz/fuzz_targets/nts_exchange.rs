//! Whatever a server of keys says, and however it is cut into pieces: no panic, bounded memory, one
//! verdict, and no success without a cookie that can be used.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ntp_clock_nts::{Association, ExchangeError, Key, KeyExchange, Negotiated, Record, Step};

#[derive(Arbitrary, Debug)]
struct Input {
    /// An answer that is whole but for what is said in its midst.
    honest_ends: bool,
    said: Vec<Said>,
    tail: Vec<u8>,
    pieces: Vec<u16>,
}

#[derive(Arbitrary, Debug)]
enum Said {
    Record { critical: bool, kind: u16, body: Vec<u8> },
    Known { kind: u8, body: Vec<u8> },
    Cookie(u16),
    Bytes(Vec<u8>),
}

fuzz_target!(|input: Input| {
    let answer = answer(&input);
    let at_once = verdict(&answer, &[]);
    let in_pieces = verdict(&answer, &input.pieces);
    // What is wrong at its end shows later in pieces.
    let early = [&at_once, &in_pieces].map(|v| matches!(v, Err(ExchangeError::TooLong)));
    assert!(at_once == in_pieces || early.contains(&true), "{at_once:?}, {in_pieces:?}");
    let Ok(Some(negotiated)) = at_once else { return };
    let given = negotiated.cookies.len();
    assert!((1..=8).contains(&given));
    assert!(negotiated.port != Some(0) && negotiated.host.as_deref() != Some(""));
    let mut association =
        Association::new(Key::new([1; 32]), Key::new([2; 32]), negotiated.cookies);
    for number in 0..given as u8 {
        let request = association.request(u64::from(number), &[number; 48]).expect("a cookie");
        assert!(request.len() <= Association::REQUEST_MAX);
    }
    assert!(association.request(9, &[9; 48]).is_err());
});

fn verdict(answer: &[u8], pieces: &[u16]) -> Result<Option<Negotiated>, ExchangeError> {
    let mut exchange = KeyExchange::new();
    let mut rest = answer;
    let mut pieces = pieces.iter().map(|len| usize::from(*len));
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(pieces.next().unwrap_or(rest.len()).min(rest.len()));
        rest = after;
        match exchange.receive(piece)? {
            Step::More(more) => exchange = more,
            Step::Done(_) if !rest.is_empty() => return Err(ExchangeError::TrailingBytes),
            Step::Done(negotiated) => return Ok(Some(negotiated)),
        }
    }
    Ok(None)
}

fn answer(input: &Input) -> Vec<u8> {
    let mut answer = Vec::new();
    if input.honest_ends {
        record(&mut answer, true, Record::NEXT_PROTOCOL, &[0, 0]);
        record(&mut answer, false, Record::AEAD_ALGORITHM, &[0, 15]);
    }
    for said in &input.said {
        match said {
            Said::Record { critical, kind, body } => record(&mut answer, *critical, *kind, body),
            Said::Known { kind, body } => record(&mut answer, true, u16::from(kind % 8), body),
            Said::Cookie(len) => {
                let body = vec![7; usize::from(len % 1_100)];
                record(&mut answer, false, Record::COOKIE, &body);
            }
            Said::Bytes(bytes) => answer.extend_from_slice(bytes),
        }
    }
    if input.honest_ends {
        record(&mut answer, false, Record::COOKIE, &[8; 100]);
        record(&mut answer, true, Record::END_OF_MESSAGE, &[]);
    }
    answer.extend_from_slice(&input.tail);
    answer
}

fn record(answer: &mut Vec<u8>, critical: bool, kind: u16, body: &[u8]) {
    assert!(Record { critical, kind, body }.write(answer));
}
