//! `cargo xtask demo`: two programs whose system clocks are wrong agree on the time.

mod moment;
mod reader;
mod table;
mod verdict;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{Job, cargo};
use crate::project::Project;
use crate::python::{Venv, fake_clock};
use crate::server::Server;
use moment::Row;
use reader::Reader;
use table::Table;
use verdict::Verdict;

/// Starts a time server, then a Rust and a Python program whose system clocks are seconds off in
/// opposite directions, and prints their readings side by side.
#[derive(clap::Args, Debug)]
pub(crate) struct DemoArgs {
    /// Ask time.cloudflare.com instead of a server of our own
    #[arg(long)]
    live: bool,

    /// For how long
    #[arg(long, value_name = "N", default_value = "10")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
}

/// Shows it; gives whether the readings kept every promise.
pub(crate) fn run(args: &DemoArgs) -> Result<bool> {
    if !cfg!(target_os = "linux") {
        bail!(
            "the demo puts two programs on one line of time by Linux's CLOCK_MONOTONIC; \
             to watch the clock on this system: cargo run --package ntp-clock --example watch"
        );
    }
    let project = Project::here();
    let venv = build(&project)?;
    let library = venv.faketime_library();
    let server = if args.live { None } else { Some(Server::start(&project, "release")?) };
    let address = server.as_ref().map_or(LIVE_SERVER, |server| server.address());

    let mut rust = Command::new(project.program("release/examples/demo_reader"));
    let mut python = Command::new(venv.python());
    python.arg(project.path("tools/demo_reader.py"));
    for (command, offset) in [(&mut rust, RUST_OFFSET), (&mut python, PYTHON_OFFSET)] {
        command.current_dir(project.path("")).env("PORTACODE_NTP_SERVER", address);
        if let Some(library) = &library {
            fake_clock(command, library, offset);
        }
    }
    introduce(address, args.live, library.is_some());
    let mut readers = [Reader::start("Rust", rust)?, Reader::start("Python", python)?];
    wait_synced(&mut readers, address)?;

    let table = Table::begin();
    let mut verdict = Verdict::new(!args.live, library.is_some());
    let started = Instant::now();
    let mut next = Duration::ZERO;
    while next <= Duration::from_secs(args.seconds) {
        thread::sleep(next.saturating_sub(started.elapsed()));
        let row = Row::ask(&mut readers)?;
        table.row(next, &row, verdict.add(&row));
        next += INTERVAL;
    }
    println!("\n{verdict}");
    Ok(verdict.is_good())
}

fn introduce(address: &str, live: bool, faked: bool) {
    let whose = if live { "" } else { ", a test server that serves this machine's clock" };
    println!("\nTwo programs, each synchronised by itself with {address}{whose}.");
    if faked {
        println!(
            "Their system clocks are wrong, on purpose: Rust's by {RUST_OFFSET}, Python's by \
             {PYTHON_OFFSET}.\n"
        );
    } else {
        println!(
            "(libfaketime does not work here, so their system clocks are as right as this \
             machine's: apt-get install libfaketime)\n"
        );
    }
}

/// Both programs have a first reading, or the reason why there is none is the error.
fn wait_synced(readers: &mut [Reader; 2], address: &str) -> Result<()> {
    let deadline = Instant::now() + FIRST_READING_LIMIT;
    for reader in readers {
        loop {
            let sample = reader.ask()?;
            if sample.reading.is_some() {
                break;
            }
            if Instant::now() > deadline {
                let reason = sample.error.unwrap_or_else(|| "no reason given".to_owned());
                bail!("{} got no time from {address}: {reason}", reader.name());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// Builds the programs, optimised, and installs the Python package as its users get it.
fn build(project: &Project) -> Result<Venv> {
    let job = Job::start(project, "building the demo")?;
    println!("Building; the first time takes some minutes.");
    let built = build_all(&job);
    let log = project.shown(job.log()).to_string();
    job.finish();
    built.with_context(|| format!("the demo could not be built; see {log}"))
}

fn build_all(job: &Job) -> Result<Venv> {
    let project = job.project();
    job.must(&mut cargo(&["build", "--release", "--package", "ntp-test-server"]))?;
    let example = ["build", "--release", "--package", "ntp-clock", "--example", "demo_reader"];
    job.must(&mut cargo(&example))?;
    crate::python::check()?;
    let venv = Venv::set_up(job)?;
    let wheels = project.work("wheels");
    if wheels.exists() {
        fs::remove_dir_all(&wheels)?;
    }
    let mut maturin = venv.maturin(project, &["build", "--release", "--interpreter"]);
    job.must(maturin.arg(venv.python()).arg("--out").arg(&wheels))?;
    let wheel: PathBuf = fs::read_dir(&wheels)?.next().context("maturin made no wheel")??.path();
    let install = ["install", "--no-deps", "--no-index", "--force-reinstall"];
    job.must(venv.module("pip").args(install).arg(wheel))?;
    Ok(venv)
}

const LIVE_SERVER: &str = "time.cloudflare.com";
const RUST_OFFSET: &str = "+1.7s";
const PYTHON_OFFSET: &str = "-2.2s";
const INTERVAL: Duration = Duration::from_millis(500);
/// Three attempts of two seconds, and the name's resolution.
const FIRST_READING_LIMIT: Duration = Duration::from_secs(15);
