//! The relay over HTTP, the handshake of WebSockets, and the pages for its operator.

use axum::Router;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use ntp_clock::Clock;

use crate::connection::Connection;
use crate::metrics::{CONTENT_TYPE, Transport};
use crate::origin::Origins;
use crate::relay::{Received, Relay, RelayConfig};
use crate::request::{self, RequestError, quoted};
use crate::websocket;

/// Routes for an application of one's own: `GET /clock` and a WebSocket at `/clock/ws`, with the
/// default settings.
pub fn relay_router<S: Clone + Send + Sync + 'static>(clock: Clock) -> Router<S> {
    Relay::new(clock, RelayConfig::default()).router()
}

impl Relay {
    /// Routes to nest: `GET /clock` and a WebSocket at `/clock/ws`.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        Router::new()
            .route("/clock", any(clock))
            .route("/clock/ws", any(upgrade))
            .with_state(self.clone())
    }

    /// Routes for its operator: `/metrics` for Prometheus, and `/healthz`, which is 200 while
    /// the clock is synchronised and 503 while it is not.
    pub fn operations_router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(healthz))
            .with_state(self.clone())
    }
}

async fn clock(State(relay): State<Relay>, request: Request) -> Response {
    let parts = request.into_parts().0;
    let received = received(&relay, &parts);
    let headers = permissions(relay.config(), &parts.headers);
    match check(&relay, &parts) {
        Err(error) => refusal(&relay, &error, headers),
        Ok(None) => preflight(headers),
        Ok(Some(id)) => {
            let (has_time, body) = relay.reply(received, &id, Transport::Http);
            if has_time {
                json(StatusCode::OK, headers, body)
            } else {
                let mut response = json(StatusCode::SERVICE_UNAVAILABLE, headers, body);
                response.headers_mut().insert(header::RETRY_AFTER, SOON);
                response
            }
        }
    }
}

/// The request's id; `None` for a browser that asks whether it may ask.
fn check(relay: &Relay, parts: &Parts) -> Result<Option<String>, RequestError> {
    check_method(&parts.method)?;
    check_origin(relay, &parts.headers)?;
    if parts.method == Method::OPTIONS {
        return Ok(None);
    }
    // Without knowing the connection there is none to limit.
    if let Some(ConnectInfo(connection)) = parts.extensions.get::<ConnectInfo<Connection>>() {
        relay.admit(connection)?;
    }
    request::of_query(parts.uri.query()).map(Some)
}

async fn upgrade(State(relay): State<Relay>, request: Request) -> Response {
    let mut parts = request.into_parts().0;
    if let Err(error) = check_origin(&relay, &parts.headers) {
        return refusal(&relay, &error, HeaderMap::new());
    }
    let known = parts.extensions.get::<ConnectInfo<Connection>>();
    let connection = known.map(|ConnectInfo(known)| known.clone()).unwrap_or_default();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => websocket::accept(upgrade, relay, connection),
        Err(_) => {
            let what = "this is not the handshake of a WebSocket: connect with a WebSocket client";
            let error = RequestError::Malformed(what.to_owned());
            refusal(&relay, &error, permissions(relay.config(), &parts.headers))
        }
    }
}

async fn metrics(State(relay): State<Relay>) -> Response {
    let headers = [(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")];
    (headers, relay.metrics_text()).into_response()
}

async fn healthz(State(relay): State<Relay>) -> Response {
    let status = relay.clock().status();
    let state = status.state.name();
    let body = serde_json::json!({
        "state": state, "server": status.server, "last_error": status.last_error.as_ref().map(ntp_clock::Failure::detail),
        "last_error_code": status.last_error_code(),
    });
    let code = if status.is_synced { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(code, HeaderMap::new(), body.to_string())
}

/// What is where nothing is.
#[cfg(feature = "server")]
pub(crate) async fn nothing_here(uri: axum::http::Uri) -> Response {
    let message = format!(
        "nothing is at {}; there are /clock, /clock/ws, /metrics and /healthz",
        quoted(uri.path())
    );
    let body = crate::reply::error_json(None, "not_found", &message);
    json(StatusCode::NOT_FOUND, HeaderMap::new(), body)
}

fn received(relay: &Relay, parts: &Parts) -> Received {
    let earlier = parts.extensions.get::<Received>().copied();
    earlier.unwrap_or_else(|| Received::now(relay.clock()))
}

fn check_method(method: &Method) -> Result<(), RequestError> {
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => Ok(()),
        _ => Err(RequestError::Method(quoted(method.as_str()))),
    }
}

/// Only browsers send an origin, and they do not let the page choose it.
fn check_origin(relay: &Relay, headers: &HeaderMap) -> Result<(), RequestError> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = String::from_utf8_lossy(origin.as_bytes());
    if relay.config().origins.allow(&origin, host(headers)) {
        Ok(())
    } else {
        Err(RequestError::Origin(quoted(&origin)))
    }
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST).and_then(|host| host.to_str().ok())
}

/// Who may read the answer, and when it was on the wire.
fn permissions(config: &RelayConfig, asked: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let allowed = match &config.origins {
        Origins::Any => Some(HeaderValue::from_static("*")),
        Origins::Only(_) => {
            headers.insert(header::VARY, HeaderValue::from_static("Origin"));
            let origin = asked.get(header::ORIGIN);
            let host = host(asked);
            let known = |o: &&HeaderValue| o.to_str().is_ok_and(|o| config.origins.allow(o, host));
            origin.filter(known).cloned()
        }
    };
    if let Some(allowed) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed.clone());
        headers.insert(TIMING_ALLOW_ORIGIN, allowed);
    }
    headers
}

fn preflight(mut headers: HeaderMap) -> Response {
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ALLOW, METHODS);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn refusal(relay: &Relay, error: &RequestError, mut headers: HeaderMap) -> Response {
    let status = match error {
        RequestError::Method(_) => {
            headers.insert(header::ALLOW, METHODS);
            StatusCode::METHOD_NOT_ALLOWED
        }
        RequestError::Origin(_) => StatusCode::FORBIDDEN,
        RequestError::RateLimited(_) => {
            headers.insert(header::RETRY_AFTER, SOON);
            StatusCode::TOO_MANY_REQUESTS
        }
        RequestError::Oversize { .. } => StatusCode::URI_TOO_LONG,
        _ => StatusCode::BAD_REQUEST,
    };
    json(status, headers, relay.refuse(error, Transport::Http))
}

fn json(status: StatusCode, mut headers: HeaderMap, body: String) -> Response {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    (status, headers, Body::from(body)).into_response()
}

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const SOON: HeaderValue = HeaderValue::from_static("1");
const TIMING_ALLOW_ORIGIN: HeaderName = HeaderName::from_static("timing-allow-origin");
