//! Each system call of the clock's life fails: once, for a while, every other time, for good; at
//! the start and in flight. Meanwhile there is a reading or an honest status and no core is burnt;
//! afterwards it recovers.

use std::process::Command;

use super::Test;
use super::probe::performs;

/// The calls of a clock's threads, and how each may fail.
const CALLS: [(&str, &[&str]); 13] = [
    ("clone3", &["EAGAIN"]),
    ("socket", &["EMFILE", "ENOMEM"]),
    ("bind", &["EADDRINUSE"]),
    ("connect", &["ENETUNREACH"]),
    ("setsockopt", &["ENOPROTOOPT"]),
    ("sendto", &["ENETUNREACH", "EPERM", "EAGAIN"]),
    ("recvmsg", &["EINTR", "ENOMEM"]),
    ("ppoll", &["EINTR", "ENOMEM", "EINVAL"]),
    ("timerfd_create", &["EMFILE"]),
    ("timerfd_settime", &["EINVAL"]),
    ("timerfd_gettime", &["EBADF"]),
    ("madvise", &["EINVAL"]),
    ("getrandom", &["EAGAIN"]),
];

/// When they fail, as strace says it, and which act shows what is promised then.
const WHENS: [(&str, &str, &str); 4] = [
    ("once", ":when=1", "recovers"),
    ("for a while", ":when=2..6", "recovers"),
    ("every other time", ":when=1+2", "stays_honest"),
    ("for good", "", "stays_honest"),
];

pub(crate) fn tests() -> Vec<Test> {
    let traces = Command::new("strace").args(["-f", "-e", "trace=none", "true"]).output();
    if !traces.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: strace is missing or may not trace: apt-get install strace");
        return Vec::new();
    }
    let mut tests = Vec::new();
    for (call, errors) in CALLS {
        for error in errors {
            for (when, rule, act) in WHENS {
                let inject = format!("inject={call}:error={error}{rule}");
                tests.push(Test {
                    name: format!(
                        "{call}_that_fails_{}_by_{error}_is_survived",
                        when.replace(' ', "_")
                    ),
                    run: Box::new(move || {
                        performs(act, &["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject])
                    }),
                });
            }
        }
    }
    tests
}
