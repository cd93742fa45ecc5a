//! The relay over a WebSocket.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use tokio::time::timeout;
use tungstenite::error::ProtocolError;

use crate::connection::Connection;
use crate::metrics::{Ended, Transport};
use crate::relay::{Received, Relay};
use crate::request;

/// Accepts the handshake; the conversation is a task of its own.
pub(crate) fn accept(upgrade: WebSocketUpgrade, relay: Relay, connection: Connection) -> Response {
    upgrade
        // A message that is somewhat too long gets an error, one that is much too long ends the
        // connection.
        .max_message_size(MESSAGE_MAX)
        .max_frame_size(MESSAGE_MAX)
        // Thousands of sockets may be open, and messages are small.
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .on_upgrade(|socket| serve(socket, relay, connection))
}

async fn serve(mut socket: WebSocket, relay: Relay, connection: Connection) {
    relay.metrics().websocket_opened();
    // A client that opens a socket has something to ask.
    let mut patience = relay.config().first;
    let ended = converse(&mut socket, &relay, &connection, &mut patience).await;
    relay.metrics().websocket_ended(ended);
    if let Some(frame) = farewell(ended, patience) {
        let closing = async {
            if socket.send(Message::Close(Some(frame))).await.is_ok() {
                // Closed with something unread, a connection is reset, and our last words lost.
                while let Some(Ok(_)) = socket.recv().await {}
            }
        };
        let _ = timeout(FAREWELL, closing).await;
    }
    drop(connection);
}

/// Until something ends it.
async fn converse(
    socket: &mut WebSocket,
    relay: &Relay,
    connection: &Connection,
    patience: &mut Duration,
) -> Ended {
    let closing = relay.closing();
    tokio::pin!(closing);
    let mut refused_in_a_row = 0;
    loop {
        let message = tokio::select! {
            message = timeout(*patience, socket.recv()) => message,
            () = &mut closing => return Ended::Shutdown,
        };
        let received = Received::now(relay.clock());
        let message = match message {
            Err(_) => return Ended::Idle,
            Ok(None) => return Ended::Client,
            Ok(Some(Err(error))) => return reason(&error),
            Ok(Some(Ok(message))) => message,
        };
        *patience = relay.config().idle;
        // Pings are answered below us, and count as what they are: work.
        let admitted = relay.admit(connection);
        refused_in_a_row = if admitted.is_ok() { 0 } else { refused_in_a_row + 1 };
        if refused_in_a_row >= REFUSED_MAX {
            return Ended::RateLimited;
        }
        let id = match &message {
            // A close is answered below us when we read on.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => continue,
            Message::Text(text) => admitted.and_then(|()| request::of_text(text)),
            Message::Binary(bytes) => admitted.and_then(|()| Err(request::of_binary(bytes.len()))),
        };
        let answer = match id {
            Ok(id) => relay.reply(received, &id, Transport::WebSocket).1,
            Err(error) => relay.refuse(&error, Transport::WebSocket),
        };
        let sent = timeout(relay.config().send_timeout, socket.send(Message::Text(answer.into())));
        match sent.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return reason(&error),
            Err(_) => return Ended::Slow,
        }
    }
}

/// Who or what ended it, by the error that it ended with.
fn reason(error: &axum::Error) -> Ended {
    match error.source().and_then(|source| source.downcast_ref()) {
        Some(tungstenite::Error::Capacity(_)) => Ended::Oversize,
        Some(tungstenite::Error::WriteBufferFull(_)) => Ended::Slow,
        Some(tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
            Ended::Client
        }
        Some(tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_)) => Ended::Malformed,
        Some(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
            Ended::Slow
        }
        _ => Ended::Client,
    }
}

/// Our last words, where there is anybody to hear them.
fn farewell(ended: Ended, patience: Duration) -> Option<CloseFrame> {
    let (code, words) = match ended {
        Ended::Client | Ended::Slow => return None,
        Ended::Idle => {
            (1000, format!("silent for {patience:?}: connect again when you need the time"))
        }
        Ended::Shutdown => (1001, "the relay is being stopped".to_owned()),
        Ended::Malformed => (1002, "this is not the protocol of WebSockets".to_owned()),
        Ended::RateLimited => (1008, format!("{REFUSED_MAX} requests refused in a row: ask less")),
        Ended::Oversize => (1009, format!("a request has at most {} bytes", request::REQUEST_MAX)),
    };
    Some(CloseFrame { code, reason: words.into() })
}

/// Longer messages are not even read.
const MESSAGE_MAX: usize = 64 * 1024;
const BUFFER: usize = 2048;
const WRITE_BUFFER_MAX: usize = 16 * 1024;
/// A client that goes on after this many refusals does not listen.
const REFUSED_MAX: u32 = 64;
const FAREWELL: Duration = Duration::from_secs(1);
