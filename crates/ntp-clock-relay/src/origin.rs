//! Which pages may ask: the origins of CORS.

use std::str::FromStr;

/// Whose pages may read what a relay says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Origins {
    /// Every page: the time is no secret, and requests carry no credentials.
    #[default]
    Any,
    /// Pages of these origins, and of the relay's own host. Programs that are no browsers send no
    /// origin, and may ask.
    Only(Vec<Origin>),
}

impl Origins {
    /// Whether a page that names this origin may ask; `host` is what the request calls us.
    pub(crate) fn allow(&self, origin: &str, host: Option<&str>) -> bool {
        match self {
            Origins::Any => true,
            Origins::Only(all) => {
                let its_host = origin.split_once("://").map(|(_, its_host)| its_host);
                let is_ours =
                    |host: &str| its_host.is_some_and(|its| its.eq_ignore_ascii_case(host));
                host.is_some_and(is_ours) || all.iter().any(|one| one.0 == origin)
            }
        }
    }
}

/// An origin as browsers write it: `https://example.org`, with `:port` if that is not the usual;
/// `null` is what pages opened as files have.
///
/// ```
/// use ntp_clock_relay::Origin;
/// let origin: Origin = "https://Example.org:8443".parse()?;
/// assert_eq!(origin.as_str(), "https://example.org:8443");
/// assert!("example.org".parse::<Origin>().is_err());
/// # Ok::<(), ntp_clock_relay::OriginError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin(String);

impl Origin {
    /// The text that a browser would send.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let error = |reason| OriginError { text: text.to_owned(), reason };
        if text == FILE {
            return Ok(Origin(FILE.to_owned()));
        }
        let (scheme, host) = text.split_once("://").ok_or(error("it has no scheme"))?;
        let usual = match scheme.to_ascii_lowercase().as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => return Err(error("its scheme is neither http nor https")),
        };
        if host.is_empty() {
            return Err(error("it has no host"));
        }
        if host.contains(['/', '?', '#']) {
            return Err(error("it has a path, and an origin ends with its host or port"));
        }
        let well = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        if !host.chars().all(well) {
            return Err(error("its host has a character that no host name has"));
        }
        let port =
            host.rsplit_once(':').filter(|(name, _)| !name.contains(':') || name.ends_with(']'));
        if port.is_some_and(|(_, port)| port.parse::<u16>().map_or(true, |port| port == 0)) {
            return Err(error("its port is not a number from 1 to 65535"));
        }
        let lower = text.to_ascii_lowercase();
        // A browser leaves the scheme's own port out.
        Ok(Origin(lower.strip_suffix(usual).map(str::to_owned).unwrap_or(lower)))
    }
}

/// A text that is no origin. Its message names the text, what is wrong and what to write.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("invalid origin {text:?}: {reason}; write https://example.org, with :port if need be")]
pub struct OriginError {
    text: String,
    reason: &'static str,
}

const FILE: &str = "null";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_would_send() {
        for (text, sent) in [
            ("https://example.org", "https://example.org"),
            ("HTTPS://EXAMPLE.org:443", "https://example.org"),
            ("http://localhost:8000", "http://localhost:8000"),
            ("null", "null"),
            ("http://[::1]:80", "http://[::1]"),
            ("http://[::1]", "http://[::1]"),
            ("https://example.org:80", "https://example.org:80"),
        ] {
            let origin: Origin = text.parse().expect(text);
            assert_eq!(origin.as_str(), sent);
            assert!(Origins::Only(vec![origin]).allow(sent, None));
        }
        assert!(Origins::Any.allow("null", None));
    }

    #[test]
    fn pages_of_our_own_host_may_always_ask() {
        let nobody = Origins::Only(Vec::new());
        assert!(nobody.allow("https://time.example.org", Some("Time.example.org")));
        assert!(nobody.allow("http://localhost:8123", Some("localhost:8123")));
        for (origin, host) in [
            ("https://example.org", None),
            ("http://localhost:8000", Some("localhost:8123")),
            ("null", Some("null")),
            ("time.example.org", Some("time.example.org")),
            ("https://time.example.org", Some("")),
        ] {
            assert!(!nobody.allow(origin, host), "{origin} {host:?}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "no scheme"),
            ("example.org", "no scheme"),
            ("ftp://example.org", "neither http nor https"),
            ("https://", "no host"),
            ("https://example.org/", "it has a path"),
            ("https://example.org:", "its port"),
            ("https://example.org:99999", "its port"),
            ("https://exa mple.org", "character"),
            ("https://*.example.org", "character"),
            ("https://example.org\r\nX: y", "character"),
        ] {
            let error = text.parse::<Origin>().expect_err(text).to_string();
            assert!(error.contains(reason) && error.contains("write https://"), "{error}");
        }
    }
}
