//! Every command that asks a server, against a real one: chrony on this machine.

mod common;

use std::ffi::OsStr;

use common::{Chrony, command, path, run_with, truth_ns};
use serde_json::Value;

#[test]
fn now_prints_the_time_in_every_format() {
    let Some(chrony) = Chrony::start() else { return };
    let server = chrony.server().to_string();
    let before = truth_ns();
    let now = |format: &str| {
        let outcome = run_with(&server, &["now", "--format", format]);
        assert_eq!((outcome.code, outcome.err.as_str()), (Some(0), ""), "{outcome:?}");
        outcome.out.trim_end().to_owned()
    };
    let (iso, ms, ns) = (now("iso"), now("ms"), now("ns"));
    let json: Value = serde_json::from_str(&now("json")).unwrap();
    let after = truth_ns();

    let (ms, ns): (i64, i64) = (ms.parse().unwrap(), ns.parse().unwrap());
    let slack = 50_000_000;
    for time_ns in [ms * 1_000_000, ns, json["time_ns"].as_i64().unwrap()] {
        assert!((before - slack..after + slack).contains(&time_ns), "{before} {time_ns} {after}");
    }
    assert_eq!((iso.len(), &iso[26..]), (32, "+00:00"), "{iso}");
    assert!(json["max_error_ns"].as_i64().unwrap() >= json["est_error_ns"].as_i64().unwrap());
    assert_eq!((&json["epoch"], &json["server"]), (&1.into(), &server.as_str().into()));
}

#[test]
fn query_shows_a_burst_in_which_all_is_believed() {
    let Some(chrony) = Chrony::start() else { return };
    let server = chrony.server().to_string();
    let outcome = common::run(["query", &server]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.out.contains(&format!("server  {server}, stratum 1, reference 127.127.1.1")));
    assert!(outcome.out.contains("max error") && outcome.out.contains("est error"));
    let rows = outcome.out.lines().filter(|line| line.contains(" us  ")).count();
    let all = format!("{rows} of {rows} replies believed");
    assert!(rows >= 4 && outcome.out.contains(&all), "{}", outcome.out);

    let outcome = common::run(["query", "--json", &server]);
    let json: Value = serde_json::from_str(&outcome.out).unwrap();
    let requests = json["requests"].as_array().unwrap();
    assert_eq!(Some(requests.len() as u64), json["believed"].as_u64(), "{json}");
    assert!((4..=8).contains(&requests.len()), "{json}");
    for request in requests {
        assert_eq!(request["believed"], true, "{request}");
        assert!(request["delay_ns"].as_i64().unwrap() < 100_000_000, "{request}");
        assert!(request["offset_ns"].as_i64().unwrap().abs() < 50_000_000, "{request}");
        assert!(request["max_error_ns"].as_i64() >= request["est_error_ns"].as_i64());
    }
    assert!(json["offset_ns"].as_i64().unwrap().abs() < 10_000_000, "{json}");
}

#[test]
fn status_has_the_keys_of_pythons_get_status_and_a_form_for_people() {
    let Some(chrony) = Chrony::start() else { return };
    let server = chrony.server().to_string();
    let outcome = run_with(&server, &["status", "--json"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let json: Value = serde_json::from_str(&outcome.out).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "server",
            "offset_ms",
            "last_sync",
            "time_since_sync_sec",
            "is_synced",
            "state",
            "max_error_ms",
            "est_error_ms",
            "delay_ms",
            "drift_ppm",
            "stratum",
            "leap",
            "reference_id",
            "address",
            "server_changes",
            "disruptions",
            "last_disruption",
            "vmclock",
            "watches",
            "attempts",
            "requests",
            "believed",
            "rejections",
            "last_error",
            "last_error_code",
            "next_sync",
            "epoch",
            "counter",
            "counter_reason",
            "counter_id",
            "authenticated",
            "nts",
            "sharing"
        ]
    );
    assert_eq!((&json["authenticated"], &json["nts"]), (&false.into(), &Value::Null));
    assert_eq!(json["sharing"], Value::Null);
    assert_eq!((&json["is_synced"], &json["state"]), (&true.into(), &"synchronised".into()));
    let believed = json["believed"].as_u64().unwrap();
    assert_eq!(json["requests"].as_u64(), Some(believed), "the whole round is waited for");
    assert!(believed >= 4, "{json}");

    let human = run_with(&server, &["status"]).out;
    for text in ["state       synchronised", "max error   ", "last sync   2", "epoch       1"] {
        assert!(human.contains(text), "{human}");
    }
}

#[test]
fn watch_prints_lines_where_there_is_no_terminal() {
    let Some(chrony) = Chrony::start() else { return };
    let server = chrony.server().to_string();
    // Long enough for the end of the first round, which is reported.
    let outcome = run_with(&server, &["watch", "--interval", "250ms", "--count", "12"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let (news, lines): (Vec<_>, Vec<_>) =
        outcome.out.lines().partition(|line| line.starts_with("# "));
    assert_eq!(lines.len(), 12, "{}", outcome.out);
    for line in lines {
        for word in ["offset ", "max_error ", "est_error ", "delay ", "drift ", "synchronised"] {
            assert!(line.contains(word), "{line}");
        }
    }
    assert!(news.iter().any(|line| line.starts_with("# synchronised with")), "{news:?}");
    assert!(!outcome.out.contains('\u{1b}'), "no terminal, no colours");
}

#[test]
fn a_recorded_session_replays_to_exactly_the_live_answers() {
    let Some(chrony) = Chrony::start() else { return };
    let (log, answers) = (path("chrony.log"), path("chrony.answers"));
    let recorded = command()
        .args(["--server", &chrony.server().to_string(), "record"])
        .arg(&log)
        .args(["--reads", "1ms", "--duration", "4s", "--poll", "1s", "--answers"])
        .arg(&answers)
        .output()
        .unwrap();
    assert!(recorded.status.success(), "{recorded:?}");
    let live = std::fs::read_to_string(&answers).unwrap();
    let replayed = common::run([OsStr::new("replay"), log.as_os_str()]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.err);
    assert!(live.lines().count() > 1_000);
    assert!(live.lines().filter(|line| !line.contains("null")).count() > 1_000);
    assert!(live == replayed.out, "the answers differ");
}
