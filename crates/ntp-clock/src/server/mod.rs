//! The one server, as people write it: `host[:port]`.

mod address;
mod text;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

pub(crate) use address::Unusable;
use text::{NTP_PORT, Reason};

/// Host and port of the one time server. Parsed, so an impossible one cannot be held.
///
/// ```
/// use ntp_clock::Server;
/// let server: Server = "time.cloudflare.com".parse()?;
/// assert_eq!((server.host(), server.port()), ("time.cloudflare.com", 123));
/// let server: Server = "[::1]:11123".parse()?;
/// assert_eq!(server.to_string(), "[::1]:11123");
/// # Ok::<(), ntp_clock::ServerError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Server {
    host: String,
    port: u16,
}

impl Server {
    /// The one source of time: `time.cloudflare.com`.
    #[must_use]
    pub fn cloudflare() -> Self {
        Server { host: DEFAULT_HOST.to_owned(), port: NTP_PORT }
    }

    /// What a clock names that is set by hand and asks no server.
    pub(crate) fn by_hand() -> Self {
        Server { host: "manual".to_owned(), port: NTP_PORT }
    }

    /// The server with this host, a name or an address without brackets, at this port.
    ///
    /// # Errors
    /// [`ServerError`] where it is no host that can be asked.
    #[cfg(feature = "nts")]
    pub(crate) fn at(host: &str, port: u16) -> Result<Self, ServerError> {
        match host.parse::<IpAddr>() {
            Ok(ip) => std::net::SocketAddr::new(ip, port).to_string().parse(),
            Err(_) => format!("{host}:{port}").parse(),
        }
    }

    /// Name or address in lower case, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// UDP port, 1 to 65535; for a clock that requires Network Time Security the TCP port of the
    /// key exchange, which is 4460 where this is 123.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The same host at the TCP port of its key exchange, where Network Time Security is required:
    /// the one that is named, by default 4460. NTP's own, 123, is none that is named; NTP's port is
    /// then said by the exchange.
    #[cfg(feature = "nts")]
    pub(crate) fn of_keys(&self) -> Self {
        let port = if self.port == NTP_PORT { ntp_clock_nts::KeyExchange::PORT } else { self.port };
        Server { host: self.host.clone(), port }
    }

    /// The address, where the host is one and needs no resolving.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Why this server is not to be asked at an address that its name was resolved to.
    pub(crate) fn unusable(&self, ip: IpAddr) -> Option<Unusable> {
        let name = self.host.strip_suffix('.').unwrap_or(&self.host);
        if name == DEFAULT_HOST { Unusable::for_default(ip) } else { Unusable::by_itself(ip) }
    }
}

impl FromStr for Server {
    type Err = ServerError;

    /// Reads `host`, `host:port`, `a.b.c.d[:port]`, `[v6][:port]` or a bare IPv6 address; a
    /// link-local one has its interface behind it (`fe80::1%eth0`). Blanks and quotation marks
    /// around it are taken off, and upper case is the same as lower case.
    fn from_str(text: &str) -> Result<Self, ServerError> {
        match text::read(text) {
            Ok((host, port)) => Ok(Server { host, port }),
            Err(reason) => Err(ServerError { text: text.to_owned(), reason }),
        }
    }
}

impl fmt::Display for Server {
    /// The port is left out where it is 123.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_ipv6 = self.host.contains(':');
        match (is_ipv6, self.port) {
            (_, NTP_PORT) => f.write_str(&self.host),
            (true, port) => write!(f, "[{}]:{port}", self.host),
            (false, port) => write!(f, "{}:{port}", self.host),
        }
    }
}

/// A text that is no `host[:port]`. Its message names the text, what is wrong and what to write.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "invalid NTP server {text:?}: {reason}; write a host name or address, with :port if it is not 123"
)]
pub struct ServerError {
    text: String,
    reason: Reason,
}

impl ServerError {
    /// The text that could not be read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong with it.
    #[must_use]
    pub fn reason(&self) -> String {
        self.reason.to_string()
    }
}

const DEFAULT_HOST: &str = "time.cloudflare.com";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors(file: &str) -> Vec<Value> {
        let path = format!("{}/../../tests/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the vectors are in the checkout");
        let mut whole: Value = serde_json::from_str(&text).expect("JSON");
        let Value::Array(cases) = whole["cases"].take() else { panic!("{file}: no cases") };
        assert!(cases.len() > 10, "{file}");
        cases
    }

    fn text(value: &Value) -> &str {
        value.as_str().expect("text")
    }

    #[test]
    fn a_server_is_what_people_mean_or_is_refused_with_its_reason() {
        for case in vectors("servers.json") {
            let (name, written) = (text(&case["name"]), text(&case["text"]));
            match (written.parse::<Server>(), case.get("reason")) {
                (Ok(server), None) => {
                    assert_eq!(server.host(), text(&case["host"]), "{name}");
                    assert_eq!(Some(u64::from(server.port())), case["port"].as_u64(), "{name}");
                    assert_eq!(server.to_string(), text(&case["shown"]), "{name}");
                    assert_eq!(server.to_string().parse(), Ok(server), "{name}");
                }
                (Err(error), Some(reason)) => {
                    let start = format!("invalid NTP server {written:?}: {}; ", text(reason));
                    assert!(error.to_string().starts_with(&start), "{name}: {error}");
                    assert!(error.to_string().ends_with("with :port if it is not 123"), "{name}");
                }
                (read, _) => panic!("{name}: {read:?}"),
            }
        }
    }

    #[test]
    fn addresses_that_are_nobodys_are_never_asked_and_this_machine_is_not_the_default_server() {
        for case in vectors("server-addresses.json") {
            let server: Server = text(&case["server"]).parse().expect("a server");
            let ip: IpAddr = text(&case["address"]).parse().expect("an address");
            let why_not = server.unusable(ip).map(|unusable| unusable.to_string());
            assert_eq!(why_not.as_deref(), case["unusable"].as_str(), "{}", case["name"]);
        }
    }
}
