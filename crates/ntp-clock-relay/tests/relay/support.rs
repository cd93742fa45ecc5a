//! A running relay, and clients for it.
#![allow(dead_code, unreachable_pub)]

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use ntp_clock::{Clock, ManualClock, Span, UnixTime};
use ntp_clock_relay::{Relay, RelayConfig, Server, ServerConfig};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub const ID: &str = "00000000000000a7";
/// What an honest clock set by hand says at first.
pub const TIME_NS: i64 = 1_759_639_032_768_445_000;

/// A clock set by hand to [`TIME_NS`] ± 2 ms.
pub fn manual() -> ManualClock {
    let manual = ManualClock::new();
    manual.set(UnixTime::from_nanos(TIME_NS), Span::from_millis(2));
    manual
}

pub struct Running {
    pub relay: Relay,
    pub addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

pub async fn start(clock: Clock) -> Running {
    start_with(clock, |_| {}, |_| {}).await
}

pub async fn start_with(
    clock: Clock,
    of_relay: impl FnOnce(&mut RelayConfig),
    of_server: impl FnOnce(&mut ServerConfig),
) -> Running {
    let (mut relay, mut server) = (RelayConfig::default(), ServerConfig::default());
    of_relay(&mut relay);
    of_server(&mut server);
    let relay = Relay::new(clock, relay);
    let server = Server::bind("127.0.0.1:0", server).await.expect("loopback");
    let addr = server.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel();
    let end = async {
        let _ = stopped.await;
    };
    let task = tokio::spawn(server.serve(relay.clone(), end));
    Running { relay, addr, stop: Some(stop), task }
}

impl Running {
    /// Asks it to end.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// It has ended, by itself or asked to.
    pub async fn ended(mut self) {
        self.stop();
        within(self.task).await.expect("sound");
    }

    pub async fn get(&self, path: &str) -> Response {
        self.get_with(path, "").await
    }

    pub async fn get_with(&self, path: &str, headers: &str) -> Response {
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await
    }

    /// Sends this as it is, and reads one answer.
    pub async fn raw(&self, request: &str) -> Response {
        Http::connect(self.addr).await.raw(request).await.expect("an answer")
    }

    /// A clock request over HTTP.
    pub async fn ask(&self) -> Response {
        self.get(&format!("/clock?request_id={ID}")).await
    }

    pub async fn websocket(&self) -> Client {
        let url = format!("ws://{}/clock/ws", self.addr);
        let (socket, _) = within(tokio_tungstenite::connect_async(url)).await.expect("a handshake");
        Client(socket)
    }

    /// The value of one of its metrics.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.relay.metrics_text();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.parse().expect("a number"))
    }

    /// Waits until the metric is so much.
    pub async fn until(&self, series: &str, value: f64) {
        let reached = async {
            while self.metric(series) != Some(value) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = timeout(LIMIT, reached).await;
        assert!(reached.is_ok(), "{series} is {:?}, not {value}", self.metric(series));
    }
}

/// No step of a test takes longer, unless something hangs.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("something hangs")
}

/// One connection of HTTP/1.1.
pub struct Http<S = TcpStream>(pub S);

impl Http {
    pub async fn connect(addr: SocketAddr) -> Self {
        Http(within(TcpStream::connect(addr)).await.expect("it listens"))
    }
}

impl<S: AsyncReadExt + AsyncWriteExt + Unpin> Http<S> {
    pub async fn ask(&mut self) -> Option<Response> {
        self.raw(&format!("GET /clock?request_id={ID} HTTP/1.1\r\nHost: x\r\n\r\n")).await
    }

    /// `None` where the connection ends without an answer.
    pub async fn raw(&mut self, request: &str) -> Option<Response> {
        within(self.0.write_all(request.as_bytes())).await.ok()?;
        self.read_answer(!request.starts_with("HEAD ")).await
    }

    pub async fn read(&mut self) -> Option<Response> {
        self.read_answer(true).await
    }

    async fn read_answer(&mut self, has_body: bool) -> Option<Response> {
        let mut raw = Vec::new();
        loop {
            if let Some(response) = Response::parsed(&raw, has_body) {
                return Some(response);
            }
            let mut chunk = [0; 4096];
            match within(self.0.read(&mut chunk)).await {
                Ok(0) | Err(_) => return None,
                Ok(got) => raw.extend_from_slice(&chunk[..got]),
            }
        }
    }
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Response {
    fn parsed(raw: &[u8], has_body: bool) -> Option<Self> {
        let text = std::str::from_utf8(raw).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let head = head.to_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let response = Response { status, head, body: body.to_owned() };
        let length = response.header("content-length").and_then(|length| length.parse().ok());
        (!has_body || body.len() >= length.unwrap_or(0)).then_some(response)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A WebSocket's client.
pub struct Client(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub async fn ask(&mut self) -> Value {
        self.say(&request(ID)).await
    }

    /// Sends a text, and takes the answer.
    pub async fn say(&mut self, text: &str) -> Value {
        self.send(Message::text(text)).await;
        self.hear().await
    }

    pub async fn send(&mut self, message: Message) {
        within(self.0.send(message)).await.expect("it is open");
    }

    pub async fn hear(&mut self) -> Value {
        loop {
            match within(self.0.next()).await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).expect("JSON"),
                Some(Ok(Message::Pong(_))) => {}
                other => panic!("no answer: {other:?}"),
            }
        }
    }

    /// What it is closed with, whatever comes before.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match within(self.0.next()).await {
                Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
                    return (code.into(), reason.to_string());
                }
                Some(Ok(_)) => {}
                other => panic!("ended without a word: {other:?}"),
            }
        }
    }
}

pub fn request(id: &str) -> String {
    format!(r#"{{"event":"clock_sync_request","request_id":"{id}"}}"#)
}

const LIMIT: Duration = Duration::from_secs(20);
