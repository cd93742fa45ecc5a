//! Over a WebSocket, by a client that is not ours.

use std::time::Duration;

use ntp_clock::{ManualClock, Span, UnixTime};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::support::{ID, TIME_NS, manual, request, start, start_with};

#[tokio::test]
async fn requests_are_answered_in_their_order_with_their_ids() {
    let manual = manual();
    let relay = start(manual.clock()).await;
    let mut client = relay.websocket().await;
    let first = client.ask().await;
    assert_eq!(
        (&first["event"], &first["request_id"]),
        (&"clock_sync_response".into(), &ID.into())
    );
    manual.advance(Duration::from_millis(1));
    for id in ["a", "b", "c"] {
        client.send(Message::text(request(id))).await;
    }
    for id in ["a", "b", "c"] {
        let reply = client.hear().await;
        assert_eq!(reply["request_id"], id);
        assert!(reply["server_time"].as_f64() > first["server_time"].as_f64());
        assert_eq!(reply["instance"], first["instance"]);
    }
    assert_eq!(relay.metric("ntp_clock_relay_websockets_open"), Some(1.0));
    drop(client);
    relay.until(r#"ntp_clock_relay_websockets_closed_total{reason="client"}"#, 1.0).await;
    assert_eq!(relay.metric("ntp_clock_relay_websockets_open"), Some(0.0));
    relay.ended().await;
}

#[tokio::test]
async fn a_relay_that_loses_its_time_says_null_and_goes_on_when_it_has_it_again() {
    let manual = ManualClock::new();
    let relay = start(manual.clock()).await;
    let mut client = relay.websocket().await;
    let reply = client.ask().await;
    assert!(reply["server_time"].is_null(), "{reply}");
    assert_eq!((&reply["stratum"], &reply["leap"]), (&16.into(), &3.into()));
    manual.set(UnixTime::from_nanos(TIME_NS), Span::from_millis(2));
    assert_eq!(client.ask().await["epoch"], 1);
    manual.set(UnixTime::from_nanos(TIME_NS - 1), Span::from_millis(2));
    assert_eq!(client.ask().await["epoch"], 2);
    relay.ended().await;
}

#[tokio::test]
async fn what_is_no_request_gets_a_typed_error_and_the_next_request_its_answer() {
    let relay = start(manual().clock()).await;
    let mut client = relay.websocket().await;
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let long = format!(r#"{{"event":"{}"}}"#, "x".repeat(2000));
    for (text, code) in [
        ("{", "malformed"),
        ("7", "malformed"),
        (&deep, "nested"),
        (&long, "oversize"),
        (r#"{"event":"clock_sync_response"}"#, "unknown_event"),
        (r#"{"event":"clock_sync_request","request_id":[]}"#, "bad_request_id"),
    ] {
        let reply = client.say(text).await;
        assert_eq!(
            (&reply["error"]["code"], &reply["request_id"]),
            (&code.into(), &serde_json::Value::Null),
            "{reply}"
        );
    }
    client.send(Message::binary(Bytes::from_static(b"\xff\xfe"))).await;
    assert_eq!(client.hear().await["error"]["code"], "malformed");
    client.send(Message::Ping(Bytes::from_static(b"still there?"))).await;
    assert!(client.ask().await["server_time"].is_number());
    let counted = |outcome| {
        relay.metric(&format!(
            "ntp_clock_relay_requests_total{{transport=\"websocket\",outcome=\"{outcome}\"}}"
        ))
    };
    assert_eq!((counted("malformed"), counted("oversize")), (Some(6.0), Some(1.0)));
    assert_eq!(counted("answered"), Some(1.0));
    relay.ended().await;
}

#[tokio::test]
async fn a_message_of_a_megabyte_ends_the_connection_with_1009() {
    let relay = start(manual().clock()).await;
    let mut client = relay.websocket().await;
    client.send(Message::text("x".repeat(70_000))).await;
    let (code, reason) = client.closed().await;
    assert_eq!((code, reason.as_str()), (1009, "a request has at most 1024 bytes"));
    relay.until(r#"ntp_clock_relay_websockets_closed_total{reason="oversize"}"#, 1.0).await;

    let mut client = relay.websocket().await;
    // It may be reset while it still writes, without our last words.
    let _ = futures_util::SinkExt::send(&mut client.0, Message::text("x".repeat(1 << 20))).await;
    relay.until(r#"ntp_clock_relay_websockets_closed_total{reason="oversize"}"#, 2.0).await;
    relay.ended().await;
}

#[tokio::test]
async fn who_asks_too_often_is_warned_and_in_the_end_closed_with_1008() {
    let relay = start_with(manual().clock(), |config| config.rate = 1, |_| {}).await;
    let mut client = relay.websocket().await;
    let (mut answered, mut refused) = (0, 0);
    while refused < 60 {
        let reply = client.ask().await;
        if reply["error"]["code"] == "rate_limited" {
            refused += 1;
        } else {
            assert!(reply["server_time"].is_number(), "{reply}");
            answered += 1;
        }
    }
    assert!(answered >= 2);
    // Ten more without waiting, in less than the second that would admit another.
    for _ in 0..70 {
        let _ = futures_util::SinkExt::send(&mut client.0, Message::text(request(ID))).await;
    }
    let (code, reason) = client.closed().await;
    assert_eq!((code, reason.as_str()), (1008, "64 requests refused in a row: ask less"));
    relay.until(r#"ntp_clock_relay_websockets_closed_total{reason="rate_limited"}"#, 1.0).await;
    assert!(relay.websocket().await.ask().await["server_time"].is_number(), "another connection");
    relay.ended().await;
}

#[tokio::test]
async fn a_socket_that_has_never_asked_is_closed_sooner_than_one_that_has() {
    let first = Duration::from_secs(2);
    let relay = start_with(manual().clock(), |config| config.first = first, |_| {}).await;
    let mut asks = relay.websocket().await;
    let mut silent = relay.websocket().await;
    asks.ask().await;
    let (code, reason) = silent.closed().await;
    assert_eq!(code, 1000);
    assert!(reason.contains("silent for 2s"), "{reason}");
    relay.until(r#"ntp_clock_relay_websockets_closed_total{reason="idle"}"#, 1.0).await;
    asks.ask().await;
    relay.ended().await;
}

#[tokio::test]
async fn a_socket_that_is_silent_for_long_is_closed_politely() {
    let idle = Duration::from_millis(300);
    let relay = start_with(manual().clock(), |config| config.idle = idle, |_| {}).await;
    let mut client = relay.websocket().await;
    client.ask().await;
    let (code, reason) = client.closed().await;
    assert_eq!(code, 1000);
    assert!(reason.contains("silent for 300ms"), "{reason}");
    relay.until(r#"ntp_clock_relay_websockets_closed_total{reason="idle"}"#, 1.0).await;
    relay.ended().await;
}

#[tokio::test]
async fn a_client_that_closes_is_answered_in_kind() {
    use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
    let relay = start(manual().clock()).await;
    let mut client = relay.websocket().await;
    client.ask().await;
    let frame = CloseFrame { code: CloseCode::Normal, reason: "bye".into() };
    client.send(Message::Close(Some(frame))).await;
    assert_eq!(client.closed().await, (1000, "bye".to_owned()));
    relay.until(r#"ntp_clock_relay_websockets_closed_total{reason="client"}"#, 1.0).await;
    relay.ended().await;
}

#[tokio::test]
async fn what_is_not_the_protocol_of_websockets_ends_it() {
    use tokio::io::AsyncWriteExt;
    let relay = start(manual().clock()).await;
    let mut client = relay.websocket().await;
    let tokio_tungstenite::MaybeTlsStream::Plain(stream) = client.0.get_mut() else {
        panic!("no TLS here")
    };
    // A frame of a reserved kind, unmasked.
    stream.write_all(&[0x8f, 0x01, 0x00]).await.unwrap();
    assert_eq!(client.closed().await.0, 1002);
    relay.until(r#"ntp_clock_relay_websockets_closed_total{reason="malformed"}"#, 1.0).await;
    relay.ended().await;
}
