//! The one server, as people write it: `host[:port]`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

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

    /// Name or address, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// UDP port, 1 to 65535.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address, where the host is one and needs no resolving.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for Server {
    type Err = ServerError;

    /// Reads `host`, `host:port`, `a.b.c.d[:port]`, `[v6][:port]` or a bare IPv6 address.
    fn from_str(text: &str) -> Result<Self, ServerError> {
        let error = |reason| ServerError { text: text.to_owned(), reason };
        if text.is_empty() {
            return Err(error(Reason::Empty));
        }
        if text.contains("://") {
            return Err(error(Reason::Url));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Ok(Server { host: text.to_owned(), port: NTP_PORT });
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or(error(Reason::Bracket))?;
                host.parse::<Ipv6Addr>().map_err(|_| error(Reason::NotIpv6))?;
                let port = match after {
                    "" => None,
                    _ => Some(after.strip_prefix(':').ok_or(error(Reason::AfterBracket))?),
                };
                (host, port)
            }
            None => {
                let (host, port) = match text.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (text, None),
                };
                check_host(host).map_err(error)?;
                (host, port)
            }
        };
        let port = match port {
            None => NTP_PORT,
            Some(digits) => parse_port(digits).ok_or(error(Reason::Port))?,
        };
        Ok(Server { host: host.to_owned(), port })
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
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
enum Reason {
    #[error("it is empty")]
    Empty,
    #[error("it is a URL")]
    Url,
    #[error("the bracket of its IPv6 address is not closed")]
    Bracket,
    #[error("what stands in its brackets is no IPv6 address")]
    NotIpv6,
    #[error("only :port may follow the closing bracket")]
    AfterBracket,
    #[error("its host is empty")]
    NoHost,
    #[error("its host is longer than 253 characters or has a label longer than 63")]
    TooLong,
    #[error("its host has a character other than letters, digits, '.', '-' and '_'")]
    Character,
    #[error("its port is not a number from 1 to 65535")]
    Port,
}

fn check_host(host: &str) -> Result<(), Reason> {
    if host.is_empty() {
        return Err(Reason::NoHost);
    }
    if !host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
        return Err(Reason::Character);
    }
    let labels = host.strip_suffix('.').unwrap_or(host).split('.');
    if host.len() > HOST_LEN_MAX || labels.clone().any(|label| label.len() > LABEL_LEN_MAX) {
        return Err(Reason::TooLong);
    }
    if labels.into_iter().any(str::is_empty) {
        return Err(Reason::NoHost);
    }
    Ok(())
}

fn parse_port(digits: &str) -> Option<u16> {
    // `u16::from_str` would also take a plus sign.
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|port| plain && *port != 0)
}

const DEFAULT_HOST: &str = "time.cloudflare.com";
const NTP_PORT: u16 = 123;
const HOST_LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read_in_all_their_forms() {
        let cases = [
            ("time.cloudflare.com", "time.cloudflare.com", 123),
            ("localhost:11123", "localhost", 11123),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("[::1]", "::1", 123),
            ("[::1]:65535", "::1", 65535),
            ("2606:4700:f1::1", "2606:4700:f1::1", 123),
            ("host_1.local.", "host_1.local.", 123),
        ];
        for (text, host, port) in cases {
            let server: Server = text.parse().expect(text);
            assert_eq!((server.host(), server.port()), (host, port), "{text}");
            assert_eq!(server.to_string().parse(), Ok(server), "{text}");
        }
    }

    #[test]
    fn each_malformed_server_is_refused_with_its_reason() {
        let long = "a".repeat(64);
        let cases = [
            ("", "it is empty"),
            ("http://x", "it is a URL"),
            ("[::1", "the bracket of its IPv6 address is not closed"),
            ("[nonsense]", "what stands in its brackets is no IPv6 address"),
            ("[::1]11", "only :port may follow the closing bracket"),
            (":123", "its host is empty"),
            ("a..b", "its host is empty"),
            ("a b", "its host has a character other than letters"),
            ("zeit.österreich", "its host has a character other than letters"),
            ("x:0", "its port is not a number from 1 to 65535"),
            ("x:70000", "its port is not a number from 1 to 65535"),
            ("x:+12", "its port is not a number from 1 to 65535"),
            ("x:", "its port is not a number from 1 to 65535"),
            ("x:1:2", "its port is not a number from 1 to 65535"),
            (long.as_str(), "longer than 63"),
        ];
        for (text, reason) in cases {
            let message = text.parse::<Server>().expect_err(text).to_string();
            assert!(message.contains(reason), "{message}");
            assert!(message.contains(&format!("{text:?}")), "{message}");
            assert!(message.ends_with("with :port if it is not 123"), "{message}");
        }
    }
}
