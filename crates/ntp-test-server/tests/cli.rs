//! The command as a user or another program meets it.

#![cfg(feature = "cli")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use common::Client;
use ntp_clock_core::Span;

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ntp-test-server"))
}

fn outcome(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command().args(args).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// A running command, killed when dropped.
struct Running {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn with(args: &[&str]) -> (Running, Client) {
        let mut command = command();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut running = Running { input: child.stdin.take(), child, output };
        let line = running.line();
        let addr = line.strip_prefix("listening on ").expect("the first line says where");
        let client = Client::to(addr.parse().unwrap());
        (running, client)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn tell(&mut self, line: &str) -> String {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
        self.line()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn script_file(name: &str, text: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn it_says_where_it_listens_and_then_its_seed() {
    let (mut running, mut client) = Running::with(&["--seed", "99", "--listen", "127.0.0.1:0"]);
    assert_eq!(running.line(), "seed 99");
    assert_eq!(client.ask().packet().stratum, 1);
}

#[test]
fn options_show_on_the_wire() {
    let args = ["--stratum", "16", "--delay", "5ms", "--offset", "-1h", "--fault", "junk 8"];
    let (_running, mut client) = Running::with(&args);
    let answer = client.ask();
    assert_eq!((answer.bytes[1], answer.bytes.len()), (16, 56));
    assert!(answer.after >= std::time::Duration::from_millis(10));
}

#[test]
fn a_script_is_read_and_applied() {
    let script = script_file("good.script", "# at once\n0s kiss RATE\n");
    let (_running, mut client) = Running::with(&["--script", &script]);
    assert_eq!(client.ask().packet().reference_id.to_string(), "RATE");
}

#[test]
fn standard_input_steers_it_and_its_end_ends_it() {
    let (mut running, mut client) = Running::with(&["--stdin"]);
    assert!(running.line().starts_with("seed "));
    assert_eq!(running.tell("offset +1h"), "ok");
    let stamp = client.ask().packet().receive_timestamp.to_unix();
    assert!(stamp - common::server(|_| {}).true_time() > Span::from_secs(3500));
    assert!(running.tell("offset soon").starts_with("error: 'soon' is not a length of time"));
    assert!(running.tell("stats").starts_with("requests=1 replies=1 "));
    drop(running.input.take());
    assert!(running.child.wait().unwrap().success());
}

#[test]
fn a_malformed_script_is_refused_by_line_and_reason() {
    let script = script_file("bad.script", "1s silence on\n\nsoon silence off\n");
    let (code, said) = outcome(&["--script", &script]);
    assert_eq!(code, Some(2));
    assert_eq!(
        said,
        format!(
            "error: script {script}: line 3: 'soon' is not a length of time such as 10ms, 1.5s or 20us\n"
        )
    );
    let (code, said) = outcome(&["--script", "/nowhere/at/all"]);
    assert_eq!(code, Some(2));
    assert!(said.starts_with("error: cannot read the script /nowhere/at/all: "), "{said}");
}

#[test]
fn wrong_options_are_explained() {
    let cases = [
        (["--delay", "fast"], "'fast' is not a length of time such as 10ms"),
        (["--loss", "2"], "'2' is not a probability such as 0.25 or 25%"),
        (["--fault", "kiss"], "a kiss code is missing"),
        (["--fault", "hiss RATE"], "'hiss' is not a fault (try: kiss, leap, "),
        (["--leap", "4"], "'4' is not a leap indicator (0 none, 1 insert"),
        (["--reference-id", "TOOLONG"], "is not a reference id (up to four ASCII characters"),
        (["--listen", "localhost"], "invalid socket address"),
    ];
    for (args, message) in cases {
        let (code, said) = outcome(&args);
        assert_eq!(code, Some(2), "{args:?}");
        assert!(said.contains(message), "{args:?} said: {said}");
    }
}

#[test]
fn a_port_in_use_is_an_error_of_status_1() {
    let taken = common::server(|_| {});
    let addr = taken.addr().to_string();
    let (code, said) = outcome(&["--listen", &addr]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with(&format!("error: cannot listen on {addr}: ")), "{said}");
}

#[test]
fn the_help_explains_the_formats() {
    let output = command().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for text in ["--delay-to-server", "pareto 1ms 1.5 cap 500ms", "30s kiss RATE", "other-port"] {
        assert!(help.contains(text), "{text} is not in the help");
    }
}

#[test]
fn the_proxy_says_where_it_listens_and_then_its_seed_and_ends_with_its_input() {
    let proxy = || Command::new(env!("CARGO_BIN_EXE_delay-proxy"));
    let mut command = proxy();
    command.args(["--to", "127.0.0.1:9", "--delay", "10ms + exp 1ms", "--seed", "3", "--stdin"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("listening on 127.0.0.1:"));
    assert_eq!(lines.next().unwrap(), "seed 3");
    drop(input);
    assert!(child.wait().unwrap().success());
    let wrong = proxy().args(["--to", "127.0.0.1:9", "--delay", "10"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("10ms"));
}
