//! Whole clocks that require proof.

#![allow(unsafe_code)]

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use ntp_clock::{Clock, Nts, NtsRoots};

use crate::common::{Watch, eventually, truth_ns};
use crate::peer::Peer;
use crate::support::{Authority, HOST, NtsServer, clock_of, named};

#[test]
fn a_clock_with_keys_is_right_and_stays_so_when_its_server_forgets_them() {
    let Some(mut server) = NtsServer::start() else { return };
    let clock = server.clock();
    assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
    let watch = Watch::over(&clock);
    eventually("polled", Duration::from_secs(60), || clock.status().believed > 6);
    let status = clock.status();
    assert_eq!(status.server, format!("localhost:{}", server.keys_at.port()));
    assert_eq!(status.rejections().next(), None);
    let nts = status.nts.expect("required");
    assert_eq!(nts.ntp_host, Some(server.peer.address().to_string()));
    assert_eq!((nts.last_error, nts.exchanging), (None, false));
    assert!(status.authenticated && nts.cookies > 0 && nts.certificate_subject.is_some());
    assert_eq!((nts.exchanges, nts.roots), (1, server.authority.roots()));
    assert!(nts.exchange_took.is_some() && nts.certificate_issuer.is_some());
    let end = nts.certificate_expires.expect("an end").to_string();
    assert!(end.starts_with("2040-01-01T00:00:00"), "{end}");

    server.peer.restart();
    if server.peer.answers_by_nak() {
        let naks = || clock.status().rejections().any(|(reason, _)| reason == "nak");
        eventually("NTS-NAKs arrive", Duration::from_secs(60), naks);
    }
    let believed = clock.status().believed;
    // A silent server is known for one that has lost its keys after a round.
    eventually("known again", Duration::from_secs(60), || clock.sync_now().is_ok());
    let again = || clock.status().believed > believed + 4;
    eventually("polled again", Duration::from_secs(60), again);
    let watched = watch.finish();
    assert!(watched.readings > 1_000 && clock.now().is_some());
}

#[test]
fn a_clock_whose_server_is_not_there_yet_has_time_soon_after_it_is() {
    let authority = Authority::new();
    let keys_at = Peer::keys_at();
    let clock = clock_of(HOST, keys_at.port(), &authority);
    let failed = || clock.status().last_error.is_some_and(|e| e.code() == "refused");
    eventually("failed", Duration::from_secs(30), failed);
    let error = clock.status().last_error.expect("failed");
    assert!(error.detail().contains("refused"), "{error}");
    assert!(clock.now().is_none());

    let certified = authority.certify();
    let Some(_server) = NtsServer::of(authority, &certified, keys_at, "") else { return };
    eventually("known", Duration::from_secs(60), || clock.sync_now().is_ok());
    assert!(clock.now().is_some());
}

#[test]
fn a_clock_whose_servers_certificate_is_by_somebody_else_has_no_time_and_says_why() {
    let Some(server) = NtsServer::start() else { return };
    let clock = clock_of(HOST, server.keys_at.port(), &Authority::new());
    let failed = || clock.status().last_error.is_some_and(|e| e.code() == "certificate");
    eventually("failed", Duration::from_secs(30), failed);
    let error = clock.status().last_error.expect("failed");
    assert!(error.detail().contains("certificate"), "{error}");
    assert!(clock.now().is_none());
}

#[test]
fn a_clock_whose_servers_certificate_is_not_valid_yet_by_the_time_it_tells_has_no_time_and_says_why()
 {
    let certify = |authority: &Authority| authority.certify_for(2_100, 2_101);
    let Some(server) = NtsServer::start_with(certify) else { return };
    let clock = server.clock();
    let failed = || clock.status().last_error.is_some_and(|e| e.code() == "certificate");
    eventually("failed", Duration::from_secs(30), failed);
    let error = clock.status().last_error.expect("failed");
    assert!(error.detail().contains("not valid yet"), "{error}");
    assert!(clock.now().is_none() && clock.status().last_sync.is_none());
}

#[test]
fn a_clock_whose_servers_certificate_had_expired_by_the_time_it_tells_has_no_time_and_says_why() {
    let certify = |authority: &Authority| authority.certify_until(2_020, (2026, 11, 15));
    let Some(server) = NtsServer::start_with(certify) else { return };
    let clock = server.clock();
    let failed = || clock.status().last_error.is_some_and(|e| e.code() == "certificate");
    eventually("failed", Duration::from_secs(30), failed);
    let error = clock.status().last_error.expect("failed");
    assert!(error.detail().contains("expired"), "{error}");
    println!("{error}");
    assert!(clock.now().is_none() && clock.status().last_sync.is_none());
}

#[test]
fn a_program_has_its_servers_time_whatever_its_wall_clock_says() {
    if let Ok(port) = env::var(KEYS_PORT) {
        return tell_reading(port.parse().expect("a port"));
    }
    let Some(server) = NtsServer::start() else { return };
    for date in ["1970-01-02", "2000-02-29", "2038-01-20", "2100-01-01"] {
        let before = truth_ns();
        let mut command = Command::new("faketime");
        command
            .args(["--exclude-monotonic", "-f", &format!("@{date} 12:00:00")])
            .arg(env::current_exe().expect("this program"))
            .args(["--exact", "--nocapture", SELF])
            .env(KEYS_PORT, server.keys_at.port().to_string())
            .env(ROOTS, server.authority.file());
        let Ok(output) = output_of_faketime(&mut command) else {
            let missing = "SKIPPED: faketime is missing: apt-get install faketime";
            let _ = writeln!(io::stderr(), "{missing}");
            break;
        };
        let after = truth_ns();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{date}: {text} {output:?}");
        let report = text.lines().find_map(|line| line.split_once(REPORT)).expect("a reading").1;
        let numbers: Vec<i64> = report.split(' ').map(|n| n.parse().expect("a number")).collect();
        let [wall, time, max_error] = numbers[..] else { panic!("{report}") };
        assert!(time >= before - max_error && time <= after + max_error, "{date}: {report}");
        assert!((wall - time).abs() > 300 * 86_400 * 1_000_000_000, "{date} was not its date");
    }
}

/// One that was killed has left a semaphore with its number, which the process that gets that
/// number next cannot make: then another one tries.
fn output_of_faketime(command: &mut Command) -> io::Result<Output> {
    let mut output = command.output()?;
    for _ in 0..5 {
        if !String::from_utf8_lossy(&output.stderr).contains("sem_open: File exists") {
            break;
        }
        output = command.output()?;
    }
    Ok(output)
}

/// What the test above asks of itself as another program.
fn tell_reading(keys_port: u16) {
    let roots = NtsRoots::File(PathBuf::from(env::var_os(ROOTS).expect("named")));
    let builder = Clock::builder().server(named(HOST, keys_port)).nts(Nts::Required(roots));
    let clock = builder.build().expect("a root");
    assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
    let reading = clock.now().expect("synchronised");
    let (time, max_error) = (reading.time().as_nanos(), reading.max_error().as_nanos());
    println!("{REPORT}{} {time} {max_error}", truth_ns());
    // At an ordinary exit libfaketime unmaps its memory, and the clock's thread, which still reads
    // the time, would be killed by that.
    // SAFETY: ends the process; what was printed is a line, so it is written.
    unsafe { libc::_exit(0) }
}

const SELF: &str = "clocks::a_program_has_its_servers_time_whatever_its_wall_clock_says";
const KEYS_PORT: &str = "NTP_CLOCK_TEST_KEYS_PORT";
const ROOTS: &str = "NTP_CLOCK_TEST_ROOTS";
const REPORT: &str = "reading: ";
