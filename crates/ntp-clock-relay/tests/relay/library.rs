//! The routes within an application of somebody else's, served by axum.

use axum::Router;
use axum::routing::get;
use ntp_clock_relay::{Connection, Relay, RelayConfig, relay_router};
use tokio::net::TcpListener;

use crate::support::{Client, Http, ID, manual, within};

#[tokio::test]
async fn nested_routes_answer_and_keep_the_limit_of_each_connection() {
    let mut config = RelayConfig::default();
    config.rate = 1;
    let relay = Relay::new(manual().clock(), config);
    let app: Router = Router::new()
        .route("/", get(|| async { "the application's own" }))
        .nest("/time", relay.router())
        .nest("/ops", relay.operations_router());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let service = app.into_make_service_with_connect_info::<Connection>();
    let serving = tokio::spawn(async move { axum::serve(listener, service).await });

    let request = format!("GET /time/clock?request_id={ID} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut one = Http::connect(addr).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(one.raw(&request).await.unwrap().status);
    }
    assert_eq!(statuses[..2], [200, 200]);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(Http::connect(addr).await.raw(&request).await.unwrap().status, 200);

    let url = format!("ws://{addr}/time/clock/ws");
    let (socket, _) = within(tokio_tungstenite::connect_async(url)).await.unwrap();
    let mut socket = Client(socket);
    assert!(socket.ask().await["server_time"].is_number());
    let page = Http::connect(addr).await.raw("GET /ops/metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(page.unwrap().body.contains("ntp_clock_relay_websockets_open 1"));

    relay.close_websockets();
    assert_eq!(socket.closed().await.0, 1001);
    serving.abort();
}

#[tokio::test]
async fn without_knowing_connections_it_answers_all_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app: Router = relay_router(manual().clock());
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    assert_eq!(Http::connect(addr).await.ask().await.unwrap().status, 200);
    serving.abort();
}
