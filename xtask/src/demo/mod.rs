//! `cargo xtask demo`: the whole system on this machine, its system clocks wrong on purpose.

mod build;
mod lock;
mod otel;
mod path;
mod process;
mod system;
mod time;

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command::Job;
use crate::project::Project;
use crate::python::Venv;
use lock::Lock;
use path::Profile;
use system::{Plan, System};
use time::TimeSource;

/// Starts a time server, the dashboard's server and two devices, whose system clocks are seconds
/// off, and tells where to look at it.
#[derive(clap::Args, Debug)]
pub(crate) struct DemoArgs {
    /// Ask time.cloudflare.com, or the server that is named, instead of one of our own; nts:// in
    /// front of it requires Network Time Security
    #[arg(long, value_name = "SERVER", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "time.cloudflare.com")]
    live: Option<String>,

    /// The network between all of them: how long each way takes (of --live all but that to the time
    /// server)
    #[arg(long, value_enum, value_name = "KIND", default_value = "internet")]
    path: Profile,

    /// Without a browser: send requests, print what they show, and end
    #[arg(long)]
    once: bool,

    /// How many requests to send
    #[arg(long, value_name = "N", default_value = "50", requires = "once")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    requests: u32,

    /// Run three OpenTelemetry services (Rust, Python, Node) with wrong clocks instead, and show
    /// their traces without our line and with it; Linux only
    #[arg(long, conflicts_with_all = ["live", "path", "requests", "json", "port"])]
    otel: bool,

    /// Print what they show as JSON
    #[arg(long, requires = "once")]
    json: bool,

    /// The dashboard's port; by default 8000, or any that is free
    #[arg(long, conflicts_with = "once")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

/// Shows it; gives whether all traces were as they should be.
pub(crate) fn run(args: &DemoArgs) -> Result<bool> {
    if !cfg!(unix) {
        bail!("the demo runs on Linux and macOS");
    }
    let project = Project::here();
    // First of all: building alone would harm one that runs.
    let _lock = Lock::take(&project.work("demo"))?;
    if args.otel {
        ctrlc::set_handler(|| ENDED.store(true, Ordering::Relaxed)).context("signals")?;
        return otel::run(&project, args.once, &is_ended);
    }
    let venv = build::all(&project, args.live.is_some())?;
    ctrlc::set_handler(|| ENDED.store(true, Ordering::Relaxed)).context("signals")?;
    let time = match &args.live {
        None => TimeSource::Own(args.path.time_server(&project, BUILD)?),
        Some(server) => TimeSource::live(server),
    };
    let plan = Plan {
        project: &project,
        venv: &venv,
        build: BUILD,
        path: args.path,
        time: &time,
        // Another for each, so that the dashboard shows what a person did alone.
        folder: project.work(if args.once { "demo/once" } else { "demo/data" }),
        port: if args.once { None } else { Some(args.port) },
    };
    let job = Job::start(&project, "starting the demo")?;
    let started = System::start(&plan, &job, &is_ended);
    job.finish();
    let mut system = started?;
    if args.once {
        if !args.json {
            introduce(&plan, &system)?;
            println!("\nWaiting for the clocks' second round, {SETTLE_S} s at most ...\n");
        }
        return system.converse(args.requests, SETTLE_S, args.json, &is_ended);
    }
    introduce(&plan, &system)?;
    println!("\nCtrl-C ends all of it. What they say is in .work/logs/demo-*.log");
    while !is_ended() {
        system.check()?;
        thread::sleep(Duration::from_millis(100));
    }
    println!();
    Ok(true)
}

/// The same without a person, with programs that are built and an environment that is made.
pub(crate) fn check(job: &Job) -> Result<bool> {
    let project = job.project();
    let path = Profile::Lan;
    let time = TimeSource::Own(path.time_server(project, "debug")?);
    let plan = Plan {
        project,
        venv: &Venv::of(project),
        build: "debug",
        path,
        time: &time,
        folder: project.work("demo/test"),
        port: None,
    };
    let mut system = System::start(&plan, job, &is_ended)?;
    system.converse_in(job, 50)
}

fn introduce(plan: &Plan, system: &System) -> Result<()> {
    let bold = |text: &str| {
        if std::io::stdout().is_terminal() {
            format!("\x1b[1m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    };
    println!("\nAll synchronise with {}, each by itself.", plan.time);
    if system.is_faked() {
        println!("Their system clocks are wrong, on purpose: {}.", system::skews());
    } else {
        println!(
            "(libfaketime does not work here, so their system clocks are as right as this \
             machine's.)"
        );
    }
    println!("\nRound trips, path {}:", plan.path.name());
    for line in system.round_trips(plan)? {
        println!("{line}");
    }
    if plan.port.is_some() {
        println!("\nOpen       {}", bold(system.url()));
        println!("Log in as  {}", bold(system.user()));
        println!("Password   {}", bold(system.password()));
    }
    Ok(())
}

fn is_ended() -> bool {
    ENDED.load(Ordering::Relaxed)
}

static ENDED: AtomicBool = AtomicBool::new(false);
const BUILD: &str = "release";
/// The second round comes 10 s after the first, give or take a tenth.
const SETTLE_S: u32 = 15;
