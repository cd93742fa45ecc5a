//! The HTTP client of an OTLP exporter of metrics.

#[cfg(feature = "gzip")]
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
#[cfg(feature = "gzip")]
use flate2::Compression;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;

use crate::gate::GateLimits;
use crate::gated::{Gated, Sink};
use crate::metrics::Metrics;
use crate::processors::FLUSH;
use crate::times::Times;

/// The program's HTTP client, which sends metrics with times that are true.
///
/// Made by [`Timekeeper::metrics_client`](crate::Timekeeper::metrics_client), for
/// `MetricExporter::builder().with_http().with_http_client(..)` of `opentelemetry-otlp`. It
/// re-dates requests in protobuf ([`Metrics`]), with the feature `gzip` also those that the exporter
/// compressed with it; what is in JSON is sent as it is.
///
/// Requests from before the first synchronisation wait, and are answered as taken meanwhile. They
/// leave in a thread outside of any runtime, so the client has to be one that blocks, as the SDK's
/// periodic reader wants it too. Dropped, as the exporter's shutdown does, it lets out what waits,
/// for at most five seconds.
#[derive(Debug)]
pub struct MetricsClient<C: HttpClient + 'static>(Gated<Requests<C>>);

#[derive(Debug)]
struct Requests<C> {
    client: C,
    metrics: Metrics,
}

impl<C: HttpClient + 'static> MetricsClient<C> {
    pub(crate) fn new(client: C, times: Arc<dyn Times>, limits: GateLimits) -> Self {
        let metrics = Metrics::new(Arc::clone(&times));
        MetricsClient(Gated::new(Requests { client, metrics }, times, limits))
    }
}

#[async_trait]
impl<C: HttpClient + 'static> HttpClient for MetricsClient<C> {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.0.export(vec![request]).await
    }
}

impl<C: HttpClient + 'static> Drop for MetricsClient<C> {
    fn drop(&mut self) {
        // The program may end right after the exporter's shutdown, which is this.
        let _late = self.0.door().shut_down(FLUSH);
    }
}

impl<C: HttpClient + 'static> Sink for Requests<C> {
    type Item = Request<Bytes>;
    type Answer = Result<Response<Bytes>, HttpError>;

    fn bytes(request: &Request<Bytes>) -> usize {
        size_of::<Request<Bytes>>() + request.body().len()
    }

    fn accepted() -> Self::Answer {
        // Nothing is the message of a response that says nothing.
        Ok(Response::new(Bytes::new()))
    }

    async fn send(&self, batch: Vec<Request<Bytes>>) -> Self::Answer {
        let mut answer = Self::accepted();
        for request in batch {
            answer = self.client.send_bytes(self.redated(request)).await;
        }
        answer
    }
}

impl<C> Requests<C> {
    fn redated(&self, request: Request<Bytes>) -> Request<Bytes> {
        let headers = request.headers();
        let protobuf = headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-protobuf"));
        let packing = match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None => Packing::Plain,
            #[cfg(feature = "gzip")]
            Some(b"gzip") => Packing::Gzip,
            Some(_) => return request,
        };
        if !protobuf {
            return request;
        }
        let message = packing.unpacked(request.body());
        let message = message.and_then(|body| ExportMetricsServiceRequest::decode(body).ok());
        let Some(mut message) = message else { return request };
        self.metrics.redate(&mut message);
        let (mut parts, _) = request.into_parts();
        let body = packing.packed(message.encode_to_vec());
        if let Some(length) = parts.headers.get_mut(CONTENT_LENGTH) {
            *length = HeaderValue::from(body.len());
        }
        Request::from_parts(parts, body)
    }
}

/// How a request is compressed.
#[derive(Clone, Copy)]
enum Packing {
    Plain,
    #[cfg(feature = "gzip")]
    Gzip,
}

impl Packing {
    fn unpacked(self, body: &Bytes) -> Option<Bytes> {
        match self {
            Packing::Plain => Some(body.clone()),
            #[cfg(feature = "gzip")]
            Packing::Gzip => {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).ok()?;
                Some(plain.into())
            }
        }
    }

    fn packed(self, plain: Vec<u8>) -> Bytes {
        match self {
            Packing::Plain => plain.into(),
            #[cfg(feature = "gzip")]
            Packing::Gzip => {
                let packed = Vec::new();
                let mut encoder = flate2::write::GzEncoder::new(packed, Compression::default());
                // A vector takes whatever is written.
                let written = encoder.write_all(&plain).and_then(|()| encoder.finish());
                written.unwrap_or_default().into()
            }
        }
    }
}
