//! The requests of a client.

use std::task::{Context, Poll};

use futures_util::TryFutureExt as _;
use futures_util::future::MapOk;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::exchanges::Exchanges;
use super::propagator::TRACEPARENT;
use super::server::HEADER;
use super::tracestate::{TRACESTATE, with_member};

/// A layer of tower around a client: requests that have a `traceparent` say in `tracestate` when
/// they left and what is known of the two counters, and the server's answer is learnt from.
///
/// Made by [`Timekeeper::client_layer`](crate::Timekeeper::client_layer). Put it inside of what
/// adds `traceparent`, as close to the connection as can be.
///
/// ```
/// use axum::{Router, body::Body, http::Request, routing::get};
/// use ntp_clock::ManualClock;
/// use ntp_clock_opentelemetry::install;
/// use tower::{Layer, ServiceExt};
///
/// let (here, there) = (install(&ManualClock::new().clock()), install(&ManualClock::new().clock()));
/// let server = Router::new().route("/", get(|| async { "hello" })).layer(there.server_layer());
/// let client = here.client_layer().layer(server);
/// let request = Request::get("http://mail:8080/")
///     .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
///     .body(Body::empty())?;
/// let response = futures_executor::block_on(client.oneshot(request))?;
/// assert!(response.headers().contains_key("ntp-clock-exchange"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientLayer {
    exchanges: Exchanges,
}

/// A client with a [`ClientLayer`] around it.
#[derive(Clone, Debug)]
pub struct ClientService<S> {
    inner: S,
    exchanges: Exchanges,
}

impl ClientLayer {
    pub(crate) fn new(exchanges: Exchanges) -> Self {
        ClientLayer { exchanges }
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> ClientService<S> {
        ClientService { inner, exchanges: self.exchanges.clone() }
    }
}

type Learning<B> = Box<dyn FnOnce(Response<B>) -> Response<B> + Send>;

impl<S, A, B> Service<Request<A>> for ClientService<S>
where
    S: Service<Request<A>, Response = Response<B>>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = MapOk<S::Future, Learning<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let asked = self.asked(&mut request);
        let learning = move |response: Response<B>| {
            if let Some((exchanges, peer, sent)) = asked
                && let Some(header) = only(response.headers())
            {
                exchanges.answered(&peer, &sent, header);
            }
            response
        };
        self.inner.call(request).map_ok(Box::new(learning))
    }
}

impl<S> ClientService<S> {
    /// Writes the member; gives whom it is for, and what `tracestate` says.
    fn asked<A>(&self, request: &mut Request<A>) -> Option<(Exchanges, String, String)> {
        if !request.headers().contains_key(TRACEPARENT) {
            return None;
        }
        let host = || request.headers().get(HOST)?.to_str().ok();
        let authority = request.uri().authority().map(|authority| authority.as_str());
        let peer = authority.or_else(host).unwrap_or_default().to_owned();
        let values = request.headers().get_all(TRACESTATE).iter();
        let before: Result<Vec<_>, _> = values.map(HeaderValue::to_str).collect();
        let member = self.exchanges.member(Some(&peer));
        let state = with_member(&before.ok()?.join(","), &member);
        let value = HeaderValue::try_from(&state).ok().filter(|value| !value.is_empty())?;
        request.headers_mut().insert(TRACESTATE, value);
        Some((self.exchanges.clone(), peer, state))
    }
}

/// The header, if it came once.
fn only(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(HEADER).iter();
    let (only, second) = (values.next()?, values.next());
    if second.is_some() { None } else { only.to_str().ok() }
}
