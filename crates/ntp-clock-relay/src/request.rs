//! What a request is, and the errors for what is not one: `docs/WIRE.md`, "Request" and "Errors".

use serde_json::Value;

/// Why a request gets no time. Its message says what to do about it; [`RequestError::code`] is for
/// programs.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Neither GET, HEAD nor OPTIONS.
    #[error("{0} is not a method of a relay: use GET")]
    Method(String),
    /// A page of an origin that may not ask here.
    #[error("pages of {0} may not ask this relay; its operator can allow them")]
    Origin(String),
    /// More requests than a connection may make.
    #[error("more than {0} requests a second over one connection: wait a second, ask less often")]
    RateLimited(u32),
    /// Longer than a request may be.
    #[error("{got} bytes are more than the {REQUEST_MAX} that a request may have")]
    Oversize {
        /// Bytes that came.
        got: usize,
    },
    /// No text, no JSON, no object.
    #[error("{0}; send {EXAMPLE}")]
    Malformed(String),
    /// Arrays and objects in one another.
    #[error("arrays and objects more than {DEPTH_MAX} deep; send {EXAMPLE}")]
    Nested,
    /// Another event, or none.
    #[error("\"event\" must be \"clock_sync_request\", and is {was}")]
    UnknownEvent {
        /// What it is.
        was: String,
        /// The request's id, where it has a good one.
        request_id: Option<String>,
    },
    /// What ties a reply to its request.
    #[error("\"request_id\" must be 1 to {ID_MAX} characters from ! to ~ of ASCII, and is {0}")]
    BadRequestId(String),
}

impl RequestError {
    /// The error in one word, which stays what it is when messages change.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            RequestError::Method(_) => "method",
            RequestError::Origin(_) => "origin",
            RequestError::RateLimited(_) => "rate_limited",
            RequestError::Oversize { .. } => "oversize",
            RequestError::Malformed(_) => "malformed",
            RequestError::Nested => "nested",
            RequestError::UnknownEvent { .. } => "unknown_event",
            RequestError::BadRequestId(_) => "bad_request_id",
        }
    }

    /// The id of the request, where it is known.
    pub(crate) fn request_id(&self) -> Option<&str> {
        match self {
            RequestError::UnknownEvent { request_id, .. } => request_id.as_deref(),
            _ => None,
        }
    }
}

/// The request's id out of a text message.
pub(crate) fn of_text(text: &str) -> Result<String, RequestError> {
    check_size(text.len())?;
    if depth(text) > DEPTH_MAX {
        return Err(RequestError::Nested);
    }
    let message: Value = serde_json::from_str(text)
        .map_err(|error| RequestError::Malformed(format!("this is not JSON ({error})")))?;
    let Value::Object(members) = message else {
        let is = kind(&message);
        return Err(RequestError::Malformed(format!("a request must be a JSON object, not {is}")));
    };
    let id = members.get("request_id");
    let good_id = id.and_then(Value::as_str).filter(|id| is_id(id)).map(str::to_owned);
    match members.get("event") {
        Some(Value::String(event)) if event == EVENT => {
            good_id.ok_or_else(|| RequestError::BadRequestId(shown(id)))
        }
        event => Err(RequestError::UnknownEvent { was: shown(event), request_id: good_id }),
    }
}

/// A binary message is none.
pub(crate) fn of_binary(bytes: usize) -> RequestError {
    check_size(bytes).err().unwrap_or_else(|| {
        RequestError::Malformed("a request is text, and this message is binary".to_owned())
    })
}

/// The request's id out of a URL's query, in which other parameters mean nothing to us.
pub(crate) fn of_query(query: Option<&str>) -> Result<String, RequestError> {
    let query = query.unwrap_or_default();
    check_size(query.len())?;
    let id = query
        .split('&')
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| decoded(name) == b"request_id")
        .map(|(_, value)| String::from_utf8_lossy(&decoded(value)).into_owned());
    match id {
        Some(id) if is_id(&id) => Ok(id),
        Some(id) => Err(RequestError::BadRequestId(quoted(&id))),
        None => Err(RequestError::BadRequestId("missing".to_owned())),
    }
}

fn check_size(got: usize) -> Result<(), RequestError> {
    if got > REQUEST_MAX { Err(RequestError::Oversize { got }) } else { Ok(()) }
}

/// How deep arrays and objects go, measured before anything is parsed.
fn depth(text: &str) -> i32 {
    let (mut depth, mut deepest) = (0_i32, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Percent-encoding undone; what is none stays as it is.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, used) = match (first, after) {
            (b'+', _) => (b' ', 0),
            (b'%', [high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high * 16 + low, 2),
                _ => (b'%', 0),
            },
            (other, _) => (*other, 0),
        };
        bytes.push(byte);
        rest = after.get(used..).unwrap_or_default();
    }
    bytes
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn is_id(text: &str) -> bool {
    (1..=ID_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "missing".to_owned(),
        Some(Value::String(text)) => quoted(text),
        Some(value) => kind(value).to_owned(),
    }
}

/// A stranger's text, no more of it than helps.
pub(crate) fn quoted(text: &str) -> String {
    let head: String = text.chars().take(SHOWN).collect();
    if head.len() < text.len() { format!("{head:?}...") } else { format!("{head:?}") }
}

/// Bytes of a message, or of a URL's query.
pub(crate) const REQUEST_MAX: usize = 1024;
const DEPTH_MAX: i32 = 8;
const ID_MAX: usize = 64;
const EVENT: &str = "clock_sync_request";
const EXAMPLE: &str = r#"{"event": "clock_sync_request", "request_id": "00000000000000a7"}"#;
const SHOWN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_request_learns_what_is_wrong_and_what_one_is() {
        let deep = "[".repeat(REQUEST_MAX);
        let long = "x".repeat(REQUEST_MAX + 1);
        let cases = [
            (
                "{\"event\":",
                "malformed",
                "this is not JSON (EOF while parsing a value at line 1 column 9)",
            ),
            ("[]", "malformed", "not an array; send {\"event\": \"clock_sync_request\""),
            (&deep, "nested", "more than 8 deep; send {"),
            (&long, "oversize", "1025 bytes are more than the 1024"),
            ("{}", "unknown_event", "\"clock_sync_request\", and is missing"),
            (r#"{"event":"ping"}"#, "unknown_event", "and is \"ping\""),
            (r#"{"event":["x"]}"#, "unknown_event", "and is an array"),
            (r#"{"event":"clock_sync_request"}"#, "bad_request_id", "ASCII, and is missing"),
            (r#"{"event":"clock_sync_request","request_id":1}"#, "bad_request_id", "is a number"),
        ];
        for (text, code, words) in cases {
            let error = of_text(text).expect_err(text);
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        let error = of_binary(1);
        assert!(error.to_string().contains("this message is binary; send {"), "{error}");
        for (query, words) in [(None, "is missing"), (Some("request_id=%"), ""), (Some(""), "")] {
            if let Err(error) = of_query(query) {
                assert_eq!(error.code(), "bad_request_id");
                assert!(error.to_string().contains(words), "{error}");
            }
        }
    }

    #[test]
    fn no_more_of_a_strangers_text_is_repeated_than_helps() {
        let text = format!(r#"{{"event":"{}"}}"#, "é".repeat(300));
        assert!(of_text(&text).unwrap_err().to_string().len() < 200);
        assert_eq!(quoted("a\u{1b}\n"), r#""a\u{1b}\n""#);
    }

    #[test]
    fn percent_encoding_is_undone_where_it_is_one() {
        for (text, bytes) in
            [("%61b%7e", "ab~"), ("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("a+b", "a b")]
        {
            assert_eq!(decoded(text), bytes.as_bytes(), "{text}");
        }
        assert_eq!(of_query(Some("x&request%5Fid=a7")).as_deref(), Ok("a7"));
    }
}
