//! Tests that no text of the project has a phrase that CONTRIBUTING.md replaces by a plain one.

use std::fs;
use std::path::Path;

use crate::command::answer;
use crate::project::Project;

#[test]
fn no_text_has_a_phrase_that_contributing_replaces() {
    let project = Project::here();
    let table = fs::read_to_string(project.path(TABLE)).unwrap();
    let avoided: Vec<&str> = avoided(&table).collect();
    assert!(avoided.len() >= 10, "{avoided:?}");
    let root = project.path("");
    let files = answer("git", &["-C", &root.to_string_lossy(), "ls-files"]).expect("git ls-files");
    let mut found = Vec::new();
    for file in files.lines().filter(|file| is_read(file)) {
        let text = fs::read_to_string(project.path(file)).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            for phrase in avoided.iter().filter(|phrase| has_phrase(line, phrase)) {
                found.push(format!("{file}:{}: {phrase:?}", number + 1));
            }
        }
    }
    assert!(
        found.is_empty(),
        "{TABLE} says what to write instead (\"Words\"):\n{}",
        found.join("\n")
    );
}

const TABLE: &str = "CONTRIBUTING.md";

/// What stands in backticks in the first column of the table below "## Words".
fn avoided(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split("\n## ").find(|section| section.starts_with("Words")).unwrap_or("");
    let firsts = words.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    firsts.flat_map(|first| first.split('`').skip(1).step_by(2))
}

/// The table itself, what others made or wrote, and what stays as it is: logs and vectors.
fn is_read(file: &str) -> bool {
    let endings =
        ["css", "html", "js", "md", "mjs", "cjs", "py", "pyi", "rs", "toml", "ts", "txt", "yml"];
    let ending =
        Path::new(file).extension().is_some_and(|ending| endings.iter().any(|e| ending == *e));
    let left = [
        TABLE,
        "xtask/src/words.rs",
        "portacode/static/js/test-ntp-clock.html",
        "portacode/static/js/utils/ntp-clock.js",
        "portacode/static/js/utils/order.js",
        "portacode/static/js/utils/otel.js",
        "docs/proposals/",
    ];
    ending && !left.iter().any(|start| file.starts_with(start))
}

/// Whether the phrase is there as whole words, in capitals or not; parts of a name count as words.
fn has_phrase(line: &str, phrase: &str) -> bool {
    let line = line.to_lowercase();
    line.match_indices(phrase).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + phrase.len()..].chars().next();
        !before.is_some_and(char::is_alphabetic) && !after.is_some_and(char::is_alphabetic)
    })
}

#[test]
fn a_phrase_is_found_in_prose_and_in_names_and_not_in_longer_words() {
    for line in ["It was Told.", "let told = 1;", "fn is_told_apart()"] {
        assert!(has_phrase(line, "told"), "{line}");
    }
    assert!(!has_phrase("tolderol, untold", "told"));
    let table =
        "\n## Words\n\n| not | but |\n|---|---|\n| `told`, `anew` | reported |\n## Next\n| `a` |";
    assert_eq!(avoided(table).collect::<Vec<_>>(), ["told", "anew"]);
}
