//! Bad input and a bad world: a clear message, the right exit status, nothing half-written.

mod common;

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::process::Stdio;

use common::{command, path, piped, replay, run, run_with, server};

const READ: &str = "{\"type\":\"read\",\"local_ns\":1}\n";

#[test]
fn a_malformed_line_is_named_by_number_and_reason() {
    let cases: [(&[u8], &str); 9] = [
        (b"{\"type\":\"read\",\"local_ns\":", "cut off: the JSON object does not end"),
        (b"{\"type\":\"read\",\"local_ns\":1", "cut off: the JSON object does not end"),
        (b"{\"type\":\"read\"}\n", "member \"local_ns\" is missing"),
        (b"{\"type\":\"read\",\"local_ns\":1.5}\n", "must be whole nanoseconds"),
        (b"{\"type\":\"read\",\"local_ns\":99999999999999999999}\n", "must be whole nanoseconds"),
        (b"{\"type\":\"write\",\"local_ns\":1}\n", "unknown type \"write\""),
        (b"[]\n", "not a JSON object"),
        (b"time flies\n", "not valid JSON"),
        (b"\xff\xfe\n", "not valid UTF-8 from byte 1 on"),
    ];
    for (line, reason) in cases {
        let log = [READ.as_bytes(), b"\n", READ.as_bytes(), line].concat();
        let outcome = replay(&log);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.err.starts_with("error: standard input: line 4: "), "{}", outcome.err);
        assert!(outcome.err.contains(reason), "{}", outcome.err);
        assert_eq!(outcome.out.lines().count(), 2, "what came before is answered");
    }
}

#[test]
fn a_gigantic_line_is_refused_without_being_read_to_its_end() {
    let mut child = piped(command().args(["replay", "-"]));
    let mut input = child.stdin.take().unwrap();
    let chunk = vec![b'x'; 1 << 20];
    let mut written = 0;
    while written < 1_000 && input.write_all(&chunk).is_ok() {
        written += 1;
    }
    drop(input);
    assert!(written < 1_000, "a gigabyte was read");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "error: standard input: line 1: longer than 65536 bytes\n");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let missing = path("missing");
    for (file, reason) in
        [(OsStr::new(folder), "Is a directory"), (missing.as_os_str(), "No such file")]
    {
        let outcome = run([OsStr::new("replay"), file]);
        assert_eq!((outcome.code, outcome.out.as_str()), (Some(2), ""), "{outcome:?}");
        assert!(outcome.err.contains(reason), "{}", outcome.err);
        assert!(outcome.err.contains(file.to_str().unwrap()), "{}", outcome.err);
    }
    let nowhere = path("no").join("such/folder/log");
    for file in [OsStr::new(folder), nowhere.as_os_str()] {
        let outcome = run([OsStr::new("record"), file]);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        let said = format!("error: cannot write {}: ", file.to_str().unwrap());
        assert!(outcome.err.starts_with(&said), "{}", outcome.err);
    }
    let outcome = run(["record", "same", "--reads", "1s", "--answers", "same"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("two different files"), "{}", outcome.err);
}

#[cfg(unix)]
#[test]
fn arguments_that_are_no_text_are_refused_and_such_file_names_are_fine() {
    use std::os::unix::ffi::OsStringExt;
    let broken = || OsString::from_vec(b"x\xff".to_vec());
    for args in [
        vec!["now".into(), "--format".into(), broken()],
        vec!["--server".into(), broken(), "now".into()],
        vec!["query".into(), broken()],
        vec![broken()],
    ] {
        let outcome = run(&args);
        assert_eq!(outcome.code, Some(2), "{args:?}: {outcome:?}");
        assert!(outcome.err.starts_with("error: "), "{}", outcome.err);
    }
    let file = path("x").with_file_name(broken());
    std::fs::write(&file, READ).unwrap();
    let outcome = run([OsStr::new("replay"), file.as_os_str()]);
    assert_eq!((outcome.code, outcome.out.lines().count()), (Some(0), 1), "{outcome:?}");
}

#[test]
fn a_malformed_server_is_a_mistake_of_usage_wherever_it_comes_from() {
    for text in ["", "http://x", "[::1", "x:0", "x:70000", "a b"] {
        let outcome = run(["--server", text, "now"]);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.err.contains("invalid NTP server"), "{}", outcome.err);
        assert!(outcome.err.contains("--server"), "{}", outcome.err);

        let output = command().env("PORTACODE_NTP_SERVER", text).arg("now").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let start = "error: environment variable PORTACODE_NTP_SERVER: invalid NTP server";
        assert!(said.starts_with(start), "{said}");
        assert!(run(["query", text]).code == Some(2));
    }
    let twice = run(["--server", "a", "query", "b"]);
    assert_eq!(twice.code, Some(2));
    assert!(twice.err.contains("name the server once"), "{}", twice.err);
}

#[test]
fn the_option_beats_the_environment_and_a_command_without_a_server_needs_neither() {
    let (_server, address) = server(|_| {});
    let with = |variable: &str, args: &[&str]| {
        let mut command = command();
        command.env("PORTACODE_NTP_SERVER", variable).args(args).output().unwrap()
    };
    assert!(with(&address, &["now"]).status.success());
    assert!(with("http://nonsense", &["now", "--server", &address]).status.success());
    assert!(with("http://nonsense", &["completions", "bash"]).status.success());
}

#[test]
fn values_out_of_range_are_explained() {
    let cases: [(&[&str], &str); 7] = [
        (&["now", "--timeout", "soon"], "write a length of time such as"),
        (&["now", "--format", "xml"], "possible values: iso, ms, ns, json"),
        (&["watch", "--interval", "0"], "must be more than 0"),
        (&["watch", "--poll", "1ms"], "outside 1 s to 1 day"),
        (&["record", "/dev/null", "--poll", "2h0"], "write a length of time such as"),
        (&["record", "x", "--answers", "y"], "--reads <TIME>"),
        (&["man", "nonsense"], "there is no command \"nonsense\""),
    ];
    for (args, message) in cases {
        let outcome = run(args);
        assert_eq!(outcome.code, Some(2), "{args:?}: {outcome:?}");
        assert!(outcome.err.contains(message), "{args:?}: {}", outcome.err);
    }
    assert_eq!(run::<&str>([]).code, Some(2));
}

/// Runs a command whose reader goes away after a few bytes.
fn read_a_little(args: &[&str], input: Option<&[u8]>) -> (Option<i32>, String) {
    let mut child = piped(command().args(args));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.unwrap_or_default().to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let mut few = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut few).unwrap();
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_closed_pipe_ends_every_command_quietly() {
    let (_server, address) = server(|_| {});
    let log = READ.repeat(200_000);
    let cases: [(&[&str], Option<&[u8]>); 4] = [
        (&["replay", "-"], Some(log.as_bytes())),
        (&["watch", "--interval", "1ms", "--server", &address], None),
        (&["record", "-", "--reads", "1ms", "--server", &address], None),
        (&["test-server", "--stdin"], Some(&b"stats\n".repeat(20_000))),
    ];
    for (args, input) in cases {
        assert_eq!(read_a_little(args, input), (Some(0), String::new()), "{args:?}");
    }
    // What prints once may be done before the pipe is closed, and must not mind if it is not.
    for args in [
        &["--help"] as &[&str],
        &["replay", "--help"],
        &["completions", "bash"],
        &["man"],
        &["status", "--json", "--server", &address],
        &["query", &address],
    ] {
        assert_eq!(read_a_little(args, None), (Some(0), String::new()), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_and_is_no_success() {
    let (_server, address) = server(|_| {});
    let recorded = run_with(&address, &["record", "/dev/full", "--duration", "5s"]);
    assert_eq!(recorded.code, Some(1), "{recorded:?}");
    assert!(recorded.err.contains("cannot write /dev/full: No space left"), "{}", recorded.err);

    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let log = path("one.read");
    std::fs::write(&log, READ).unwrap();
    let log = log.to_str().unwrap();
    for args in [&["replay", log] as &[&str], &["now", "--server", &address], &["man"]] {
        let output = command().args(args).stdout(full()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.starts_with("error: cannot write standard output: No space left"), "{said}");
    }
}

/// Any command's output into a file that may not grow any more.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_may_not_grow_any_more_is_an_error_and_no_death_by_a_signal() {
    let log = path("grown.log");
    std::fs::write(&log, READ.repeat(200)).unwrap();
    let log = log.to_str().unwrap();
    for args in [&["man"] as &[&str], &["completions", "bash"], &["--help"], &["replay", log]] {
        let script = "ulimit -f 1; exec \"$0\" \"$@\"";
        let output = std::process::Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_ntp-clock")])
            .args(args)
            .stdout(std::fs::File::create(path("grown.txt")).unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("File too large"), "{args:?}: {said}");
    }
}

/// A disk that fills up in the middle of a line.
#[cfg(target_os = "linux")]
#[test]
fn when_the_disk_fills_up_the_log_ends_with_its_last_whole_line() {
    let (_server, address) = server(|_| {});
    let log = path("limited.log");
    // The shell's limit is on the size of files, in blocks of 512 or 1024 bytes.
    let script = "ulimit -f 8; exec \"$0\" \"$@\"";
    let output = std::process::Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_ntp-clock")])
        .args(["--server", &address, "record", "--reads", "1ms"])
        .arg(&log)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write") && said.contains("File too large"), "{said}");
    let written = std::fs::read_to_string(&log).unwrap();
    assert!(written.len() > 3_000 && written.ends_with("}\n"), "{} bytes", written.len());
    assert_eq!(run([OsStr::new("replay"), log.as_os_str()]).code, Some(0));
}
