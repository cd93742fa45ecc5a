//! `cargo xtask bare`: the packages of a release, installed as newcomers would on systems that have
//! neither compiler nor Rust, and the first synchronised reading there.

mod cpython;
mod javascript;
mod packages;
mod pages;
mod python;
mod reading;
mod report;
mod root;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::command::{Job, cargo};
use crate::project::Project;
use crate::server::Server;
use packages::Packages;
use report::Row;

/// Installs the packages of a release on bare systems, and times the first reading of each.
///
/// A bare system is a folder in .work/bare, made by debootstrap and entered by chroot, with no
/// compiler; arm64 is emulated by qemu. JavaScript's runtimes come from npm. All ask a test server
/// that is 10 ms away. What this machine lacks is named, with the line that installs it, and counts
/// as not tried. It needs root, and 2 GB.
#[derive(clap::Args, Debug)]
pub(crate) struct BareArgs {
    /// Only these; may be given more than once
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// The folder of the packages, as `cargo xtask dist` fills it [default: target/dist]
    #[arg(long, value_name = "FOLDER")]
    packages: Option<PathBuf>,
    /// The mirror of Debian's packages
    #[arg(long, value_name = "URL", default_value = "http://deb.debian.org/debian")]
    mirror: String,
    /// Remove the systems afterwards
    #[arg(long)]
    clean: bool,
}

/// A kind of system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Part {
    /// The oldest glibc that the mirror has
    Oldest,
    /// A release of Debian in between, and CPythons of pyenv
    Middle,
    /// The newest CPythons
    Newest,
    /// Wheel and command where there is musl and no glibc; it builds a CPython, which takes minutes
    Musl,
    /// What a CPython without the global interpreter lock is given; it builds one as well
    FreeThreaded,
    /// Wheel and command on arm64
    Arm64,
    /// The npm tarball in Node, Deno and Bun
    Node,
    /// The same through bundlers, in Chromium
    Pages,
}

impl Part {
    fn run(self, bare: &Bare) -> Vec<Row> {
        match self {
            Part::Oldest => python::release(bare, python::OLDEST),
            Part::Middle => {
                let mut rows = python::release(bare, python::MIDDLE);
                rows.extend(python::from_pyenv(bare));
                rows
            }
            Part::Newest => python::release(bare, python::NEWEST),
            Part::Musl => cpython::musl(bare),
            Part::FreeThreaded => cpython::free_threaded(bare),
            Part::Arm64 => python::release(bare, python::ARM64),
            Part::Node => javascript::runtimes(bare),
            Part::Pages => pages::bundlers(bare),
        }
    }
}

/// What all trials share.
#[derive(Debug)]
struct Bare<'a> {
    job: Job<'a>,
    packages: Packages,
    mirror: String,
    server: Server,
}

impl Bare<'_> {
    /// Lets a program ask the test server.
    fn asking<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("PORTACODE_NTP_SERVER", self.server.address())
    }
}

/// Tries them; gives whether nothing failed.
pub(crate) fn run(args: &BareArgs) -> Result<bool> {
    let project = Project::here();
    let job = Job::start(&project, "bare")?;
    let folder = args.packages.clone().unwrap_or_else(|| project.target("dist"));
    let packages = Packages::of(&folder)?;
    let mut build = cargo(&["build", "--package", "ntp-test-server", "--package", "ntp-clock-cli"]);
    job.must(&mut build)?;
    let server = Server::time(&project, "debug", &AWAY)?;
    let bare = Bare { job, packages, mirror: args.mirror.clone(), server };
    let parts =
        if args.only.is_empty() { Part::value_variants().to_vec() } else { args.only.clone() };
    let mut rows = Vec::new();
    for part in parts {
        rows.extend(part.run(&bare));
    }
    bare.job.finish();
    if args.clean {
        root::remove(&project.work("bare"))?;
    }
    let text = report::table(&rows);
    println!("{text}");
    let table = project.target("bare.md");
    fs::write(&table, text).with_context(|| format!("cannot write {}", table.display()))?;
    println!("written to {}; see {}", project.shown(&table), project.shown(bare.job.log()));
    if rows.is_empty() {
        bail!("nothing was tried");
    }
    Ok(!rows.iter().any(Row::has_failed))
}

/// The test server's distance, and what it says of itself: as a server of stratum 3 would that is
/// 10 ms away.
const AWAY: [&str; 8] = [
    "--delay",
    "10ms + exp 300us",
    "--stratum",
    "3",
    "--root-delay",
    "10ms",
    "--root-dispersion",
    "1ms",
];
