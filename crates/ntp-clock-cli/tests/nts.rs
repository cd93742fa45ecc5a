//! `nts://`: commands that believe nothing that is not proved, against chrony with an authority of
//! our own.

mod common;
#[allow(dead_code)]
#[path = "../../ntp-clock/tests/nts/peer.rs"]
mod peer;
#[allow(dead_code)]
#[path = "../../ntp-clock/tests/nts/support.rs"]
mod support;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use common::{Outcome, command, path, piped, run};
use serde_json::Value;
use support::{Authority, NtsServer, free_tcp_address, listen};

/// What a command says that trusts this authority.
fn trusting(authority: &Authority, args: &[&str]) -> Outcome {
    let roots = authority.file().to_str().expect("text");
    run(["--nts-ca", roots].iter().chain(args))
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.out).unwrap_or_else(|_| panic!("{outcome:?}"))
}

fn target(server: &NtsServer) -> String {
    format!("nts://localhost:{}", server.keys_at.port())
}

#[test]
fn query_says_that_the_time_is_authenticated_by_which_exchange_and_which_certificate() {
    let Some(server) = NtsServer::start() else { return };
    let (target, time_at) = (target(&server), server.peer.address());
    let name = target.trim_start_matches("nts://");
    let outcome = trusting(&server.authority, &["query", &target]);
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(0), ""), "{outcome:?}");
    let line = |start: &str| {
        let found = outcome.out.lines().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("{}", outcome.out)).to_owned()
    };
    assert!(line("server  ").contains(&format!("{name} ({time_at}), stratum 1")));
    let nts = line("nts  ");
    assert!(nts.contains("  authenticated, ") && nts.contains(" cookies left"), "{nts}");
    assert!(nts.ends_with(&format!("time asked at {time_at}")), "{nts}");
    let exchange = line("exchange  ");
    assert!(exchange.contains("NTPv4, AEAD_AES_SIV_CMAC_256, took "), "{exchange}");
    let certificate = line("certificate ");
    let roots = format!("proved by the roots in {}", server.authority.file().display());
    for text in ["CN=", ", until 2040-01-01T00:00:00", ", issued by CN=", &roots] {
        assert!(certificate.contains(text), "{text}: {certificate}");
    }

    let json = json(&trusting(&server.authority, &["query", "--json", &target]));
    assert_eq!((&json["authenticated"], &json["server"]), (&true.into(), &name.into()), "{json}");
    let nts = &json["nts"];
    assert_eq!(nts["ntp_host"], time_at.to_string());
    assert_eq!(
        (&nts["protocol"], &nts["aead"]),
        (&"NTPv4".into(), &"AEAD_AES_SIV_CMAC_256".into())
    );
    assert!(
        nts["cookies"].as_u64() > Some(0) && nts["exchange_took_ms"].as_f64() > Some(0.0),
        "{nts}"
    );
    assert_eq!(nts["roots"], server.authority.file().to_str().expect("text"));
    assert_eq!((&nts["last_error"], &nts["last_error_code"]), (&Value::Null, &Value::Null));
}

#[test]
fn every_command_that_asks_a_server_takes_an_nts_one_by_name_or_by_variable() {
    let Some(server) = NtsServer::start() else { return };
    let (target, time_at) = (target(&server), server.peer.address());
    let name = target.trim_start_matches("nts://");
    let by_variable = |args: &[&str]| -> Outcome {
        let mut command = command();
        command.env("PORTACODE_NTP_SERVER", name).env("PORTACODE_NTP_NTS", "required");
        command.env("PORTACODE_NTP_NTS_CA", server.authority.file());
        command.args(args).output().expect("the command starts").into()
    };
    let by_name = |args: &[&str]| {
        trusting(&server.authority, &[&["--server", target.as_str()], args].concat())
    };
    let check = |ask: &dyn Fn(&[&str]) -> Outcome| {
        let now = ask(&["now", "--format", "json"]);
        assert_eq!(json(&now)["authenticated"], true, "{now:?}");
        let status = ask(&["status", "--json"]);
        assert_eq!(json(&status)["nts"]["exchanges"], 1, "{status:?}");
        // Long enough for the end of the first round, which is reported.
        let watch = ask(&["watch", "--count", "12", "--interval", "250ms"]);
        assert!(watch.out.contains("  synchronised  authenticated\n"), "{watch:?}");
        let said_first = format!("# synchronised with {name}, authenticated, asked at {time_at}: ");
        assert!(watch.out.contains(&said_first), "{watch:?}");
    };
    thread::scope(|both| {
        both.spawn(|| check(&by_variable));
        both.spawn(|| check(&by_name));
    });
    let human = by_name(&["status"]).out;
    assert!(human.contains("nts         authenticated, "), "{human}");
    let log = path("nts.log");
    let recorded = by_variable(&["record", log.to_str().expect("text"), "--duration", "1s"]);
    assert_eq!(recorded.code, Some(0), "{recorded:?}");

    let relay = ["relay", "--listen", "127.0.0.1:0", "--server", &target, "--nts-ca"];
    let mut relay = piped(command().args(relay).arg(server.authority.file()));
    let mut said = BufReader::new(relay.stdout.take().expect("piped")).lines();
    let said_first = said.nth(1).expect("when it is synchronised").expect("text");
    assert!(said_first.starts_with(&format!("synchronised with {name}, ")), "{said_first}");
    assert!(said_first.ends_with(", authenticated"), "{said_first}");
    relay.kill().expect("it runs");
    relay.wait().expect("ends");

    // A server that --server names is asked by NTS as well, where the environment requires it.
    let mut required = command();
    required.env("PORTACODE_NTP_NTS", "required");
    required.env("PORTACODE_NTP_NTS_CA", server.authority.file());
    let plain = server.peer.address().to_string();
    let outcome: Outcome =
        required.args(["query", &plain]).output().expect("the command starts").into();
    assert_eq!(outcome.code, Some(1), "nothing plain is believed: {outcome:?}");
    assert_eq!(run(["query", &plain]).code, Some(0));
}

/// `query` exits with 1 and says this, and the code is this.
fn refuses(target: &str, authority: &Authority, words: &str, code: &str) {
    let outcome = trusting(authority, &["query", "--json", target]);
    assert_eq!(outcome.code, Some(1), "{words}: {outcome:?}");
    let json = json(&outcome);
    let nts = &json["nts"];
    assert_eq!((&json["authenticated"], &nts["last_error_code"]), (&false.into(), &code.into()));
    assert_eq!(json["offset_ns"], Value::Null, "no guess");
    let name = target.trim_start_matches("nts://");
    let start = format!("error: not synchronised with {name}: ");
    assert!(outcome.err.starts_with(&start) && outcome.err.contains(words), "{}", outcome.err);
    assert!(nts["last_error"].as_str().expect("why").contains(words), "{nts}");
}

#[test]
fn a_key_exchange_that_fails_is_reported_by_its_reason_and_a_code() {
    let Some(server) = NtsServer::start() else { return };
    let certify = |authority: &Authority| authority.certify_until(2_020, (2026, 11, 15));
    let Some(expired) = NtsServer::start_with(certify) else { return };
    let web = listen(|mut socket| {
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = io::copy(&mut socket, &mut io::sink());
    });
    let (ours, stranger) = (&server.authority, Authority::new());
    let at = |host: &str, address: SocketAddr| format!("nts://{host}:{}", address.port());
    let other_name = "the certificate is not for 127.0.0.1, but for localhost";
    let by_stranger = "not signed by an authority that is trusted here";
    let cases = [
        (at("localhost", free_tcp_address()), ours, "refused", "refused"),
        (at("127.0.0.1", server.keys_at), ours, other_name, "certificate"),
        (target(&server), &stranger, by_stranger, "certificate"),
        (at("localhost", web), ours, "the server there does not use TLS", "key_exchange"),
        (target(&expired), &expired.authority, "expired (2026-11-15", "certificate"),
    ];
    thread::scope(|all| {
        for (target, authority, words, code) in &cases {
            all.spawn(|| refuses(target, authority, words, code));
        }
    });
}

#[test]
fn what_cannot_be_followed_is_an_error_of_usage_and_nobody_is_asked() {
    let authority = Authority::new();
    let refused = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = command();
        command.args(args).envs(variables.iter().map(|(name, value)| (name, value)));
        let outcome: Outcome = command.output().expect("the command starts").into();
        assert_eq!((outcome.code, outcome.out.as_str()), (Some(2), ""), "{outcome:?}");
        outcome.err
    };
    let words = "NTS must be \"off\" or \"required\", not \"on\"";
    let said = refused(&["now"], &[("PORTACODE_NTP_NTS", "on")]);
    assert_eq!(said, format!("error: environment variable PORTACODE_NTP_NTS: {words}\n"));
    for (text, reason) in [
        ("nts://", "it is empty"),
        ("nts://a b", "its host has a character"),
        ("nts://a:0", "its port is not a number"),
        ("nts://nts://a", "it is a URL"),
    ] {
        let said = refused(&["query", text], &[]);
        let start = format!("invalid NTS server {text:?}: {reason}");
        assert!(said.contains(&start) && said.contains("if it is not 4460"), "{said}");
    }
    let missing = path("missing.pem");
    let unreadable = |file: &Path| {
        let said =
            refused(&["now", "--nts-ca", file.to_str().expect("text"), "--server", "nts://a"], &[]);
        assert!(said.contains(&format!("{file:?}")), "{said}");
        said
    };
    assert!(unreadable(&missing).contains("No such file"));
    assert!(unreadable(Path::new("/dev/null")).contains("found no certificate"));
    let by_variable = [("PORTACODE_NTP_NTS_CA", "/dev/null")];
    let said = refused(&["now", "--server", "NTS://a"], &by_variable);
    assert!(said.contains("found no certificate in \"/dev/null\""), "{said}");
    let roots = authority.file().to_str().expect("text");
    let said = refused(&["now", "--nts-ca", roots, "--server", "127.0.0.1:1"], &[]);
    assert!(said.contains("--nts-ca needs NTS"), "{said}");
    let said =
        refused(&["now", "--server", "nts://fe80::1%lo"], &[("PORTACODE_NTP_NTS_CA", roots)]);
    assert!(said.contains("no certificate can prove"), "{said}");
}

/// Leads a client that connects to there, from the moment at which it may; gives where to connect.
fn lead(there: SocketAddr, may: Receiver<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let here = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // Once it may, it may for ever.
            let _ = may.recv();
            let Ok(server) = TcpStream::connect(there) else { continue };
            let ends = || (client.try_clone().expect("open"), server.try_clone().expect("open"));
            let ((mut client, mut to_server), (mut to_client, mut server)) = (ends(), ends());
            thread::spawn(move || io::copy(&mut client, &mut to_server));
            thread::spawn(move || io::copy(&mut server, &mut to_client));
        }
    });
    here
}

#[test]
fn watch_tells_an_outage_of_the_key_exchange_and_recovers_when_it_is_over() {
    let Some(server) = NtsServer::start() else { return };
    let (now, may) = channel();
    let keys_at = lead(server.keys_at, may);
    let mut watch = piped(
        command()
            .args(["watch", "--lines", "--interval", "100ms", "--poll", "1s"])
            .args(["--server", &format!("nts://localhost:{}", keys_at.port())])
            .arg("--nts-ca")
            .arg(server.authority.file()),
    );
    let mut lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    let mut until = |text: &str| {
        let mut seen = Vec::new();
        for line in lines.by_ref().take(1_200) {
            seen.push(line.expect("text"));
            if seen.last().is_some_and(|line| line.contains(text)) {
                return;
            }
        }
        panic!("{text}: {seen:?}");
    };
    until("the key exchange has not finished yet");
    drop(now);
    until("  synchronised  authenticated");
    drop(server);
    until("# attempt 1 at localhost");
    watch.kill().expect("it runs");
    watch.wait().expect("ends");
}

#[test]
fn a_key_exchange_that_takes_longer_than_an_attempt_is_waited_for() {
    let Some(server) = NtsServer::start() else { return };
    let (now, may) = channel();
    let keys_at = lead(server.keys_at, may);
    let target = format!("nts://localhost:{}", keys_at.port());
    let query = thread::scope(|scope| {
        let query = scope.spawn(|| trusting(&server.authority, &["query", "--json", &target]));
        // An attempt waits 2 s, an exchange 5 s.
        thread::sleep(Duration::from_millis(3_500));
        drop(now);
        query.join().expect("it runs")
    });
    assert_eq!(query.code, Some(0), "{query:?}");
    assert_eq!(json(&query)["nts"]["exchanges"], 1, "{query:?}");
}

#[test]
fn a_command_waits_no_longer_than_it_may_for_a_key_exchange_that_hangs() {
    let authority = Authority::new();
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let target = format!("nts://127.0.0.1:{}", silent.local_addr().expect("bound").port());
    let now = trusting(&authority, &["now", "--timeout", "500ms", "--server", &target]);
    assert_eq!((now.code, now.out.as_str()), (Some(1), ""), "{now:?}");
    // Or, on a busy machine, what its first attempt met.
    let said = ["no believed reply within 500ms", "the key exchange "];
    assert!(said.iter().any(|words| now.err.contains(words)), "{now:?}");
    let query = trusting(&authority, &["query", "--timeout", "8s", &target]);
    assert_eq!(query.code, Some(1), "{query:?}");
    assert!(
        query.out.contains("nts         required, nothing proved, 0 cookies left"),
        "{query:?}"
    );
    // "has not finished yet" or, on a busy machine, "took longer than 5 s".
    assert!(query.err.contains("the key exchange "), "{query:?}");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_commands_also_while_the_key_exchange_hangs() {
    use nix::sys::signal::Signal;
    use std::os::unix::process::ExitStatusExt;
    let authority = Authority::new();
    let ended_by = |signal: Signal| {
        // A client that connects waits for ever.
        let silent = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = silent.local_addr().expect("bound").port();
        let child = piped(
            command()
                .args(["query", "--timeout", "60s", &format!("nts://127.0.0.1:{port}")])
                .arg("--nts-ca")
                .arg(authority.file()),
        );
        let _connected = silent.accept().expect("the command connects");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        nix::sys::signal::kill(pid, signal).expect("it runs");
        child.wait_with_output().expect("ends")
    };
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // On a busy machine the exchange's 5 s may be over first.
        let in_time = |output: &std::process::Output| {
            !String::from_utf8_lossy(&output.stderr).contains("took longer than 5 s")
        };
        let mut tries = std::iter::repeat_with(|| ended_by(signal)).take(10);
        let output = tries.find(in_time).expect("once it is in time");
        assert_eq!(output.status.signal(), Some(signal as i32), "{output:?}");
    }
}
