//! The command's short form.

use std::process::Command;

#[test]
fn commit_wait_keeps_four_processes_in_order_and_without_it_the_checker_finds_violations() {
    let output = Command::new(env!("CARGO_BIN_EXE_ntp-clock-consistency"))
        .args(["--transactions", "2000", "--control", "2000", "--threads", "32", "--seed", "7"])
        .output()
        .expect("it starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");
    let found: Vec<&str> = printed.lines().filter(|line| line.contains(" violations, ")).collect();
    let [waited, control] = found[..] else { panic!("{printed}") };
    assert!(
        waited.starts_with("2000 transactions, ") && waited.contains(" 0 violations, "),
        "{printed}"
    );
    assert!(
        !control.contains(" 0 violations, ") && control.contains("gap between stamps -"),
        "{printed}"
    );
}
