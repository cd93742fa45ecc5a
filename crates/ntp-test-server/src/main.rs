//! The `ntp-test-server` command.

#![forbid(unsafe_code)]

fn main() {}
