//! The options of `delay-proxy`, and its run.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::thread;

use super::error::CliError;
use crate::delay::Delay;
use crate::proxy::DelayProxy;

/// A TCP proxy that makes the path to a server longer, for tests and demonstrations.
///
/// It prints "listening on ADDRESS:PORT" as soon as it accepts connections, then the seed of its
/// randomness. Bytes keep their order. A delay is written as for ntp-test-server, such as
/// "10ms + exp 2ms".
#[derive(clap::Args, Clone, Debug)]
pub struct ProxyArgs {
    /// Where to listen; port 0 takes any free port
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// The server
    #[arg(long, value_name = "ADDR:PORT")]
    to: SocketAddr,

    /// Seed of all randomness; drawn and printed if not given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Delay of both directions
    #[arg(long, value_name = "DELAY")]
    delay: Option<Delay>,

    /// Delay of what clients send
    #[arg(long, value_name = "DELAY")]
    delay_to_server: Option<Delay>,

    /// Delay of what the server sends
    #[arg(long, value_name = "DELAY")]
    delay_to_client: Option<Delay>,

    /// Quit at the end of standard input
    #[arg(long)]
    stdin: bool,
}

impl ProxyArgs {
    /// Carries connections until the process is killed or, with `--stdin`, until standard input
    /// ends.
    ///
    /// # Errors
    /// [`CliError`] if the address cannot be had, or standard input or output fails.
    pub fn run(&self) -> Result<(), CliError> {
        let either = |one: Option<Delay>| one.or(self.delay).unwrap_or(Delay::NONE);
        let proxy = DelayProxy::builder(self.to)
            .bind(self.listen)
            .seed(self.seed.unwrap_or_else(|| fastrand::u64(..)))
            .to_server(either(self.delay_to_server))
            .to_client(either(self.delay_to_client))
            .spawn()?;
        let mut out = io::stdout();
        writeln!(out, "listening on {}\nseed {}", proxy.addr(), proxy.seed())?;
        out.flush()?;
        if self.stdin {
            io::copy(&mut io::stdin().lock(), &mut io::sink())?;
            return Ok(());
        }
        loop {
            thread::park();
        }
    }
}
