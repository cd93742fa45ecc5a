//! A name that leads to several addresses, of which some are dead.

#![cfg(target_os = "linux")]

mod common;

use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;

use common::{Outcome, path};
use ntp_test_server::TestServer;

/// Runs the command on a machine with this hosts file; `None` where such machines cannot be made.
fn run_with_hosts(hosts: &str, args: &[&str]) -> Option<Outcome> {
    let machine = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script]);
        command.env_remove("PORTACODE_NTP_SERVER");
        command
    };
    let file = path("hosts");
    std::fs::write(&file, hosts).expect("temporary file");
    let mount = format!("mount --bind '{}' /etc/hosts", file.display());
    if !machine(&mount).output().is_ok_and(|output| output.status.success()) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: unshare(1) may not mount a hosts file here");
        return None;
    }
    let run = format!("{mount} && exec '{}' \"$@\"", env!("CARGO_BIN_EXE_ntp-clock"));
    Some(machine(&run).arg("ntp-clock").args(args).output().expect("it starts").into())
}

#[test]
fn query_and_now_pass_over_a_dead_address_and_name_each_that_failed() {
    // The resolver puts 127.0.0.1 first, which is nearer to where requests come from.
    let alive: SocketAddr = ([127, 0, 0, 9], 0).into();
    let mut server = TestServer::builder().bind(alive).spawn().expect("loopback");
    let port = server.addr().port();
    let hosts = "127.0.0.1 two.test\n127.0.0.9 two.test\n::1 two.test\n";
    let name = format!("two.test:{port}");
    for args in [&["query", &name] as &[&str], &["--server", &name, "now"]] {
        let Some(outcome) = run_with_hosts(hosts, args) else { return };
        assert_eq!(outcome.code, Some(0), "{args:?}: {outcome:?}");
    }
    server.stop();
    let outcome = run_with_hosts(hosts, &["query", &name]).expect("as before");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for address in [format!("127.0.0.1:{port}: "), format!("127.0.0.9:{port}: ")] {
        assert!(outcome.err.contains(&address), "{}", outcome.err);
    }
}
