//! The OTLP/HTTP side.
//!
//! | route | answers |
//! |---|---|
//! | `POST /v1/traces`, `/v1/metrics`, `/v1/logs` | 200, 400, 408, 413, 415, 503 |
//! | the same with another method | 405 |
//! | anything else | 404 |
//!
//! Bodies are protobuf or JSON, plain or gzip; the answer is in the encoding of the request. Every refusal carries a
//! `google.rpc.Status` that says what to change.

mod body;
mod encoding;
mod response;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::post,
};
use http::StatusCode;

use crate::{
    limits::REQUEST_TIMEOUT,
    reply::reply_to,
    sink::Sink,
    status::{Code, RpcStatus},
};
use encoding::{Format, Signal};
use response::{Refusal, refused, replied};

/// The routes over one sink.
pub(crate) fn routes(sink: Arc<dyn Sink>) -> Router {
    Router::new()
        .route("/v1/traces", post(traces))
        .route("/v1/metrics", post(metrics))
        .route("/v1/logs", post(logs))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .with_state(sink)
}

async fn traces(State(sink): State<Arc<dyn Sink>>, request: Request) -> Response {
    export(Signal::Traces, &*sink, request).await
}

async fn metrics(State(sink): State<Arc<dyn Sink>>, request: Request) -> Response {
    export(Signal::Metrics, &*sink, request).await
}

async fn logs(State(sink): State<Arc<dyn Sink>>, request: Request) -> Response {
    export(Signal::Logs, &*sink, request).await
}

async fn export(signal: Signal, sink: &dyn Sink, request: Request) -> Response {
    let format = match Format::of(request.headers()) {
        Ok(format) => format,
        Err(refusal) => return refused(Format::Json, refusal),
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, body::read(request)).await {
        Err(_) => refused(format, too_slow()),
        Ok(Err(refusal)) => refused(format, refusal),
        Ok(Ok(body)) => match signal.decode(format, &body) {
            Err(refusal) => refused(format, refusal),
            Ok(received) => replied(signal, format, reply_to(sink.receive(received))),
        },
    }
}

fn too_slow() -> Refusal {
    let message = format!("the body did not arrive within {REQUEST_TIMEOUT:?}; send it again");
    Refusal::new(StatusCode::REQUEST_TIMEOUT, RpcStatus::new(Code::DeadlineExceeded, message))
}

async fn not_found(request: Request) -> Response {
    let message = format!(
        "there is nothing at {}; OTLP/HTTP is at /v1/traces, /v1/metrics and /v1/logs",
        request.uri().path()
    );
    refused_plainly(&request, StatusCode::NOT_FOUND, RpcStatus::new(Code::NotFound, message))
}

async fn wrong_method(request: Request) -> Response {
    let message =
        format!("{} is not possible at {}; OTLP/HTTP uses POST", request.method(), request.uri().path());
    refused_plainly(&request, StatusCode::METHOD_NOT_ALLOWED, RpcStatus::new(Code::Unimplemented, message))
}

fn refused_plainly(request: &Request, http: StatusCode, status: RpcStatus) -> Response {
    let format = Format::of(request.headers()).unwrap_or(Format::Json);
    refused(format, Refusal::new(http, status))
}
