//! The running system: the dashboard's server, two devices, and on demand a client.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::path::{self, Profile, Proxies, here, is_healthy};
use super::process::Process;
use super::time::TimeSource;
use crate::command::{Job, answer_of};
use crate::project::Project;
use crate::python::{Venv, fake_clock};

/// What to start, and where.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) project: &'a Project,
    pub(super) venv: &'a Venv,
    /// As in `target/<build>`.
    pub(super) build: &'a str,
    /// How far they are from one another.
    pub(super) path: Profile,
    /// Whom all ask for the time.
    pub(super) time: &'a TimeSource,
    /// Where the server keeps its data.
    pub(super) folder: PathBuf,
    /// The port that a person wants, or may do without; `None` where nobody cares.
    pub(super) port: Option<Option<u16>>,
}

/// What runs. It ends in the reverse order of its start.
#[derive(Debug)]
pub(super) struct System {
    devices: Vec<Process>,
    proxies: Proxies,
    server: Process,
    /// The server itself, behind the proxies.
    server_address: SocketAddr,
    client: Command,
    url: String,
    user: String,
    password: String,
    faked: bool,
}

impl System {
    /// Starts server and devices, and waits until they are connected.
    pub(super) fn start(plan: &Plan, job: &Job, is_ended: &dyn Fn() -> bool) -> Result<Self> {
        std::fs::create_dir_all(&plan.folder)?;
        let library = plan.venv.faketime_library();
        let skewed = |mut command: Command, machine: &str, offset: &str| {
            plan.time.tell(&mut command);
            command.env(MACHINE, machine);
            if let Some(library) = &library {
                fake_clock(&mut command, library, offset);
            }
            command
        };
        let setup = set_up(plan, job)?;
        let text = |name: &str| -> Result<String> {
            let value = setup[name].as_str();
            Ok(value.with_context(|| format!("demo_setup printed no {name:?}"))?.to_owned())
        };
        let client_port = port(plan.port)?;
        let server_address = here(port(None)?);
        let server_port = server_address.port().to_string();
        let manage = ["manage.py", "serve", "--port", &server_port];
        let command = Process::command(plan.project, plan.venv, &manage);
        let mut command = skewed(command, "server", SERVER_SKEW.0);
        in_server(&mut command, plan);
        let mut server = Process::start(plan.project, "server", &mut command)?;
        wait(is_ended, "the server does not answer", || {
            server.check()?;
            Ok(is_healthy(server_address))
        })?;
        let proxies = plan.path.proxies(plan.project, plan.build, server_address, client_port)?;
        let url = format!("http://{}/", proxies.client.address());
        let devices_url = format!("http://{}/", proxies.device.address());
        let mut devices = Vec::new();
        for (index, (log, (offset, _))) in DEVICES.into_iter().enumerate() {
            let device = &setup["devices"][index];
            let (name, token) = (device["name"].as_str(), device["token"].as_str());
            let (name, token) = name.zip(token).context("demo_setup printed too few devices")?;
            let outbox = plan.folder.join(format!("outbox-{log}"));
            let connect = ["-m", "portacode.connection.command", "connect"];
            let command = Process::command(plan.project, plan.venv, &connect);
            let mut command = skewed(command, log, offset);
            command.args(["--server", &devices_url, "--name", name, "--outbox"]).arg(outbox);
            command.current_dir(&plan.folder).env("PORTACODE_TOKEN", token);
            devices.push(Process::start(plan.project, log, &mut command)?);
        }
        for device in &mut devices {
            wait(is_ended, "a device does not connect", || {
                device.check()?;
                Ok(device.output().contains("connected to "))
            })?;
        }
        let (user, password) = (text("user")?, text("password")?);
        let script = plan.project.path("tools/demo_client.py");
        let arguments = [&*script.to_string_lossy(), "--server", &url, "--user", &user];
        let mut client = Process::command(plan.project, plan.venv, &arguments);
        if library.is_some() {
            client.arg("--skewed");
        }
        client.args(["--path", plan.path.name()]);
        plan.time.tell(&mut client);
        client.env(MACHINE, "client").env("DEMO_PASSWORD", &password);
        let faked = library.is_some();
        Ok(System { devices, proxies, server, server_address, client, url, user, password, faked })
    }

    /// Sends requests from a client without a browser, which shows what they give; gives whether
    /// it is good.
    pub(super) fn converse(
        mut self,
        requests: u32,
        settle_s: u32,
        json: bool,
        is_ended: &dyn Fn() -> bool,
    ) -> Result<bool> {
        self.client.args(["--requests", &requests.to_string()]);
        self.client.args(["--settle", &settle_s.to_string()]);
        if json {
            self.client.arg("--json");
        }
        let mut client = Process::start_here("client", &mut self.client)?;
        loop {
            if let Some(status) = client.ended()? {
                return Ok(status.success());
            }
            if is_ended() {
                bail!("ended");
            }
            self.check()?;
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The same for the tests: what the client shows goes to the log.
    pub(super) fn converse_in(&mut self, job: &Job, requests: u32) -> Result<bool> {
        self.client.args(["--json", "--requests", &requests.to_string()]);
        // Its standard input is closed there, which would end it at once.
        let arguments: Vec<_> = self.client.get_args().skip(1).map(ToOwned::to_owned).collect();
        let mut client = Command::new(self.client.get_program());
        for (name, value) in self.client.get_envs() {
            match value {
                Some(value) => client.env(name, value),
                None => client.env_remove(name),
            };
        }
        Ok(job.run(client.args(arguments))?.success())
    }

    /// Fails where one of them has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        self.server.check()?;
        self.proxies.check()?;
        self.devices.iter_mut().try_for_each(Process::check)
    }

    /// Each leg and its measured round trip, for people.
    pub(super) fn round_trips(&self, plan: &Plan) -> Result<Vec<String>> {
        path::lines(plan.path, plan.time.own(), &self.proxies, self.server_address)
    }

    /// What a person opens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn password(&self) -> &str {
        &self.password
    }

    /// Whether the system clocks are wrong.
    pub(super) fn is_faked(&self) -> bool {
        self.faked
    }
}

/// How wrong the system clocks are, in words.
pub(super) fn skews() -> String {
    let [first, second] = DEVICES.map(|(_, (_, words))| words);
    format!("the server's by {}, the devices' by {first} and {second}", SERVER_SKEW.1)
}

/// Database, static files, the demo's user and devices; gives what `demo_setup` prints.
fn set_up(plan: &Plan, job: &Job) -> Result<Value> {
    let manage = |args: &[&str]| {
        let mut command = plan.venv.program();
        command.arg("manage.py").args(args);
        plan.time.tell(&mut command);
        in_server(&mut command, plan);
        command
    };
    answer_of(job, &mut manage(&["migrate", "--verbosity", "0"]))?;
    answer_of(job, &mut manage(&["collectstatic", "--no-input", "--verbosity", "0"]))?;
    let printed = answer_of(job, &mut manage(&["demo_setup"]))?;
    serde_json::from_str(&printed).with_context(|| format!("demo_setup said {printed:?}"))
}

/// In the server's folder, with settings of the demo's alone.
fn in_server(command: &mut Command, plan: &Plan) {
    command.current_dir(plan.project.path(SERVER)).env("DATA_DIR", &plan.folder);
    for variable in FOREIGN {
        command.env_remove(variable);
    }
}

/// The port wanted, else 8000, else any.
pub(super) fn port(wanted: Option<Option<u16>>) -> Result<u16> {
    let free = |port: u16| {
        TcpListener::bind(here(port)).and_then(|l| l.local_addr()).map(|address| address.port())
    };
    match wanted {
        Some(Some(port)) => {
            free(port).with_context(|| format!("port {port} is in use: choose another with --port"))
        }
        Some(None) => Ok(free(8000).or_else(|_| free(0))?),
        None => Ok(free(0)?),
    }
}

/// Waits for something, for at most a minute.
pub(super) fn wait(
    is_ended: &dyn Fn() -> bool,
    otherwise: &str,
    mut ready: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !ready()? {
        if is_ended() {
            bail!("ended");
        }
        if Instant::now() > deadline {
            bail!("{otherwise} after {} s; see .work/logs/demo-*.log", PATIENCE.as_secs());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

const SERVER: &str = "server/portacode_django";
/// Names the machine that a program is to pretend to run on.
const MACHINE: &str = "PORTACODE_MACHINE";
/// For libfaketime, and for people.
const SERVER_SKEW: (&str, &str) = ("+1.7s", "+1.7 s");
const DEVICES: [(&str, (&str, &str)); 2] = [
    ("device-1", ("-2.2s x1.0001", "-2.2 s (100 ppm fast)")),
    ("device-2", ("-2.2s x0.9998", "-2.2 s (200 ppm slow)")),
];
/// What a person may have set for a server of theirs.
const FOREIGN: [&str; 6] =
    ["DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "DJANGO_SETTINGS_MODULE"];
const PATIENCE: Duration = Duration::from_secs(60);
