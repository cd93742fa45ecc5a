//! Keeps `docs/messages/CRATE.txt` up to date: every text that a crate can show to somebody, in the
//! order of its code, so that the messages of one component can be read in one go.
//!
//! A text of at least two words counts, whether it ends in an error, a log line, help or a page. So
//! no message is missed because it is made in another way. `tests/python/test_messages.py` and
//! `js/test/messages.test.mjs` do the same for the other languages.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::project::Project;

#[test]
fn the_lists_of_messages_are_those_of_the_code() {
    let project = Project::here();
    let mut changed = Vec::new();
    for (name, source) in COMPONENTS {
        let mut text = format!("Messages of {source}. A test writes this file from the code.\n");
        for file in rust_files(&project.path(source)) {
            let messages = messages_of(&fs::read_to_string(&file).unwrap());
            if messages.is_empty() {
                continue;
            }
            writeln!(text, "\n{}", project.shown(&file)).unwrap();
            for message in messages {
                writeln!(text, "    {}", message.trim_end().replace('\n', "\n    ")).unwrap();
            }
        }
        let list = project.path(format!("docs/messages/{name}.txt"));
        let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n";
        if fs::read_to_string(&list).unwrap_or_default() != text {
            fs::create_dir_all(list.parent().unwrap()).unwrap();
            fs::write(&list, text).unwrap();
            changed.push(project.shown(&list).to_string());
        }
    }
    assert!(
        changed.is_empty(),
        "{} written again: read what changed in them, and commit them with the code",
        changed.join(", ")
    );
}

/// The name of a list, and where its messages are.
const COMPONENTS: &[(&str, &str)] = &[
    ("ntp-clock", "crates/ntp-clock/src"),
    ("ntp-clock-c", "crates/ntp-clock-c/src"),
    ("ntp-clock-cli", "crates/ntp-clock-cli/src"),
    ("ntp-clock-core", "crates/ntp-clock-core/src"),
    ("ntp-clock-nts", "crates/ntp-clock-nts/src"),
    ("ntp-clock-opentelemetry", "crates/ntp-clock-opentelemetry/src"),
    ("ntp-clock-order", "crates/ntp-clock-order/src"),
    ("ntp-clock-python", "crates/ntp-clock-python/src"),
    ("ntp-clock-relay", "crates/ntp-clock-relay/src"),
    ("ntp-clock-sim", "crates/ntp-clock-sim/src"),
    ("ntp-clock-wasm", "crates/ntp-clock-wasm/src"),
    ("ntp-test-server", "crates/ntp-test-server/src"),
    ("xtask", "xtask/src"),
];

/// The Rust files below a folder in order, apart from those of tests.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_stem().is_some_and(|name| !is_of_tests(&name.to_string_lossy())))
        .collect();
    entries.sort();
    let (folders, files): (Vec<_>, Vec<_>) = entries.into_iter().partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
    files.chain(folders.iter().flat_map(|folder| rust_files(folder))).collect()
}

fn is_of_tests(name: &str) -> bool {
    name == "tests" || name.ends_with("_tests")
}

/// The texts of two words or more, without what only tests are compiled with. Documentation counts
/// where clap makes help of it.
fn messages_of(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(code.parse().expect("Rust"), code.contains("use clap::"), &mut found);
    found
}

fn collect(tokens: TokenStream, with_help: bool, found: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                if let Some(TokenTree::Punct(inner)) = tokens.peek()
                    && inner.as_char() == '!'
                {
                    tokens.next();
                }
                let Some(TokenTree::Group(attribute)) = tokens.next() else { continue };
                let text = attribute.stream().to_string().replace(' ', "");
                match text.split(['(', '=']).next().unwrap_or_default() {
                    "test" => skip_item(&mut tokens),
                    "cfg" if text == "cfg(test)" => skip_item(&mut tokens),
                    "error" | "arg" | "command" => collect(attribute.stream(), with_help, found),
                    "doc" if with_help => collect(attribute.stream(), with_help, found),
                    _ => {}
                }
            }
            TokenTree::Group(group) => collect(group.stream(), with_help, found),
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string())
                    && has_words(&text.value())
                {
                    found.push(text.value().trim().to_owned());
                }
            }
            _ => {}
        }
    }
}

/// An item ends with its block or with a semicolon; attributes before it are part of it.
fn skip_item(tokens: &mut impl Iterator<Item = TokenTree>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            TokenTree::Punct(mark) if mark.as_char() == ';' => return,
            _ => {}
        }
    }
}

fn has_words(text: &str) -> bool {
    let is_word = |word: &&str| word.chars().filter(|c| c.is_alphabetic()).count() > 1;
    text.split_whitespace().filter(is_word).count() > 1
}

#[test]
fn tests_and_documentation_are_no_messages_and_attributes_of_errors_are() {
    let code = r#"
        //! Not this one.
        /// Nor this one.
        #[error("cannot read {path}: {source}")]
        struct A;
        #[cfg(test)]
        #[derive(Debug)]
        mod tests { const B: &str = "of a test"; }
        #[cfg(test)]
        mod more_tests;
        fn c() { bail!("no server: {}", "one") }
    "#;
    assert_eq!(messages_of(code), ["cannot read {path}: {source}", "no server: {}"]);
}
