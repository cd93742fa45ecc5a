//! How wrong a clock is that has just been started, on a network that the test server makes.
//!
//! The server's truth is this machine's wall clock, so that is what every reading is held against.
//! Each start has a server of its own; the same start has the same seed for every client, so that
//! the n-th request of each meets the same fate.

use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use ntp_clock::Clock;
use ntp_test_server::TestServer;
use serde::{Deserialize, Serialize};

use crate::profile::Profile;

#[derive(clap::Args)]
pub(crate) struct NetworkArgs {
    /// Only these networks
    #[arg(long = "profile")]
    profiles: Vec<Profile>,
    /// Fresh starts of each client on each network
    #[arg(long, default_value_t = 40)]
    starts: usize,
    /// How many starts run at the same time
    #[arg(long, default_value_t = 4)]
    parallel: usize,
    /// First seed of the servers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Program that runs one of Python's clients over ports on standard input
    #[arg(long, requires = "python")]
    script: Option<PathBuf>,
    /// A client of that program and the Python to run it with, as ntplib=.venv/bin/python
    #[arg(long, value_parser = name_and_path)]
    python: Vec<(String, PathBuf)>,
}

/// What became of the starts of one client on one network.
#[derive(Serialize)]
struct Outcome<'a> {
    profile: String,
    network: String,
    client: &'a str,
    starts: Vec<Start>,
}

/// One fresh start. Absent where the client had no time to tell.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Start {
    first_reading_s: Option<f64>,
    first_error_ms: Option<f64>,
    /// Two seconds after the start.
    error_ms: Option<f64>,
    bound_ms: Option<f64>,
    est_error_ms: Option<f64>,
    /// Whether truth was within the bound each time it was read; absent where none is stated.
    bounds_true: Option<bool>,
}

pub(crate) fn run(args: &NetworkArgs) -> Result<()> {
    let chosen =
        if args.profiles.is_empty() { Profile::value_variants() } else { &args.profiles[..] };
    for profile in chosen {
        print(*profile, "ntp-clock", on_threads(args, *profile, ours)?)?;
        print(*profile, "rsntp", on_threads(args, *profile, rsntp)?)?;
        for (client, python) in &args.python {
            let script = args.script.as_deref().context("--python needs --script")?;
            print(*profile, client, in_python(args, *profile, script, client, python)?)?;
        }
    }
    Ok(())
}

fn print(profile: Profile, client: &str, starts: Vec<Start>) -> Result<()> {
    let name = profile.to_possible_value().context("a profile has no name")?;
    let profile_name = name.get_name().to_owned();
    let outcome = Outcome { profile: profile_name, network: profile.description(), client, starts };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

/// One server for each start, all running for a while already, as a network is.
fn servers(args: &NetworkArgs, profile: Profile) -> Result<Vec<TestServer>> {
    let mut behaviour = ntp_test_server::Behaviour::default();
    profile.apply(&mut behaviour)?;
    let servers: Result<Vec<_>, _> = (args.seed..)
        .take(args.starts)
        .map(|seed| TestServer::builder().seed(seed).behaviour(|b| *b = behaviour.clone()).spawn())
        .collect();
    let servers = servers?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    for server in &servers {
        // The course of bursts begins with the first packet.
        socket.send_to(&NTP_REQUEST, server.addr())?;
    }
    thread::sleep(WARM_UP);
    Ok(servers)
}

fn on_threads(
    args: &NetworkArgs,
    profile: Profile,
    client: fn(&TestServer) -> Result<Start>,
) -> Result<Vec<Start>> {
    let servers = servers(args, profile)?;
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..args.parallel.max(1) {
            scope.spawn(|| {
                while let Some(server) = servers.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let start = client(server);
                    results.lock().unwrap_or_else(|e| e.into_inner()).push(start);
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(|e| e.into_inner()).into_iter().collect()
}

fn ours(server: &TestServer) -> Result<Start> {
    let address = server.addr().to_string().parse()?;
    let started = Instant::now();
    let clock = Clock::builder().server(address).build()?;
    let mut start = Start::default();
    if clock.wait_synced(LOOK_AT) {
        start.first_reading_s = Some(started.elapsed().as_secs_f64());
        if let Some(first) = look(&clock) {
            start.first_error_ms = Some(first.error_ms);
            start.bounds_true = Some(first.bound_true);
        }
    }
    thread::sleep(LOOK_AT.saturating_sub(started.elapsed()));
    if let Some(look) = look(&clock) {
        start.error_ms = Some(look.error_ms);
        start.bound_ms = Some(look.bound_ms);
        start.est_error_ms = Some(look.est_error_ms);
        start.bounds_true = Some(start.bounds_true.unwrap_or(true) && look.bound_true);
    }
    Ok(start)
}

struct Look {
    error_ms: f64,
    bound_ms: f64,
    est_error_ms: f64,
    bound_true: bool,
}

/// A reading between two of the wall clock; the tightest of a few, for we may be preempted.
fn look(clock: &Clock) -> Option<Look> {
    let tries = (0..LOOKS).filter_map(|_| {
        let before = SystemTime::now();
        let reading = clock.now()?;
        let after = SystemTime::now();
        let (before, after) = (unix_ns(before), unix_ns(after));
        let (lower, upper) = (reading.earliest().as_nanos(), reading.latest().as_nanos());
        let error_ns = reading.time().as_nanos() - (before + (after - before) / 2);
        let look = Look {
            error_ms: error_ns as f64 / 1e6,
            bound_ms: reading.max_error().as_nanos() as f64 / 1e6,
            est_error_ms: reading.est_error().as_nanos() as f64 / 1e6,
            bound_true: lower <= after && before <= upper,
        };
        Some((after - before, look))
    });
    tries.min_by_key(|(width, _)| *width).map(|(_, look)| look)
}

fn unix_ns(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

/// The clock that it would set is the truth here, so its offset is its error.
fn rsntp(server: &TestServer) -> Result<Start> {
    let mut client = rsntp::SntpClient::new();
    client.set_timeout(LOOK_AT);
    let started = Instant::now();
    let Ok(result) = client.synchronize(server.addr().to_string()) else {
        return Ok(Start::default());
    };
    let error_ms = result.clock_offset().as_secs_f64() * 1e3;
    Ok(Start {
        first_reading_s: Some(started.elapsed().as_secs_f64()),
        first_error_ms: Some(error_ms),
        error_ms: Some(error_ms),
        ..Start::default()
    })
}

fn in_python(
    args: &NetworkArgs,
    profile: Profile,
    script: &Path,
    client: &str,
    python: &Path,
) -> Result<Vec<Start>> {
    let servers = servers(args, profile)?;
    let ports: Vec<u16> = servers.iter().map(|server| server.addr().port()).collect();
    let mut child = Command::new(python)
        .arg(script)
        .args([client, &args.parallel.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", python.display()))?;
    let mut stdin = child.stdin.take().context("no pipe")?;
    stdin.write_all(serde_json::to_string(&ports)?.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{} failed for {client}", script.display());
    serde_json::from_slice(&output.stdout).with_context(|| format!("what {client} printed"))
}

fn name_and_path(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("write NAME=PYTHON")?;
    Ok((name.to_owned(), path.into()))
}

/// When a fresh clock is looked at.
const LOOK_AT: Duration = Duration::from_secs(2);
const LOOKS: usize = 5;
/// Version 4, mode 3 (client), nothing else said.
const NTP_REQUEST: [u8; 48] = {
    let mut packet = [0; 48];
    packet[0] = 0x23;
    packet
};
/// Servers run so long before the first start, so that bursts are wherever chance has them.
const WARM_UP: Duration = Duration::from_secs(2);
