//! What all languages agree on: `tests/vectors/otel-history.json`.

use ntp_clock_history::{Dated, History, Limits, Moment, Sample, Traced, Window};
use serde_json::{Value, json};

fn cases() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/otel-history.json");
    let text = std::fs::read_to_string(path).expect("the vectors are there");
    let whole: Value = serde_json::from_str(&text).expect("vectors are JSON");
    whole["cases"].as_array().expect("a list of cases").clone()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap_or_else(|| panic!("{name} is a list: {value}"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is text: {value}"))
}

fn ns(value: &Value, name: &str) -> i64 {
    text(value, name).parse().expect("nanoseconds")
}

fn moment(value: &Value) -> Moment {
    let counter = u64::from_str_radix(text(value, "counter"), 16).expect("a counter's name");
    Moment { counter_ns: ns(value, "counter_ns"), counter }
}

fn some<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|value| !value.is_null())
}

fn dated(value: &Value) -> Dated {
    Dated {
        time_ns: ns(value, "time_ns"),
        max_error_ns: ns(value, "max_error_ns"),
        est_error_ns: ns(value, "est_error_ns"),
        epoch: value["epoch"].as_u64().expect("an epoch"),
    }
}

fn history(case: &Value) -> History {
    let mut history = History::new(Limits::default());
    for sample in list(case, "samples") {
        let Moment { counter_ns, counter } = moment(sample);
        history.sample(Sample {
            counter_ns,
            width_ns: ns(sample, "width_ns"),
            system_ns: ns(sample, "system_ns"),
            resolution_ns: ns(sample, "resolution_ns"),
            counter,
            reading: some(sample, "reading").map(dated),
        });
    }
    history
}

/// What the case's clock says of a moment of the present counter.
fn clock(case: &Value, counter_ns: i64) -> Option<Dated> {
    let clock = some(case, "clock")?;
    let known = dated(clock);
    let time_ns = known.time_ns + (counter_ns - ns(clock, "counter_ns"));
    (counter_ns >= ns(clock, "from_ns")).then_some(Dated { time_ns, ..known })
}

fn answers(case: &Value, history: &History, ask: &Value) -> (Option<Traced>, Option<Dated>) {
    let bound = |name| some(ask, name).map(|_| ns(ask, name));
    let (not_before_ns, not_after_ns) = (bound("not_before_ns"), bound("not_after_ns"));
    let window = Window { not_before_ns, not_after_ns };
    let traced = history.trace(ns(ask, "system_ns"), ns(ask, "resolution_ns"), window);
    (traced, traced.and_then(|traced| history.date(traced, |counter_ns| clock(case, counter_ns))))
}

fn plain(traced: Option<Traced>, dated: Option<Dated>) -> Value {
    let end = |moment: Moment| {
        let counter = format!("{:016x}", moment.counter);
        json!({"counter": counter, "counter_ns": moment.counter_ns.to_string()})
    };
    let traced = traced.map(|Traced { earliest, latest, ambiguous }| {
        json!({"earliest": end(earliest), "latest": end(latest), "ambiguous": ambiguous})
    });
    let dated = dated.map(|dated| {
        json!({
            "time_ns": dated.time_ns.to_string(),
            "max_error_ns": dated.max_error_ns.to_string(),
            "est_error_ns": dated.est_error_ns.to_string(),
            "epoch": dated.epoch,
        })
    });
    json!({"traced": traced, "dated": dated})
}

#[test]
fn every_language_traces_and_dates_alike() {
    for case in cases() {
        let history = history(&case);
        for ask in list(&case, "asks") {
            let (traced, dated) = answers(&case, &history, ask);
            let expected = json!({"traced": ask["traced"], "dated": ask["dated"]});
            let (name, shown) = (text(&case, "name"), text(ask, "system_ns"));
            assert_eq!(plain(traced, dated), expected, "{name}: {shown}");
        }
    }
}

#[test]
fn the_moments_at_which_a_case_showed_a_time_are_within_what_is_traced_and_dated() {
    let mut checked = 0;
    for case in cases() {
        let history = history(&case);
        for ask in list(&case, "asks") {
            let (traced, dated) = answers(&case, &history, ask);
            let name = text(&case, "name");
            for truth in list(ask, "moments") {
                let traced = traced.unwrap_or_else(|| panic!("{name}: nothing traced"));
                let order = |moment: Moment| (moment.counter, moment.counter_ns);
                let range = order(traced.earliest)..=order(traced.latest);
                assert!(range.contains(&order(moment(truth))), "{name}: {truth} {traced:?}");
                if let Some(dated) = dated {
                    let error_ns = (dated.time_ns - ns(truth, "time_ns")).abs();
                    assert!(error_ns <= dated.max_error_ns, "{name}: {truth} {dated:?}");
                    checked += 1;
                }
            }
            let shown_once = list(ask, "moments").len() < 2;
            assert!(traced.is_none_or(|traced| traced.ambiguous != shown_once), "{name}: {ask}");
        }
    }
    assert!(checked > 20, "only {checked} were dated");
}
