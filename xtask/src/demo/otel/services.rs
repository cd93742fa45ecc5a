//! The three services: shop (Node) asks stock (Python), which asks payment (Rust).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Pass;
use super::build::Built;
use super::store::get;
use crate::command::Job;
use crate::demo::path::here;
use crate::demo::process::Process;
use crate::demo::system::wait;
use crate::python::fake_clock;
use crate::server::Server;

/// What runs. It ends in the reverse order of its start.
#[derive(Debug)]
pub(super) struct Services {
    shop: Process,
    stock: Process,
    payment: Process,
    shop_address: SocketAddr,
    _network: [Server; 2],
}

impl Services {
    pub(super) fn start(
        job: &Job,
        built: &Built,
        time_server: &Server,
        store: &str,
        pass: Pass,
        is_ended: &dyn Fn() -> bool,
    ) -> Result<Self> {
        let starter = Starter { job, built, time_server, store, pass, is_ended };
        let project = job.project();

        let mut command = Command::new(&built.payment);
        if !pass.true_time {
            command.env("WITHOUT_TRUE_TIME", "1");
        }
        let (payment, address) = starter.start(&PAYMENT, command)?;
        let to_payment = starter.network_to(address)?;

        let venv = if pass.true_time { &built.venv } else { &built.plain };
        let mut command = venv.program();
        // As the command opentelemetry-instrument of the same environment.
        command.arg("-c").arg(INSTRUMENT).args(["opentelemetry-instrument", "python"]);
        command.arg(project.path("tools/demo_child.py"));
        command.arg(project.path("demos/otel/python/stock.py"));
        command.env("PAYMENT_URL", format!("http://{}/charge", to_payment.address()));
        let (stock, address) = starter.start(&STOCK, command)?;
        let to_stock = starter.network_to(address)?;

        let mut command = Command::new("node");
        if pass.true_time {
            command.arg("--import").arg(project.path("js/dist/register.js"));
        }
        command.arg("--require").arg(project.path("demos/otel/node/instrumentation.cjs"));
        command.arg(project.path("demos/otel/node/shop.cjs"));
        command.env("STOCK_URL", format!("http://{}/reserve", to_stock.address()));
        let (shop, shop_address) = starter.start(&SHOP, command)?;
        let _network = [to_stock, to_payment];
        Ok(Services { shop, stock, payment, shop_address, _network })
    }

    /// Orders something, which becomes one trace of all three.
    pub(super) fn order(&self) -> Result<()> {
        get(self.shop_address, "/order").map(drop)
    }

    /// Fails where one of them has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        [&mut self.shop, &mut self.stock, &mut self.payment]
            .into_iter()
            .try_for_each(Process::check)
    }

    pub(super) fn stop(&mut self) {
        [&mut self.shop, &mut self.stock, &mut self.payment].into_iter().for_each(Process::stop);
    }
}

/// How services are started.
struct Starter<'a> {
    job: &'a Job<'a>,
    built: &'a Built,
    time_server: &'a Server,
    store: &'a str,
    pass: Pass,
    is_ended: &'a dyn Fn() -> bool,
}

impl Starter<'_> {
    fn start(&self, service: &Service, mut command: Command) -> Result<(Process, SocketAddr)> {
        let library = self.library()?;
        // All the settings are OpenTelemetry's own, but for the time server's.
        let resource = format!("openinference.project.name={}", self.pass.project);
        // Not in the checkout's root: the package's source is there, without its native part.
        command.current_dir(self.job.project().work("demo/otel"));
        command
            .env("OTEL_SERVICE_NAME", service.name)
            .env("OTEL_RESOURCE_ATTRIBUTES", resource)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", self.store)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .env("OTEL_METRICS_EXPORTER", "none")
            .env("OTEL_LOGS_EXPORTER", "none")
            .env("OTEL_BSP_SCHEDULE_DELAY", "1000")
            .env("PORTACODE_NTP_SERVER", self.time_server.address());
        fake_clock(&mut command, &library, service.offset);
        let mut process = Process::start(self.job.project(), service.log, &mut command)?;
        let mut found = None;
        wait(self.is_ended, "a service does not start", || {
            process.check()?;
            let said = process.output();
            let port = said.lines().find_map(|line| line.strip_prefix("listening on "));
            found = port.map(str::parse).transpose().context("a service said no port")?;
            Ok(found.is_some())
        })?;
        Ok((process, here(found.unwrap_or_default())))
    }

    /// As far away as another machine.
    fn network_to(&self, address: SocketAddr) -> Result<Server> {
        let (to, listen) = (address.to_string(), here(0).to_string());
        let ends = ["--to", &to, "--listen", &listen];
        let delays = ["--delay-to-server", DELAY, "--delay-to-client", DELAY];
        Server::proxy(self.job.project(), crate::demo::BUILD, &[ends, delays].concat())
    }

    fn library(&self) -> Result<PathBuf> {
        let Some(library) = self.built.venv.faketime_library() else {
            bail!("libfaketime does not work here, and without it the clocks are right: use Linux");
        };
        Ok(library)
    }
}

/// A service, and how wrong its system clock is.
struct Service {
    name: &'static str,
    log: &'static str,
    offset: &'static str,
}

/// How wrong the system clocks are, in words.
pub(super) fn skews() -> &'static str {
    "shop (Node) gains 200 ppm, stock (Python) is 3 h fast, payment (Rust) is 2 s slow"
}

const SHOP: Service = Service { name: "shop", log: "otel-shop", offset: "+0s x1.0002" };
const STOCK: Service = Service { name: "stock", log: "otel-stock", offset: "+3h" };
const PAYMENT: Service = Service { name: "payment", log: "otel-payment", offset: "-2s" };
/// From one service to the next.
const DELAY: &str = "2ms + exp 50us";
const INSTRUMENT: &str = "import sys; from opentelemetry.instrumentation.auto_instrumentation \
     import run; sys.argv = sys.argv[1:]; run()";
