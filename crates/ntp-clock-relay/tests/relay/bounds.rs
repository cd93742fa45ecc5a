//! Nobody takes more than their share, and the end is orderly.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Http, ID, manual, start, start_with, within};

#[tokio::test]
async fn connections_beyond_the_limit_get_503_and_a_place_that_is_left_is_taken() {
    let relay = start_with(manual().clock(), |_| {}, |config| config.max_connections = 2).await;
    let mut first = Http::connect(relay.addr).await;
    assert_eq!(first.ask().await.unwrap().status, 200);
    let mut socket = relay.websocket().await;
    assert!(socket.ask().await["server_time"].is_number());

    let mut third = Http::connect(relay.addr).await;
    let answer = third.read().await.expect("the reason");
    assert_eq!((answer.status, answer.error_code().as_str()), (503, "full"));
    assert!(answer.json()["server_time"].is_null());
    assert_eq!(
        relay.metric(r#"ntp_clock_relay_connections_refused_total{reason="full"}"#),
        Some(1.0)
    );

    drop(socket);
    relay.until("ntp_clock_relay_connections_open", 1.0).await;
    assert_eq!(relay.ask().await.status, 200);
    relay.ended().await;
}

#[tokio::test]
async fn a_connection_without_a_request_or_with_half_of_one_is_closed() {
    let limit = Duration::from_millis(300);
    let relay = start_with(manual().clock(), |_| {}, |config| config.request_timeout = limit).await;
    let mut idle = Http::connect(relay.addr).await;
    let mut half = Http::connect(relay.addr).await;
    let mut kept = Http::connect(relay.addr).await;
    half.0.write_all(b"GET /clock?request_id=1 HTTP/1.1\r\nHo").await.unwrap();
    assert_eq!(kept.ask().await.unwrap().status, 200);
    for connection in [&mut idle, &mut half, &mut kept] {
        let mut rest = Vec::new();
        let _ = within(connection.0.read_to_end(&mut rest)).await;
    }
    relay.until("ntp_clock_relay_connections_open", 0.0).await;
    relay.ended().await;
}

/// Asks without end and reads nothing, until it is thrown out or `most` bytes were taken.
async fn flood(stream: &mut (impl AsyncWriteExt + Unpin), request: &[u8], most: usize) -> usize {
    let mut sent = 0;
    while sent < most {
        match within(stream.write(request)).await {
            Ok(0) | Err(_) => break,
            Ok(wrote) => sent += wrote,
        }
    }
    sent
}

#[tokio::test]
async fn who_asks_without_reading_the_answers_is_thrown_out() {
    let patience = Duration::from_millis(300);
    let relay = start_with(
        manual().clock(),
        |config| {
            config.rate = 0;
            config.send_timeout = patience;
        },
        |config| config.write_timeout = patience,
    )
    .await;
    let most = 1 << 26;

    let mut http = Http::connect(relay.addr).await;
    let request = format!("GET /clock?request_id={ID} HTTP/1.1\r\nHost: x\r\n\r\n").repeat(20);
    assert!(flood(&mut http.0, request.as_bytes(), most).await < most);
    relay.until("ntp_clock_relay_connections_open", 0.0).await;

    let mut socket = relay.websocket().await;
    let tokio_tungstenite::MaybeTlsStream::Plain(stream) = socket.0.get_mut() else {
        panic!("no TLS here")
    };
    // A masked text frame, its mask being zero.
    let text = crate::support::request(ID);
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    assert!(flood(stream, &frame.repeat(20), most).await < most);
    relay.until(r#"ntp_clock_relay_websockets_closed_total{reason="slow"}"#, 1.0).await;
    relay.until("ntp_clock_relay_connections_open", 0.0).await;
    relay.ended().await;
}

#[tokio::test]
async fn at_the_end_sockets_are_closed_with_1001_and_no_connection_is_taken() {
    let mut relay = start(manual().clock()).await;
    let addr = relay.addr;
    let mut socket = relay.websocket().await;
    let mut http = Http::connect(addr).await;
    assert_eq!(http.ask().await.unwrap().status, 200);
    socket.ask().await;
    relay.stop();
    let (code, reason) = socket.closed().await;
    assert_eq!((code, reason.as_str()), (1001, "the relay is being stopped"));
    drop(socket);
    let mut rest = Vec::new();
    assert_eq!(within(http.0.read_to_end(&mut rest)).await.unwrap_or(0), 0, "closed");
    relay.ended().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn who_does_not_end_with_it_does_not_keep_it_from_ending() {
    let grace = Duration::from_millis(200);
    let relay = start_with(manual().clock(), |_| {}, |config| config.grace = grace).await;
    let mut half = Http::connect(relay.addr).await;
    half.0.write_all(b"GET /clock?request_id=1 HTTP/1.1\r\nHo").await.unwrap();
    relay.until("ntp_clock_relay_connections_open", 1.0).await;
    relay.ended().await;
}
