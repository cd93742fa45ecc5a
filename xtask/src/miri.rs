//! `cargo xtask miri`: the lock-free code in an interpreter that notices undefined behaviour.

use anyhow::Result;

use crate::command::nightly;

/// Runs the tests of the page, of pages that somebody damaged and of forking under many schedules; gives whether they passed.
pub(crate) fn run() -> Result<bool> {
    let mut command = nightly("miri", "rustup component add --toolchain nightly miri rust-src")?;
    command.args(["test", "--package", "ntp-clock", "--lib", "--", "page::", "fork::", "hostile"]);
    command.env("MIRIFLAGS", "-Zmiri-ignore-leaks -Zmiri-many-seeds=0..8");
    Ok(command.status()?.success())
}
