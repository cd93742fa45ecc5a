//! What a person can learn from the command itself.

mod common;

use common::{piped, run};
use std::io::{BufRead, BufReader};

fn said(args: &[&str]) -> String {
    let outcome = run(args);
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(0), ""), "{args:?}");
    outcome.out
}

#[test]
fn the_help_says_what_one_needs_to_know() {
    let help = said(&["--help"]);
    for sentence in [
        "Exit status:",
        "0    done",
        "1    not synchronised",
        "2    wrong usage",
        "130  ended by Ctrl-C",
        "PORTACODE_NTP_SERVER",
        "time.cloudflare.com",
        "max_error is a hard bound",
        "est_error is one standard deviation",
        "ntp-clock record day.log --reads 1s",
    ] {
        assert!(help.contains(sentence), "{sentence} is not in\n{help}");
    }
    assert!(said(&["-h"]).contains("Exit status: 0 done"));
}

#[test]
fn every_command_has_a_help_with_examples() {
    let relay = cfg!(feature = "relay").then_some("relay");
    let names = ["now", "query", "status", "watch", "record", "replay", "completions", "man"];
    for name in names.into_iter().chain(relay) {
        let help = said(&[name, "--help"]);
        assert!(help.contains("Examples:"), "{name}:\n{help}");
        assert!(help.contains("--server <HOST[:PORT]>"), "{name}:\n{help}");
    }
    assert!(said(&["test-server", "--help"]).contains("kiss CODE"));
    let format = said(&["replay", "--help"]);
    for name in ["exchange", "lost", "read", "round_end", "suspend", "handled_local_ns"] {
        assert!(format.contains(name), "{name} is not in\n{format}");
    }
}

#[cfg(not(feature = "relay"))]
#[test]
fn a_build_without_a_relay_says_where_there_is_one_whatever_is_asked_of_it() {
    for args in [&["relay"] as &[&str], &["relay", "--help"], &["relay", "--listen", "x", "y"]] {
        let outcome = run(args);
        assert_eq!((outcome.code, outcome.out.as_str()), (Some(1), ""), "{args:?}: {outcome:?}");
        assert!(outcome.err.contains("cargo install ntp-clock-cli"), "{}", outcome.err);
    }
}

#[test]
fn completions_and_manual_pages_are_generated_from_the_command_itself() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = said(&["completions", shell]);
        assert!(script.contains("test-server") && script.contains("answers"), "{shell}");
    }
    let page = said(&["man"]);
    assert!(page.contains(".TH ntp-clock 1") && page.contains("PORTACODE_NTP_SERVER"), "{page}");
    let page = said(&["man", "record"]);
    assert!(page.contains(".TH ntp-clock-record 1") && page.contains("answers"), "{page}");
}

#[test]
fn the_version_is_reported() {
    let version = format!("ntp-clock {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(said(&["--version"]), version);
}

#[test]
fn the_test_server_serves() {
    let mut child = piped(common::command().args(["test-server", "--offset", "+1h"]));
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim_end().strip_prefix("listening on ").unwrap();
    let hour_later = said(&["now", "--format", "ns", "--server", address]);
    child.kill().unwrap();
    child.wait().unwrap();
    let ahead = hour_later.trim_end().parse::<i64>().unwrap() - common::truth_ns();
    assert!((ahead - 3_600_000_000_000).abs() < 1_000_000_000, "{ahead}");
}
