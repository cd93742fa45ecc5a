//! The time of an [`ntp_clock::Clock`] for programs that cannot send UDP, pages in a browser above
//! all: over HTTP and WebSocket, in the messages of the project's `docs/WIRE.md`.
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! use axum::Router;
//! use ntp_clock::Clock;
//! use ntp_clock_relay::{Connection, relay_router};
//!
//! // GET /time/clock, and a WebSocket at /time/clock/ws.
//! let app: Router = Router::new().nest("/time", relay_router(Clock::global().clone()));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8123").await?;
//! // With `Connection` the limit of requests holds for each connection, over HTTP too.
//! axum::serve(listener, app.into_make_service_with_connect_info::<Connection>()).await
//! # }
//! ```
//!
//! A reply is stamped when its request came and when it leaves, by two readings of one epoch, and
//! says how wrong they may be. A clock that is not synchronised gives no time: HTTP status 503.
//! Sizes, rates, silence and slow readers are bounded; what is not a request gets an error that says what is wrong.
//!
//! [`Relay`] is for more than the default: settings, metrics, closing WebSockets at the end, and
//! answering on a connection that the program has already. With the feature `server`, [`Server`]
//! is what `ntp-clock relay` runs: limits on connections, TLS.

#![forbid(unsafe_code)]

mod connection;
mod http;
mod metrics;
mod origin;
mod rate;
mod relay;
mod reply;
mod request;
#[cfg(feature = "server")]
mod server;
#[cfg(test)]
mod vectors;
mod websocket;

pub use connection::Connection;
pub use http::relay_router;
pub use origin::{Origin, OriginError, Origins};
pub use relay::{Received, Relay, RelayConfig};
pub use request::RequestError;
#[cfg(feature = "server")]
pub use server::{Server, ServerConfig, Tls, TlsError};
