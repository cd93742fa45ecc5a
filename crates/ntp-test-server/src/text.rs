//! Reading values from text: lengths of time, and words one after another.

use std::str::{FromStr, SplitWhitespace};
use std::time::Duration;

use ntp_clock_core::{Leap, ReferenceId, Span};

use crate::error::ParseError;

/// Reads a signed length of time: `10ms`, `-1.5s`, `+1h`, `20us`, `0`.
pub(crate) fn span(text: &str) -> Result<Span, ParseError> {
    let bad = || ParseError::Duration(text.to_owned());
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Span::ZERO);
    }
    let number_len = rest.find(|c: char| c.is_alphabetic()).ok_or_else(bad)?;
    let (number, unit) = rest.split_at(number_len);
    let (_, unit_nanos) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
    let nanos = decimal_times(number, *unit_nanos).ok_or_else(bad)?;
    Ok(Span::from_nanos(sign * nanos))
}

/// Reads a length of time that is not negative.
pub(crate) fn duration(text: &str) -> Result<Duration, ParseError> {
    let span = span(text)?;
    if span < Span::ZERO {
        return Err(ParseError::Negative(text.to_owned()));
    }
    Ok(span.into())
}

/// Reads a length of time that is not negative, as a span.
pub(crate) fn positive_span(text: &str) -> Result<Span, ParseError> {
    duration(text).map(Span::from)
}

/// Reads a leap indicator: its number or its meaning.
pub(crate) fn leap(text: &str) -> Result<Leap, ParseError> {
    match text {
        "0" | "none" => Ok(Leap::None),
        "1" | "insert" => Ok(Leap::Insert),
        "2" | "delete" => Ok(Leap::Delete),
        "3" | "unsynchronised" => Ok(Leap::Unsynchronised),
        _ => Err(value("a leap indicator (0 none, 1 insert, 2 delete, 3 unsynchronised)", text)),
    }
}

/// Reads a reference identifier: up to four ASCII characters, or a dotted quad.
pub(crate) fn reference_id(text: &str) -> Result<ReferenceId, ParseError> {
    if let Ok(address) = text.parse::<std::net::Ipv4Addr>() {
        return Ok(ReferenceId::from_bytes(address.octets()));
    }
    let expected = "a reference id (up to four ASCII characters, or a dotted quad)";
    if text.is_empty() || text.len() > 4 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(value(expected, text));
    }
    let mut bytes = [0; 4];
    bytes.iter_mut().zip(text.bytes()).for_each(|(slot, byte)| *slot = byte);
    Ok(ReferenceId::from_bytes(bytes))
}

/// Reads a finite number.
pub(crate) fn finite(text: &str) -> Result<f64, ParseError> {
    text.parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(|| value("a number", text))
}

/// Reads a number of type `T`, or says that it is not `expected`.
pub(crate) fn number<T: FromStr>(expected: &'static str, text: &str) -> Result<T, ParseError> {
    text.parse().map_err(|_| value(expected, text))
}

pub(crate) fn value(expected: &'static str, text: &str) -> ParseError {
    ParseError::Value { expected, text: text.to_owned() }
}

/// Words separated by white space, each taken for a stated purpose.
#[derive(Clone, Debug)]
pub(crate) struct Words<'a>(SplitWhitespace<'a>);

impl<'a> Words<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Words(text.split_whitespace())
    }

    pub(crate) fn expect(&mut self, what: &'static str) -> Result<&'a str, ParseError> {
        self.0.next().ok_or(ParseError::Missing(what))
    }

    pub(crate) fn next(&mut self) -> Option<&'a str> {
        self.0.next()
    }

    pub(crate) fn peek(&self) -> Option<&'a str> {
        self.0.clone().next()
    }

    /// Takes the word if it is this one.
    pub(crate) fn take(&mut self, word: &str) -> bool {
        let there = self.peek() == Some(word);
        if there {
            self.0.next();
        }
        there
    }

    /// All the words left, joined by single spaces.
    pub(crate) fn rest(&mut self) -> String {
        self.0.by_ref().collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn finish(mut self) -> Result<(), ParseError> {
        match self.0.next() {
            None => Ok(()),
            Some(word) => Err(ParseError::Extra(word.to_owned())),
        }
    }
}

/// A decimal number of units, exactly, fractions of a nanosecond dropped. At least one digit.
fn decimal_times(number: &str, unit_nanos: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole_units: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = i128::from(whole_units) * i128::from(unit_nanos);
    let mut place = i128::from(unit_nanos) * SCALE;
    for digit in fraction.bytes().take(SCALE_DIGITS) {
        place /= 10;
        nanos += place * i128::from(digit - b'0') / SCALE;
    }
    i64::try_from(nanos).ok()
}

const UNITS: [(&str, i64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
const SCALE_DIGITS: usize = 15;
const SCALE: i128 = 1_000_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_exactly() {
        let cases = [
            ("10ms", 10_000_000),
            ("1.5s", 1_500_000_000),
            ("20us", 20_000),
            ("+1h", 3_600_000_000_000),
            ("-0.000000001s", -1),
            ("7ns", 7),
            (".5µs", 500),
            ("2m", 120_000_000_000),
            ("0", 0),
        ];
        for (text, nanos) in cases {
            assert_eq!(span(text), Ok(Span::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_refused_by_name() {
        for text in ["", "5", "ms", "1.2.3s", "1 s", "--1s", "1day", "9999999999999h", "-", ".s"] {
            assert_eq!(span(text), Err(ParseError::Duration(text.to_owned())), "{text}");
        }
        assert_eq!(duration("-1s"), Err(ParseError::Negative("-1s".to_owned())));
    }

    #[test]
    fn reference_ids_are_text_or_an_address() {
        assert_eq!(reference_id("GPS"), Ok(ReferenceId::from_bytes(*b"GPS\0")));
        assert_eq!(reference_id("10.0.0.1"), Ok(ReferenceId::from_bytes([10, 0, 0, 1])));
        assert!(reference_id("TOOLONG").is_err());
    }
}
