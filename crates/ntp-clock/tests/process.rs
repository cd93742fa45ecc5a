//! What a clock's process goes through: the system has nothing to give, for a moment or for good;
//! everything is closed; it is forked behind everybody's back, stopped and let go on.
//!
//! Each test is a process of its own (this program once more), with one clock and no other threads
//! or files. Its calls to the system fail by the hand of strace.

mod common;
#[cfg(target_os = "linux")]
mod process_tests;

fn main() {
    #[cfg(target_os = "linux")]
    process_tests::main();
    #[cfg(not(target_os = "linux"))]
    println!("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
}
