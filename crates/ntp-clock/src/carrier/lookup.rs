//! Names to addresses, in the background: a slow resolver never holds anything up.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::{Failure, FailureKind};
use crate::os::Bell;
use crate::server::Server;

/// The server's addresses and the search for them.
#[derive(Debug)]
pub(crate) struct Lookup {
    server: Server,
    known: Vec<SocketAddr>,
    error: Option<String>,
    search: Option<Arc<Mutex<Option<Answer>>>>,
}

type Answer = Result<Vec<SocketAddr>, String>;

impl Lookup {
    pub(crate) fn new(server: Server) -> Self {
        let known: Vec<_> =
            server.ip().map(|ip| SocketAddr::new(ip, server.port())).into_iter().collect();
        Lookup { server, known, error: None, search: None }
    }

    /// Begins a search unless the host is an address or one is under way. The bell rings when it
    /// is over.
    pub(crate) fn refresh(&mut self, bell: Bell) {
        if self.server.ip().is_some() || self.search.is_some() {
            return;
        }
        let slot = Arc::new(Mutex::new(None));
        let (host, port) = (self.server.host().to_owned(), self.server.port());
        let result = Arc::clone(&slot);
        let search = move || {
            let answer = (host.as_str(), port)
                .to_socket_addrs()
                .map(Iterator::collect)
                .map_err(|error| error.to_string());
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            bell.ring();
        };
        match std::thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(search) {
            Ok(_) => {
                self.search = Some(slot);
                self.error = None;
            }
            Err(error) => self.error = Some(error.to_string()),
        }
    }

    /// Takes the result of a search that is over.
    pub(crate) fn collect(&mut self) {
        let Some(search) = &self.search else { return };
        let Some(answer) = search.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        self.search = None;
        match answer.and_then(|addresses| self.usable(addresses)) {
            Ok(addresses) => {
                self.known = addresses;
                self.error = None;
            }
            // What was known stays known: a resolver that fails says nothing about the server.
            Err(error) => self.error = Some(error),
        }
    }

    /// Those of the addresses that may be asked, each once, or why there are none.
    fn usable(&self, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, String> {
        let mut usable = Vec::new();
        let mut unusable = None;
        for mut address in addresses {
            if let IpAddr::V4(v4) = address.ip().to_canonical() {
                address = SocketAddr::new(v4.into(), address.port());
            }
            if let Some(why) = self.server.unusable(address.ip()) {
                unusable = Some(format!("it leads to {}, {why}, which is not asked", address.ip()));
            } else if !usable.contains(&address) {
                usable.push(address);
            }
        }
        if usable.is_empty() {
            return Err(unusable.unwrap_or_else(|| "the name has no address".to_owned()));
        }
        Ok(usable)
    }

    /// All known addresses in the resolver's order, turned so that each attempt after a failed one
    /// begins with the next.
    pub(crate) fn addresses(&self, failed_attempts: usize) -> Vec<SocketAddr> {
        let mut addresses = self.known.clone();
        if !addresses.is_empty() {
            let turn = failed_attempts % addresses.len();
            addresses.rotate_left(turn);
        }
        addresses
    }

    /// Whether an answer may still come.
    pub(crate) fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// Why there is no address.
    pub(crate) fn failure(&self) -> Failure {
        let reason = self.error.as_deref().unwrap_or("the resolver has not answered yet");
        let detail = format!("could not resolve {:?}: {reason}", self.server.host());
        Failure::new(FailureKind::NoAddress, detail)
    }
}

const THREAD_NAME: &str = "ntp-clock-dns";

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    use crate::os::Waiter;

    fn lookup(server: &str) -> Lookup {
        let waiter = Waiter::new().unwrap();
        let mut lookup = Lookup::new(server.parse().unwrap());
        lookup.refresh(waiter.bell());
        let begun = Instant::now();
        while lookup.is_searching() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the resolver hangs");
            let _ = waiter.wait(None, Duration::from_millis(100));
            lookup.collect();
        }
        lookup
    }

    #[test]
    fn a_failed_attempt_is_followed_by_one_at_the_names_next_address() {
        let mut lookup = lookup("localhost:77");
        assert!(lookup.addresses(0).iter().all(|a| a.ip().is_loopback() && a.port() == 77));
        let [a, b] = ["192.0.2.1:77", "[2001:db8::1]:77"].map(|a| a.parse().unwrap());
        lookup.known = vec![a, b];
        assert_eq!(lookup.addresses(0), [a, b]);
        assert_eq!(lookup.addresses(1), [b, a]);
        assert_eq!(lookup.addresses(2), [a, b]);
    }

    #[test]
    fn an_address_needs_no_search() {
        let mut lookup = Lookup::new("192.0.2.1".parse().unwrap());
        lookup.refresh(Waiter::new().unwrap().bell());
        assert!(!lookup.is_searching());
        assert_eq!(lookup.addresses(5), ["192.0.2.1:123".parse().unwrap()]);
    }

    #[test]
    fn a_name_without_an_address_says_so_and_keeps_what_was_known() {
        let mut lookup = lookup("no-such-host.invalid");
        assert!(lookup.addresses(0).is_empty());
        let failure = lookup.failure();
        let begins = "could not resolve \"no-such-host.invalid\": ";
        assert!(failure.detail().starts_with(begins), "{failure}");
        let known = vec!["192.0.2.1:123".parse().unwrap()];
        lookup.known.clone_from(&known);
        answer(&mut lookup, Err("SERVFAIL".to_owned()));
        assert_eq!(lookup.addresses(0), known);
    }

    fn answer(lookup: &mut Lookup, answer: Answer) {
        lookup.search = Some(Arc::new(Mutex::new(Some(answer))));
        lookup.collect();
    }

    #[test]
    fn a_sinkhole_is_not_believed_and_the_failure_names_it() {
        let mut lookup = Lookup::new("time.cloudflare.com".parse().unwrap());
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 123);
        for (ip, why) in [("0.0.0.0", "the unspecified address"), ("127.0.0.1", "this machine")] {
            answer(&mut lookup, Ok(vec![at(ip)]));
            assert!(lookup.addresses(0).is_empty(), "{ip}");
            let told = format!(
                "could not resolve \"time.cloudflare.com\": it leads to {ip}, {why}, which is not \
                 asked"
            );
            assert_eq!(lookup.failure(), told);
        }
        answer(&mut lookup, Ok(vec![at("::"), at("::ffff:192.0.2.1"), at("192.0.2.1")]));
        assert_eq!(lookup.addresses(0), [at("192.0.2.1")], "the others are used, each once");
        answer(&mut lookup, Ok(vec![at("::1")]));
        assert_eq!(lookup.addresses(0), [at("192.0.2.1")], "what was known stays known");
    }
}
