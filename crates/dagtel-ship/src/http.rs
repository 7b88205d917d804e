//! OTLP over HTTP/1.1, `http/protobuf`: the body of a request is the frame's bytes, compressed.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use dagtel_otlp::Signal;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use crate::{Delivery, Endpoint, Verdict};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read; a receiver has no reason to say more.
const RESPONSE_BYTES: usize = 64 * 1024;

/// Connections to an OTLP/HTTP receiver, kept alive. Redirects are not followed.
#[derive(Clone, Debug)]
pub(crate) struct HttpExporter {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    delivery: Delivery,
}

impl HttpExporter {
    pub(crate) fn new(endpoint: &Endpoint, delivery: Delivery) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, base: endpoint.to_string(), delivery }
    }

    pub(crate) async fn send(&mut self, signal: Signal, body: Bytes) -> Verdict {
        match timeout(self.delivery.timeout, self.exchange(signal, &body)).await {
            Ok(verdict) => verdict,
            Err(_) => {
                let seconds = self.delivery.timeout.as_secs_f64();
                Verdict::Retry { reason: format!("no answer within {seconds} s"), after: None }
            }
        }
    }

    async fn exchange(&self, signal: Signal, body: &[u8]) -> Verdict {
        let request = match self.request(signal, body) {
            Ok(request) => request,
            Err(error) => return Verdict::Refused { reason: error.to_string() },
        };
        match self.client.request(request).await {
            Ok(response) => answer(response).await,
            Err(error) => Verdict::no_answer(&error),
        }
    }

    fn request(&self, signal: Signal, body: &[u8]) -> Result<Request<Full<Bytes>>, http::Error> {
        let body = if self.delivery.gzip { compress(body) } else { body.to_vec() };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/v1/{}", self.base, signal.as_str()))
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(Full::new(body.into()))?;
        if self.delivery.gzip {
            request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        request.headers_mut().extend(self.delivery.headers().iter().cloned());
        Ok(request)
    }
}

fn compress(body: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Writing to memory does not fail.
    let _ = gzip.write_all(body);
    gzip.finish().unwrap_or_default()
}

async fn answer(response: Response<hyper::body::Incoming>) -> Verdict {
    let status = response.status();
    let retry_after =
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = Limited::new(response.into_body(), RESPONSE_BYTES).collect().await;
    match body {
        Ok(body) if status.is_success() => Verdict::of_success(&body.to_bytes()),
        // What a success says beyond the limit is of no consequence; one that breaks off may not be one.
        Err(error) if status.is_success() && error.is::<LengthLimitError>() => Verdict::Accepted,
        Err(error) if status.is_success() => Verdict::no_answer(error.as_ref()),
        Ok(body) => Verdict::of_http(status, retry_after.as_deref(), &body.to_bytes()),
        Err(_) => Verdict::of_http(status, retry_after.as_deref(), b""),
    }
}
