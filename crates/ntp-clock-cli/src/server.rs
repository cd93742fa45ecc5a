//! Which server a command asks.

use std::env;

use ntp_clock::Server;

use crate::args::QueryArgs;
use crate::failure::Failure;

/// `--server`, or what the environment names, or time.cloudflare.com.
pub(crate) fn choose(given: Option<&Server>) -> Result<Server, Failure> {
    if let Some(server) = given {
        return Ok(server.clone());
    }
    let Some(text) = env::var_os(VARIABLE) else { return Ok(Server::cloudflare()) };
    // What is no text is no server either, and the message shows why.
    text.to_string_lossy()
        .parse()
        .map_err(|error| Failure::Usage(format!("environment variable {VARIABLE}: {error}")))
}

/// The host given to `query`, or the server of all commands.
pub(crate) fn of_query(args: &QueryArgs, given: Option<&Server>) -> Result<Server, Failure> {
    match (&args.host, given) {
        (Some(_), Some(_)) => {
            Err(Failure::Usage("name the server once: as HOST or by --server".to_owned()))
        }
        (Some(host), None) => Ok(host.clone()),
        (None, given) => choose(given),
    }
}

const VARIABLE: &str = "PORTACODE_NTP_SERVER";
