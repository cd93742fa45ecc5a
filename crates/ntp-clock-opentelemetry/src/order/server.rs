//! The response header of a server.

use std::task::{Context, Poll};

use futures_util::TryFutureExt as _;
use futures_util::future::MapOk;
use http::{HeaderName, HeaderValue, Request, Response};
use ntp_clock::Clock;
use tower_layer::Layer;
use tower_service::Service;

use super::member::Answer;
use super::tracestate::said;

pub(super) const HEADER: HeaderName = HeaderName::from_static("ntp-clock-exchange");

/// A layer of tower, and so of axum, that answers requests with our `tracestate` member by the
/// header `ntp-clock-exchange`: which request it is, when it arrived and when the response left, by
/// the clock's counter. The caller learns from it how the two counters stand to each other.
///
/// Made by [`Timekeeper::server_layer`](crate::Timekeeper::server_layer). Put it outermost.
///
/// ```
/// use std::convert::Infallible;
/// use axum::{Router, routing::get};
/// use ntp_clock::ManualClock;
/// use ntp_clock_opentelemetry::{Answer, install};
/// use tower::ServiceExt;
///
/// let clock = ManualClock::new().clock(); // a program has `Clock::global().clone()`
/// let app: Router = Router::new()
///     .route("/", get(|| async { "hello" }))
///     .layer(install(&clock).server_layer());
/// let request = http::Request::get("/")
///     .header("tracestate", "ntpclock=1.5e884898da280471.1200")
///     .body(axum::body::Body::empty())?;
/// let response = futures_executor::block_on(app.oneshot(request))?;
/// let answer: Answer = response.headers()["ntp-clock-exchange"].to_str()?.parse()?;
/// assert_eq!(answer.counter, clock.counter_id().to_string());
/// assert_eq!(answer.sent.as_nanos(), 1_200);
/// assert!(answer.received <= answer.answered);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ServerLayer {
    clock: Clock,
}

/// A service with an [`ServerLayer`] around it.
#[derive(Clone, Debug)]
pub struct ServerService<S> {
    inner: S,
    clock: Clock,
}

impl ServerLayer {
    pub(crate) fn new(clock: Clock) -> Self {
        ServerLayer { clock }
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = ServerService<S>;

    fn layer(&self, inner: S) -> ServerService<S> {
        ServerService { inner, clock: self.clock.clone() }
    }
}

type Answering<B> = Box<dyn FnOnce(Response<B>) -> Response<B> + Send>;

impl<S, A, B> Service<Request<A>> for ServerService<S>
where
    S: Service<Request<A>, Response = Response<B>>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = MapOk<S::Future, Answering<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (received, clock) = (self.clock.stamp(), self.clock.clone());
        let asked = said(request.headers());
        let answering = move |mut response: Response<B>| {
            let Some(asked) = asked else { return response };
            let answered = clock.stamp();
            // After a sleep in between it is another counter, and the two stamps have no distance.
            if answered.counter_id == received.counter_id {
                let answer = Answer {
                    counter: answered.counter_id.to_string(),
                    sent: asked.sent,
                    received: received.counter,
                    answered: answered.counter,
                };
                if let Ok(value) = HeaderValue::try_from(answer.to_string()) {
                    response.headers_mut().insert(HEADER, value);
                }
            }
            response
        };
        self.inner.call(request).map_ok(Box::new(answering))
    }
}
