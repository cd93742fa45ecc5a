//! Which server a command asks, and whether its replies must be proved.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use ntp_clock::{Builder, Clock, EnvironmentError, Nts, NtsRoots, Server};

use crate::failure::Failure;

/// What all commands that ask a server are given.
#[derive(Args, Debug)]
pub(crate) struct SourceArgs {
    /// The one server to ask, with its port if that is not 123, or nts://HOST[:PORT]; beats
    /// PORTACODE_NTP_SERVER
    #[arg(long, global = true, value_name = "HOST[:PORT]")]
    server: Option<Target>,

    /// Trust the certificates in this file, PEM, and no others, where NTS is required; beats
    /// PORTACODE_NTP_NTS_CA
    #[arg(long, global = true, value_name = "FILE")]
    nts_ca: Option<PathBuf>,
}

/// A server as the command line names it: `host[:port]`, or `nts://host[:port]` where its replies
/// must be proved.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    server: Server,
    nts: bool,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let scheme = text.get(..SCHEME.len()).filter(|start| start.eq_ignore_ascii_case(SCHEME));
        let Some(scheme) = scheme else {
            let server = text.parse::<Server>().map_err(|error| error.to_string())?;
            return Ok(Target { server, nts: false });
        };
        let rest = text.get(scheme.len()..).unwrap_or_default();
        match rest.strip_suffix('/').unwrap_or(rest).parse() {
            Ok(server) => Ok(Target { server, nts: true }),
            Err(error) => Err(format!(
                "invalid NTS server {text:?}: {}; write nts:// and a host name or address, with \
                 :port of the key exchange if it is not 4460",
                error.reason()
            )),
        }
    }
}

impl SourceArgs {
    /// A clock of the server that `named` names, else `--server`, else what the environment names,
    /// else of time.cloudflare.com. Proof is required where the server or the environment says so.
    pub(crate) fn builder(&self, named: Option<&Target>) -> Result<Builder, Failure> {
        let given = match (named, &self.server) {
            (Some(_), Some(_)) => {
                let message = "name the server once: as HOST or by --server";
                return Err(Failure::Usage(message.to_owned()));
            }
            (named, server) => named.or(server.as_ref()),
        };
        let environment = |error: EnvironmentError| Failure::Usage(error.to_string());
        let by_default = Nts::from_env().map_err(environment)?;
        let server = match given {
            Some(target) => target.server.clone(),
            None => Server::from_env().map_err(environment)?,
        };
        let required = by_default != Nts::Off || given.is_some_and(|target| target.nts);
        let nts = match (required, &self.nts_ca) {
            (true, Some(file)) => Nts::Required(NtsRoots::File(file.clone())),
            (true, None) => Nts::Required(NtsRoots::from_env()),
            (false, None) => Nts::Off,
            (false, Some(_)) => {
                let message = "--nts-ca needs NTS: name the server as nts://HOST";
                return Err(Failure::Usage(message.to_owned()));
            }
        };
        Ok(Clock::builder().server(server).nts(nts))
    }
}

const SCHEME: &str = "nts://";
