//! OTLP over HTTP/1.1, `http/protobuf`: the body of a request is the frame's bytes, compressed.

use std::io::Write as _;

use bytes::Bytes;
use dagtel_otlp::Signal;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use crate::connect::Connector;
use crate::{Delivery, Endpoint, Verdict};

/// Bytes of an answer that are read; a receiver has no reason to say more.
const RESPONSE_BYTES: usize = 64 * 1024;

/// Connections to an OTLP/HTTP receiver, kept alive. Redirects are not followed.
#[derive(Clone, Debug)]
pub(crate) struct HttpExporter {
    client: Client<Connector, Full<Bytes>>,
    connector: Connector,
    base: String,
    delivery: Delivery,
}

impl HttpExporter {
    pub(crate) fn new(endpoint: &Endpoint, delivery: Delivery) -> Self {
        let connector = Connector::new(endpoint, &delivery.tls, &[]);
        let client = Client::builder(TokioExecutor::new()).build(connector.clone());
        Self { client, connector, base: endpoint.to_string(), delivery }
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
            Ok(response) => self.answer(response).await,
            Err(error) => Verdict::no_answer(&error, &self.connector),
        }
    }

    fn request(&self, signal: Signal, body: &[u8]) -> Result<Request<Full<Bytes>>, http::Error> {
        let body = if self.delivery.gzip { compress(body) } else { body.to_vec() };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/v1/{}", self.base, signal.path()))
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(Full::new(body.into()))?;
        if self.delivery.gzip {
            request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        request.headers_mut().extend(self.delivery.headers().iter().cloned());
        Ok(request)
    }

    async fn answer(&self, response: Response<hyper::body::Incoming>) -> Verdict {
        let status = response.status();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body =
            Limited::new(response.into_body(), RESPONSE_BYTES).collect().await.map(Collected::to_bytes);
        match body {
            Ok(body) if status.is_success() => Verdict::of_success(&body),
            // What a success says beyond the limit is of no consequence; one that breaks off may not be one.
            Err(error) if status.is_success() && error.is::<LengthLimitError>() => Verdict::Accepted,
            Err(error) if status.is_success() => Verdict::no_answer(error.as_ref(), &self.connector),
            Ok(body) if !self.connector.is_encrypted() && wants_tls(status, &body) => Verdict::Retry {
                reason: "the receiver wants TLS: write https:// for it".to_owned(),
                after: None,
            },
            Ok(body) => Verdict::of_http(status, retry_after.as_deref(), &body),
            Err(_) => Verdict::of_http(status, retry_after.as_deref(), b""),
        }
    }
}

/// Servers in Go and nginx answer plain HTTP on a port of theirs for TLS, by a status that else condemns the request.
fn wants_tls(status: StatusCode, body: &[u8]) -> bool {
    let said = String::from_utf8_lossy(body).to_ascii_lowercase();
    status == StatusCode::BAD_REQUEST
        && (said.contains("to an https server") || said.contains("to https port"))
}

fn compress(body: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Writing to memory does not fail.
    let _ = gzip.write_all(body);
    gzip.finish().unwrap_or_default()
}
