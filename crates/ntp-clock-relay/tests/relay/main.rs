//! The relay as its clients meet it: real sockets, a real WebSocket client, real TLS.

#![cfg(feature = "server")]

mod absurd;
mod bounds;
mod http;
mod library;
mod support;
mod synchronised;
mod tls;
mod websocket;
