//! A server around the router, which owns its connections: `ntp-clock relay`.

mod patient;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower_service::Service;

pub use tls::{Tls, TlsError};

use crate::connection::Connection;
use crate::http::nothing_here;
use crate::metrics::{Outcome, Refused, Transport};
use crate::relay::{Received, Relay};
use patient::Patient;

/// What a server bears.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The certificate, for HTTPS and WSS; plain HTTP without.
    pub tls: Option<Tls>,
    /// Connections open at the same time; further ones get 503 and are closed.
    pub max_connections: u32,
    /// A connection without a request (or within half of one) is closed after so long; 75 s.
    pub request_timeout: Duration,
    /// A connection that takes nothing of what is sent is closed after so long; 10 s.
    pub write_timeout: Duration,
    /// At the end, requests under way and WebSockets have so long; 5 s.
    pub grace: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            tls: None,
            max_connections: 10_000,
            request_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(10),
            grace: Duration::from_secs(5),
        }
    }
}

/// A listening server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    config: ServerConfig,
}

impl Server {
    /// Listens at this address; port 0 is a free one.
    ///
    /// # Errors
    /// The system's, where the address is in use, not ours, or needs privileges.
    pub async fn bind(address: impl ToSocketAddrs, config: ServerConfig) -> io::Result<Self> {
        Ok(Server { listener: TcpListener::bind(address).await?, config })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's; never seen.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `end` resolves: `/clock`, `/clock/ws`, `/metrics`, `/healthz`. Then takes no
    /// more connections, lets requests finish, closes WebSockets, and returns.
    pub async fn serve(self, relay: Relay, end: impl Future<Output = ()>) {
        let Server { listener, config } = self;
        let app: Router = relay.router().merge(relay.operations_router()).fallback(nothing_here);
        let most = config.max_connections.max(1);
        let slots = Arc::new(Semaphore::new(most as usize));
        let shared = Arc::new(Shared { relay, config, app, ending: watch::Sender::new(false) });
        let mut end = pin!(end);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut end => break,
            };
            match accepted {
                Ok((stream, _)) => match Arc::clone(&slots).try_acquire_owned() {
                    Ok(permit) => {
                        let slot = Slot::new(permit, shared.relay.clone());
                        tokio::spawn(Arc::clone(&shared).connection(stream, slot));
                    }
                    Err(_) => shared.turn_away(&stream),
                },
                // The client was faster away than we took it, or we are out of descriptors: then
                // others have to end first.
                Err(_) => sleep(AFTER_ERROR).await,
            }
        }
        drop(listener);
        shared.ending.send_replace(true);
        shared.relay.close_websockets();
        // All slots in hand means that no connection has one. A connection that does not end is
        // left behind.
        let _ = timeout(shared.config.grace, slots.acquire_many(most)).await;
    }
}

struct Shared {
    relay: Relay,
    config: ServerConfig,
    app: Router,
    ending: watch::Sender<bool>,
}

impl Shared {
    async fn connection(self: Arc<Self>, stream: TcpStream, slot: Slot) {
        // A reply is one small packet, and must not wait for another.
        let _ = stream.set_nodelay(true);
        let stream = Patient::new(stream, self.config.write_timeout);
        let connection = Connection::holding(slot);
        let Some(tls) = &self.config.tls else { return self.http(stream, connection).await };
        match timeout(self.config.write_timeout, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => self.http(stream, connection).await,
            _ => self.relay.metrics().refused(Refused::Tls),
        }
    }

    async fn http(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        connection: Connection,
    ) {
        let service = service_fn(|mut request: Request<Incoming>| {
            let received = Received::now(self.relay.clock());
            request.extensions_mut().insert(received);
            request.extensions_mut().insert(ConnectInfo(connection.clone()));
            let mut app = self.app.clone();
            async move { Ok::<_, Infallible>(app.call(request).await.unwrap_or_else(|e| match e {})) }
        });
        let http = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.config.request_timeout)
            .max_buf_size(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut http = pin!(http);
        let mut ending = self.ending.subscribe();
        let ending = async move {
            let _ = ending.wait_for(|ending| *ending).await;
        };
        let ended = tokio::select! {
            ended = http.as_mut() => ended,
            () = ending => {
                http.as_mut().graceful_shutdown();
                http.await
            }
        };
        if ended.is_err_and(|error| error.is_parse()) {
            self.relay.metrics().request(Transport::Http, Outcome::Malformed);
        }
    }

    /// There is no room.
    fn turn_away(&self, stream: &TcpStream) {
        self.relay.metrics().refused(Refused::Full);
        if self.config.tls.is_none() {
            // Where even this does not fit at once, the connection just ends.
            let _ = stream.try_write(FULL.as_bytes());
        }
    }
}

/// One of this many connections, for as long as it lasts.
#[derive(Debug)]
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
    relay: Relay,
}

impl Slot {
    fn new(permit: OwnedSemaphorePermit, relay: Relay) -> Self {
        relay.metrics().connections.fetch_add(1, Ordering::Relaxed);
        Slot { _permit: permit, relay }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.relay.metrics().connections.fetch_sub(1, Ordering::Relaxed);
    }
}

const AFTER_ERROR: Duration = Duration::from_millis(50);
/// Bytes of a request's head: a browser's cookies may be many.
const HEAD_MAX: usize = 16 * 1024;
const FULL: &str = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\
    Content-Type: application/json\r\nCache-Control: no-store\r\nRetry-After: 1\r\n\
    Access-Control-Allow-Origin: *\r\nContent-Length: 142\r\n\r\n\
    {\"event\":\"clock_sync_response\",\"request_id\":null,\"server_time\":null,\
    \"error\":{\"code\":\"full\",\"message\":\"too many connections; try again later\"}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_turned_away_learns_why_in_json_of_the_length_said() {
        let (head, body) = FULL.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{}", body.len());
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error"]["code"], "full");
    }
}
