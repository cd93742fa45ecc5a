//! `cargo xtask js`: the core's wasm and js/ become one module that pip and npm ship, and a page;
//! order between clocks becomes another module, and OpenTelemetry's part a third.

use std::collections::BTreeMap;
use std::fs;
use std::hash::Hasher;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{Job, answer, answer_of, cargo};
use crate::project::Project;
use crate::python::section;

/// Builds ntp-clock.js, its page, order.js and otel.js in portacode/static/js from js/ and the wasm
/// crates.
#[derive(clap::Args, Debug)]
pub(crate) struct JsArgs {
    /// Build nothing; fail where what is committed is not of these sources
    #[arg(long)]
    check: bool,
    /// Say what the bytes of each module are, too
    #[arg(long, conflicts_with = "check")]
    sizes: bool,
}

pub(crate) fn run(args: &JsArgs) -> Result<bool> {
    let project = Project::here();
    if args.check {
        check_fresh(&project)?;
        println!("{MODULE}, {PAGE}, {ORDER_MODULE} and {OTEL_MODULE} are of these sources");
        return Ok(true);
    }
    let job = Job::start(&project, "js")?;
    let outcome = build(&job, args.sizes);
    job.finish();
    println!("{}", outcome.with_context(|| format!("see {}", project.shown(job.log())))?);
    Ok(true)
}

/// Builds the modules and gives their sizes in words, and where they are wanted in tables.
fn build(job: &Job, tables: bool) -> Result<String> {
    let project = job.project();
    install(job)?;
    let wasm = compile(job, CLOCK, &[])?;
    let order = compile(job, ORDER, &[])?;
    let history = compile(job, HISTORY, &[])?;
    let example = ["run", "--quiet", "--package", "ntp-clock-wasm", "--example", "layout"];
    let layout = answer_of(job, &mut cargo(&example))?;
    let mut node = Command::new("node");
    node.current_dir(project.path("js"))
        .arg("build.mjs")
        .arg(wasm)
        .arg(project.path(MODULE))
        .arg(project.path(PAGE))
        .arg(order)
        .arg(project.path(ORDER_MODULE))
        .arg(history)
        .arg(project.path(OTEL_MODULE))
        .env("NTP_CLOCK_LAYOUT", layout)
        .env("NTP_CLOCK_VERSION", env!("CARGO_PKG_VERSION"))
        .env("NTP_CLOCK_SOURCES", module_hash(project)?)
        .env("NTP_CLOCK_PAGE_SOURCES", page_hash(project)?)
        .env("NTP_CLOCK_ORDER_SOURCES", order_hash(project)?)
        .env("NTP_CLOCK_OTEL_SOURCES", otel_hash(project)?);
    if tables {
        node.env("NTP_CLOCK_SIZES", "1");
    }
    let outcome = answer_of(job, &mut node)?;
    for (copy, source) in COPIES {
        fs::copy(project.path(source), project.path(copy))?;
    }
    Ok(outcome.trim().to_owned())
}

/// The wasm of a crate, with these features; its path.
pub(crate) fn compile(job: &Job, of: Wasm, features: &[&str]) -> Result<std::path::PathBuf> {
    let Wasm { package, stack, instructions } = of;
    let args = ["build", "--profile", "wasm", "--package", package, "--target", TARGET];
    let mut command = cargo(&args);
    command
        .args(["--features", &[instructions, features].concat().join(",")])
        // For that library alone.
        .env("RUSTC_BOOTSTRAP", "libm")
        .env("RUSTFLAGS", format!("-C link-arg=-zstack-size={stack}"));
    job.must(&mut command).with_context(|| format!("it needs: rustup target add {TARGET}"))?;
    Ok(job.project().target(format!("{TARGET}/wasm/{}.wasm", package.replace('-', "_"))))
}

/// The tools that js/package-lock.json pins, in js/node_modules.
pub(crate) fn install(job: &Job) -> Result<()> {
    install_in(job, "js")
}

/// Those that a folder's package-lock.json pins, in its node_modules.
pub(crate) fn install_in(job: &Job, folder: &str) -> Result<()> {
    check_npm()?;
    let folder_path = job.project().path(folder);
    let lock = fs::read(folder_path.join("package-lock.json"))?;
    let marker = folder_path.join("node_modules/.of-lock");
    if fs::read(&marker).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    job.must(Command::new("npm").args(["ci", "--prefix", folder, "--no-audit", "--no-fund"]))?;
    fs::write(marker, lock)?;
    Ok(())
}

/// Fails where there is no npm; says where to get it.
pub(crate) fn check_npm() -> Result<()> {
    if answer("npm", &["--version"]).is_none() {
        bail!("node and npm are missing: Node 20 or newer, from https://nodejs.org");
    }
    Ok(())
}

/// Fails where what is committed was built from other sources.
pub(crate) fn check_fresh(project: &Project) -> Result<()> {
    let built = [
        (MODULE, module_hash(project)?, ""),
        (PAGE, page_hash(project)?, " -->"),
        (ORDER_MODULE, order_hash(project)?, ""),
        (OTEL_MODULE, otel_hash(project)?, ""),
    ];
    for (file, hash, end) in built {
        let text = fs::read_to_string(project.path(file)).context(file)?;
        let said = format!("; sources {hash}{end}");
        if !text.lines().take(2).any(|line| line.ends_with(&said)) {
            bail!("{file} is stale: run cargo xtask js and commit what it writes");
        }
    }
    for (copy, source) in COPIES {
        if fs::read(project.path(copy)).context(*copy)? != fs::read(project.path(source))? {
            bail!("{copy} is stale: run cargo xtask js and commit what it writes");
        }
    }
    Ok(())
}

fn module_hash(project: &Project) -> Result<String> {
    hash_of(project, SOURCE_FOLDERS, &[SOURCE_FILES, SHARED_FILES].concat())
}

/// The page has the module inside.
fn page_hash(project: &Project) -> Result<String> {
    let folders = [SOURCE_FOLDERS, &[PAGE_FOLDER]].concat();
    hash_of(project, &folders, &[SOURCE_FILES, SHARED_FILES].concat())
}

fn order_hash(project: &Project) -> Result<String> {
    hash_of(project, ORDER_FOLDERS, &[ORDER_FILES, SHARED_FILES].concat())
}

fn otel_hash(project: &Project) -> Result<String> {
    hash_of(project, OTEL_FOLDERS, &[OTEL_FILES, SHARED_FILES].concat())
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

/// A crate that becomes wasm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wasm {
    pub(crate) package: &'static str,
    /// Bytes.
    stack: u32,
    /// The feature by which roots and roundings become WebAssembly's own instructions, for the same
    /// numbers. The compiler counts them as unstable.
    instructions: &'static [&'static str],
}

/// The clock fits a page of memory with its stack.
pub(crate) const CLOCK: Wasm =
    Wasm { package: "ntp-clock-wasm", stack: 65_536, instructions: LIBM };
pub(crate) const ORDER: Wasm =
    Wasm { package: "ntp-clock-order-wasm", stack: 1_048_576, instructions: LIBM };
pub(crate) const HISTORY: Wasm =
    Wasm { package: "ntp-clock-history-wasm", stack: 65_536, instructions: &[] };
const LIBM: &[&str] = &["libm/unstable-intrinsics"];

pub(crate) const MODULE: &str = "portacode/static/js/utils/ntp-clock.js";
const PAGE: &str = "portacode/static/js/test-ntp-clock.html";
const ORDER_MODULE: &str = "portacode/static/js/utils/order.js";
const OTEL_MODULE: &str = "portacode/static/js/utils/otel.js";
/// What is copied as it is, each beside its source.
const COPIES: &[(&str, &str)] = &[
    ("portacode/static/js/utils/ntp-clock.d.ts", "js/src/ntp-clock.d.ts"),
    ("portacode/static/js/utils/order.d.ts", "js/order/order.d.ts"),
    ("portacode/static/js/utils/otel.d.ts", "js/otel/otel.d.ts"),
    ("portacode/static/css/theme.css", "js/page/theme.css"),
];
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
const SOURCE_FOLDERS: &[&str] =
    &["crates/ntp-clock-core/src", "crates/ntp-clock-wasm/src", "js/src"];
const PAGE_FOLDER: &str = "js/page";
const ORDER_FOLDERS: &[&str] = &[
    "crates/ntp-clock-core/src",
    "crates/ntp-clock-order/src",
    "crates/ntp-clock-order-wasm/src",
    "js/order",
];
const OTEL_FOLDERS: &[&str] =
    &["crates/ntp-clock-history/src", "crates/ntp-clock-history-wasm/src", "js/otel"];
const SOURCE_SECTIONS: &[&str] = &["[workspace.package]", "[profile.release]", "[profile.wasm]"];
const SHARED_FILES: &[&str] = &[
    "crates/ntp-clock-core/Cargo.toml",
    "js/build.mjs",
    "js/sizes.mjs",
    "js/package-lock.json",
    "rust-toolchain.toml",
];
const SOURCE_FILES: &[&str] =
    &["crates/ntp-clock-wasm/Cargo.toml", "crates/ntp-clock-wasm/examples/layout.rs"];
const ORDER_FILES: &[&str] = &[
    "crates/ntp-clock-order/Cargo.toml",
    "crates/ntp-clock-order-wasm/Cargo.toml",
    "js/src/base85.js",
    "js/src/failure.js",
    "js/src/inflate.js",
];
const OTEL_FILES: &[&str] = &[
    "crates/ntp-clock-history/Cargo.toml",
    "crates/ntp-clock-history-wasm/Cargo.toml",
    "js/src/base85.js",
    "js/src/inflate.js",
];
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
