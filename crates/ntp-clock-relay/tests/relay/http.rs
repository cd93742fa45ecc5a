//! Over HTTP.

use std::time::Duration;

use ntp_clock::{ManualClock, Span, UnixTime};
use ntp_clock_relay::{Origin, Origins};

use crate::support::{Http, ID, TIME_NS, manual, start, start_with};

#[tokio::test]
async fn a_request_is_answered_with_the_time_its_error_and_the_headers_for_browsers() {
    let manual = manual();
    let relay = start(manual.clock()).await;
    let response = relay.ask().await;
    assert_eq!(response.status, 200);
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("access-control-allow-origin", "*"),
        ("timing-allow-origin", "*"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(response.header(name), Some(value), "{name}");
    }
    let reply = response.json();
    let time_ms = TIME_NS as f64 / 1e6;
    for name in ["server_receive_time", "server_send_time", "server_time"] {
        assert!((reply[name].as_f64().unwrap() - time_ms).abs() < 0.000_3, "{reply}");
    }
    assert_eq!(reply["event"], "clock_sync_response");
    assert_eq!(reply["request_id"], ID);
    assert_eq!(reply["server_time_iso"], "2025-10-05T04:37:12.768445+00:00");
    assert_eq!((&reply["root_delay_ms"], &reply["root_dispersion_ms"]), (&0.0.into(), &2.0.into()));
    assert_eq!((&reply["server"], &reply["epoch"]), (&"manual".into(), &1.into()));
    assert_eq!(reply["instance"].as_str().map(str::len), Some(16));
    relay.ended().await;
}

#[tokio::test]
async fn a_relay_without_a_time_says_503_and_null_until_it_has_one() {
    let manual = ManualClock::new();
    let relay = start(manual.clock()).await;
    let response = relay.ask().await;
    assert_eq!((response.status, response.header("retry-after")), (503, Some("1")));
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    let reply = response.json();
    assert!(reply["server_time"].is_null() && reply["server_receive_time"].is_null(), "{reply}");
    assert_eq!((&reply["stratum"], &reply["request_id"]), (&16.into(), &ID.into()));
    let health = relay.get("/healthz").await;
    assert_eq!((health.status, &health.json()["state"]), (503, &"failed".into()));

    manual.set(UnixTime::from_nanos(TIME_NS), Span::from_millis(2));
    assert_eq!(relay.ask().await.status, 200);
    assert_eq!(relay.get("/healthz").await.status, 200);
    manual.fail();
    assert_eq!(relay.ask().await.status, 503);
    let series = r#"ntp_clock_relay_requests_total{transport="http",outcome="unsynchronised"}"#;
    assert_eq!(relay.metric(series), Some(2.0));
    relay.ended().await;
}

#[tokio::test]
async fn an_epoch_that_begins_is_reported_with_stamps_of_that_epoch() {
    let manual = manual();
    let relay = start(manual.clock()).await;
    let mut connection = Http::connect(relay.addr).await;
    assert_eq!(connection.ask().await.unwrap().json()["epoch"], 1);
    manual.set(UnixTime::from_nanos(TIME_NS - 5_000_000_000), Span::from_millis(1));
    let reply = connection.ask().await.unwrap().json();
    assert_eq!(
        (&reply["epoch"], &reply["server_time_iso"]),
        (&2.into(), &"2025-10-05T04:37:07.768445+00:00".into())
    );
    relay.ended().await;
}

#[tokio::test]
async fn what_is_no_request_gets_its_status_and_a_typed_error() {
    let relay = start(manual().clock()).await;
    let long = format!("/clock?request_id={ID}&x={}", "x".repeat(1024));
    for (path, status, code, words) in [
        ("/clock", 400, "bad_request_id", "is missing"),
        ("/clock?request_id=", 400, "bad_request_id", "is \"\""),
        ("/clock?request_id=%00", 400, "bad_request_id", "ASCII"),
        (&long, 414, "oversize", "bytes are more than the 1024"),
        ("/clock/ws", 400, "malformed", "connect with a WebSocket client"),
        ("/nowhere", 404, "not_found", "\"/nowhere\"; there are /clock, /clock/ws"),
        ("/clock/", 404, "not_found", "nothing is at"),
    ] {
        let response = relay.get(path).await;
        assert_eq!((response.status, response.error_code().as_str()), (status, code), "{path}");
        let reply = response.json();
        let message = reply["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
        assert!(reply.get("server_time").is_none(), "{reply}");
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
    let response = relay.raw("POST /clock HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!((response.status, response.error_code().as_str()), (405, "method"));
    assert_eq!(response.header("allow"), Some("GET, HEAD, OPTIONS"));
    let response = relay.raw("HEAD /clock?request_id=1 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(response.status, 200);

    let counted = |outcome| {
        let series =
            format!("ntp_clock_relay_requests_total{{transport=\"http\",outcome=\"{outcome}\"}}");
        relay.metric(&series)
    };
    assert_eq!((counted("malformed"), counted("oversize")), (Some(5.0), Some(1.0)));
    // Not HTTP at all.
    for garbage in ["\0\0\0\0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n"] {
        let answer = Http::connect(relay.addr).await.raw(garbage).await;
        assert!(answer.is_none_or(|answer| answer.status >= 400));
    }
    relay
        .until(r#"ntp_clock_relay_requests_total{transport="http",outcome="malformed"}"#, 8.0)
        .await;
    relay.ended().await;
}

#[tokio::test]
async fn a_head_without_end_and_a_body_without_end_are_cut_off() {
    let relay = start(manual().clock()).await;
    let endless = format!("GET /clock HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(1 << 20));
    let answer = Http::connect(relay.addr).await.raw(&endless).await;
    assert!(answer.is_none_or(|answer| answer.status == 431), "refused, or reset while writing");

    let mut connection = Http::connect(relay.addr).await;
    let body = format!(
        "GET /clock?request_id={ID} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
    );
    // Answered without waiting for it.
    assert_eq!(connection.raw(&body).await.unwrap().status, 200);
    relay.ended().await;
}

#[tokio::test]
async fn only_pages_of_allowed_origins_learn_that_they_may_read() {
    let allowed: Origin = "https://app.example.org".parse().unwrap();
    let relay = start_with(
        manual().clock(),
        |config| config.origins = Origins::Only(vec![allowed]),
        |_| {},
    )
    .await;
    let path = format!("/clock?request_id={ID}");
    let fine = relay.get_with(&path, "Origin: https://app.example.org\r\n").await;
    assert_eq!(fine.status, 200);
    for name in ["access-control-allow-origin", "timing-allow-origin"] {
        assert_eq!(fine.header(name), Some("https://app.example.org"));
    }
    assert_eq!(fine.header("vary"), Some("Origin"));

    let other = relay.get_with(&path, "Origin: https://evil.example\r\n").await;
    assert_eq!((other.status, other.error_code().as_str()), (403, "origin"));
    assert_eq!(other.header("access-control-allow-origin"), None);
    let message = other.json()["error"]["message"].to_string();
    assert!(message.contains("https://evil.example") && message.contains("operator"), "{message}");

    let no_browser = relay.ask().await;
    assert_eq!((no_browser.status, no_browser.header("vary")), (200, Some("Origin")));

    let socket = format!(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: {}\r\n",
        "https://evil.example"
    );
    assert_eq!(relay.get_with("/clock/ws", &socket).await.status, 403);
    let socket = socket.replace("evil.example", "app.example.org");
    assert_eq!(relay.get_with("/clock/ws", &socket).await.status, 101);

    let asked = "OPTIONS /clock HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example.org\r\n\
                 Access-Control-Request-Method: GET\r\n\r\n";
    let preflight = relay.raw(asked).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://app.example.org"));
    relay.ended().await;
}

#[tokio::test]
async fn metrics_are_a_page_of_prometheus() {
    let relay = start(manual().clock()).await;
    relay.ask().await;
    let page = relay.get("/metrics").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "# TYPE ntp_clock_synchronised gauge",
        "ntp_clock_synchronised{server=\"manual\"} 1",
        "ntp_clock_max_error_seconds{server=\"manual\"} 0.002",
        "ntp_clock_relay_requests_total{transport=\"http\",outcome=\"answered\"} 1",
        "ntp_clock_relay_connections_open 1",
    ] {
        assert!(page.body.lines().any(|of| of == line), "{line}\n{}", page.body);
    }
    relay.ended().await;
}

#[tokio::test]
async fn each_connection_has_a_rate_of_its_own() {
    let relay = start_with(manual().clock(), |config| config.rate = 2, |_| {}).await;
    let mut greedy = Http::connect(relay.addr).await;
    let mut refused = 0;
    for _ in 0..8 {
        let answer = greedy.ask().await.unwrap();
        if answer.status == 429 {
            refused += 1;
            assert_eq!(answer.error_code(), "rate_limited");
            assert_eq!(answer.header("retry-after"), Some("1"));
            let message = answer.json()["error"]["message"].to_string();
            assert!(message.contains("more than 2 requests a second"), "{message}");
        } else {
            assert_eq!(answer.status, 200);
        }
    }
    // Four at once, and one more for each half second that this took.
    assert!((1..=4).contains(&refused), "{refused}");
    assert_eq!(relay.ask().await.status, 200, "another connection");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(greedy.ask().await.unwrap().status, 200, "after a while");
    relay.ended().await;
}
