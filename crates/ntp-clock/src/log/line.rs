//! One line of a log: its meaning, and its text.

use std::fmt;

use ntp_clock_core::{
    Exchange, Leap, LocalTime, LogEntry, ReferenceId, Rejection, ServerReply, Span, UnixTime,
};
use serde_json::Value;

use super::error::LineError;
use super::input::LINE_BYTES_MAX;
use super::members::{Members, wrong};

/// One line of a log. `Display` writes it, without the line's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Line {
    /// A reply came.
    Exchange(ExchangeLine),
    /// The reply to a request never came, or was not fit to be weighed.
    Lost {
        /// When the request was sent.
        sent_at: LocalTime,
    },
    /// The time of a moment is asked for.
    Read {
        /// The moment.
        local: LocalTime,
    },
    /// The live clock ended its round.
    RoundEnd {
        /// When.
        local: LocalTime,
    },
    /// The counter lost time, as in a suspend.
    Suspend {
        /// When that was noticed.
        local: LocalTime,
    },
    /// The counter may be another one, of another frequency.
    CounterChanged {
        /// When that was noticed.
        local: LocalTime,
    },
}

/// An exchange as it stands in a log, where it may be one that nobody would believe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExchangeLine {
    sent_at: LocalTime,
    reply: ServerReply,
    received_at: LocalTime,
    handled_at: LocalTime,
}

impl ExchangeLine {
    /// The exchange.
    ///
    /// # Errors
    /// A [`Rejection`] where it is not believed, whatever the clock knows.
    pub fn exchange(&self) -> Result<Exchange, Rejection> {
        Exchange::new(self.sent_at, self.reply, self.received_at)
    }

    /// When the request was sent.
    #[must_use]
    pub fn sent_at(&self) -> LocalTime {
        self.sent_at
    }

    /// When the reply was taken into account.
    #[must_use]
    pub fn handled_at(&self) -> LocalTime {
        self.handled_at
    }

    fn parse(members: &Members) -> Result<Self, LineError> {
        let received_at = LocalTime::from_nanos(members.nanos("t4_local_ns")?);
        let line = ExchangeLine {
            sent_at: LocalTime::from_nanos(members.nanos("t1_local_ns")?),
            reply: ServerReply {
                receive_time: UnixTime::from_nanos(members.nanos("t2_ns")?),
                transmit_time: UnixTime::from_nanos(members.nanos("t3_ns")?),
                root_delay: Span::from_nanos(members.nanos("root_delay_ns")?),
                root_dispersion: Span::from_nanos(members.nanos("root_dispersion_ns")?),
                precision_log2_s: members
                    .small("precision_log2_s", "a whole number from -128 to 127")?,
                stratum: members.small("stratum", "a whole number from 0 to 255")?,
                leap: parse_leap(members)?,
                reference_id: ReferenceId::NONE,
            },
            received_at,
            handled_at: members
                .optional_nanos("handled_local_ns")?
                .map_or(received_at, LocalTime::from_nanos),
        };
        if line.handled_at < received_at {
            let found = Value::from(line.handled_at.as_nanos());
            return Err(wrong("handled_local_ns", "no earlier than \"t4_local_ns\"", &found));
        }
        Ok(line)
    }
}

impl Line {
    /// Reads a line, with or without its end. `None` for one of nothing but blanks.
    ///
    /// # Errors
    /// [`LineError`] where it is malformed.
    pub fn parse(line: &[u8]) -> Result<Option<Self>, LineError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.len() > LINE_BYTES_MAX {
            return Err(LineError::TooLong);
        }
        let text = std::str::from_utf8(line)
            .map_err(|error| LineError::NotUtf8(error.valid_up_to() + 1))?;
        if text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            return Ok(None);
        }
        let members = Members::parse(text)?;
        let local = || members.nanos("local_ns").map(LocalTime::from_nanos);
        Ok(Some(match members.text("type")? {
            "exchange" => Line::Exchange(ExchangeLine::parse(&members)?),
            "lost" => Line::Lost { sent_at: LocalTime::from_nanos(members.nanos("t1_local_ns")?) },
            "read" => Line::Read { local: local()? },
            "round_end" => Line::RoundEnd { local: local()? },
            "suspend" => Line::Suspend { local: local()? },
            "counter_changed" => Line::CounterChanged { local: local()? },
            other => {
                return Err(LineError::UnknownType(other.chars().take(TYPE_CHARS_MAX).collect()));
            }
        }))
    }
}

/// What a live engine logged. The reference id is left out: no reading depends on it.
///
/// An entry of a kind that no line stands for, of which there is none today, becomes nothing.
impl Line {
    /// The line for what a live engine logged.
    #[must_use]
    pub fn of_entry(entry: &LogEntry) -> Option<Self> {
        Some(match *entry {
            LogEntry::Exchange { exchange, handled_at } => Line::Exchange(ExchangeLine {
                sent_at: exchange.sent_at(),
                reply: ServerReply { reference_id: ReferenceId::NONE, ..*exchange.reply() },
                received_at: exchange.received_at(),
                handled_at: handled_at.max(exchange.received_at()),
            }),
            LogEntry::Lost { sent_at } => Line::Lost { sent_at },
            LogEntry::RoundEnd { at } => Line::RoundEnd { local: at },
            LogEntry::Suspend { at } => Line::Suspend { local: at },
            LogEntry::CounterChanged { at } => Line::CounterChanged { local: at },
            _ => return None,
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_type = |f: &mut fmt::Formatter<'_>, name, member, at: LocalTime| {
            write!(f, r#"{{"type":"{name}","{member}":{}}}"#, at.as_nanos())
        };
        match self {
            Line::Exchange(line) => line.fmt(f),
            Line::Lost { sent_at } => of_type(f, "lost", "t1_local_ns", *sent_at),
            Line::Read { local } => of_type(f, "read", "local_ns", *local),
            Line::RoundEnd { local } => of_type(f, "round_end", "local_ns", *local),
            Line::Suspend { local } => of_type(f, "suspend", "local_ns", *local),
            Line::CounterChanged { local } => of_type(f, "counter_changed", "local_ns", *local),
        }
    }
}

impl fmt::Display for ExchangeLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reply = &self.reply;
        write!(
            f,
            r#"{{"type":"exchange","t1_local_ns":{},"t2_ns":{},"t3_ns":{},"t4_local_ns":{}"#,
            self.sent_at.as_nanos(),
            reply.receive_time.as_nanos(),
            reply.transmit_time.as_nanos(),
            self.received_at.as_nanos(),
        )?;
        write!(
            f,
            r#","root_delay_ns":{},"root_dispersion_ns":{},"precision_log2_s":{},"stratum":{}"#,
            reply.root_delay.as_nanos(),
            reply.root_dispersion.as_nanos(),
            reply.precision_log2_s,
            reply.stratum,
        )?;
        write!(f, r#","leap":{}"#, reply.leap as u8)?;
        if self.handled_at != self.received_at {
            write!(f, r#","handled_local_ns":{}"#, self.handled_at.as_nanos())?;
        }
        f.write_str("}")
    }
}

fn parse_leap(members: &Members) -> Result<Leap, LineError> {
    let expected = "a whole number from 0 to 3";
    let bits: u8 = members.small("leap", expected)?;
    if bits > 3 {
        return Err(wrong("leap", expected, &Value::from(bits)));
    }
    Ok(Leap::from_bits(bits))
}

const TYPE_CHARS_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    const EXCHANGE: &str = r#"{"type":"exchange","t1_local_ns":10,"t2_ns":20,"t3_ns":30,"t4_local_ns":40,"root_delay_ns":5,"root_dispersion_ns":6,"precision_log2_s":-24,"stratum":2,"leap":1}"#;

    fn parse(text: &str) -> Result<Option<Line>, LineError> {
        Line::parse(text.as_bytes())
    }

    fn reason(text: &str) -> String {
        parse(text).expect_err(text).to_string()
    }

    #[test]
    fn every_line_reads_back_as_it_was_written() {
        let handled = EXCHANGE.replace('}', r#","handled_local_ns":45}"#);
        let lines = [
            EXCHANGE,
            &handled,
            r#"{"type":"lost","t1_local_ns":-7}"#,
            r#"{"type":"read","local_ns":9223372036854775807}"#,
            r#"{"type":"round_end","local_ns":-9223372036854775808}"#,
            r#"{"type":"suspend","local_ns":0}"#,
            r#"{"type":"counter_changed","local_ns":1}"#,
        ];
        for text in lines {
            assert_eq!(parse(text).unwrap().unwrap().to_string(), text);
        }
    }

    #[test]
    fn order_blanks_line_ends_and_members_of_other_names_do_not_matter() {
        let plain = parse(r#"{"type":"read","local_ns":5}"#).unwrap();
        for text in [
            " { \"local_ns\" : 5 ,\t\"type\":\"read\"}\r\n",
            r#"{"type":"read","comment":[{"local_ns":6}],"local_ns":5,"t1_local_ns":"ignored"}"#,
            r#"{"\u0074ype":"re\u0061d","local_ns":5}"#,
        ] {
            assert_eq!(parse(text).unwrap(), plain, "{text}");
        }
        for blank in ["", "\n", "\r\n", " \t \n"] {
            assert_eq!(parse(blank), Ok(None), "{blank:?}");
        }
    }

    #[test]
    fn each_malformed_line_is_refused_with_its_reason() {
        let cases = [
            (r#"{"type":"read","local_ns":5"#, "cut off: the JSON object does not end"),
            (r#"{"type":"re"#, "cut off: the JSON object does not end"),
            (
                r#"{"type":"read","local_ns":5}}"#,
                "not valid JSON: trailing characters at column 29",
            ),
            (r#"{"type":"read" "local_ns":5}"#, "not valid JSON: expected `,` or `}` at column 16"),
            ("hello", "not valid JSON: expected value at column 1"),
            ("\u{feff}{}", "not valid JSON: expected value at column 1"),
            ("[1,2]", "not a JSON object"),
            ("17", "not a JSON object"),
            ("\"read\"", "not a JSON object"),
            ("null", "not a JSON object"),
            ("{}", "member \"type\" is missing"),
            (r#"{"type":3}"#, "member \"type\" must be a text, but is 3"),
            (r#"{"type":"read"}"#, "member \"local_ns\" is missing"),
            (r#"{"type":"read","local_ns":1,"local_ns":2}"#, "member \"local_ns\" occurs twice"),
            (r#"{"type":"lost","local_ns":1}"#, "member \"t1_local_ns\" is missing"),
            (r#"{"type":"sneeze"}"#, "unknown type \"sneeze\": there are \"exchange\", \"lost\""),
        ];
        for (text, expected) in cases {
            assert!(reason(text).starts_with(expected), "{text}: {}", reason(text));
        }
        for value in ["1.0", "1e3", "\"5\"", "null", "true", "9223372036854775808", "[]", "{}"] {
            let said = reason(&format!(r#"{{"type":"read","local_ns":{value}}}"#));
            assert!(said.starts_with("member \"local_ns\" must be whole nanoseconds"), "{said}");
        }
    }

    #[test]
    fn each_member_of_an_exchange_is_needed_and_has_its_range() {
        let cases = [
            (r#""leap":1"#, r#""leap":4"#, "\"leap\" must be a whole number from 0 to 3, but is 4"),
            (r#""leap":1"#, r#""leap":-1"#, "\"leap\" must be"),
            (r#""stratum":2"#, r#""stratum":256"#, "\"stratum\" must be a whole number from 0"),
            ("-24", "-129", "\"precision_log2_s\" must be a whole number from -128 to 127"),
            (r#","leap":1"#, "", "member \"leap\" is missing"),
            (r#","t2_ns":20"#, "", "member \"t2_ns\" is missing"),
            (
                r#","leap":1"#,
                r#","leap":1,"handled_local_ns":39"#,
                "\"handled_local_ns\" must be no earlier than \"t4_local_ns\", but is 39",
            ),
        ];
        for (from, to, expected) in cases {
            let said = reason(&EXCHANGE.replace(from, to));
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn what_no_clock_believes_is_well_formed() {
        for (from, to, rejection) in [
            (r#""stratum":2"#, r#""stratum":16"#, Rejection::Unsynchronised),
            (r#""leap":1"#, r#""leap":3"#, Rejection::Unsynchronised),
            (r#""t4_local_ns":40"#, r#""t4_local_ns":9"#, Rejection::BackwardTimestamps),
            (r#""root_delay_ns":5"#, r#""root_delay_ns":-5"#, Rejection::RootDistance),
        ] {
            let Ok(Some(Line::Exchange(line))) = parse(&EXCHANGE.replace(from, to)) else {
                panic!("{to} is malformed")
            };
            assert_eq!(line.exchange(), Err(rejection), "{to}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_and_gigantic_lines_are_refused() {
        let bytes = b"{\"type\":\"read\",\"x\":\"\xff\",\"local_ns\":5}";
        let said = Line::parse(bytes).unwrap_err().to_string();
        assert_eq!(said, "not valid UTF-8 from byte 21 on");
        let long = format!(r#"{{"type":"read","local_ns":5{}}}"#, " ".repeat(LINE_BYTES_MAX));
        assert_eq!(parse(&long), Err(LineError::TooLong));
        let nested = format!(r#"{{"x":{}"#, "[".repeat(60_000));
        assert!(parse(&nested).is_err());
    }
}
