//! Programs in C, C++ and Go, built with the library as it is installed, against a real server.

#![cfg(unix)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::{library, output, tool};
use ntp_test_server::TestServer;

#[test]
fn every_function_has_an_example_in_the_header_and_every_example_runs() {
    let Some(cc) = tool("gcc", "gcc") else { return };
    let header = fs::read_to_string(library().include().join("ntp_clock.h")).expect("the header");
    let examples = examples(&header);
    for function in common::functions(&header) {
        let call = format!("{function}(");
        assert!(examples.iter().any(|text| text.contains(&call)), "no example has {function}()");
    }
    let source = tmp("header_examples.c");
    fs::write(&source, program_of(&examples)).expect("writable");
    let program = built(Command::new(cc).args(STRICT).arg("-std=c99").arg(&source), &source);
    let server = server();
    let printed = output(Command::new(program).arg(server.addr().to_string()));
    assert!(printed.ends_with("all examples ran\n"), "{printed}");
}

#[test]
fn the_promises_of_the_header_hold_and_no_memory_is_lost_or_misused() {
    let Some(program) = contract() else { return };
    let server = server();
    let (answers, silent) = (server.addr().to_string(), nobody());
    let printed = output(Command::new(program).args([answers, silent]));
    assert!(printed.ends_with("all promises kept\n"), "{printed}");
}

#[cfg(target_os = "linux")]
#[test]
fn processes_in_c_share_one_clock_that_one_of_them_synchronises() {
    let Some(program) = contract() else { return };
    let server = server();
    // Short, for the name of a socket is in it.
    let directory = std::env::temp_dir().join(format!("ntp-clock-c-{}", std::process::id()));
    let mut shared = Command::new(program);
    shared.arg("shared").arg(server.addr().to_string()).arg(&directory);
    // What a clock that joins others replaces is left for readers that may still look at it.
    let printed = output(shared.env("ASAN_OPTIONS", "detect_leaks=0"));
    assert!(printed.ends_with("all promises kept\n"), "{printed}");
    fs::remove_dir_all(directory).expect("ours");
}

#[test]
fn a_program_that_has_the_library_in_it_runs_without_the_shared_one() {
    let Some(cc) = tool("gcc", "gcc") else { return };
    let (source, program) = (example("now.c"), tmp("now_static"));
    let mut gcc = Command::new(cc);
    gcc.args(STRICT).arg("-std=c99").arg(&source).args(pkg_config(&["--cflags"]));
    gcc.arg(library().lib().join("libntp_clock.a"));
    // What the static library needs: all that is not the library itself.
    let needs = pkg_config(&["--static", "--libs"]);
    gcc.args(needs.iter().filter(|word| !word.starts_with("-L") && *word != "-lntp_clock"));
    output(gcc.arg("-o").arg(&program));
    let server = server();
    let printed = at_last(Command::new(program).arg(server.addr().to_string()));
    assert!(printed.contains("off by at most"), "{printed}");
}

#[test]
fn the_example_in_c_prints_the_time_and_its_status_or_why_there_is_none() {
    let Some(cc) = tool("gcc", "gcc") else { return };
    let source = example("now.c");
    let mut gcc = Command::new(cc);
    let program = built(gcc.args(STRICT).arg("-std=c99").arg(&source), &source);
    let server = server();
    let printed = at_last(Command::new(&program).arg(server.addr().to_string()));
    assert!(
        printed.contains("off by at most") && printed.contains("\"is_synced\":true"),
        "{printed}"
    );
    let refused = Command::new(&program).arg("no server").output().expect("runs");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && words.contains("\"no server\""), "{words}");
}

#[test]
fn the_program_in_the_guide_prints_the_time() {
    let Some(cc) = tool("gcc", "gcc") else { return };
    let guide = include_str!("../../../docs/INTEGRATION.md");
    let block = guide.split("```c file=shop.c\n").nth(1).and_then(|rest| rest.split("```").next());
    let source = tmp("shop.c");
    fs::write(&source, block.expect("the guide has it")).expect("writable");
    let mut gcc = Command::new(cc);
    let program = built(gcc.args(STRICT).arg("-std=c99").arg(&source), &source);
    let server = server();
    let address = server.addr().to_string();
    let printed = at_last(Command::new(&program).env("PORTACODE_NTP_SERVER", address));
    assert!(printed.starts_with("ordered at "), "{printed}");
}

#[test]
fn the_example_in_cpp_commits_in_order() {
    let Some(cxx) = tool("g++", "g++") else { return };
    let source = example("commit.cpp");
    let mut gxx = Command::new(cxx);
    let program = built(gxx.args(STRICT).arg("-std=c++11").arg(&source), &source);
    let server = server();
    let printed = at_last(Command::new(program).arg(server.addr().to_string()));
    assert!(printed.contains(" is before "), "{printed}");
}

#[test]
fn the_example_in_go_prints_the_time() {
    let Some(go) = tool("go", "golang-go") else { return };
    let program = tmp("now_go");
    let mut build = Command::new(go);
    build.current_dir(example("go")).args(["build", "-o"]).arg(&program).arg(".");
    build.env("PKG_CONFIG_PATH", library().pkg_config_path()).env("GOFLAGS", "");
    // Nothing outside of cargo's folder is written.
    build.env("GOCACHE", tmp("go-cache")).env("GOPATH", tmp("go-path"));
    build.env("CGO_LDFLAGS", format!("-Wl,-rpath,{}", library().lib().display()));
    output(&mut build);
    let server = server();
    let printed = at_last(Command::new(program).arg(server.addr().to_string()));
    assert!(printed.contains("off by at most"), "{printed}");
}

/// What an example prints that succeeds: it has seconds for its first reply, for which a busy machine
/// may take longer.
fn at_last(command: &mut Command) -> String {
    let begun = Instant::now();
    loop {
        let output = command.output().expect("runs");
        if output.status.success() {
            return String::from_utf8(output.stdout).expect("UTF-8");
        }
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(begun.elapsed() < LIMIT, "{command:?}: {}\n{words}", output.status);
    }
}

/// Builds with what pkg-config says of the library; the program is beside other temporary files,
/// named as `named` is.
fn built(compiler: &mut Command, named: &Path) -> PathBuf {
    let name = named.file_name().expect("a file").to_string_lossy().replace('.', "_");
    let program = tmp(&name);
    compiler.args(pkg_config(&["--cflags", "--libs"]));
    compiler.arg(format!("-Wl,-rpath,{}", library().lib().display()));
    output(compiler.arg("-o").arg(&program));
    program
}

fn pkg_config(args: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.args(args).arg("ntp-clock").env("PKG_CONFIG_PATH", library().pkg_config_path());
    output(&mut command).split_whitespace().map(str::to_owned).collect()
}

/// The code in the header's comments.
fn examples(header: &str) -> Vec<String> {
    let blocks = header.split(" * ```c\n").skip(1).filter_map(|rest| rest.split(" * ```\n").next());
    let code = |line: &str| line.strip_prefix(" *").unwrap_or(line).to_owned();
    blocks.map(|block| block.lines().map(code).collect::<Vec<_>>().join("\n")).collect()
}

/// A program that runs them all, each in a function of its own, with a clock that is synchronised.
fn program_of(examples: &[String]) -> String {
    let mut text = PRELUDE.to_owned();
    for (number, example) in examples.iter().enumerate() {
        let opening =
            format!("static void example_{number}(ntp_clock_t *clock) {{\n(void)clock;\n");
        text.push_str(&format!("{opening}{example}\n}}\n\n"));
    }
    let calls: String = (0..examples.len()).map(|n| format!("    example_{n}(clock);\n")).collect();
    text + &MAIN.replace("@CALLS@", &calls)
}

fn server() -> TestServer {
    TestServer::builder().seed(7).spawn().expect("loopback")
}

/// An address at which nobody listens: it refuses.
fn nobody() -> String {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.local_addr().expect("bound").to_string()
}

/// The program that tries the promises, with sanitizers; built once.
fn contract() -> Option<PathBuf> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let cc = tool("gcc", "gcc")?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/contract.c");
        let mut gcc = Command::new(cc);
        gcc.args(STRICT).args(["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-pthread", "-g"]);
        gcc.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]).arg(source);
        Some(built(&mut gcc, &tmp("contract")))
    });
    program.clone()
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn tmp(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

const LIMIT: Duration = Duration::from_secs(60);
const STRICT: &[&str] = &["-Wall", "-Wextra", "-pedantic", "-Werror"];
const PRELUDE: &str = r#"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ntp_clock.h>
#define CHECK(what) do { if (!(what)) { fprintf(stderr, "not so: %s\n", #what); abort(); } } while (0)

"#;
const MAIN: &str = r#"
int main(int argc, char **argv) {
    ntp_clock_options_t options = NTP_CLOCK_OPTIONS_INIT;
    options.server = argc > 1 ? argv[1] : "";
    ntp_clock_t *clock;
    CHECK(ntp_clock_open(&options, &clock, NULL) == NTP_CLOCK_OK);
    CHECK(ntp_clock_wait_synced(clock, 60 * NTP_CLOCK_SECOND) == NTP_CLOCK_OK);
@CALLS@    ntp_clock_close(clock);
    puts("all examples ran");
    return 0;
}
"#;
