//! Each fault of a server: what the commands say of it, and how they end.

mod common;

use common::{run, run_with, server};
use ntp_clock::{Leap, Span};
use ntp_test_server::{Fault, Probability};
use serde_json::Value;

/// `query` exits with 1, counts the reason, and says it in words; `now` and `status` agree.
fn refuses(fault: Fault, reason: &str, words: &str) {
    let (_server, address) = server(move |b| {
        b.faults.always(fault);
    });
    let query = run(["query", "--json", &address]);
    assert_eq!(query.code, Some(1), "{fault:?}: {query:?}");
    let json: Value = serde_json::from_str(&query.out).unwrap();
    let rejections = json["rejections"].as_object().unwrap();
    assert_eq!(rejections.keys().collect::<Vec<_>>(), [reason], "{fault:?}");
    assert_eq!((&json["is_synced"], &json["offset_ns"]), (&false.into(), &Value::Null));
    assert!(query.err.contains(words), "{fault:?}: {}", query.err);
    assert!(query.err.starts_with(&format!("error: not synchronised with {address}: ")));
}

#[test]
fn a_reply_that_is_not_ours_is_distinguished() {
    refuses(Fault::WrongOrigin, "origin", "wrong origin timestamp");
    refuses(Fault::Mode(ntp_clock_core::Mode::Client), "mode", "not a server's reply");
    refuses(Fault::Version(3), "version", "not in NTP version 4");
}

#[test]
fn a_reply_whose_times_are_impossible_is_distinguished() {
    refuses(Fault::ZeroReceive, "zero_timestamp", "timestamp missing");
    refuses(Fault::ZeroTransmit, "zero_timestamp", "timestamp missing");
    refuses(Fault::Backwards(Span::from_millis(5)), "backward_timestamps", "run backwards");
    let held = Fault::ShiftReceive(Span::from_secs(-10));
    refuses(held, "negative_delay", "longer than the round");
}

#[test]
fn a_server_that_is_not_synchronised_is_distinguished() {
    refuses(Fault::Leap(Leap::Unsynchronised), "unsynchronised", "server is not synchronised");
    refuses(Fault::Stratum(16), "unsynchronised", "server is not synchronised");
}

#[test]
fn a_malformed_reply_is_distinguished() {
    refuses(Fault::Truncate(47), "malformed", "malformed packet");
    refuses(Fault::Junk(300), "malformed", "malformed packet");
}

#[test]
fn a_kiss_o_death_is_reported_with_its_code() {
    refuses(Fault::Kiss(*b"DENY"), "kiss", "kiss-o'-death DENY");
}

#[test]
fn silence_replies_from_elsewhere_and_closed_ports_are_no_reply() {
    for fault in [Fault::Silence, Fault::OtherPort] {
        let (_server, address) = server(move |b| {
            b.faults.always(fault);
        });
        let query = run(["query", &address]);
        assert_eq!(query.code, Some(1), "{query:?}");
        assert!(query.err.contains("no reply within 2 s"), "{}", query.err);
        assert!(query.out.contains("no believed reply"), "{}", query.out);
        assert!(query.out.contains("result  none"), "{}", query.out);
    }
    let closed = server(|_| {}).1;
    let query = run(["query", &closed]);
    assert_eq!(query.code, Some(1));
    assert!(query.err.contains("refused"), "{}", query.err);
}

#[test]
fn now_and_status_give_no_time_and_say_why() {
    let (_server, address) = server(|b| {
        b.faults.always(Fault::Stratum(16));
    });
    let now = run_with(&address, &["now", "--timeout", "1s"]);
    assert_eq!((now.code, now.out.as_str()), (Some(1), ""), "no guess");
    assert!(now.err.starts_with("error: not synchronised with"), "{}", now.err);

    let status = run_with(&address, &["status", "--json", "--timeout", "4s"]);
    assert_eq!(status.code, Some(1));
    let json: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!((&json["is_synced"], &json["offset_ms"]), (&false.into(), &Value::Null));
    assert!(json["rejections"]["unsynchronised"].as_u64().unwrap() > 0);
    assert_eq!(json["last_error"], "server is not synchronised");

    let watch = run_with(&address, &["watch", "--count", "1", "--interval", "3s"]);
    assert_eq!(watch.code, Some(0));
    assert!(watch.out.contains("unsynchronised: "), "{}", watch.out);
}

#[test]
fn a_name_that_nobody_knows_is_reported() {
    let query = run(["query", "no.such.host.invalid", "--timeout", "8s"]);
    assert_eq!(query.code, Some(1), "{query:?}");
    assert!(query.err.contains("no.such.host.invalid"), "{}", query.err);
}

#[test]
fn loss_duplicates_and_an_hours_offset_still_give_a_time() {
    let (_server, address) = server(|b| {
        b.set_loss(Probability::new(0.3));
        b.duplicate = Probability::ALWAYS;
        b.offset = Span::from_secs(3_600);
    });
    let query = run(["query", "--json", &address]);
    assert_eq!(query.code, Some(0), "{query:?}");
    let json: Value = serde_json::from_str(&query.out).unwrap();
    let offset = json["offset_ns"].as_i64().unwrap();
    assert!((offset - 3_600_000_000_000).abs() < 50_000_000, "{offset}");
    assert!(json["rejections"]["duplicate"].as_u64().unwrap() > 0, "{json}");
}
