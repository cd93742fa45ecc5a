//! How long the demo's paths are: a delay for each leg and direction, and what it comes to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::project::Project;
use crate::server::Server;

/// A kind of network between the machines that the demo pretends to have.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Profile {
    /// All in one room: 0.1 ms each way
    Lan,
    /// The time server 10 ms away, clients 5 ms, devices 1 ms, with some jitter
    Internet,
    /// As internet, but devices 15 ms away, and what is sent to them is sometimes very late
    Mobile,
    /// As internet, but from client to server 5 ms, and back 25 ms
    Asymmetric,
}

/// Delays of one leg, as `ntp-test-server` and `delay-proxy` read them.
#[derive(Clone, Copy, Debug)]
struct Leg {
    to_server: &'static str,
    to_client: &'static str,
}

impl Profile {
    /// As the command line has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Profile::Lan => "lan",
            Profile::Internet => "internet",
            Profile::Mobile => "mobile",
            Profile::Asymmetric => "asymmetric",
        }
    }

    /// From each machine to the time server, and what that server says of itself.
    const fn time_options(self) -> [[&'static str; 4]; 2] {
        let [delay, stratum, root_delay, root_dispersion] = match self {
            Profile::Lan => ["100us", "1", "0ms", "10us"],
            Profile::Internet | Profile::Asymmetric => ["10ms + exp 300us", "3", "10ms", "1ms"],
            Profile::Mobile => ["20ms + exp 3ms", "3", "10ms", "1ms"],
        };
        let path = ["--delay", delay, "--stratum", stratum];
        let root = ["--root-delay", root_delay, "--root-dispersion", root_dispersion];
        [path, root]
    }

    /// Between client and server: the server is the server.
    const fn client(self) -> Leg {
        match self {
            Profile::Lan => LAN,
            Profile::Internet | Profile::Mobile => {
                Leg { to_server: "5ms + exp 50us", to_client: "5ms + exp 50us" }
            }
            Profile::Asymmetric => {
                Leg { to_server: "5ms + exp 50us", to_client: "25ms + exp 50us" }
            }
        }
    }

    /// Between server and device, which is the client.
    const fn device(self) -> Leg {
        match self {
            Profile::Lan => LAN,
            Profile::Internet | Profile::Asymmetric => {
                Leg { to_server: "1ms + exp 50us", to_client: "1ms + exp 50us" }
            }
            Profile::Mobile => Leg {
                to_server: "15ms + exp 1ms",
                to_client: "15ms + exp 1ms + pareto 500us 1.2 cap 300ms",
            },
        }
    }

    /// Starts the time server at the end of its leg.
    pub(super) fn time_server(self, project: &Project, build: &str) -> Result<Server> {
        Server::time(project, build, &self.time_options().concat())
    }

    /// Starts the proxies to the dashboard's server; clients find theirs at `port`.
    pub(super) fn proxies(
        self,
        project: &Project,
        build: &str,
        server: SocketAddr,
        port: u16,
    ) -> Result<Proxies> {
        let start = |leg: Leg, port: u16| {
            let (to, listen) = (server.to_string(), here(port).to_string());
            let ends = ["--to", &to, "--listen", &listen];
            let delays = ["--delay-to-server", leg.to_server, "--delay-to-client", leg.to_client];
            Server::proxy(project, build, &[ends, delays].concat())
        };
        Ok(Proxies { client: start(self.client(), port)?, device: start(self.device(), 0)? })
    }
}

/// What clients and devices connect to instead of the server.
#[derive(Debug)]
pub(super) struct Proxies {
    pub(super) client: Server,
    pub(super) device: Server,
}

impl Proxies {
    /// Fails where one of them has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        self.client.check()?;
        self.device.check()
    }
}

/// Each leg's name, what delays it there and back, and its measured round trip, the least of some.
pub(super) fn lines(
    profile: Profile,
    time_server: Option<&Server>,
    proxies: &Proxies,
    server: SocketAddr,
) -> Result<Vec<String>> {
    let direct = least(|| ask_server(server))?;
    let through = |proxy: &Server| -> Result<Duration> {
        let address = proxy.address().parse()?;
        // What the server itself takes is not the leg's.
        Ok(least(|| ask_server(address))?.saturating_sub(direct))
    };
    let (client, device) = (profile.client(), profile.device());
    let mut legs = vec![
        ("client to server", client, through(&proxies.client)?),
        ("device to server", device, through(&proxies.device)?),
    ];
    if let Some(time_server) = time_server {
        let address = time_server.address().parse()?;
        let [[_, delay, ..], _] = profile.time_options();
        let leg = Leg { to_server: delay, to_client: delay };
        legs.insert(0, ("each to the time server", leg, least(|| ask_time(address))?));
    }
    let lines = legs.into_iter().map(|(name, leg, round_trip)| {
        let delay = if leg.to_server == leg.to_client {
            format!("{} each way", leg.to_server)
        } else {
            format!("{} there, {} back", leg.to_server, leg.to_client)
        };
        let millis = round_trip.as_secs_f64() * 1e3;
        format!("  {name:<24}{millis:>7.1} ms   ({delay})")
    });
    Ok(lines.collect())
}

/// Whether the server says that all is well.
pub(super) fn is_healthy(server: SocketAddr) -> bool {
    ask_server(server).is_ok()
}

/// An address of this machine.
pub(super) fn here(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn least(ask: impl Fn() -> Result<Duration>) -> Result<Duration> {
    let mut least = Duration::MAX;
    for _ in 0..ASKED {
        least = least.min(ask()?);
    }
    Ok(least)
}

/// From a request's first byte to the answer's last.
fn ask_server(server: SocketAddr) -> Result<Duration> {
    let cannot = || format!("no answer from {server}");
    let mut stream = TcpStream::connect(server).with_context(cannot)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let started = Instant::now();
    let host = format!("Host: {server}");
    let request = format!("GET /healthz HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).with_context(cannot)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(cannot)?;
    let took = started.elapsed();
    anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200"), "{server} is not well");
    Ok(took)
}

/// The same for NTP.
fn ask_time(server: SocketAddr) -> Result<Duration> {
    let cannot = || format!("no answer from {server}");
    let socket = UdpSocket::bind(here(0)).with_context(cannot)?;
    socket.connect(server).with_context(cannot)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut packet = [0; 48];
    // Version 4, from a client.
    packet[0] = 4 << 3 | 3;
    let started = Instant::now();
    socket.send(&packet).with_context(cannot)?;
    socket.recv(&mut packet).with_context(cannot)?;
    Ok(started.elapsed())
}

const LAN: Leg = Leg { to_server: "100us", to_client: "100us" };
/// More often where chance adds to a delay does not lower the least by much.
const ASKED: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(5);
