//! The diagram of dependencies in `docs/architecture/README.md`, compared with the imports.
//!
//! The diagram says itself which files each of its boxes has, so the document is all that is read
//! besides the code. Arrows that follow from others are not drawn.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail};

use super::{rust, scripts};
use crate::js;
use crate::project::Project;

/// Lines that say where the diagram and the code differ; none where they agree.
pub(super) fn differences(project: &Project) -> Result<Vec<String>> {
    let text = fs::read_to_string(project.path(DOCUMENT)).context(DOCUMENT)?;
    let drawn = Diagram::read(&text)?;
    let mut found = Vec::new();
    let imports = imports(project)?;
    let mut real = Arrows::new();
    for (from, to) in &imports {
        match (drawn.box_of(from), drawn.box_of(to)) {
            (Some(a), Some(b)) if a != b => {
                real.entry(a).or_default().entry(b).or_insert_with(|| format!("{from} needs {to}"));
            }
            (Some(_), Some(_)) => {}
            (a, _) => {
                let missing = if a.is_none() { from } else { to };
                found.push(format!("{missing} is in no box"));
            }
        }
    }
    for file in files(project)? {
        if drawn.box_of(&file).is_none() {
            found.push(format!("{file} is in no box"));
        }
    }
    if let Some(circle) = circle_in(&real) {
        found.push(format!("boxes that need one another: {}", circle.join(" -> ")));
        return Ok(found);
    }
    let needed = without_implied(&real);
    for (from, to) in drawn.arrows.difference(&needed) {
        found.push(format!("{from} --> {to} is drawn, and no import needs it or others imply it"));
    }
    for (from, to) in needed.difference(&drawn.arrows) {
        let why = real.get(from.as_str()).and_then(|to_all| to_all.get(to.as_str()));
        let why = why.map_or("", String::as_str);
        found.push(format!("{from} --> {to} is not drawn: {why}"));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// From box to box, with an import that needs the arrow.
type Arrows<'d> = BTreeMap<&'d str, BTreeMap<&'d str, String>>;

/// What a mermaid flowchart says: boxes `name["files"]`, arrows `name --> name`.
#[derive(Debug, Default)]
struct Diagram {
    /// By a path's beginning, the box that has what begins so.
    places: BTreeMap<String, String>,
    arrows: BTreeSet<(String, String)>,
}

impl Diagram {
    fn read(document: &str) -> Result<Self> {
        let Some(body) = document.split("```mermaid\nflowchart").nth(1) else {
            bail!("no flowchart");
        };
        let mut diagram = Diagram::default();
        let mut boxes = BTreeSet::new();
        for line in body.split("```").next().unwrap_or("").lines().map(str::trim) {
            if let Some((name, rest)) = line.split_once("[\"") {
                if name.starts_with("subgraph") {
                    continue;
                }
                let label = rest.trim_end_matches("\"]");
                boxes.insert(name.to_owned());
                for place in label.split("<br>").filter(|part| part.contains('/')) {
                    if diagram.places.insert(place.to_owned(), name.to_owned()).is_some() {
                        bail!("{place} is in two boxes");
                    }
                }
            } else if let Some((from, to)) = line.split_once(" --> ") {
                for from in from.split(" & ") {
                    for to in to.split(" & ") {
                        diagram.arrows.insert((from.to_owned(), to.to_owned()));
                    }
                }
            }
        }
        for name in diagram.arrows.iter().flat_map(|(from, to)| [from, to]) {
            if !boxes.contains(name) {
                bail!("there is an arrow to or from {name}, and no such box");
            }
        }
        Ok(diagram)
    }

    /// The box whose place is the longest beginning of this path. `*` ends a place within a name.
    fn box_of(&self, path: &str) -> Option<&str> {
        let has = |place: &str| match place.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path
                .strip_prefix(place)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        };
        let places = self.places.iter().filter(|(place, _)| has(place));
        places.max_by_key(|(place, _)| place.len()).map(|(_, name)| name.as_str())
    }
}

/// The crates that are not for tests alone, and all files of Python and JavaScript.
fn files(project: &Project) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for krate in crates(project)?.iter().filter(|krate| *krate != TESTS_ALONE) {
        files.push(format!("crates/{krate}/src"));
    }
    for folder in ["portacode", SERVER] {
        files.extend(scripts::files_in(folder, "py", project)?);
    }
    for (folder, _) in MODULES {
        files.extend(scripts::files_in(folder, "js", project)?);
    }
    Ok(files)
}

fn crates(project: &Project) -> Result<Vec<String>> {
    let mut crates = Vec::new();
    for entry in fs::read_dir(project.path("crates"))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            crates.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(crates)
}

/// All imports of one file from another that may be in another box.
fn imports(project: &Project) -> Result<BTreeSet<(String, String)>> {
    let mut all = BTreeSet::new();
    let crates = crates(project)?;
    for krate in &crates {
        let folder = project.path(format!("crates/{krate}/src"));
        let mut roots: Vec<_> = ["lib.rs", "main.rs"].map(|name| folder.join(name)).into();
        if let Ok(bins) = fs::read_dir(folder.join("bin")) {
            roots.extend(bins.flatten().map(|entry| entry.path()));
        }
        for root in roots.iter().filter(|root| root.is_file()) {
            let names = rust::first_names(root)?;
            for other in crates.iter().filter(|other| names.contains(&other.replace('-', "_"))) {
                all.insert((format!("crates/{krate}/src"), format!("crates/{other}/src")));
            }
        }
    }
    // The package is imported by its name, the server's packages by theirs.
    let bases = [project.path(""), project.path(SERVER)];
    all.extend(scripts::python_between(&["portacode", SERVER], &bases, project)?);
    for (folder, wasm) in MODULES {
        for (from, import) in scripts::javascript_imports_in(&project.path(folder), project)? {
            let Some(to) = javascript_place(project, &from, &import, wasm) else {
                bail!("{from} imports {import}, which is nowhere");
            };
            all.insert((from, to));
        }
    }
    Ok(all)
}

/// Where what a JavaScript file imports comes from: beside it, from where the server serves static
/// files, or built in by `js/build.mjs`. `None` where it is nowhere.
fn javascript_place(
    project: &Project,
    from: &str,
    import: &str,
    wasm: &Option<js::Wasm>,
) -> Option<String> {
    if let Some(built_in) = import.strip_prefix("virtual:") {
        return match (built_in, wasm) {
            ("ntp-clock", _) => Some(js::MODULE.to_owned()),
            (_, Some(wasm)) => Some(format!("crates/{}/src", wasm.package)),
            _ => None,
        };
    }
    let candidates = match import.strip_prefix("/static/") {
        Some(served) => STATIC.map(|folder| format!("{folder}/{served}")).to_vec(),
        None => {
            let beside = scripts::beside(from, import);
            let name = beside.rsplit('/').next().unwrap_or("").to_owned();
            // js/otel is built into that folder, beside the other modules.
            vec![beside, format!("{BUILT}/{name}")]
        }
    };
    candidates.into_iter().find(|path| project.path(path).is_file())
}

/// Without the arrows that others imply. There is no circle.
fn without_implied(arrows: &Arrows) -> BTreeSet<(String, String)> {
    let mut needed = BTreeSet::new();
    for (from, to_all) in arrows {
        for to in to_all.keys() {
            let others = to_all.keys().filter(|other| *other != to);
            if !others.into_iter().any(|other| reaches(arrows, other, to)) {
                needed.insert(((*from).to_owned(), (*to).to_owned()));
            }
        }
    }
    needed
}

fn reaches(arrows: &Arrows, from: &str, to: &str) -> bool {
    let (mut seen, mut todo) = (BTreeSet::new(), vec![from]);
    while let Some(at) = todo.pop() {
        for next in arrows.get(at).into_iter().flat_map(BTreeMap::keys) {
            if *next == to {
                return true;
            }
            if seen.insert(*next) {
                todo.push(next);
            }
        }
    }
    false
}

/// An arrow whose end leads back to its beginning, with the imports that need the arrows.
fn circle_in(arrows: &Arrows) -> Option<Vec<String>> {
    for (from, to_all) in arrows {
        for (to, why) in to_all {
            if reaches(arrows, to, from) {
                return Some(vec![(*from).to_owned(), format!("{to} ({why})"), "...".to_owned()]);
            }
        }
    }
    None
}

const DOCUMENT: &str = "docs/architecture/README.md";
const SERVER: &str = "server/portacode_django";
/// Its models include the clock's file; nothing imports it.
const TESTS_ALONE: &str = "ntp-clock-models";
const BUILT: &str = "portacode/static/js/utils";
/// Where the server finds what it serves under /static/.
const STATIC: [&str; 2] = ["portacode/static", "server/portacode_django/dashboard/static"];
/// Folders of JavaScript, and what `virtual:wasm` is there.
const MODULES: &[(&str, Option<js::Wasm>)] = &[
    ("js/src", Some(js::CLOCK)),
    ("js/order", Some(js::ORDER)),
    ("js/otel", Some(js::HISTORY)),
    ("js/page", None),
    ("portacode/static/js/utils", None),
    ("server/portacode_django/dashboard/static", None),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diagram_of_dependencies_is_that_of_the_imports() {
        let found = differences(&Project::here()).unwrap();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn a_diagram_says_which_files_a_box_has_and_an_implied_arrow_is_not_drawn() {
        let text = "x\n```mermaid\nflowchart TD\n  subgraph s[\"S\"]\n  a[\"A<br>one/a\"]\n  \
                    b[\"one/b<br>one/b_*\"]\n  c[\"two/c.py\"]\n  end\n  a --> b & c\n```\n";
        let diagram = Diagram::read(text).unwrap();
        assert_eq!(diagram.box_of("one/a/x.rs"), Some("a"));
        assert_eq!(diagram.box_of("one/b_more.py"), Some("b"));
        assert_eq!(diagram.box_of("one/abc"), None);
        assert_eq!(diagram.arrows.len(), 2);
        let to = |names: &[&'static str]| names.iter().map(|n| (*n, String::new())).collect();
        let arrows = Arrows::from([("a", to(&["b", "c"])), ("b", to(&["c"]))]);
        assert_eq!(circle_in(&arrows), None);
        let ab_bc = [("a", "b"), ("b", "c")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(without_implied(&arrows), BTreeSet::from(ab_bc));
        assert!(circle_in(&Arrows::from([("a", to(&["b"])), ("b", to(&["a"]))])).is_some());
        assert!(Diagram::read("```mermaid\nflowchart TD\na[\"x/a\"]\na --> b\n```").is_err());
        assert!(Diagram::read("```mermaid\nflowchart TD\na[\"x/a\"]\nb[\"x/a\"]\n```").is_err());
    }
}
