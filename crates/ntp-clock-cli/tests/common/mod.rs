//! Runs the command as a user or a script does.
#![allow(dead_code, unreachable_pub, unused_imports)]

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use ntp_test_server::{Behaviour, TestServer};

#[path = "../../../ntp-clock/tests/common/mod.rs"]
mod clock_tests;

pub use clock_tests::{Chrony, eventually, serve, tells_time, truth_ns};

pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ntp-clock"));
    for name in ["SERVER", "NTS", "NTS_CA"] {
        command.env_remove(format!("PORTACODE_NTP_{name}"));
    }
    command.stdin(Stdio::null());
    command
}

/// What the command said, and how it ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is text");
        Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

pub fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Outcome {
    command().args(args).output().expect("the command starts").into()
}

/// Asks this server.
pub fn run_with(server: &str, args: &[&str]) -> Outcome {
    run(["--server", server].iter().chain(args))
}

/// Replays a log from standard input.
pub fn replay(log: &[u8]) -> Outcome {
    let mut child = piped(command().args(["replay", "-"]));
    let mut input = child.stdin.take().expect("piped");
    let log = log.to_vec();
    let writer = std::thread::spawn(move || {
        // The command may have seen enough of it.
        let _ = input.write_all(&log);
    });
    let outcome = child.wait_with_output().expect("ends").into();
    writer.join().expect("sound");
    outcome
}

pub fn piped(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts")
}

/// A server and its address.
pub fn server(behaviour: impl FnOnce(&mut Behaviour) + Send + 'static) -> (TestServer, String) {
    let server = serve(behaviour);
    let address = server.addr().to_string();
    (server, address)
}

/// A path for a file of this name, which does not exist.
pub fn path(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ntp-clock-cli");
    std::fs::create_dir_all(&folder).expect("temporary folder");
    let path = folder.join(name);
    let _ = std::fs::remove_file(&path);
    path
}
