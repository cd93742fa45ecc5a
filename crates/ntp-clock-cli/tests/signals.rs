//! Ctrl-C.

#![cfg(unix)]

mod common;

use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::Duration;

use common::{command, path, piped, run, server};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ntp_test_server::Fault;

fn interrupt(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a process id");
    kill(Pid::from_raw(pid), signal).expect("it runs");
}

#[test]
fn record_ends_with_a_whole_log_and_watch_just_ends() {
    let (_server, address) = server(|_| {});
    let log = path("interrupted.log");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut child =
            piped(command().args(["--server", &address, "record", "--reads", "1ms"]).arg(&log));
        std::thread::sleep(Duration::from_millis(1_500));
        interrupt(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
        let written = std::fs::read_to_string(&log).unwrap();
        assert!(written.contains("\"exchange\"") && written.ends_with("}\n"));
        assert_eq!(run(["replay".as_ref(), log.as_os_str()]).code, Some(0));

        let child = piped(command().args(["--server", &address, "watch", "--interval", "50ms"]));
        std::thread::sleep(Duration::from_millis(1_000));
        interrupt(&child, signal);
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    }
}

#[test]
fn all_other_commands_end_by_the_signal() {
    let (_server, address) = server(|b| {
        b.faults.always(Fault::Silence);
    });
    let commands: [&[&str]; 4] =
        [&["now", "--server", &address], &["query", &address], &["replay", "-"], &["test-server"]];
    for args in commands {
        let child = piped(command().args(args));
        std::thread::sleep(Duration::from_millis(700));
        interrupt(&child, Signal::SIGINT);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(Signal::SIGINT as i32), "{args:?}: {output:?}");
        assert_eq!(output.stderr, b"", "{args:?}");
    }
}
