//! Names to addresses, in the background: a slow resolver never holds anything up.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

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
        match answer {
            Ok(addresses) if addresses.is_empty() => {
                self.error = Some("the name has no address".to_owned());
            }
            Ok(addresses) => {
                self.known = addresses;
                self.error = None;
            }
            // What was known stays known: a resolver that fails says nothing about the server.
            Err(error) => self.error = Some(error),
        }
    }

    /// All known addresses, in the resolver's order.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.known
    }

    /// Whether an answer may still come.
    pub(crate) fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// Why there is no address.
    pub(crate) fn failure(&self) -> String {
        let reason = self.error.as_deref().unwrap_or("the resolver has not answered yet");
        format!("could not resolve {:?}: {reason}", self.server.host())
    }
}

const THREAD_NAME: &str = "ntp-clock-dns";
