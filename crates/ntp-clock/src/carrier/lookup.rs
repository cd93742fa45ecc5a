//! Names to addresses, in the background: a slow resolver never holds anything up.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::{Failure, FailureKind};
use crate::os::{self, Bell};
use crate::server::Server;

/// The server's addresses and the search for them.
#[derive(Debug)]
pub(crate) struct Lookup {
    server: Server,
    known: Vec<SocketAddr>,
    /// Why the last search found nothing, without the name.
    error: Option<Failure>,
    search: Option<Arc<Mutex<Option<Answer>>>>,
}

type Answer = Result<Vec<SocketAddr>, Failure>;

impl Lookup {
    pub(crate) fn new(server: Server) -> Self {
        let known: Vec<_> =
            server.ip().map(|ip| SocketAddr::new(ip, server.port())).into_iter().collect();
        Lookup { server, known, error: None, search: None }
    }

    /// Whose addresses they are.
    pub(crate) const fn server(&self) -> &Server {
        &self.server
    }

    /// Begins a search unless the host is an address or one is under way. The bell rings when it
    /// is over.
    pub(crate) fn refresh(&mut self, bell: Bell) {
        if self.server.ip().is_some() || self.search.is_some() {
            return;
        }
        let slot = Arc::new(Mutex::new(None));
        let (server, result) = (self.server.clone(), Arc::clone(&slot));
        let search = move || {
            let answer = resolve(&server);
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            bell.ring();
        };
        match os::spawn_quietly(THREAD_NAME, search) {
            Ok(_) => {
                self.search = Some(slot);
                self.error = None;
            }
            Err(error) => {
                let kind = FailureKind::of_system(&error);
                self.error = Some(Failure::new(kind, error.to_string()));
            }
        }
    }

    /// Takes the result of a search that is over.
    pub(crate) fn collect(&mut self) {
        let Some(search) = &self.search else { return };
        let Some(answer) = search.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        self.search = None;
        match answer.and_then(|addresses| usable(&self.server, addresses)) {
            Ok(addresses) => {
                self.known = addresses;
                self.error = None;
            }
            // What was known stays known: a resolver that fails says nothing about the server.
            Err(error) => self.error = Some(error),
        }
    }

    /// All known addresses, in the order in which to try them.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.known
    }

    /// Whether an answer may still come.
    pub(crate) fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// Why there is no address.
    pub(crate) fn failure(&self) -> Failure {
        let silent = || Failure::new(FailureKind::NoAddress, "the resolver has not answered yet");
        unresolved(&self.server, &self.error.clone().unwrap_or_else(silent))
    }
}

/// The server's addresses that may be asked, in the order in which to try them; blocks as long as
/// the resolver does.
#[cfg(feature = "nts")]
pub(crate) fn find(server: &Server) -> Answer {
    let found = resolve(server).and_then(|addresses| usable(server, addresses));
    found.map_err(|reason| unresolved(server, &reason))
}

fn unresolved(server: &Server, reason: &Failure) -> Failure {
    let detail = format!("could not resolve {:?}: {reason}", server.host());
    Failure::new(reason.kind(), detail)
}

fn resolve(server: &Server) -> Answer {
    #[cfg(test)]
    if let Some(addresses) = hosts::addresses(server.host()) {
        return Ok(addresses);
    }
    (server.host(), server.port())
        .to_socket_addrs()
        .map(Iterator::collect)
        .map_err(|error| Failure::new(FailureKind::NoAddress, error.to_string()))
}

/// Those of the addresses that may be asked, each once, or why there are none.
fn usable(server: &Server, addresses: Vec<SocketAddr>) -> Answer {
    let mut usable = Vec::new();
    let mut unusable = None;
    for mut address in addresses {
        if let IpAddr::V4(v4) = address.ip().to_canonical() {
            address = SocketAddr::new(v4.into(), address.port());
        }
        if let Some(why) = server.unusable(address.ip()) {
            let ip = address.ip();
            let detail = format!("it leads to {ip}, {why}, which is not asked");
            unusable = Some(Failure::new(FailureKind::ForbiddenAddress, detail));
        } else if !usable.contains(&address) {
            usable.push(address);
        }
    }
    if usable.is_empty() {
        let none = || Failure::new(FailureKind::NoAddress, "the name has no address");
        return Err(unusable.unwrap_or_else(none));
    }
    Ok(alternating(usable))
}

/// The families by turns, that of the resolver's first choice first (RFC 8305, section 4): a
/// network on which one of them leads nowhere costs one address's time.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_ipv6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut mixed = Vec::new();
    loop {
        let pair = (first.next(), second.next());
        if pair == (None, None) {
            return mixed;
        }
        mixed.extend([pair.0, pair.1].into_iter().flatten());
    }
}

/// Names of the tests' own, as in a hosts file.
#[cfg(test)]
pub(crate) mod hosts {
    use std::collections::HashMap;
    use std::net::SocketAddr;
    use std::sync::{Mutex, PoisonError};

    static HOSTS: Mutex<Option<HashMap<String, Vec<SocketAddr>>>> = Mutex::new(None);

    /// From now on the name leads there.
    pub(crate) fn set(host: &str, addresses: &[SocketAddr]) {
        let mut hosts = HOSTS.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get_or_insert_default().insert(host.to_owned(), addresses.to_vec());
    }

    pub(super) fn addresses(host: &str) -> Option<Vec<SocketAddr>> {
        HOSTS.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(host).cloned()
    }
}

const THREAD_NAME: &str = "ntp-clock-dns";

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    use crate::os::Waiter;

    fn lookup(server: &str) -> Lookup {
        let bell = Bell::default();
        let waiter = Waiter::at(bell.clone());
        let mut lookup = Lookup::new(server.parse().unwrap());
        lookup.refresh(bell);
        let begun = Instant::now();
        while lookup.is_searching() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the resolver hangs");
            let _ = waiter.wait([], None, None, Duration::from_millis(100));
            lookup.collect();
        }
        lookup
    }

    #[test]
    fn a_name_leads_to_its_addresses_at_the_servers_port() {
        let lookup = lookup("localhost:77");
        assert!(!lookup.addresses().is_empty());
        assert!(lookup.addresses().iter().all(|a| a.ip().is_loopback() && a.port() == 77));
    }

    #[test]
    fn the_families_alternate_and_the_resolvers_first_choice_comes_first() {
        let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let (a, b, c) = (at("[2001:db8::1]:1"), at("[2001:db8::2]:1"), at("[2001:db8::3]:1"));
        let (x, y) = (at("192.0.2.1:1"), at("192.0.2.2:1"));
        assert_eq!(alternating(vec![a, b, c, x]), [a, x, b, c]);
        assert_eq!(alternating(vec![x, a, y, b]), [x, a, y, b]);
        assert_eq!(alternating(vec![x, y]), [x, y]);
    }

    #[test]
    fn an_address_needs_no_search() {
        let mut lookup = Lookup::new("192.0.2.1".parse().unwrap());
        lookup.refresh(Bell::default());
        assert!(!lookup.is_searching());
        assert_eq!(lookup.addresses(), ["192.0.2.1:123".parse().unwrap()]);
    }

    #[test]
    fn a_name_without_an_address_says_so_and_keeps_what_was_known() {
        let mut lookup = lookup("no-such-host.invalid");
        assert!(lookup.addresses().is_empty());
        let failure = lookup.failure();
        let begins = "could not resolve \"no-such-host.invalid\": ";
        assert!(failure.detail().starts_with(begins), "{failure}");
        let known = vec!["192.0.2.1:123".parse().unwrap()];
        lookup.known.clone_from(&known);
        answer(&mut lookup, Err(Failure::new(FailureKind::NoAddress, "SERVFAIL")));
        assert_eq!(lookup.addresses(), known);
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
            assert!(lookup.addresses().is_empty(), "{ip}");
            let message = format!(
                "could not resolve \"time.cloudflare.com\": it leads to {ip}, {why}, which is not \
                 asked"
            );
            assert_eq!(lookup.failure().detail(), message);
            assert_eq!(lookup.failure().code(), "forbidden_address");
        }
        answer(&mut lookup, Ok(vec![at("::"), at("::ffff:192.0.2.1"), at("192.0.2.1")]));
        assert_eq!(lookup.addresses(), [at("192.0.2.1")], "the others are used, each once");
        answer(&mut lookup, Ok(vec![at("::1")]));
        assert_eq!(lookup.addresses(), [at("192.0.2.1")], "what was known stays known");
    }
}
