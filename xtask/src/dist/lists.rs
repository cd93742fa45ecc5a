//! What packages would contain, looked at before they are built: cheap enough for every test run.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::archive::members;
use super::build::below;
use super::contents::{CRATE, NPM, Rules, SDIST, WHEEL};
use super::crates::{metadata, publishable};
use crate::command::{Job, answer_of, cargo};
use crate::python::Venv;

/// The faults of all packages' lists of files and of what they say about themselves, one a line.
/// Wheels are looked at that were built already, into a folder.
pub(crate) fn faults(job: &Job, python: &Venv, wheels: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    crates(job, &mut faults)?;
    npm(job, &mut faults)?;
    sdist(job, python, &mut faults)?;
    for wheel in archives(wheels, "whl")? {
        archive(&wheel, &WHEEL, 0, &mut faults)?;
    }
    Ok(faults)
}

fn crates(job: &Job, faults: &mut Vec<String>) -> Result<()> {
    let packages = metadata(job)?;
    for package in publishable(&packages) {
        let name = package["name"].as_str().context("a package without a name")?;
        let mut command = cargo(&["package", "--list", "--allow-dirty", "--quiet"]);
        command.args(["--package", name]).current_dir(job.project().path(""));
        let files = answer_of(job, &mut command)?;
        add(name, &CRATE, files.lines(), faults);
        for field in ["description", "license", "rust_version"] {
            if package[field].is_null() {
                faults.push(format!("{name}: Cargo.toml has no {field}"));
            }
        }
        for field in ["keywords", "categories"] {
            if package[field].as_array().is_none_or(Vec::is_empty) {
                faults.push(format!("{name}: Cargo.toml has no {field}"));
            }
        }
        for field in ["repository", "homepage", "documentation"] {
            address(name, "Cargo.toml", field, &package[field], faults);
        }
        let readme = job.project().path(format!("crates/{name}/README.md"));
        links(name, &fs::read_to_string(readme)?, files.lines(), faults);
    }
    Ok(())
}

fn npm(job: &Job, faults: &mut Vec<String>) -> Result<()> {
    // Packing writes js/dist, and other tests pack at the same time: in a copy, then.
    let copy = job.project().work("npm-list");
    for part in NPM_IS_MADE_OF {
        copy_into(&job.project().path(part), &copy.join(part))?;
    }
    let mut command = Command::new("npm");
    command.args(["pack", "./js", "--dry-run", "--json", "--silent"]).current_dir(copy);
    let listed = answer_of(job, &mut command)?;
    // What its scripts print may stand before it.
    let json = listed.find("[\n").map_or(listed.as_str(), |start| &listed[start..]);
    let listed: Value = serde_json::from_str(json).context("npm pack wrote no JSON")?;
    let files = listed[0]["files"].as_array().context("npm pack names no files")?;
    let files = || files.iter().filter_map(|file| file["path"].as_str());
    add("npm", &NPM, files(), faults);
    let manifest: Value =
        serde_json::from_str(&fs::read_to_string(job.project().path("js/package.json"))?)?;
    for field in ["repository", "homepage", "bugs"] {
        address("npm", "package.json", field, &manifest[field], faults);
    }
    let readme = fs::read_to_string(job.project().path("js/README.md"))?;
    links("npm", &readme, files(), faults);
    Ok(())
}

fn sdist(job: &Job, python: &Venv, faults: &mut Vec<String>) -> Result<()> {
    let folder = job.project().work("sdist");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    job.must(python.maturin(job.project(), &["sdist", "--out"]).arg(&folder))?;
    for sdist in archives(&folder, "gz")? {
        archive(&sdist, &SDIST, 1, faults)?;
    }
    Ok(())
}

/// An archive of Python's: its files, and what its metadata says.
fn archive(archive: &Path, rules: &Rules, folders: usize, faults: &mut Vec<String>) -> Result<()> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    let members = members(archive)?;
    let files = || members.iter().map(|member| below(member, folders));
    add(&name, rules, files(), faults);
    let about = members
        .iter()
        .find(|member| member.path.ends_with("/METADATA") || member.path.ends_with("/PKG-INFO"))
        .with_context(|| format!("{name} has no metadata"))?;
    let about = String::from_utf8_lossy(&about.bytes);
    let (fields, description) = about.split_once("\n\n").unwrap_or((&about, ""));
    for line in fields.lines() {
        if ["Project-URL:", "Home-page:", "Download-URL:"].iter().any(|url| line.starts_with(url)) {
            faults.push(format!("{name}: {line}, an address that does not exist"));
        }
    }
    // On a page about the package there are no files beside it.
    links(&name, description, [], faults);
    Ok(())
}

fn add<'a>(
    name: &str,
    rules: &Rules,
    files: impl IntoIterator<Item = &'a str>,
    faults: &mut Vec<String>,
) {
    faults.extend(rules.faults(files).iter().map(|fault| format!("{name}: {fault}")));
}

/// Of no forge, no site: packages name an address once there is one.
fn address(name: &str, file: &str, field: &str, value: &Value, faults: &mut Vec<String>) {
    if !value.is_null() {
        faults
            .push(format!("{name}: {file} has {field} = {value}, an address that does not exist"));
    }
}

/// Links in Markdown to files that the package does not have.
fn links<'a>(
    name: &str,
    markdown: &str,
    files: impl IntoIterator<Item = &'a str>,
    faults: &mut Vec<String>,
) {
    let files: BTreeSet<&str> = files.into_iter().collect();
    for link in markdown.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let elsewhere = link.starts_with('#') || link.contains("://");
        let file = link.split('#').next().unwrap_or(link);
        if !elsewhere && !files.contains(file) {
            faults.push(format!("{name}: its README links {link}, which is not in it"));
        }
    }
}

/// Copies a file, or the files of a folder without those below it.
fn copy_into(from: &Path, to: &Path) -> Result<()> {
    let folder = if from.is_dir() { to } else { to.parent().unwrap_or(to) };
    fs::create_dir_all(folder)?;
    if !from.is_dir() {
        fs::copy(from, to).with_context(|| format!("{}", from.display()))?;
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Those in a folder and below it; none, where there is no such folder.
fn archives(folder: &Path, extension: &str) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return Ok(found) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(archives(&path, extension)?);
        } else if path.extension().is_some_and(|of_it| of_it == extension) {
            found.push(path);
        }
    }
    Ok(found)
}

const NPM_IS_MADE_OF: &[&str] =
    &["js", "js/otel", "portacode/static/js/utils", "LICENSE-APACHE", "LICENSE-MIT"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_file_that_the_package_lacks_is_named() {
        let mut faults = Vec::new();
        let readme = "[a](src/lib.rs) [b](#there) [c](https://rustup.rs) [d](../../docs/X.md#y)";
        links("it", readme, ["src/lib.rs"], &mut faults);
        assert_eq!(faults, ["it: its README links ../../docs/X.md#y, which is not in it"]);
    }

    #[test]
    fn an_address_is_a_fault_and_none_is_not() {
        let mut faults = Vec::new();
        address("it", "Cargo.toml", "homepage", &Value::Null, &mut faults);
        assert!(faults.is_empty());
        address("it", "Cargo.toml", "homepage", &Value::from("https://x"), &mut faults);
        assert_eq!(faults.len(), 1);
    }
}
