//! What the linker is to know of the shared library.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let of = |name: &str| env::var(name).unwrap_or_default();
    let major = of("CARGO_PKG_VERSION_MAJOR");
    let args: &[String] = match of("CARGO_CFG_TARGET_OS").as_str() {
        // Its threads may still run when a program wants to unload it.
        "linux" => &[format!("-Wl,-soname,libntp_clock.so.{major}"), "-Wl,-z,nodelete".to_owned()],
        "macos" => &[format!("-Wl,-install_name,@rpath/libntp_clock.{major}.dylib")],
        _ => &[],
    };
    for arg in args {
        println!("cargo::rustc-cdylib-link-arg={arg}");
    }
}
