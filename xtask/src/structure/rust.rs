//! What the files of a Rust crate import from one another.
//!
//! Paths are followed to the file that defines the name: a module that only passes a name on
//! (`pub use`) is not what is needed. What is compiled for tests alone does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, Meta, UseTree};

use super::graph::Graph;

/// The files that the crate with this root (`lib.rs`, `main.rs`) has, and their imports. They are
/// named relative to `base`.
pub(super) fn read(root: &Path, base: &Path) -> Result<Graph> {
    let mut krate = Crate::default();
    krate.load(root, &[], root.parent().unwrap_or(base))?;
    let mut graph = Graph::default();
    for file in krate.modules.values() {
        graph.add_file(&shown(&file.path, base));
    }
    for file in krate.modules.values() {
        for path in &file.paths {
            if let Some(to) = krate.definer(&file.module, path, DEPTH_MAX) {
                graph.add(&shown(&file.path, base), &shown(to, base), &path.join("::"));
            }
        }
    }
    Ok(graph)
}

/// The first names of all paths in the crate with this root, tests apart: among them the crates that
/// it needs.
pub(super) fn first_names(root: &Path) -> Result<BTreeSet<String>> {
    let mut krate = Crate::default();
    krate.load(root, &[], root.parent().unwrap_or(root))?;
    let paths = krate.modules.into_values().flat_map(|file| file.paths);
    Ok(paths.filter_map(|path| path.into_iter().next()).collect())
}

/// Modules by their path in the crate, those that are files.
#[derive(Debug, Default)]
struct Crate {
    modules: BTreeMap<Vec<String>, File>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    module: Vec<String>,
    /// Names that are defined here.
    defined: Vec<String>,
    /// Names that are imported here, and from where; `*` is everything.
    imported: Vec<(String, Vec<String>)>,
    /// All paths in the code that begin at the crate or at a module above, or that a `use` names.
    paths: Vec<Vec<String>>,
}

impl Crate {
    fn load(&mut self, path: &Path, module: &[String], folder: &Path) -> Result<()> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let parsed = syn::parse_file(&text).with_context(|| path.display().to_string())?;
        let mut reader = Reader {
            inside: Vec::new(),
            children: Vec::new(),
            file: File {
                path: path.to_owned(),
                module: module.to_vec(),
                defined: Vec::new(),
                imported: Vec::new(),
                paths: Vec::new(),
            },
        };
        reader.visit_file(&parsed);
        let Reader { file, children, .. } = reader;
        self.modules.insert(module.to_vec(), file);
        for (name, has_path) in children {
            if has_path {
                bail!("{}: mod {name} has a #[path], which is not followed", path.display());
            }
            let name = name.trim_start_matches("r#").to_owned();
            let inner = folder.join(&name);
            let flat = folder.join(format!("{name}.rs"));
            let file = if flat.is_file() { flat } else { inner.join("mod.rs") };
            self.load(&file, &[module, &[name]].concat(), &inner)?;
        }
        Ok(())
    }

    /// The file that defines what the path in this module means; `None` for what is not the
    /// crate's own.
    fn definer(&self, module: &[String], path: &[String], depth: usize) -> Option<&Path> {
        let (mut at, mut rest) = self.start(module, path)?;
        while let Some((name, after)) = rest.split_first() {
            let inner = [at.as_slice(), std::slice::from_ref(name)].concat();
            if !self.modules.contains_key(&inner) {
                break;
            }
            (at, rest) = (inner, after);
        }
        let file = self.modules.get(&at)?;
        let Some((name, after)) = rest.split_first() else { return Some(&file.path) };
        if depth == 0 || file.defined.contains(name) {
            return Some(&file.path);
        }
        let named = file.imported.iter().filter(|(as_name, _)| as_name == name);
        let passed_on = named
            .filter(|(_, from)| from.as_slice() != path)
            .find_map(|(_, from)| self.definer(&at, &[from, after].concat(), depth - 1));
        let globs = || {
            file.imported.iter().filter(|(as_name, _)| as_name == "*").find_map(|(_, from)| {
                let whole = self.start(&at, from).map(|(at, rest)| [&at[..], rest].concat())?;
                let source = self.modules.get(&whole).filter(|f| f.defined.contains(name))?;
                Some(source.path.as_path())
            })
        };
        passed_on.or_else(globs).or(Some(&file.path))
    }

    /// The module in which a path begins, and what follows.
    fn start<'p>(
        &self,
        module: &[String],
        path: &'p [String],
    ) -> Option<(Vec<String>, &'p [String])> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some((Vec::new(), rest)),
            "self" => Some((module.to_vec(), rest)),
            "super" => {
                let (mut above, mut rest) = (module.split_last()?.1.to_vec(), rest);
                while let Some(after) = rest.strip_prefix(&["super".to_owned()]) {
                    above.pop()?;
                    rest = after;
                }
                Some((above, rest))
            }
            // `use round::Round` in the module that has `mod round`.
            name => {
                let inner = [module, &[name.to_owned()]].concat();
                self.modules.contains_key(&inner).then_some((module.to_vec(), path))
            }
        }
    }
}

/// Collects what a file says.
struct Reader {
    file: File,
    /// Modules written within the file, in which the code stands.
    inside: Vec<String>,
    /// Modules in files of their own, and whether they say where.
    children: Vec<(String, bool)>,
}

impl Reader {
    /// Notes a path; within modules in the file `super` may still be the file.
    fn note(&mut self, mut path: Vec<String>) {
        let supers = path.iter().take_while(|part| *part == "super").count();
        let within = supers.min(self.inside.len());
        path.drain(..within);
        if !path.is_empty() {
            self.file.paths.push(path);
        }
    }

    fn use_tree(&mut self, tree: &UseTree, before: &[String]) {
        let joined = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.use_tree(&path.tree, &joined(&path.ident)),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.use_tree(tree, before));
            }
            UseTree::Name(name) if name.ident == "self" => {
                self.import(before.last().cloned().unwrap_or_default(), before.to_vec());
            }
            UseTree::Name(name) => self.import(name.ident.to_string(), joined(&name.ident)),
            UseTree::Rename(rename) => {
                self.import(rename.rename.to_string(), joined(&rename.ident))
            }
            UseTree::Glob(_) => self.import("*".to_owned(), before.to_vec()),
            #[allow(unreachable_patterns)]
            _ => {}
        }
    }

    fn import(&mut self, name: String, from: Vec<String>) {
        if self.inside.is_empty() {
            self.file.imported.push((name, from.clone()));
        }
        self.note(from);
    }

    /// Paths in a macro's arguments, which are no code yet.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        let flush = |path: &mut Vec<String>, reader: &mut Self| {
            // Alone it is a visibility: `pub(crate)`.
            let begins = path.first().is_some_and(|first| BEGINNINGS.contains(&first.as_str()));
            if begins && path.len() > 1 {
                reader.note(std::mem::take(path));
            }
            path.clear();
        };
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        flush(&mut path, self);
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    flush(&mut path, self);
                    colons = 0;
                    self.tokens(group.stream());
                }
                _ => {
                    flush(&mut path, self);
                    colons = 0;
                }
            }
        }
        flush(&mut path, self);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(attributes_of(item)) {
            return;
        }
        if self.inside.is_empty() {
            self.file.defined.extend(name_of(item));
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let name = module.ident.to_string();
        let Some((_, items)) = &module.content else {
            let has_path = module.attrs.iter().any(|attribute| attribute.path().is_ident("path"));
            self.children.push((name, has_path));
            return;
        };
        self.inside.push(name);
        items.iter().for_each(|item| self.visit_item(item));
        self.inside.pop();
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        self.use_tree(&import.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        // Longer ones may begin at a module below.
        if parts.len() > 1 {
            self.note(parts);
        }
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }
}

/// Whether something is compiled for tests alone.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args::<Meta>().is_ok_and(|condition| may_hold(&condition) == Some(false))
        }
        _ => false,
    })
}

/// Whether a condition holds where no tests are compiled; `None` where that depends on more.
fn may_hold(condition: &Meta) -> Option<bool> {
    match condition {
        Meta::Path(path) if path.is_ident("test") => Some(false),
        Meta::List(list) => {
            let parse = syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated;
            let parts = list.parse_args_with(parse).ok()?;
            let mut held = parts.iter().map(may_hold);
            match list.path.get_ident()?.to_string().as_str() {
                "not" => held.next()?.map(|holds| !holds),
                "all" if held.clone().any(|holds| holds == Some(false)) => Some(false),
                "any" if held.clone().all(|holds| holds == Some(false)) => Some(false),
                _ => None,
            }
        }
        _ => None,
    }
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Mod(item) if item.content.is_some() => &item.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn shown(path: &Path, base: &Path) -> String {
    path.strip_prefix(base).unwrap_or(path).display().to_string()
}

const BEGINNINGS: [&str; 3] = ["crate", "super", "self"];
/// How often a name may be passed on.
const DEPTH_MAX: usize = 8;

#[cfg(test)]
mod tests;
