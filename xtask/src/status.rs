//! docs/STATUS.md explains whatever a clock may say, and README.md stays a page that one reads. (The
//! documents' examples are run by `tests/python/test_documents.py`.)

use ntp_clock_core::{Rejection, SyncState};

#[test]
fn the_document_of_the_status_explains_every_state_and_rejection() {
    let document = include_str!("../../docs/STATUS.md");
    let states = [
        SyncState::Unsynchronised,
        SyncState::Synchronised,
        SyncState::Holdover,
        SyncState::Failed,
    ];
    let names = states.map(SyncState::name).into_iter().chain(Rejection::NAMES);
    for name in names {
        let row = |line: &str| line.starts_with('|') && line.contains(&format!("`{name}`"));
        assert!(document.lines().any(row), "docs/STATUS.md has no row for {name:?}");
    }
}

#[test]
fn the_readme_has_at_most_130_lines() {
    let lines = include_str!("../../README.md").lines().count();
    assert!(lines <= 130, "README.md has {lines} lines: what is reference goes into docs/");
}
