//! What is recorded replays to what was read live, whatever happened; and a log means one thing.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use common::{command, path, piped, replay, run, server};
use ntp_clock::Span;
use ntp_test_server::{Delay, Fault, Probability};

const EXCHANGE: &str = r#"{"type":"exchange","t1_local_ns":1000,"t2_ns":1800000000000000500,"t3_ns":1800000000000000500,"t4_local_ns":2000,"root_delay_ns":0,"root_dispersion_ns":0,"precision_log2_s":-30,"stratum":1,"leap":0}"#;

fn read(local_ns: i64) -> String {
    format!(r#"{{"type":"read","local_ns":{local_ns}}}"#)
}

#[test]
fn a_session_with_loss_delay_an_outage_and_a_step_replays_to_exactly_the_live_answers() {
    let (server, address) = server(|b| {
        b.set_delay("1ms + exp 2ms".parse::<Delay>().expect("a delay"));
        b.set_loss(Probability::new(0.2));
    });
    let (log, answers) = (path("weather.log"), path("weather.answers"));
    let recorder = command()
        .args(["--server", &address, "record", "--poll", "1s", "--duration", "24s"])
        .args(["--reads", "500us", "--answers"])
        .args([&answers, &log])
        .stderr(std::process::Stdio::null())
        .spawn();
    std::thread::sleep(Duration::from_secs(10));
    server.set(|b| b.offset = Span::from_secs(5));
    std::thread::sleep(Duration::from_secs(7));
    server.set(|b| {
        b.faults.always(Fault::Silence);
    });
    assert!(recorder.unwrap().wait().unwrap().success());

    let live = std::fs::read_to_string(&answers).unwrap();
    let first = run(["replay".as_ref(), log.as_os_str()]);
    assert_eq!(first.code, Some(0), "{}", first.err);
    let differ = live.lines().zip(first.out.lines()).position(|(live, replayed)| live != replayed);
    assert_eq!((differ, live.lines().count()), (None, first.out.lines().count()));
    let count = live.lines().filter(|line| !line.contains("null")).count();
    assert!(count > 10_000, "{count} readings");
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(logged.contains("\"lost\"") && logged.contains("\"round_end\""));

    // The same log twice gives the same bytes, and so does one that comes through a pipe.
    assert_eq!(replay(logged.as_bytes()).out, first.out);
}

#[test]
fn a_log_by_hand_is_answered_line_by_line() {
    let log = [&read(5), EXCHANGE, "", &read(2000), &read(1_000_002_000)].join("\n");
    let outcome = replay(log.as_bytes());
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(0), ""));
    let lines: Vec<_> = outcome.out.lines().collect();
    let null = r#"{"local_ns":5,"time_ns":null,"max_error_ns":null,"est_error_ns":null}"#;
    assert_eq!((lines.len(), lines[0]), (3, null));
    assert!(lines[1].starts_with(r#"{"local_ns":2000,"time_ns":1800000000000001000,"#), "{log}");
    assert!(lines[2].starts_with(r#"{"local_ns":1000002000,"time_ns":1800000001000001000,"#));
}

#[test]
fn three_lost_rounds_in_a_row_fail_the_clock_and_two_do_not() {
    let lost = |secs: i64| format!(r#"{{"type":"lost","t1_local_ns":{}}}"#, secs * 1_000_000_000);
    let at = |secs: i64| read(secs * 1_000_000_000);
    let two = [EXCHANGE, &lost(300), &lost(320), &at(330)].join("\n");
    assert!(!replay(two.as_bytes()).out.contains("null"));
    let three = [EXCHANGE, &lost(300), &lost(320), &lost(380), &at(390)].join("\n");
    assert!(replay(three.as_bytes()).out.contains("null"));
    // An exchange that no clock believes counts as lost.
    let refused = |secs: i64| {
        EXCHANGE
            .replace("\"stratum\":1", "\"stratum\":16")
            .replace("1000,", &format!("{},", secs * 1_000_000_000))
            .replace("_ns\":2000", &format!("_ns\":{}", secs * 1_000_000_000 + 1_000))
    };
    let three = [EXCHANGE, &refused(300), &refused(320), &refused(380), &at(390)].join("\n");
    let outcome = replay(three.as_bytes());
    assert_eq!(outcome.code, Some(0), "{}", outcome.err);
    assert!(outcome.out.contains("null"), "{}", outcome.out);
}

#[test]
fn answers_come_while_the_log_is_still_being_written() {
    let mut child = piped(command().args(["replay", "-"]));
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for local_ns in [2_000, 3_000] {
        writeln!(input, "{EXCHANGE}\n{}", read(local_ns)).unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.starts_with(&format!("{{\"local_ns\":{local_ns},\"time_ns\":18")), "{line}");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_recording_to_standard_output_can_be_replayed_through_a_pipe() {
    let (_server, address) = server(|_| {});
    let args = ["--server", &address, "record", "-", "--duration", "1s", "--reads", "10ms"];
    let recorded = run(args);
    assert_eq!(recorded.code, Some(0), "{recorded:?}");
    assert!(recorded.err.contains("exchanges"), "{}", recorded.err);
    let replayed = replay(recorded.out.as_bytes());
    assert_eq!(replayed.code, Some(0), "{}", replayed.err);
    assert!(replayed.out.lines().filter(|line| !line.contains("null")).count() > 50);
}

#[test]
fn a_recording_without_a_single_believed_reply_is_a_log_but_no_success() {
    let (_server, address) = server(|b| {
        b.faults.always(Fault::Silence);
    });
    let log = path("silent.log");
    let log_name = log.to_str().unwrap();
    let args = ["--server", &address, "record", log_name, "--duration", "6s", "--reads", "1s"];
    let recorded = run(args);
    assert_eq!(recorded.code, Some(1), "{recorded:?}");
    assert!(recorded.err.contains("not synchronised with"), "{}", recorded.err);
    let replayed = run(["replay", log_name]);
    assert_eq!(replayed.code, Some(0));
    assert!(replayed.out.lines().count() >= 5);
    assert!(replayed.out.lines().all(|line| line.contains("null")), "{}", replayed.out);
}
