//! What the files of Python packages and of JavaScript modules import from one another.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use super::graph::Graph;
use crate::project::Project;

/// The Python files of a package in this folder, without its tests. Imports within functions count
/// too; those for types alone (`if TYPE_CHECKING:`) do not.
pub(super) fn python(folder: &Path, base: &Path) -> Result<Graph> {
    let files = files_of(folder, "py")?;
    let mut graph = Graph::default();
    for file in &files {
        graph.add_file(&shown(file, base));
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        for (module, names) in python_imports(&text) {
            let Some(at) = python_place(file, base, &module) else { continue };
            for target in python_targets(&at, &names, &files) {
                graph.add(&shown(file, base), &shown(&target, base), &format!("import {module}"));
            }
        }
    }
    Ok(graph)
}

/// The JavaScript modules in this folder.
pub(super) fn javascript(folder: &Path, base: &Path) -> Result<Graph> {
    let files = files_of(folder, "js")?;
    let mut graph = Graph::default();
    for file in &files {
        graph.add_file(&shown(file, base));
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        for import in javascript_imports(&text, &["."]) {
            let target = normal(&file.parent().unwrap_or(folder).join(&import));
            if files.contains(&target) {
                graph.add(&shown(file, base), &shown(&target, base), &format!("import '{import}'"));
            }
        }
    }
    Ok(graph)
}

/// What the Python files in these folders import from one another, relative to the checkout: each
/// file and one that it needs. Packages are in one of the bases.
pub(super) fn python_between(
    folders: &[&str],
    bases: &[PathBuf],
    project: &Project,
) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for folder in folders {
        files.extend(files_of(&project.path(folder), "py")?);
    }
    let root = project.path("");
    let mut found = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        for (module, names) in python_imports(&text) {
            for base in bases {
                let Some(at) = python_place(file, base, &module) else { continue };
                for target in python_targets(&at, &names, &files) {
                    found.push((shown(file, &root), shown(&target, &root)));
                }
            }
        }
    }
    Ok(found)
}

/// The modules in a folder, relative to the checkout, each with what it imports, as it is written:
/// relative ones, those that a server serves, and those that the build provides.
pub(super) fn javascript_imports_in(
    folder: &Path,
    project: &Project,
) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for file in files_of(folder, "js")? {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let from = shown(&file, &project.path(""));
        let imports = javascript_imports(&text, &[".", "/static/", "virtual:"]);
        found.extend(imports.into_iter().map(|import| (from.clone(), import)));
    }
    Ok(found)
}

/// The files with this extension in a folder, relative to the checkout, tests apart.
pub(super) fn files_in(folder: &str, extension: &str, project: &Project) -> Result<Vec<String>> {
    let files = files_of(&project.path(folder), extension)?;
    Ok(files.iter().map(|file| shown(file, &project.path(""))).collect())
}

/// The path that a relative import of this file means.
pub(super) fn beside(file: &str, import: &str) -> String {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    normal(&folder.join(import)).display().to_string()
}

/// Modules that a text imports, each with the names taken from it.
fn python_imports(text: &str) -> Vec<(String, Vec<String>)> {
    let mut imports = Vec::new();
    let mut lines = text.lines();
    // Indentation of the `if TYPE_CHECKING:` that a line is below of.
    let mut types: Option<usize> = None;
    let mut in_text = false;
    while let Some(line) = lines.next() {
        // Examples in docstrings import nothing.
        let was_in_text = in_text;
        in_text ^= line.matches("\"\"\"").count() % 2 == 1;
        if was_in_text {
            continue;
        }
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if types.is_some_and(|outer| indent > outer) || code.is_empty() {
            continue;
        }
        types = code.starts_with("if TYPE_CHECKING:").then_some(indent);
        if let Some(modules) = code.strip_prefix("import ") {
            let modules = modules.split(',').filter_map(|module| module.split_whitespace().next());
            imports.extend(modules.map(|module| (module.to_owned(), Vec::new())));
        } else if let Some((module, names)) =
            code.strip_prefix("from ").and_then(|rest| rest.split_once(" import "))
        {
            let mut names = names.to_owned();
            while names.contains('(') && !names.contains(')') {
                let Some(more) = lines.next() else { break };
                names.push_str(more.split('#').next().unwrap_or(more));
            }
            let names = names.split('#').next().unwrap_or("").replace(['(', ')'], " ");
            let names = names.split(',').filter_map(|name| name.split_whitespace().next());
            imports.push((module.trim().to_owned(), names.map(str::to_owned).collect()));
        }
    }
    imports
}

/// The files that an import of these names from the module at this place needs: `from package
/// import module` needs the module, `from module import name` the module.
fn python_targets(at: &Path, names: &[String], files: &[PathBuf]) -> Vec<PathBuf> {
    let inner = names.iter().map(|name| at.join(name));
    let targets = inner.chain([at.to_owned()]).filter_map(|place| {
        let candidates = [place.with_extension("py"), place.join("__init__.py")];
        candidates.into_iter().find(|candidate| files.contains(candidate))
    });
    targets.take(names.len().max(1)).collect()
}

/// Where a module would be: relative to the file (`.messages`), or to the folder of packages.
fn python_place(file: &Path, base: &Path, module: &str) -> Option<PathBuf> {
    let dots = module.len() - module.trim_start_matches('.').len();
    let start = match dots {
        0 => base,
        _ => file.ancestors().nth(dots)?,
    };
    let parts = module.trim_start_matches('.').split('.').filter(|part| !part.is_empty());
    Some(parts.fold(start.to_owned(), |place, part| place.join(part)))
}

/// The modules that a text imports, by statements and by calls, whose names begin in one of these
/// ways.
fn javascript_imports(text: &str, beginnings: &[&str]) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(['*', '/']))
        .flat_map(|line| [line, "\n"])
        .collect();
    let begins = ["from '", "from \"", "import '", "import \"", "import('", "import(\""];
    let is_ours = |path: &&str| beginnings.iter().any(|beginning| path.starts_with(beginning));
    let mut imports = Vec::new();
    for begin in begins {
        let mark = begin.chars().last().unwrap_or('\'');
        let parts = code.split(begin).skip(1).filter_map(|rest| rest.split(mark).next());
        imports.extend(parts.filter(is_ours).map(str::to_owned));
    }
    imports
}

/// The files with this extension in a folder and the folders in it, tests apart.
fn files_of(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if ["tests", "migrations", "node_modules"].contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

fn shown(path: &Path, base: &Path) -> String {
    path.strip_prefix(base).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_says_what_it_imports_types_apart() {
        let text = "\"\"\"What.\n\nfrom example import x\n\"\"\"\nfrom __future__ import annotations\nimport os, portacode.trace as t\n\
                    from . import messages\nfrom portacode.relay import (\n    limits,  # why\n    \
                    Asker as A,\n)\nif TYPE_CHECKING:\n    from .x import X\n\ndef f():\n    \
                    from .late import y\n";
        let imports = python_imports(text);
        let listed: Vec<_> = imports.iter().map(|(m, n)| format!("{m}: {}", n.join(" "))).collect();
        assert_eq!(
            listed,
            [
                "__future__: annotations",
                "os: ",
                "portacode.trace: ",
                ".: messages",
                "portacode.relay: limits Asker",
                ".late: y"
            ]
        );
    }

    #[test]
    fn javascript_says_what_it_imports() {
        let text = "// import './no.js'\nimport { a,\n  b } from './a.js';\nimport './b.js';\n\
                    export * from \"../c.js\";\nawait import('./d.js');\nimport 'node:fs';\n";
        let mut imports = javascript_imports(text, &["."]);
        imports.sort();
        assert_eq!(imports, ["../c.js", "./a.js", "./b.js", "./d.js"]);
    }

    #[test]
    fn circles_of_packages_and_of_modules_are_found() {
        let folder = std::env::temp_dir().join(format!("xtask-scripts-{}", std::process::id()));
        let write = |file: &str, text: &str| {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("p/__init__.py", "from .a import A\n");
        write("p/a.py", "from p import b\n");
        write("p/b.py", "from .c import C\n");
        write("p/c.py", "def f():\n    from .a import A\n");
        write("p/tests/test_a.py", "from p import a\n");
        write("js/a.js", "import { b } from './deep/b.js';\n");
        write("js/deep/b.js", "import '../a.js';\n");
        let packages = python(&folder.join("p"), &folder).unwrap();
        let modules = javascript(&folder.join("js"), &folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((packages.files(), modules.files()), (4, 2));
        let listed = packages.circles().iter().map(ToString::to_string).collect::<String>();
        assert!(listed.contains("p/a.py: import p\n  p/b.py: import .c\n  p/c.py: "), "{listed}");
        assert_eq!(modules.circles().len(), 1);
    }
}
