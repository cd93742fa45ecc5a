//! The project's shared test vectors: `tests/vectors/README.md` says what their members are.

use serde_json::Value;

use crate::reply::{Facts, Reply, Stamps};
use crate::request::{self, RequestError};
use ntp_clock::{Reading, Span, UnixTime};

pub(crate) fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/../../tests/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the vectors are in the checkout");
    let Value::Object(mut whole) = serde_json::from_str(&text).expect("JSON") else {
        panic!("{file} is not an object")
    };
    let Some(Value::Array(cases)) = whole.remove("cases") else { panic!("{file}: no cases") };
    assert!(!cases.is_empty(), "{file}");
    cases
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn reading(value: &Value) -> Option<Reading> {
    let time = value.get("time_ns")?;
    Some(Reading::new(
        UnixTime::from_nanos(text(time).parse().expect("a number")),
        Span::from_nanos(value["max_error_ns"].as_i64().expect("a number")),
        Span::ZERO,
        value["epoch"].as_u64().expect("a number"),
    ))
}

#[test]
fn the_vectors_readings_are_answered_as_they_say() {
    for case in cases("relay-replies.json") {
        let status = &case["status"];
        let small = |value: &Value| value.as_u64().map(|n| u8::try_from(n).expect("small"));
        let facts = Facts {
            server: text(&status["server"]),
            stratum: small(&status["stratum"]),
            leap: small(&status["leap"]).unwrap_or(0),
            delay: status["delay_ns"].as_i64().map(Span::from_nanos),
            epoch: status["epoch"].as_u64().expect("a number"),
            instance: text(&case["instance"]),
        };
        let stamps = Stamps::of(reading(&case["receive"]), reading(&case["send"]));
        let reply = Reply::new(text(&case["request_id"]), &facts, stamps);
        let sent: Value = serde_json::from_str(&reply.to_json()).expect("JSON");
        let (sent, expected) = (members(&sent), members(&case["reply"]));
        assert_eq!(sent, expected, "{}", case["name"]);
        let status = if reply.is_synchronised() { 200 } else { 503 };
        assert_eq!(Some(status), case["http_status"].as_u64(), "{}", case["name"]);
    }
}

/// Members in one order, and numbers as doubles: 8 and 8.0 are the same.
fn members(object: &Value) -> Vec<(String, Value)> {
    let number = |value: &Value| value.as_f64().map_or_else(|| value.clone(), Value::from);
    let mut members: Vec<_> = object
        .as_object()
        .expect("an object")
        .iter()
        .map(|(name, value)| (name.clone(), number(value)))
        .collect();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members
}

#[test]
fn the_vectors_messages_are_requests_or_errors_as_they_say() {
    for case in cases("relay-requests.json") {
        let outcome = match case["text"].as_str() {
            Some(text) => request::of_text(text),
            // In base64 three bytes are four characters.
            None => {
                let base64 = text(&case["base64"]);
                let padding = base64.bytes().filter(|byte| *byte == b'=').count();
                Err(request::of_binary(base64.len() / 4 * 3 - padding))
            }
        };
        check(&case, outcome);
    }
}

#[test]
fn the_vectors_queries_are_requests_or_errors_as_they_say() {
    for case in cases("relay-queries.json") {
        check(&case, request::of_query(case["query"].as_str()));
    }
}

/// This relay compares no counters: what a request says of one is a member like any other.
#[test]
fn what_a_request_says_of_a_counter_changes_nothing_for_a_relay_that_compares_none() {
    let (mut requests, mut with_counter) = (0, 0);
    for case in cases("relay-exchanges.json") {
        let steps = case["steps"].as_array().into_iter().flatten();
        let messages = steps.map(|step| &step["request"]["message"]).chain([&case["message"]]);
        for message in messages.filter(|message| message.is_object()) {
            let id = request::of_text(&message.to_string());
            assert_eq!(id.as_deref().ok(), message["request_id"].as_str(), "{}", case["name"]);
            requests += 1;
            with_counter += usize::from(!message["counter"].is_null());
        }
    }
    assert!(with_counter > 50 && requests > with_counter, "{with_counter} of {requests}");
}

fn check(case: &Value, outcome: Result<String, RequestError>) {
    let expected = &case["outcome"];
    let name = &case["name"];
    match outcome {
        Ok(id) => assert_eq!(expected, &serde_json::json!({ "request_id": id }), "{name}"),
        Err(error) => {
            let sent = serde_json::json!({
                "error": error.code(), "request_id": error.request_id(),
            });
            assert_eq!(expected, &sent, "{name}");
        }
    }
}
