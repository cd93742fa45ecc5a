//! Tests that the documents about the architecture name files that exist, and what is in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::project::Project;

const FOLDER: &str = "docs/architecture";
const WHERE: &str = "docs/architecture/WHERE.md";

/// A row of the table: a question, files relative to the checkout, names that are in them.
struct Row {
    question: String,
    files: Vec<String>,
    names: Vec<String>,
}

fn rows(text: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        if !cells[0].ends_with('?') {
            continue;
        }
        let [question, files, names] = cells[..] else { panic!("three cells: {line}") };
        let links = files.split("](../../").skip(1).filter_map(|rest| rest.split(')').next());
        let names = names.split('`').skip(1).step_by(2);
        rows.push(Row {
            question: question.to_owned(),
            files: links.map(str::to_owned).collect(),
            names: names.map(str::to_owned).collect(),
        });
    }
    rows
}

#[test]
fn each_question_is_answered_by_files_that_exist_and_have_what_is_named() {
    let project = Project::here();
    let rows = rows(&fs::read_to_string(project.path(WHERE)).unwrap());
    assert!(rows.len() >= 40, "{} questions", rows.len());
    let mut missing = Vec::new();
    for Row { question, files, names } in rows {
        assert!(!files.is_empty(), "{question} names no file");
        let read = |file: &String| {
            fs::read_to_string(project.path(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
        };
        let texts: Vec<String> = files.iter().map(read).collect();
        for name in names.iter().filter(|name| !texts.iter().any(|text| has_word(text, name))) {
            missing.push(format!("{question} {name} is not in {}", files.join(", ")));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// The word, and not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[test]
fn every_file_that_the_architecture_names_exists() {
    let project = Project::here();
    let mut files = BTreeSet::new();
    for folder in
        ["crates", "deploy", "docs", "js", "portacode", "server", "tests", "tools", "xtask"]
    {
        collect(&project.path(folder), &mut files);
    }
    let (mut named, mut missing) = (0, Vec::new());
    for entry in fs::read_dir(project.path(FOLDER)).unwrap() {
        let page = entry.unwrap().path();
        let text = fs::read_to_string(&page).unwrap();
        for word in text.split('`').skip(1).step_by(2).filter(|word| is_file_name(word)) {
            let word = match word.split_once('/') {
                Some(("core" | "clock" | "server", rest)) => rest,
                _ => word,
            };
            let ending = format!("/{word}");
            if !files.iter().any(|file| file.ends_with(&ending)) {
                missing.push(format!("{}: there is no {word}", page.display()));
            }
            named += 1;
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(named > 200, "{named} files are named");
}

#[test]
fn each_crate_and_each_top_folder_has_a_readme_of_one_screen() {
    let project = Project::here();
    let tops = ["crates", "demos", "deploy", "docs", "fuzz", "js", "portacode", "server", "tests"];
    let mut folders: Vec<_> =
        tops.iter().chain(&["tools", "xtask"]).map(|top| project.path(top)).collect();
    for entry in fs::read_dir(project.path("crates")).unwrap() {
        folders
            .extend(Some(entry.unwrap().path()).filter(|path| path.join("Cargo.toml").is_file()));
    }
    assert!(folders.len() > 25, "{folders:?}");
    let list = fs::read_to_string(project.path("crates/README.md")).unwrap();
    for folder in folders {
        let readme = folder.join("README.md");
        let text =
            fs::read_to_string(&readme).unwrap_or_else(|e| panic!("{}: {e}", readme.display()));
        let lines = text.lines().count();
        assert!((3..=50).contains(&lines), "{} has {lines} lines", readme.display());
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let is_crate = folder.join("Cargo.toml").is_file() && name.starts_with("ntp-");
        assert!(!is_crate || list.contains(&format!("({name})")), "crates/README.md lacks {name}");
    }
}

#[test]
fn each_library_that_a_crate_needs_has_its_reason() {
    let project = Project::here();
    let reasons = fs::read_to_string(project.path("docs/architecture/LIBRARIES.md")).unwrap();
    let mut missing = BTreeSet::new();
    for entry in fs::read_dir(project.path("crates")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path().join("Cargo.toml")).unwrap_or_default();
        let manifest: toml::Table = text.parse().unwrap();
        let targets = manifest.get("target").and_then(toml::Value::as_table);
        let of_targets = targets.into_iter().flat_map(|all| all.values());
        let tables = std::iter::once(&manifest).chain(of_targets.filter_map(toml::Value::as_table));
        let needed = tables.filter_map(|table| table.get("dependencies")?.as_table());
        missing.extend(needed.flat_map(|table| table.keys()).filter_map(|name| {
            let ours = name.starts_with("ntp-");
            (!ours && !reasons.contains(&format!("`{name}`"))).then(|| name.clone())
        }));
    }
    assert!(missing.is_empty(), "{missing:?} have no reason in LIBRARIES.md");
}

/// Mermaid ends a statement at a semicolon and begins a comment at `#`: a diagram that has one in a
/// message is not drawn.
#[test]
fn no_diagram_has_a_sign_that_mermaid_reads_otherwise() {
    for entry in fs::read_dir(Project::here().path(FOLDER)).unwrap() {
        let page = entry.unwrap().path();
        let text = fs::read_to_string(&page).unwrap();
        for diagram in text.split("```mermaid").skip(1).filter_map(|rest| rest.split("```").next())
        {
            assert!(!diagram.contains([';', '#']), "{}: {diagram}", page.display());
        }
    }
}

fn is_file_name(word: &str) -> bool {
    let endings = [".rs", ".py", ".js", ".mjs", ".yml", ".html"];
    endings.iter().any(|ending| word.ends_with(ending)) && !word.contains([' ', '*'])
}

/// All files below a folder, apart from those that others made.
fn collect(folder: &Path, files: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if ["node_modules", "target", "__pycache__"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path.display().to_string());
        }
    }
}
