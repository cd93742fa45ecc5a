//! What counts as an import.

use super::*;

/// A crate of these files, in a folder of the test's own; the circles in it.
fn circles(name: &str, files: &[(&str, &str)]) -> Vec<String> {
    let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
    for (file, text) in files {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let graph = read(&folder.join("lib.rs"), &folder).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(graph.files(), files.iter().filter(|(file, _)| *file != "tests.rs").count());
    graph.circles().iter().map(ToString::to_string).collect()
}

#[test]
fn two_files_that_use_each_other_are_a_circle_however_they_name_it() {
    let lib = "mod a;\nmod b;\n";
    let backs = [
        "use crate::a::A;",
        "use super::a::{A, Other};",
        "fn f(_: crate::a::A) {}",
        "fn f() { let _ = super::a::A; }",
        "fn f() { println!(\"{}\", crate::a::A); }",
        "#[error(\"{}\", crate::a::A)] struct E;",
        "macro_rules! m { () => { super::a::A }; }",
        "mod inner { use super::super::a::A; }",
        "use crate::A;",
        "use crate::a::*;",
        "#[cfg(any(not(unix), test))] use crate::a::A;",
    ];
    for back in backs {
        let lib = format!("{lib}pub use a::A;");
        let files =
            [("lib.rs", lib.as_str()), ("a.rs", "use crate::b::B; pub struct A;"), ("b.rs", back)];
        let circles = circles("two", &files);
        assert_eq!(circles.len(), 1, "{back}");
        assert!(circles[0].contains("a.rs: crate::b::B\n  b.rs: "), "{}", circles[0]);
    }
}

#[test]
fn a_circle_over_folders_and_names_passed_on_is_found() {
    let files = [
        ("lib.rs", "mod a; mod deep;"),
        ("a.rs", "use crate::deep::Name;"),
        ("deep/mod.rs", "mod below; pub(crate) use below::Name;"),
        ("deep/below.rs", "use crate::a::f; pub(crate) struct Name;"),
    ];
    let expected = "  a.rs: crate::deep::Name\n  deep/below.rs: crate::a::f\n  a.rs again";
    assert_eq!(circles("deep", &files), [expected]);
}

#[test]
fn one_way_a_facade_and_what_is_for_tests_are_no_circle() {
    let files = [
        ("lib.rs", "mod a; mod b; #[cfg(test)] mod tests; pub use a::A; pub use b::B;"),
        (
            "a.rs",
            "pub struct A; macro_rules! m { () => { pub(crate) struct C; } } use std::fmt; #[cfg(test)] mod tests { use crate::b::B; }",
        ),
        (
            "b.rs",
            "use crate::A; pub struct B; #[cfg(all(test, unix))] fn f() { crate::tests::f(); }",
        ),
        ("tests.rs", "use crate::{a, b}; pub(crate) fn f() {}"),
    ];
    assert_eq!(circles("facade", &files), [""; 0]);
}
