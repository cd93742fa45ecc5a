//! `cargo xtask js`: the core's wasm and js/ become one module that pip and npm ship, and a page.

use std::collections::BTreeMap;
use std::fs;
use std::hash::Hasher;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{Job, answer, answer_of, cargo};
use crate::project::Project;
use crate::python::section;

/// Builds portacode/static/js/utils/ntp-clock.js and its page from js/ and the wasm crate.
#[derive(clap::Args, Debug)]
pub(crate) struct JsArgs {
    /// Build nothing; fail where what is committed is not of these sources
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &JsArgs) -> Result<bool> {
    let project = Project::here();
    if args.check {
        check_fresh(&project)?;
        println!("{MODULE} and {PAGE} are of these sources");
        return Ok(true);
    }
    let job = Job::start(&project, "js")?;
    let told = build(&job);
    job.finish();
    println!("{}", told.with_context(|| format!("see {}", project.shown(job.log())))?);
    Ok(true)
}

/// Builds the module and gives its sizes in words.
pub(crate) fn build(job: &Job) -> Result<String> {
    let project = job.project();
    install(job)?;
    let wasm = compile(job, &[])?;
    let example = ["run", "--quiet", "--package", "ntp-clock-wasm", "--example", "layout"];
    let layout = answer_of(job, &mut cargo(&example))?;
    let mut node = Command::new("node");
    node.current_dir(project.path("js"))
        .arg("build.mjs")
        .arg(wasm)
        .arg(project.path(MODULE))
        .arg(project.path(PAGE))
        .env("NTP_CLOCK_LAYOUT", layout)
        .env("NTP_CLOCK_VERSION", env!("CARGO_PKG_VERSION"))
        .env("NTP_CLOCK_SOURCES", module_hash(project)?)
        .env("NTP_CLOCK_PAGE_SOURCES", page_hash(project)?);
    let told = answer_of(job, &mut node)?;
    fs::copy(project.path(TYPES_SOURCE), project.path(TYPES))?;
    Ok(told.trim().to_owned())
}

/// The wasm of the core, with these features; its path.
pub(crate) fn compile(job: &Job, features: &[&str]) -> Result<std::path::PathBuf> {
    let args = ["build", "--profile", "wasm", "--package", "ntp-clock-wasm", "--target", TARGET];
    let mut command = cargo(&args);
    command.args(["--features", &features.join(",")]).env("RUSTFLAGS", RUSTFLAGS);
    job.must(&mut command).with_context(|| format!("it needs: rustup target add {TARGET}"))?;
    Ok(job.project().target(format!("{TARGET}/wasm/ntp_clock_wasm.wasm")))
}

/// The tools that js/package-lock.json pins, in js/node_modules.
pub(crate) fn install(job: &Job) -> Result<()> {
    if answer("npm", &["--version"]).is_none() {
        bail!("node and npm are missing: Node 20 or newer, from https://nodejs.org");
    }
    let project = job.project();
    let lock = fs::read(project.path("js/package-lock.json"))?;
    let marker = project.path("js/node_modules/.of-lock");
    if fs::read(&marker).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    job.must(Command::new("npm").args(["ci", "--prefix", "js", "--no-audit", "--no-fund"]))?;
    fs::write(marker, lock)?;
    Ok(())
}

/// Fails where what is committed was built from other sources.
pub(crate) fn check_fresh(project: &Project) -> Result<()> {
    let built = [(MODULE, module_hash(project)?, ""), (PAGE, page_hash(project)?, " -->")];
    for (file, hash, end) in built {
        let text = fs::read_to_string(project.path(file)).context(file)?;
        let said = format!("; sources {hash}{end}");
        if !text.lines().take(2).any(|line| line.ends_with(&said)) {
            bail!("{file} is stale: run cargo xtask js and commit what it writes");
        }
    }
    if fs::read(project.path(TYPES))? != fs::read(project.path(TYPES_SOURCE))? {
        bail!("{TYPES} is stale: run cargo xtask js and commit what it writes");
    }
    Ok(())
}

fn module_hash(project: &Project) -> Result<String> {
    hash_of(project, SOURCE_FOLDERS, SOURCE_FILES)
}

/// The page has the module inside.
fn page_hash(project: &Project) -> Result<String> {
    hash_of(project, &[SOURCE_FOLDERS, &[PAGE_FOLDER]].concat(), SOURCE_FILES)
}

/// A hash over all that decides what is built, whatever the order of the file system.
fn hash_of(project: &Project, folders: &[&str], singles: &[&str]) -> Result<String> {
    let mut files = BTreeMap::new();
    for folder in folders {
        gather(&project.path(folder), folder, &mut files)?;
    }
    for file in singles {
        files.insert(
            (*file).to_owned(),
            fs::read(project.path(file)).with_context(|| (*file).to_owned())?,
        );
    }
    // Other sections change with crates that have no part in it.
    let manifest = fs::read_to_string(project.path("Cargo.toml"))?;
    for heading in SOURCE_SECTIONS {
        files.insert((*heading).to_owned(), section(&manifest, heading).trim().into());
    }
    let mut hash = Fnv(FNV_OFFSET);
    for (name, bytes) in &files {
        hash.write(name.as_bytes());
        hash.write(&bytes.len().to_le_bytes());
        hash.write(bytes);
    }
    Ok(format!("{:016x}", hash.finish()))
}

fn gather(folder: &Path, name: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let entry = entry?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            gather(&entry.path(), &name, files)?;
        } else {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// FNV-1a: whether something changed, not whether somebody meant harm.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

pub(crate) const MODULE: &str = "portacode/static/js/utils/ntp-clock.js";
const PAGE: &str = "portacode/static/js/test-ntp-clock.html";
const TYPES: &str = "portacode/static/js/utils/ntp-clock.d.ts";
const TYPES_SOURCE: &str = "js/src/ntp-clock.d.ts";
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// The clock fits a page of memory with its stack.
const RUSTFLAGS: &str = "-C link-arg=-zstack-size=65536";
const SOURCE_FOLDERS: &[&str] =
    &["crates/ntp-clock-core/src", "crates/ntp-clock-wasm/src", "js/src"];
const PAGE_FOLDER: &str = "js/page";
const SOURCE_SECTIONS: &[&str] = &["[workspace.package]", "[profile.release]", "[profile.wasm]"];
const SOURCE_FILES: &[&str] = &[
    "crates/ntp-clock-core/Cargo.toml",
    "crates/ntp-clock-wasm/Cargo.toml",
    "crates/ntp-clock-wasm/examples/layout.rs",
    "js/build.mjs",
    "js/package-lock.json",
    "rust-toolchain.toml",
];
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
