//! Answers in the format of the question.

use std::time::Duration;

use axum::{body::Body, response::Response};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use opentelemetry_proto::tonic::collector::{
    logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse},
    metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse},
    trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse},
};
use prost::Message;
use serde_json::json;

use super::encoding::{Format, Signal};
use crate::{
    reply::{Rejected, Reply},
    status::RpcStatus,
};

/// A request that was not taken.
#[derive(Debug)]
pub(crate) struct Refusal {
    http: StatusCode,
    status: RpcStatus,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(http: StatusCode, status: RpcStatus) -> Self {
        Self { http, status, retry_after: None }
    }
}

/// The answer to a request that reached the sink.
pub(crate) fn replied(signal: Signal, format: Format, reply: Reply) -> Response {
    match reply {
        Reply::Taken(rejected) => {
            let body = match format {
                Format::Protobuf => taken_protobuf(signal, rejected),
                Format::Json => taken_json(signal, rejected),
            };
            respond(StatusCode::OK, format, body)
        }
        Reply::Refused { status, retry_after } => {
            let http = match retry_after {
                Some(_) => StatusCode::SERVICE_UNAVAILABLE,
                None => StatusCode::BAD_REQUEST,
            };
            refused(format, Refusal { http, status, retry_after })
        }
    }
}

/// The answer to a request that did not.
pub(crate) fn refused(format: Format, refusal: Refusal) -> Response {
    let body = match format {
        Format::Protobuf => refusal.status.encode_to_vec(),
        Format::Json => {
            json!({ "code": refusal.status.code, "message": refusal.status.message }).to_string().into_bytes()
        }
    };
    let mut response = respond(refusal.http, format, body);
    if let Some(delay) = refusal.retry_after {
        // Rounded up: whoever comes back early is only turned away again.
        let seconds = delay.as_secs().saturating_add(u64::from(delay.subsec_nanos() > 0));
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn respond(http: StatusCode, format: Format, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = http;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    response
}

fn taken_protobuf(signal: Signal, rejected: Option<Rejected>) -> Vec<u8> {
    // An empty response message is an empty body.
    let Some(Rejected { count, message: error_message }) = rejected else { return Vec::new() };
    match signal {
        Signal::Traces => {
            let partial = ExportTracePartialSuccess { rejected_spans: count, error_message };
            ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
        Signal::Metrics => {
            let partial = ExportMetricsPartialSuccess { rejected_data_points: count, error_message };
            ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
        Signal::Logs => {
            let partial = ExportLogsPartialSuccess { rejected_log_records: count, error_message };
            ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
    }
}

fn taken_json(signal: Signal, rejected: Option<Rejected>) -> Vec<u8> {
    let Some(Rejected { count, message }) = rejected else { return b"{}".to_vec() };
    let field = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
    };
    // 64-bit integers are strings in protobuf's JSON.
    json!({ "partialSuccess": { field: count.to_string(), "errorMessage": message } })
        .to_string()
        .into_bytes()
}
