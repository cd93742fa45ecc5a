//! Clients of HTTP and WebSocket that do little else than wait.

use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// A contender by its name and URL.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: String,
    url: String,
    authority: String,
    path: String,
    websocket: bool,
}

impl Target {
    pub(super) fn is_websocket(&self) -> bool {
        self.websocket
    }
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, url) = text.split_once('=').context("write NAME=URL")?;
        let (scheme, rest) = url.split_once("://").context("a URL has a scheme")?;
        let websocket = match scheme {
            "http" => false,
            "ws" => true,
            _ => bail!("the scheme must be http or ws"),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Target {
            name: name.to_owned(),
            url: url.to_owned(),
            authority: authority.to_owned(),
            path: format!("/{path}"),
            websocket,
        })
    }
}

/// One connection, with one request at a time.
pub(super) enum Client {
    Http { stream: TcpStream, request: String, buffer: Vec<u8> },
    WebSocket(Box<WebSocketStream<TcpStream>>),
}

impl Client {
    pub(super) async fn connect(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(&target.authority).await?;
        stream.set_nodelay(true)?;
        if target.websocket {
            // Thousands may be open.
            let config = WebSocketConfig::default().read_buffer_size(2048).write_buffer_size(0);
            let shaken = tokio_tungstenite::client_async_with_config(
                target.url.as_str(),
                stream,
                Some(config),
            );
            return Ok(Client::WebSocket(Box::new(shaken.await?.0)));
        }
        let request = format!(
            "GET {}?request_id={ID} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\n\r\n",
            target.path, target.authority
        );
        Ok(Client::Http { stream, request, buffer: Vec::with_capacity(4096) })
    }

    /// The answer's text; an error where it is none.
    pub(super) async fn ask(&mut self) -> Result<String> {
        match self {
            Client::WebSocket(socket) => {
                socket.send(Message::text(REQUEST)).await?;
                loop {
                    match socket.next().await.context("closed")?? {
                        Message::Text(text) => return checked(text.to_string()),
                        Message::Close(frame) => bail!("closed: {frame:?}"),
                        _ => {}
                    }
                }
            }
            Client::Http { stream, request, buffer } => {
                stream.write_all(request.as_bytes()).await?;
                buffer.clear();
                loop {
                    ensure!(stream.read_buf(buffer).await? > 0, "closed");
                    if let Some(body) = body(buffer)? {
                        return Ok(body);
                    }
                }
            }
        }
    }
}

/// The body of a whole response.
fn body(raw: &[u8]) -> Result<Option<String>> {
    let text = std::str::from_utf8(raw)?;
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
    let status = head.get(9..12).unwrap_or_default();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    };
    let whole = match header("content-length") {
        Some(length) => body.len() >= length.parse()?,
        None if header("transfer-encoding") == Some("chunked") => body.ends_with("0\r\n\r\n"),
        None => bail!("a response without a length: {head}"),
    };
    ensure!(!whole || status == "200", "{head}\n{body}");
    Ok(whole.then(|| body.to_owned()))
}

/// The reply to a request over a WebSocket, which must have a time.
fn checked(text: String) -> Result<String> {
    // Nothing is parsed while it counts how many there are.
    let has_time = text.contains("\"server_time\"") && !text.contains("null");
    ensure!(has_time && !text.contains("\"error\""), "no time: {text}");
    Ok(text)
}

/// A reply's number.
pub(super) fn number(reply: &Value, name: &str) -> Result<f64> {
    reply[name].as_f64().with_context(|| format!("{name} is not a number: {reply}"))
}

const ID: &str = "00000000000000a7";
const REQUEST: &str = r#"{"event": "clock_sync_request", "request_id": "00000000000000a7"}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_whole_when_its_body_is() {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(body(b"HTTP/1.1 200 OK\r\n").unwrap(), None);
        assert_eq!(body(format!("{head}ab").as_bytes()).unwrap(), None);
        assert_eq!(body(format!("{head}abc").as_bytes()).unwrap().as_deref(), Some("abc"));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
        assert_eq!(body(chunked.as_bytes()).unwrap(), None);
        assert!(body(format!("{chunked}0\r\n\r\n").as_bytes()).unwrap().is_some());
        let error = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n";
        assert!(body(error.as_bytes()).unwrap_err().to_string().contains("429"));
    }

    #[test]
    fn only_a_reply_with_a_time_counts() {
        assert!(checked(r#"{"server_time":1.5}"#.to_owned()).is_ok());
        for text in [r#"{"server_time": null}"#, r#"{"request_id":"a","error":{}}"#, "{}"] {
            assert!(checked(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_contender_is_its_name_and_its_url() {
        let target: Target = "a b=ws://127.0.0.1:1/x/y".parse().unwrap();
        assert_eq!((target.name.as_str(), target.path.as_str()), ("a b", "/x/y"));
        assert!(target.is_websocket());
        assert!("x=ftp://y/".parse::<Target>().is_err() && "x".parse::<Target>().is_err());
    }
}
