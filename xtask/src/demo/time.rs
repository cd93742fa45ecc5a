//! Whom the demo's programs ask for the time, and whether that has to be proved.

use std::fmt;
use std::process::Command;

use crate::server::Server;

#[derive(Debug)]
pub(super) enum TimeSource {
    /// A server of the demo's own, by plain NTP.
    Own(Server),
    /// Somebody else's, as `PORTACODE_NTP_SERVER` takes it.
    Live { server: String, proved: bool },
}

impl TimeSource {
    /// `host[:port]` or, where it has to be proved, `nts://host[:port]`.
    pub(super) fn live(named: &str) -> Self {
        match named.strip_prefix(SCHEME) {
            Some(server) => TimeSource::Live { server: server.to_owned(), proved: true },
            None => TimeSource::Live { server: named.to_owned(), proved: false },
        }
    }

    /// Has a program ask it.
    pub(super) fn tell(&self, command: &mut Command) {
        let (server, nts) = match self {
            TimeSource::Own(server) => (server.address(), Some("off")),
            TimeSource::Live { server, proved: true } => (server.as_str(), Some("required")),
            // Whatever the person's own environment says.
            TimeSource::Live { server, proved: false } => (server.as_str(), None),
        };
        command.env("PORTACODE_NTP_SERVER", server);
        if let Some(nts) = nts {
            command.env("PORTACODE_NTP_NTS", nts);
        }
    }

    pub(super) fn own(&self) -> Option<&Server> {
        match self {
            TimeSource::Own(server) => Some(server),
            TimeSource::Live { .. } => None,
        }
    }
}

impl fmt::Display for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeSource::Own(server) => f.write_str(server.address()),
            TimeSource::Live { server, proved: false } => f.write_str(server),
            TimeSource::Live { server, proved: true } => write!(f, "{SCHEME}{server}"),
        }
    }
}

const SCHEME: &str = "nts://";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_to_prove_the_time_of_a_server_that_is_named_so() {
        let variables = |named| {
            let mut command = Command::new("program");
            TimeSource::live(named).tell(&mut command);
            let envs = command.get_envs();
            let text = |value: &std::ffi::OsStr| value.to_string_lossy().into_owned();
            envs.map(|(name, value)| {
                format!("{}={}", text(name), value.map_or_else(String::new, text))
            })
            .collect::<Vec<_>>()
        };
        let server = "PORTACODE_NTP_SERVER=time.cloudflare.com";
        assert_eq!(variables("nts://time.cloudflare.com"), ["PORTACODE_NTP_NTS=required", server]);
        assert_eq!(variables("time.cloudflare.com"), [server]);
    }
}
