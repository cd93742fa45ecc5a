//! The vectors that Python and JavaScript read too.

use ntp_clock_core::{Evidence, LinkSnapshot, LocalTime, Span, UnixTime};
use ntp_clock_order::{By, Cause, Moment, NamedLink, Relations, Verdict};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../tests/vectors/order-relations.json");

fn nanos(value: &Value) -> i64 {
    value.as_str().expect("text").parse().expect("a whole number")
}

fn number(value: &Value, unknown: f64) -> f64 {
    value.as_f64().unwrap_or(unknown)
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn list<T>(value: &Value, one: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().map_or(&[][..], Vec::as_slice).iter().map(one).collect()
}

fn moment(value: &Value) -> Moment {
    let utc = value.get("time_ns").zip(value.get("max_error_ns"));
    Moment {
        counter: text(&value["counter"]),
        at: LocalTime::from_nanos(nanos(&value["counter_ns"])),
        utc: utc.map(|(time, error)| {
            (UnixTime::from_nanos(nanos(time)), Span::from_nanos(nanos(error)))
        }),
    }
}

fn link(value: &Value) -> NamedLink {
    let snapshot = LinkSnapshot {
        a: LocalTime::from_nanos(nanos(&value["a_ns"])),
        b: LocalTime::from_nanos(nanos(&value["b_ns"])),
        lower_ns: number(&value["lower_ns"], f64::NEG_INFINITY),
        upper_ns: number(&value["upper_ns"], f64::INFINITY),
        estimate_ns: number(&value["est_ns"], f64::NAN),
        est_error_ns: number(&value["est_error_ns"], 0.0),
        rate_low: number(&value["rate_ppb"][0], 0.0) * 1e-9,
        rate_high: number(&value["rate_ppb"][1], 0.0) * 1e-9,
        round_trip_ns: number(&value["round_trip_ns"], f64::INFINITY),
    };
    let exchanges = &value["exchanges_ns"];
    NamedLink {
        a: text(&value["a"]),
        b: text(&value["b"]),
        snapshot,
        exchanges: (number(&exchanges[0], f64::NEG_INFINITY), number(&exchanges[1], f64::INFINITY)),
    }
}

fn relations(case: &Value) -> Result<Relations, String> {
    let place = |value: &Value| value.as_u64().expect("a place") as usize;
    let cause = |value: &Value| Cause { earlier: place(&value[0]), later: place(&value[1]) };
    let moments = list(&case["moments"], moment);
    let (links, causes) = (list(&case["links"], link), list(&case["causes"], cause));
    Relations::new(&moments, &links, &causes, &list(&case["names"], text))
        .map_err(|error| error.to_string())
}

/// Within what is rounded on the way.
fn close(found: Option<Span>, expected: &Value) -> bool {
    match (found, expected.as_f64()) {
        (Some(found), Some(expected)) => (found.as_millis_f64() - expected).abs() <= 5e-6,
        (found, expected) => found.is_none() && expected.is_none(),
    }
}

#[test]
fn relations_are_those_of_the_vectors() {
    let vectors: Value = serde_json::from_str(VECTORS).expect("JSON");
    let mut compared = 0;
    for case in vectors["cases"].as_array().expect("cases") {
        let name = &case["name"];
        if let Some(error) = case["error"].as_str() {
            // What is wrong with JSON is for those who read it.
            if !error.starts_with("links[") && !error.starts_with("cause 0 is of moments") {
                let found = relations(case).expect_err(error);
                assert!(found.starts_with(error), "{name}: {found}");
                compared += 1;
            }
            continue;
        }
        let relations = relations(case).expect("sound");
        assert_eq!(relations.contradictions(), list(&case["contradictions"], |c| list(c, text)));
        for expected in case["relations"].as_array().expect("relations") {
            let place = |name: &str| expected[name].as_u64().expect("a place") as usize;
            let evidence =
                if expected["evidence"] == "all" { Evidence::All } else { Evidence::Exchanges };
            let (found, rests_on) =
                relations.between(place("i"), place("j"), evidence).expect("it is there");
            let order = match found.verdict {
                Verdict::Before => "certainly_before",
                Verdict::After => "certainly_after",
                Verdict::CannotTell => "cannot_tell",
            };
            let by = found.by.map(|by| if by == By::Clock { "clock" } else { "cause" });
            assert_eq!(
                (order, by),
                (&*text(&expected["order"]), expected["by"].as_str()),
                "{name}"
            );
            assert_eq!(rests_on, list(&expected["rests_on"], text), "{name}");
            assert!(close(found.lower, &expected["lower_ms"]), "{name}: {found:?} {expected}");
            assert!(close(found.upper, &expected["upper_ms"]), "{name}: {found:?} {expected}");
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared}");
}
