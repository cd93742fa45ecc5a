//! README.md explains whatever a clock may say. (Its examples, and those of the other documents, are
//! run by `tests/python/test_documents.py`.)

use ntp_clock_core::{Rejection, SyncState};

#[test]
fn the_readme_explains_every_state_and_rejection() {
    let readme = include_str!("../../README.md");
    let states = [
        SyncState::Unsynchronised,
        SyncState::Synchronised,
        SyncState::Holdover,
        SyncState::Failed,
    ];
    let names = states.map(SyncState::name).into_iter().chain(Rejection::NAMES);
    for name in names {
        let row = |line: &str| line.starts_with('|') && line.contains(&format!("`{name}`"));
        assert!(readme.lines().any(row), "README.md has no row for {name:?}");
    }
}
