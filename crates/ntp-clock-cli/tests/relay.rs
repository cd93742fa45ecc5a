//! The relay as a command.

#![cfg(feature = "relay")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use common::{Chrony, command, path, piped, run, run_with, server, truth_ns};
use ntp_test_server::Fault;
use serde_json::Value;

/// A running relay.
struct Relay {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
    address: String,
}

impl Relay {
    fn start(server: &str, args: &[&str]) -> Self {
        let mut command = command();
        command.args(["relay", "--server", server, "--listen", "127.0.0.1:0"]).args(args);
        let mut child = piped(&mut command);
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("it says where it listens");
        let said = line.strip_prefix("listening on http://").expect("the address");
        let address = said.split(' ').next().expect("the address").to_owned();
        Relay { child, out: Some(out), address }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.as_mut().expect("open").read_line(&mut line).expect("it says something");
        line.trim_end().to_owned()
    }

    /// Status, head and body.
    fn get(&self, path: &str, headers: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("valid");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers in text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("HTTP");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), head.to_owned(), body.to_owned())
    }

    /// One of the clock's values.
    fn metric(&self, name: &str) -> f64 {
        let (_, _, page) = self.get("/metrics", "");
        let line = page.lines().find(|line| line.starts_with(&format!("{name}{{"))).expect(name);
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    }

    fn ask(&self) -> (u16, Value) {
        let (status, _, body) = self.get("/clock?request_id=a7", "");
        (status, serde_json::from_str(&body).expect("JSON"))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_says_where_it_listens_and_when_it_is_synchronised_and_then_tells_the_time() {
    let Some(chrony) = Chrony::start() else { return };
    let server = chrony.server().to_string();
    let mut relay = Relay::start(&server, &[]);
    let said = relay.line();
    assert!(said.starts_with(&format!("synchronised with {server}, within ")), "{said}");
    let before = truth_ns() as f64 / 1e6;
    let (status, reply) = relay.ask();
    let after = truth_ns() as f64 / 1e6;
    assert_eq!((status, &reply["server"]), (200, &server.as_str().into()));
    let (t2, t3) = (&reply["server_receive_time"], &reply["server_send_time"]);
    let bound = reply["root_dispersion_ms"].as_f64().unwrap()
        + reply["root_delay_ms"].as_f64().unwrap() / 2.0;
    assert!(before <= t2.as_f64().unwrap() + bound + 0.001, "{before} {reply}");
    assert!(after >= t3.as_f64().unwrap() - bound - 0.001, "{after} {reply}");
    assert_eq!(relay.get("/healthz", "").0, 200);
    let (_, head, metrics) = relay.get("/metrics", "");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    let line = format!("ntp_clock_synchronised{{server=\"{server}\"}} 1");
    assert!(metrics.lines().any(|of| of == line), "{metrics}");
}

#[test]
fn without_a_server_it_gives_no_time_says_why_and_recovers() {
    let (test_server, address) = server(|b| {
        b.faults.always(Fault::Silence);
    });
    let mut relay = Relay::start(&address, &["--poll", "1s"]);
    let (status, reply) = relay.ask();
    assert_eq!((status, &reply["server_time"]), (503, &Value::Null));
    assert_eq!(relay.get("/healthz", "").0, 503);
    let said = relay.line();
    assert!(said.contains("no reply within 2 s"), "{said}");
    test_server.set(|b| b.faults = Default::default());
    let said = loop {
        let line = relay.line();
        assert!(!line.is_empty(), "it ended");
        if line.starts_with("synchronised") {
            break line;
        }
    };
    assert!(said.contains(&format!("synchronised with {address}, within")), "{said}");
    assert_eq!(relay.ask().0, 200);
}

#[test]
fn its_options_reach_the_relay() {
    let (_server, address) = server(|_| {});
    let args = [
        "--rate",
        "1",
        "--allow-origin",
        "https://a.example",
        "--allow-origin",
        "http://localhost:8000",
        "--max-connections",
        "3",
    ];
    let relay = Relay::start(&address, &args);
    let path = "/clock?request_id=a7";
    let (status, head, _) = relay.get(path, "Origin: http://localhost:8000\r\n");
    assert!(status != 403 && head.contains("access-control-allow-origin: http://localhost:8000"));
    let (status, _, body) = relay.get(path, "Origin: https://b.example\r\n");
    assert_eq!(status, 403, "{body}");

    let mut kept = TcpStream::connect(&relay.address).unwrap();
    kept.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    kept.write_all(request.repeat(4).as_bytes()).unwrap();
    let mut answers = String::new();
    while !answers.contains("rate_limited") {
        let mut chunk = [0; 4096];
        let got = kept.read(&mut chunk).unwrap();
        assert!(got > 0, "{answers}");
        answers.push_str(std::str::from_utf8(&chunk[..got]).unwrap());
    }
    let all: Vec<_> = (0..3).map(|_| TcpStream::connect(&relay.address).unwrap()).collect();
    let mut printed = String::new();
    let mut last = all.last().unwrap();
    last.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    last.read_to_string(&mut printed).unwrap();
    assert!(
        printed.starts_with("HTTP/1.1 503") && printed.contains("too many connections"),
        "{printed}"
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_and_a_polite_kill_end_it_in_order() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let (_server, address) = server(|_| {});
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut relay = Relay::start(&address, &[]);
        let idle = TcpStream::connect(&relay.address).unwrap();
        assert!(relay.line().starts_with("synchronised"));
        kill(Pid::from_raw(i32::try_from(relay.child.id()).unwrap()), signal).unwrap();
        assert_eq!(relay.child.wait().unwrap().code(), Some(0), "{signal}");
        drop(idle);
    }
}

#[test]
fn the_reader_of_its_output_may_go() {
    let (test_server, address) = server(|_| {});
    let mut relay = Relay::start(&address, &["--poll", "1s"]);
    assert!(relay.line().starts_with("synchronised"));
    drop(relay.out.take());
    test_server.set(|b| b.faults.always(Fault::Silence));
    // A failed attempt is worth a line, and nobody hears it.
    let limit = Instant::now() + Duration::from_secs(60);
    while relay.metric("ntp_clock_attempts_failed") < 1.0 {
        assert!(Instant::now() < limit, "it never failed");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(relay.child.try_wait().unwrap(), None);
    assert_eq!(relay.get("/metrics", "").0, 200);
}

#[test]
fn mistakes_of_usage_are_explained_and_end_with_2() {
    let (_server, address) = server(|_| {});
    let words = path("words.pem");
    std::fs::write(&words, "no certificate\n").unwrap();
    let words = words.to_str().unwrap();
    let cases: [(&[&str], &str); 11] = [
        (&["--listen", "8123"], "write an address and a port such as 127.0.0.1:8123"),
        (&["--listen", "127.0.0.1:99999"], "write an address and a port"),
        (&["--allow-origin", "example.org"], "it has no scheme; write https://example.org"),
        (&["--allow-origin", "https://example.org/app"], "it has a path"),
        (&["--rate", "-1"], "unexpected argument '-1'"),
        (&["--rate", "many"], "invalid digit"),
        (&["--max-connections", "0"], "0 is not in 1..=1000000"),
        (&["--idle", "0"], "must be more than 0"),
        (&["--tls-cert", words], "--tls-key <FILE>"),
        (&["--tls-cert", words, "--tls-key", words], "words.pem holds no certificate"),
        (&["--poll", "1ms"], "outside 1 s to 1 day"),
    ];
    for (args, message) in cases {
        let outcome = run_with(&address, &[&["relay"], args].concat());
        assert_eq!(outcome.code, Some(2), "{args:?}: {outcome:?}");
        assert!(outcome.err.starts_with("error: "), "{}", outcome.err);
        assert!(outcome.err.contains(message), "{args:?}: {}", outcome.err);
        assert_eq!(outcome.out, "");
    }
    let outcome = run(["relay", "--server", "http://x"]);
    assert!(outcome.code == Some(2) && outcome.err.contains("invalid NTP server"), "{outcome:?}");
}

#[test]
fn an_address_that_is_taken_or_not_ours_fails_with_1() {
    let (_server, address) = server(|_| {});
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (listen, message) in [
        (taken.as_str(), "Address already in use"),
        ("192.0.2.1:8123", "Cannot assign requested address"),
    ] {
        let outcome = run_with(&address, &["relay", "--listen", listen]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        let said = format!("error: cannot listen on {listen}: {message}");
        assert!(outcome.err.starts_with(&said), "{}", outcome.err);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn more_connections_than_files_may_be_open_are_not_promised() {
    let (_server, address) = server(|_| {});
    let script = "ulimit -n 100; exec \"$0\" \"$@\"";
    let output = std::process::Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_ntp-clock"), "relay", "--server", &address])
        .args(["--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the system allows 100: raise that (ulimit -Hn)"), "{said}");
    assert!(said.contains("--max-connections 68"), "{said}");
}

/// Runs a program that may be missing, which is said aloud.
fn optional(program: &str, package: &str, args: &[&str], input: &str) -> Option<common::Outcome> {
    let mut command = std::process::Command::new(program);
    command.args(args).env_remove("PORTACODE_NTP_SERVER");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = piped.spawn() else {
        // Written past the capture, so that the program that counts skips sees it.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: {program} is missing: apt-get install {package}");
        return None;
    };
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    Some(child.wait_with_output().expect("it ends").into())
}

#[test]
fn prometheus_finds_nothing_wrong_with_its_metrics() {
    let (_server, address) = server(|_| {});
    let mut relay = Relay::start(&address, &[]);
    assert!(relay.line().starts_with("synchronised"));
    relay.ask();
    let (_, _, page) = relay.get("/metrics", "");
    let Some(checked) = optional("promtool", "prometheus", &["check", "metrics"], &page) else {
        return;
    };
    assert_eq!((checked.code, checked.err.as_str()), (Some(0), ""), "{page}");
}

#[test]
fn the_javascript_clock_synchronises_through_it_over_http_and_websocket() {
    let Some(chrony) = Chrony::start() else { return };
    let server = chrony.server().to_string();
    let mut relay = Relay::start(&server, &[]);
    assert!(relay.line().starts_with("synchronised"));
    let module =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../portacode/static/js/utils/ntp-clock.js");
    let script = r#"
        const [module, ...relays] = process.argv.slice(2);
        const { NTPClock } = await import(module);
        for (const relay of relays) {
            const clock = new NTPClock();
            clock.configure({ relay });
            if (!(await clock.waitSynced({ timeout: 10000 })))
                throw new Error(clock.getStatus().lastError);
            const { timeMs, maxErrorMs } = clock.read();
            console.log(JSON.stringify({
                error: Math.abs(timeMs - Date.now()), maxErrorMs, ...clock.getStatus(),
            }));
        }
        // Node's WebSocket keeps the process for as long as it is open.
        process.exit();
    "#;
    let (http, ws) =
        (format!("http://{}/clock", relay.address), format!("ws://{}/clock/ws", relay.address));
    let args = ["--experimental-websocket", "--input-type=module", "-", module, &http, &ws];
    let Some(ran) = optional("node", "nodejs", &args, script) else { return };
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let printed: Vec<Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ways: Vec<_> = printed.iter().map(|status| &status["via"]).collect();
    assert_eq!(ways, ["http-relay", "ws-relay"]);
    for status in printed {
        let number = |name: &str| status[name].as_f64().expect(name);
        // Date.now() is cut off to the millisecond.
        assert!(number("error") <= number("maxErrorMs") + 1.0, "{status}");
        assert_eq!(status["server"], server);
    }
}
