//! What relays bear: ours in Rust and Python, and nginx with a file of equal size, in one run.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::stats::{median, median_ratio, percentile};
use super::{BenchArgs, Tables, json_lines, peers};
use crate::command::{Job, answer_of};
use crate::project::Project;
use crate::python::Venv;
use crate::server::Server;

pub(super) fn tables(job: &Job, args: &BenchArgs) -> Result<Tables> {
    let project = job.project();
    let folder = project.work("bench/relay-run");
    fs::create_dir_all(&folder)?;
    // Building takes minutes, and clocks that started before it would have an older round.
    let python = peers::serving(job);
    let server = Server::start(project, "release")?;
    let mut contenders = vec![rust_relay(project, &folder, server.address())?];
    let reply = body_of(&contenders[0].http).context("the relay gives no reply to measure by")?;
    let mut notes = Vec::new();
    match nginx(&folder, &reply) {
        Ok(nginx) => contenders.insert(0, nginx),
        Err(error) => notes.push(format!("{NGINX}: {error:#}")),
    }
    match python {
        Ok(venv) => {
            for (name, module, socket) in PYTHON {
                let run = PythonRelay { name, module, socket };
                contenders.push(run.start(project, &venv, &folder, server.address())?);
            }
        }
        Err(error) => notes.push(format!("relays in Python: {error:#}")),
    }
    let mut command = Command::new(project.program("release/ntp-clock-bench"));
    command.arg("relay");
    for Contender { name, http, websocket, service } in &contenders {
        command.arg("--target").arg(format!("{name}={http}"));
        if let Some(websocket) = websocket {
            command.arg("--target").arg(format!("{name}={websocket}"));
        }
        command.arg("--pid").arg(format!("{name}={}", service.0.id()));
    }
    for hold in &args.holds {
        command.arg("--hold").arg(hold.to_string());
    }
    let raw = json_lines(&answer_of(job, &mut command)?)?;
    let (text, met) = written(&raw, reply.len(), &notes)?;
    Ok(Tables { text, raw, met })
}

/// A server under load.
struct Contender {
    name: &'static str,
    http: String,
    websocket: Option<String>,
    service: Service,
}

/// A process that ends with us.
struct Service(Child);

impl Service {
    fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stderr(log);
        let program = command.get_program().to_owned();
        let child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Service(child))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself already, and there is nobody left to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn rust_relay(project: &Project, folder: &Path, server: &str) -> Result<Contender> {
    let mut command = Command::new(project.program("release/ntp-clock"));
    command.args(["relay", "--listen", "127.0.0.1:0", "--rate", "0", "--server", server]);
    let mut service = Service::start(command.stdout(Stdio::piped()), &folder.join("relay.log"))?;
    let out = service.0.stdout.take().context("no pipe to the relay")?;
    let mut out = BufReader::new(out);
    let mut line = String::new();
    while !line.starts_with("synchronised") {
        let listens = line.strip_prefix("listening on http://").map(str::to_owned);
        if let Some(listens) = listens {
            let address = listens.split(' ').next().unwrap_or_default();
            line.clear();
            ensure!(out.read_line(&mut line)? > 0, "the relay ended");
            return Ok(Contender {
                name: RUST,
                http: format!("http://{address}/clock"),
                websocket: Some(format!("ws://{address}/clock/ws")),
                service,
            });
        }
        line.clear();
        ensure!(out.read_line(&mut line)? > 0, "the relay does not start");
    }
    bail!("the relay was synchronised before it listened")
}

/// A file of the reply's size, served by nginx with settings of its own.
fn nginx(folder: &Path, reply: &str) -> Result<Contender> {
    let path = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
    let program = path.into_iter().find(|path| Path::new(path).exists());
    let program = program.context("not measured, is missing: apt-get install nginx-light")?;
    let port = free_port()?;
    fs::write(folder.join("clock.json"), reply)?;
    let shown = folder.display();
    let config = format!(
        "daemon off;\nworker_processes auto;\npid {shown}/nginx.pid;\nerror_log {shown}/error.log;\n\
         events {{ worker_connections 8192; }}\nhttp {{\n  access_log off;\n\
         keepalive_requests 1000000000;\n  client_body_temp_path {shown}/t1;\n\
         proxy_temp_path {shown}/t2;\n  fastcgi_temp_path {shown}/t3;\n\
         uwsgi_temp_path {shown}/t4;\n  scgi_temp_path {shown}/t5;\n  server {{\n\
         listen 127.0.0.1:{port};\n    root {shown};\n\
         location = /clock.json {{ default_type application/json; }}\n  }}\n}}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, config)?;
    let mut command = Command::new(program);
    command.arg("-p").arg(folder).arg("-c").arg(&file).arg("-e").arg(folder.join("error.log"));
    let service = Service::start(command.stdout(Stdio::null()), &folder.join("nginx.log"))?;
    let http = format!("http://127.0.0.1:{port}/clock.json");
    Ok(Contender { name: NGINX, http, websocket: None, service })
}

struct PythonRelay {
    name: &'static str,
    module: &'static str,
    /// Where its WebSocket is, and its view.
    socket: [&'static str; 2],
}

impl PythonRelay {
    fn start(
        &self,
        project: &Project,
        venv: &Venv,
        folder: &Path,
        server: &str,
    ) -> Result<Contender> {
        let port = free_port()?;
        let mut command = venv.module("uvicorn");
        command
            .arg(format!("{}:app", self.module))
            .arg("--app-dir")
            .arg(project.path("crates/ntp-clock-bench/python"))
            .args(["--port", &port.to_string(), "--no-access-log", "--log-level", "warning"])
            // Not the checkout: its package would be found before the one installed.
            .current_dir(folder)
            .env("PORTACODE_NTP_SERVER", server)
            .stdout(Stdio::null());
        let service = Service::start(&mut command, &folder.join(format!("{}.log", self.module)))?;
        let [socket, view] = self.socket;
        Ok(Contender {
            name: self.name,
            http: format!("http://127.0.0.1:{port}{view}"),
            websocket: Some(format!("ws://127.0.0.1:{port}{socket}")),
            service,
        })
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The body that a relay answers with.
fn body_of(url: &str) -> Result<String> {
    let (address, path) =
        url.strip_prefix("http://").and_then(|url| url.split_once('/')).context("a URL")?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let request = format!(
        "GET /{path}?request_id=00000000000000a7 HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
    Ok(body.to_owned())
}

/// The tables, and whether every bound was true and `ntp-clock relay` held all that it should.
fn written(raw: &[Value], reply_bytes: usize, notes: &[String]) -> Result<(String, bool)> {
    let mut text = format!(
        "`ntp-clock relay` and nginx with as many threads as there are cores, uvicorn with one \
         process; the load comes from the same machine. A reply has {reply_bytes} bytes, and so \
         has nginx's file.\n\n16 busy connections:\n\n\
         | over | server | requests/s, median | ratio to nginx |\n|---|---|---:|---:|\n"
    );
    let of = |kind: &'static str| raw.iter().filter(move |line| line["kind"] == kind);
    let samples = |line: &Value, key: &str| -> Vec<f64> {
        line[key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let reference = of("load").find(|line| line["target"] == NGINX);
    let reference = reference.map(|line| samples(line, "requests_per_s"));
    for line in of("load") {
        let rates = samples(line, "requests_per_s");
        let rate = median(&rates).context("nothing was measured")?;
        let ratio = reference.as_deref().and_then(|of| median_ratio(&rates, of));
        writeln!(
            text,
            "| {} | {} | {rate:.0} | {} |",
            line["over"].as_str().unwrap_or_default(),
            line["target"].as_str().unwrap_or_default(),
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        )?;
    }
    text += "\nOpen WebSockets, which ask 200 times a second in all. The error is that of the \
             offset which a single reply would give, against this machine's wall clock, by which \
             the NTP server is set; the load's own delays are in it.\n\n\
             | server | open / asked for | opened in, s | memory, KiB each | error, µs: median / p99 | \
             bound, µs: median / p99 | bounds true | no reply |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|\n";
    let mut met = true;
    for line in of("held") {
        let (errors, bounds) = (samples(line, "errors_us"), samples(line, "bounds_us"));
        let whole = |key: &str| line[key].as_u64().unwrap_or_default();
        let target = line["target"].as_str().unwrap_or_default();
        let cell = |values: &[f64], percent| {
            percentile(values, percent).map_or_else(|| "-".to_owned(), |v| format!("{v:.0}"))
        };
        met &= whole("untrue") == 0;
        met &= target != RUST || whole("still_open") == whole("asked_for");
        writeln!(
            text,
            "| {target} | {} / {} | {:.1} | {} | {} / {} | {} / {} | {}/{} | {} |",
            whole("still_open"),
            whole("asked_for"),
            line["opened_in_s"].as_f64().unwrap_or_default(),
            line["memory_kib_each"].as_f64().map_or_else(|| "-".to_owned(), |k| format!("{k:.1}")),
            cell(&errors, 50),
            cell(&errors, 99),
            cell(&bounds, 50),
            cell(&bounds, 99),
            errors.len() as u64 - whole("untrue"),
            errors.len(),
            whole("failed"),
        )?;
    }
    for note in notes {
        writeln!(text, "\nNot measured: {note}.")?;
    }
    Ok((text, met))
}

const RUST: &str = "ntp-clock relay";
const NGINX: &str = "nginx, a file";
/// Name, module, and where its WebSocket and its view are.
const PYTHON: [(&str, &str, [&str; 2]); 2] = [
    ("uvicorn, bare ASGI", "relay_bare", ["/", "/"]),
    ("uvicorn, Django", "relay_django", ["/ws/clock/", "/clock/"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn held(target: &str, untrue: u64, open: u64) -> Value {
        serde_json::json!({
            "kind": "held", "target": target, "asked_for": 10, "opened": 10, "still_open": open,
            "opened_in_s": 0.5, "memory_kib_each": 9.25, "errors_us": [1.0, 3.0, 2.0],
            "bounds_us": [5.0, 5.0, 6.0], "untrue": untrue, "failed": 0,
        })
    }

    #[test]
    fn a_table_has_ratios_to_nginx_and_an_untrue_bound_is_no_success() {
        let load = |target: &str, rates: [f64; 2]| {
            serde_json::json!({
                "kind": "load", "target": target, "over": "http", "requests_per_s": rates,
            })
        };
        let lines = [load(NGINX, [100.0, 200.0]), load(RUST, [50.0, 100.0]), held(RUST, 0, 10)];
        let (text, met) = written(&lines, 400, &["x: y".to_owned()]).unwrap();
        assert!(text.contains("| http | ntp-clock relay | 50 | 0.50 |"), "{text}");
        let row = "| ntp-clock relay | 10 / 10 | 0.5 | 9.2 | 2 / 3 | 5 / 6 | 3/3 | 0 |";
        assert!(met && text.contains(row) && text.contains("Not measured: x: y."), "{text}");
        assert!(!written(&[held("other", 1, 10)], 400, &[]).unwrap().1);
        assert!(!written(&[held(RUST, 0, 9)], 400, &[]).unwrap().1);
    }
}
