//! The trace store: Phoenix, which takes OTLP over HTTP and has a page to look at traces.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::build::Built;
use crate::demo::path::here;
use crate::demo::process::Process;
use crate::demo::system::{port, wait};
use crate::project::Project;

/// It ends with us, and keeps nothing from one demo to the next.
#[derive(Debug)]
pub(super) struct Store {
    process: Process,
    address: SocketAddr,
    url: String,
}

/// A span as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) parent: Option<String>,
    pub(super) name: String,
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    attributes: Vec<(String, Value)>,
}

impl Store {
    pub(super) fn start(
        project: &Project,
        built: &Built,
        is_ended: &dyn Fn() -> bool,
    ) -> Result<Self> {
        let folder = project.work("demo/otel/data");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let address = here(port(None)?);
        let (http, grpc) = (address.port().to_string(), port(None)?.to_string());
        let mut command =
            Process::command(project, &built.store, &["-m", "phoenix.server.main", "serve"]);
        command
            .current_dir(&folder)
            .env("PHOENIX_WORKING_DIR", &folder)
            .env("PHOENIX_HOST", address.ip().to_string())
            .env("PHOENIX_PORT", http)
            .env("PHOENIX_GRPC_PORT", grpc)
            .env("PHOENIX_TELEMETRY_ENABLED", "false");
        let mut process = Process::start(project, "otel-store", &mut command)?;
        let job = crate::command::Job::start(project, "starting the store")?;
        let started = wait(is_ended, "the store does not answer", || {
            process.check()?;
            Ok(get(address, "/v1/projects").is_ok())
        });
        job.finish();
        started?;
        Ok(Store { process, address, url: format!("http://{address}") })
    }

    /// Where its page is, and below it where it takes spans.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Fails where it has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        self.process.check()
    }

    /// What it has of a project; nothing where there is none of that name.
    pub(super) fn spans(&self, project: &str) -> Result<Vec<Span>> {
        let projects = json(&get(self.address, "/v1/projects")?)?;
        let names = projects["data"].as_array().context("the store lists no projects")?;
        if !names.iter().any(|known| known["name"] == project) {
            return Ok(Vec::new());
        }
        let text = get(self.address, &format!("/v1/projects/{project}/spans/otlpv1?limit=1000"))?;
        let spans = json(&text)?;
        let spans = spans["data"].as_array().context("the store gives no list of spans")?;
        spans.iter().map(Span::read).collect()
    }
}

impl Span {
    fn read(span: &Value) -> Result<Self> {
        let text = |name: &str| span[name].as_str().map(ToOwned::to_owned);
        let ns = |name: &str| span[name].as_i64().with_context(|| format!("a span without {name}"));
        let attributes = span["attributes"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(Span {
            trace: text("trace_id").context("a span without a trace")?,
            id: text("span_id").context("a span without an identity")?,
            parent: text("parent_span_id"),
            name: text("name").context("a span without a name")?,
            start_ns: ns("start_time_unix_nano")?,
            end_ns: ns("end_time_unix_nano")?,
            attributes: attributes.iter().filter_map(attribute).collect(),
        })
    }

    #[cfg(test)]
    pub(super) fn for_test(
        name: &str,
        parent: Option<&str>,
        start_ns: i64,
        numbers: &[(&str, i64)],
    ) -> Self {
        let [trace, id, name] = ["trace", name, name].map(ToOwned::to_owned);
        let parent = parent.map(ToOwned::to_owned);
        let attributes =
            numbers.iter().map(|(name, number)| ((*name).to_owned(), (*number).into()));
        let (end_ns, attributes) = (start_ns + 1_000_000, attributes.collect());
        Span { trace, id, parent, name, start_ns, end_ns, attributes }
    }

    /// A whole number that it says, as a number or as text.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        let (_, value) = self.attributes.iter().find(|(known, _)| known == name)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }
}

/// Its name, and that of its values which is there.
fn attribute(attribute_json: &Value) -> Option<(String, Value)> {
    let values = attribute_json["value"].as_object()?;
    let value = values.values().find(|value| !value.is_null())?;
    Some((attribute_json["key"].as_str()?.to_owned(), value.clone()))
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).context("the store's answer is not JSON")
}

/// What is at a path, of a server that closes the connection behind its answer.
pub(super) fn get(server: SocketAddr, path: &str) -> Result<String> {
    let cannot = || format!("no answer from http://{server}{path}");
    let mut stream = TcpStream::connect(server).with_context(cannot)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {server}\r\nConnection: close\r\n\r\n")
        .with_context(cannot)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(cannot)?;
    let answer = String::from_utf8_lossy(&answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("{}", cannot()) };
    let status = head.split(' ').nth(1).unwrap_or_default();
    ensure!(status == "200", "http://{server}{path} answered {status}: {body}");
    Ok(body.to_owned())
}

const PATIENCE: Duration = Duration::from_secs(20);
