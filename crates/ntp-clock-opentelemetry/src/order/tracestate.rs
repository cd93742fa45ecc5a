//! The list of members that `tracestate` is.

use super::member::Member;

pub(super) const TRACESTATE: &str = "tracestate";
const KEY: &str = "ntpclock";
/// W3C's limit for members.
const MOST_MEMBERS: usize = 32;
/// As many characters as W3C has everybody pass on.
const MOST_CHARACTERS: usize = 512;

/// The value of our member; `None` where there is none, or more than one.
pub(super) fn member_of(state: &str) -> Option<&str> {
    let mut ours = members(state).filter_map(|member| member.strip_prefix(KEY)?.strip_prefix('='));
    let (only, second) = (ours.next()?, ours.next());
    second.is_none().then_some(only)
}

/// What our member says, where `tracestate` has one that can be true.
#[cfg(feature = "tower")]
pub(super) fn said(headers: &http::HeaderMap) -> Option<Member> {
    let values = headers.get_all(TRACESTATE).iter();
    let values: Result<Vec<_>, _> = values.map(http::HeaderValue::to_str).collect();
    member_of(&values.ok()?.join(","))?.parse().ok()
}

/// The list with this member in front of the others, instead of one that was there; without its
/// exchange where the list would get too long, and without the member where it still would.
pub(super) fn with_member(state: &str, member: &Member) -> String {
    let is_ours = |member: &&str| member.split_once('=').is_some_and(|(key, _)| key == KEY);
    let others: Vec<&str> = members(state).filter(|member| !is_ours(member)).collect();
    let room = others.len() < MOST_MEMBERS;
    let short = Member { exchange: None, ..member.clone() };
    let with = |member: &Member| {
        let ours = format!("{KEY}={member}");
        [&[ours.as_str()][..], &others].concat().join(",")
    };
    [member, &short]
        .map(with)
        .into_iter()
        .find(|list| room && list.len() <= MOST_CHARACTERS)
        .unwrap_or_else(|| others.join(","))
}

fn members(state: &str) -> impl Iterator<Item = &str> {
    let blank = [' ', '\t'];
    state
        .split(',')
        .map(move |member| member.trim_matches(blank))
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::order::member::Answer;

    /// What Rust, Python and JavaScript read alike.
    fn vectors() -> Vec<Value> {
        let text = include_str!("../../../../tests/vectors/otel-exchange.json");
        let whole: Value = serde_json::from_str(text).expect("JSON");
        whole["cases"].as_array().expect("cases").clone()
    }

    fn ns(time: ntp_clock::LocalTime) -> Value {
        time.as_nanos().to_string().into()
    }

    fn fields(member: &Member) -> Value {
        let exchange = member.exchange.as_ref().map(|exchange| {
            let [sent, received, answered, returned] = exchange.stamps.map(ns);
            serde_json::json!({
                "counter": exchange.peer, "sent_ns": sent, "received_ns": received,
                "answered_ns": answered, "returned_ns": returned,
            })
        });
        serde_json::json!({
            "counter": member.counter, "sent_ns": ns(member.sent), "exchange": exchange,
        })
    }

    #[test]
    fn every_vector_is_read_and_written_as_it_says() {
        let mut kinds = [0; 4];
        for case in vectors() {
            let text = |key: &str| case[key].as_str();
            let name = text("name").expect("a name");
            if let Some(member) = text("member") {
                kinds[0] += 1;
                let parsed = member.parse::<Member>().ok();
                assert_eq!(parsed.as_ref().map_or(Value::Null, fields), case["outcome"], "{name}");
                assert!(parsed.is_none_or(|parsed| parsed.to_string() == member), "{name}");
            } else if let Some(header) = text("header") {
                kinds[1] += 1;
                let parsed = header.parse::<Answer>().ok();
                let fields = parsed.as_ref().map_or(Value::Null, |answer| {
                    serde_json::json!({
                        "counter": answer.counter, "sent_ns": ns(answer.sent),
                        "received_ns": ns(answer.received), "answered_ns": ns(answer.answered),
                    })
                });
                assert_eq!(fields, case["outcome"], "{name}");
                assert!(parsed.is_none_or(|parsed| parsed.to_string() == header), "{name}");
            } else if let Some(state) = text("tracestate") {
                kinds[2] += 1;
                assert_eq!(member_of(state), text("member_of_it"), "{name}");
            } else {
                kinds[3] += 1;
                let long: Member = text("long").expect("a member").parse().expect(name);
                let before = text("before").expect("what was there");
                assert_eq!(Some(&*with_member(before, &long)), text("becomes"), "{name}");
            }
        }
        assert!(kinds.iter().all(|&cases| cases > 4), "{kinds:?}");
    }
}
