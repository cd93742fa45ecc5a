//! `ntp-clock relay`: the clock's time for browsers, over HTTP and WebSocket.

use std::io::{self, Write};
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

use ntp_clock::{Builder, Clock, ClockEvent, Event, Events};
use ntp_clock_relay::{Origins, Relay, RelayConfig, Server as HttpServer, ServerConfig, Tls};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::args::{OriginArg, RelayArgs};
use crate::display;
use crate::failure::Failure;
use crate::output::print_line;
use crate::stop::{self, Stop};
use crate::sync;

pub(crate) fn run(args: &RelayArgs, clock: Builder) -> Result<(), Failure> {
    let stop = stop::on_signals();
    let config = server_config(args)?;
    let clock = sync::start(clock.poll_interval(args.poll))?;
    let runtime = Runtime::new()
        .map_err(|error| Failure::Failed(format!("cannot start the threads: {error}")))?;
    runtime.block_on(serve(args, config, clock, stop))
}

async fn serve(
    args: &RelayArgs,
    config: ServerConfig,
    clock: Clock,
    stop: Stop,
) -> Result<(), Failure> {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let (addresses, listen) = (addresses(&args.listen)?, &args.listen);
    let http = HttpServer::bind(addresses.as_slice(), config)
        .await
        .map_err(|error| Failure::Failed(format!("cannot listen on {listen}: {error}")))?;
    let address = http.local_addr().map_err(|error| Failure::Failed(error.to_string()))?;
    let news = News::of(&clock);
    let relay = Relay::new(clock, relay_config(args));
    print_line(&format!(
        "listening on {scheme}://{address} (/clock, /clock/ws, /metrics, /healthz)"
    ))?;
    tokio::select! {
        () = http.serve(relay.clone(), asked(stop)) => {}
        // Never done.
        () = news.tell(relay.clock()) => {}
    }
    Ok(())
}

async fn asked(stop: Stop) {
    while !stop.is_asked() {
        sleep(LOOK).await;
    }
}

fn server_config(args: &RelayArgs) -> Result<ServerConfig, Failure> {
    let mut config = ServerConfig::default();
    if let (Some(cert), Some(key)) = (&args.tls_cert, &args.tls_key) {
        let tls = Tls::from_files(cert, key);
        config.tls = Some(tls.map_err(|error| Failure::Usage(error.to_string()))?);
    }
    config.max_connections = args.max_connections;
    check_descriptors(args.max_connections)?;
    Ok(config)
}

fn relay_config(args: &RelayArgs) -> RelayConfig {
    let mut config = RelayConfig::default();
    config.rate = args.rate;
    config.idle = args.idle;
    let mut only = Vec::new();
    for origin in &args.allow_origin {
        match origin {
            OriginArg::Any => return config,
            OriginArg::One(origin) => only.push(origin.clone()),
        }
    }
    if !only.is_empty() {
        config.origins = Origins::Only(only);
    }
    config
}

/// All that the name stands for; the first at which we can listen is taken.
fn addresses(listen: &str) -> Result<Vec<std::net::SocketAddr>, Failure> {
    match listen.to_socket_addrs() {
        Ok(found) => Ok(found.collect()),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            let how = "write an address and a port such as 127.0.0.1:8123 or [::]:8123";
            Err(Failure::Usage(format!("--listen {listen:?}: {error}; {how}")))
        }
        Err(error) => Err(Failure::Failed(format!("cannot listen on {listen}: {error}"))),
    }
}

/// Takes all the descriptors that the system lets us have, and refuses to promise more.
#[cfg(unix)]
fn check_descriptors(connections: u32) -> Result<(), Failure> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    let needed = u64::from(connections) + DESCRIPTORS_OF_OURS;
    let limit =
        if soft < needed && setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard).is_ok() {
            needed.min(hard)
        } else {
            soft
        };
    if limit >= needed {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "{connections} connections need {needed} open files, and the system allows {limit}: raise \
         that (ulimit -Hn), or give --max-connections {}",
        limit.saturating_sub(DESCRIPTORS_OF_OURS)
    )))
}

#[cfg(not(unix))]
fn check_descriptors(_: u32) -> Result<(), Failure> {
    Ok(())
}

/// What happens to the clock, for its operator.
struct News {
    events: Events,
    come: Arc<Notify>,
}

impl News {
    fn of(clock: &Clock) -> Self {
        let come = Arc::new(Notify::new());
        let bell = Arc::clone(&come);
        let events = clock.subscribe_with(move || bell.notify_one());
        News { events, come }
    }

    /// A line for the first synchronisation and for all that is out of the ordinary, for ever.
    async fn tell(self, clock: &Clock) {
        let mut announced = false;
        loop {
            if !announced && let Some(reading) = clock.now() {
                announced = true;
                let (status, error) = (clock.status(), display::span(reading.max_error()));
                let proved = if status.authenticated { ", authenticated" } else { "" };
                say(&format!("synchronised with {}, within {error}{proved}", status.server));
            }
            while let Some(event) = self.events.try_next() {
                // The first synchronisation has been announced by now.
                let first = matches!(event.kind(), Event::Synchronised { epoch: 1, .. });
                if is_news(&event) && !first {
                    say(&event.to_string());
                }
            }
            self.come.notified().await;
        }
    }
}

fn is_news(event: &ClockEvent) -> bool {
    event.is_warning() || matches!(event.kind(), Event::Synchronised { recovered: true, .. })
}

/// The reader of this may be gone, which is not a reason to stop.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Ctrl-C is noticed within this.
const LOOK: Duration = Duration::from_millis(50);
/// The runtime's, the clock's, the standard ones, and some to spare.
#[cfg(unix)]
const DESCRIPTORS_OF_OURS: u64 = 32;
