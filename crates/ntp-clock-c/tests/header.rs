//! The header is made of the sources, and says what the library has.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::library;

/// Written where `NTP_CLOCK_WRITE_HEADER` is set, as `cargo xtask c-library --header` does.
#[test]
fn the_header_is_that_of_these_sources() {
    let made = made();
    let file = manifest("include/ntp_clock.h");
    if std::env::var_os("NTP_CLOCK_WRITE_HEADER").is_some() {
        fs::write(&file, &made).expect("writable");
    }
    let kept = fs::read_to_string(&file).expect("the header");
    assert!(kept == made, "include/ntp_clock.h is stale: cargo xtask c-library --header");
}

#[test]
fn the_library_exports_the_functions_of_the_header_and_no_others() {
    let header = fs::read_to_string(library().include().join("ntp_clock.h")).expect("the header");
    let declared = common::functions(&header);
    assert!(declared.len() > 15, "{declared:?}");
    let Some(nm) = common::tool("nm", "binutils") else { return };
    let args = ["-D", "--defined-only", "--format=posix"];
    let shown = common::output(Command::new(nm).args(args).arg(library().shared()));
    let exported: BTreeSet<&str> =
        shown.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(declared, exported);
}

fn made() -> String {
    let mut config = cbindgen::Config::from_file(manifest("cbindgen.toml")).expect("its settings");
    let version = env!("CARGO_PKG_VERSION");
    let numbers: Vec<&str> = version.split('.').collect();
    let [major, minor, patch] = numbers[..] else { panic!("{version} has three numbers") };
    config.header = config.header.map(|text| text.trim().to_owned());
    config.after_includes = config.after_includes.map(|text| {
        text.replace("@VERSION@", version)
            .replace("@MAJOR@", major)
            .replace("@MINOR@", minor)
            .replace("@PATCH@", patch)
    });
    let mut builder = cbindgen::Builder::new().with_config(config);
    // In the order in which one reads it.
    for name in ["result", "handle", "options", "reading", "sync", "true_time", "status", "text"] {
        builder = builder.with_src(manifest(&format!("src/{name}.rs")));
    }
    let mut bytes = Vec::new();
    builder.generate().expect("bindings").write(&mut bytes);
    String::from_utf8(bytes).expect("UTF-8")
}

fn manifest(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}
