//! Ctrl-C.

#![cfg(unix)]

mod common;

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{command, path, piped, run, server};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ntp_test_server::Fault;

fn interrupt(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a process id");
    kill(Pid::from_raw(pid), signal).expect("it runs");
}

/// Waits for what another process does; a busy one may be slow to it.
fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} in a minute");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn record_ends_with_a_whole_log_and_watch_just_ends() {
    let (_server, address) = server(|_| {});
    let log = path("interrupted.log");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut child =
            piped(command().args(["--server", &address, "record", "--reads", "1ms"]).arg(&log));
        eventually("the log has an exchange", || {
            std::fs::read_to_string(&log).is_ok_and(|log| log.contains("\"exchange\""))
        });
        interrupt(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
        let written = std::fs::read_to_string(&log).unwrap();
        assert!(written.contains("\"exchange\"") && written.ends_with("}\n"));
        assert_eq!(run(["replay".as_ref(), log.as_os_str()]).code, Some(0));
        std::fs::remove_file(&log).unwrap();

        let mut child =
            piped(command().args(["--server", &address, "watch", "--interval", "50ms"]));
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
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
    let commands: [&[&str]; 4] = [
        &["now", "--timeout", "60s", "--server", &address],
        &["query", "--timeout", "60s", &address],
        &["replay", "-"],
        &["test-server"],
    ];
    for args in commands {
        let child = piped(command().args(args));
        std::thread::sleep(Duration::from_millis(700));
        interrupt(&child, Signal::SIGINT);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(Signal::SIGINT as i32), "{args:?}: {output:?}");
        assert_eq!(output.stderr, b"", "{args:?}");
    }
}

/// The process that `unshare` made the first one of its namespace.
#[cfg(target_os = "linux")]
fn first_process_of(unshare: &Child) -> Option<Pid> {
    let id = unshare.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok().map(Pid::from_raw)
}

/// Whether a process has a handler of this signal.
#[cfg(target_os = "linux")]
fn catches(process: Pid, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << (signal as i32 - 1)) != 0)
}

#[cfg(target_os = "linux")]
#[test]
fn every_command_ends_by_a_signal_as_process_1_of_a_container_too() {
    let unshare = || {
        let mut command = std::process::Command::new("unshare");
        command.args(["--map-root-user", "--pid", "--fork", "--kill-child"]);
        command
    };
    if !unshare().arg("true").status().is_ok_and(|status| status.success()) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: unshare(1) may not make namespaces here");
        return;
    }
    let (_server, address) = server(|b| {
        b.faults.always(Fault::Silence);
    });
    let log = path("first.log");
    let log = log.to_str().unwrap();
    let commands: [(&[&str], bool); 6] = [
        (&["now", "--timeout", "60s", "--server", &address], false),
        (&["query", "--timeout", "60s", &address], false),
        (&["replay", "-"], false),
        (&["test-server"], false),
        (&["watch", "--server", &address], true),
        (&["record", log, "--server", &address], true),
    ];
    for (args, in_good_order) in commands {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let child = piped(unshare().arg(env!("CARGO_BIN_EXE_ntp-clock")).args(args));
            // Until then the first process of a namespace ignores it.
            eventually("the command minds the signal", || {
                first_process_of(&child).is_some_and(|first| catches(first, signal))
            });
            let first = first_process_of(&child).expect("the command runs");
            kill(first, signal).expect("it runs");
            let code = child.wait_with_output().unwrap().status.code();
            // `record` says that its server gave no time.
            let expected =
                if in_good_order { 0..=1 } else { 128 + signal as i32..=128 + signal as i32 };
            assert!(
                code.is_some_and(|code| expected.contains(&code)),
                "{args:?} {signal}: {code:?}"
            );
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn watch_shows_what_it_can_of_a_terminal_of_any_size() {
    use nix::pty::{OpenptyResult, Winsize, openpty};
    let (_server, address) = server(|_| {});
    for (columns, rows) in [(65_535, 65_535), (65_535, 1), (0, 0), (80, 24)] {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(Some(&size), None).expect("a terminal");
        let end = |slave: &std::os::fd::OwnedFd| Stdio::from(slave.try_clone().unwrap());
        let mut child = std::process::Command::new("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_ntp-clock")])
            .args(["--server", &address, "watch"])
            .stdin(end(&slave))
            .stdout(end(&slave))
            .stderr(end(&slave))
            .spawn()
            .expect("setsid(1)");
        drop(slave);
        let (mut screen, mut keys) = {
            let master = std::fs::File::from(master);
            (master.try_clone().unwrap(), master)
        };
        let shown = std::thread::spawn(move || {
            let mut text = Vec::new();
            // A terminal whose other end is closed is an error to read.
            let _ = screen.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        std::thread::sleep(Duration::from_millis(1_500));
        keys.write_all(b"q").expect("it runs");
        let status = child.wait().expect("ends");
        drop(keys);
        let shown = shown.join().expect("sound");
        assert_eq!(status.code(), Some(0), "{columns} x {rows}: {shown}");
    }
}
