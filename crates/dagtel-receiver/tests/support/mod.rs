//! What the tests share: a receiver that records, requests to send, a client that does not hide status codes.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
};

use dagtel_receiver::{Answer, Received, ReceiverOptions, ReceiverThread};
use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data},
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};

pub(crate) const PROTOBUF: &str = "application/x-protobuf";
pub(crate) const JSON: &str = "application/json";

/// A receiver that answers everything with `answer` and keeps what it got.
pub(crate) struct Fake {
    pub(crate) receiver: ReceiverThread,
    pub(crate) got: Receiver<Received>,
}

impl Fake {
    pub(crate) fn accepting() -> Self {
        Self::answering(Answer::Accept)
    }

    pub(crate) fn answering(answer: Answer) -> Self {
        let (send, got) = channel();
        let send = Mutex::new(send);
        let sink = Arc::new(move |request: Received| {
            send.lock().unwrap().send(request).unwrap();
            answer.clone()
        });
        let receiver = ReceiverThread::start(ReceiverOptions::any_port(), sink).unwrap();
        Self { receiver, got }
    }

    pub(crate) fn grpc_url(&self) -> String {
        format!("http://{}", self.receiver.grpc_addr().unwrap())
    }

    pub(crate) fn http_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.receiver.http_addr().unwrap())
    }

    /// POSTs a body; `headers` may name a content encoding.
    pub(crate) fn post(
        &self,
        path: &str,
        content_type: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut request = agent().post(self.http_url(path)).header("content-type", content_type);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::from(request.send(body).unwrap())
    }

    pub(crate) fn nothing_arrived(&self) -> bool {
        self.got.try_recv().is_err()
    }
}

pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

/// An HTTP response, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn from(mut response: ureq::http::Response<ureq::Body>) -> Self {
        let header = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
        Self {
            status: response.status().as_u16(),
            content_type: header("content-type").unwrap_or_default(),
            retry_after: header("retry-after"),
            body: response.body_mut().read_to_vec().unwrap(),
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The text of a refusal in JSON.
    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// `len` zeros as gzip, made piece by piece.
pub(crate) fn zeros_as_gzip(len: usize) -> Vec<u8> {
    let piece = vec![0; 1 << 20];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..len / piece.len() {
        encoder.write_all(&piece).unwrap();
    }
    encoder.finish().unwrap()
}

pub(crate) fn traces(name: &str) -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: name.to_owned(),
        start_time_unix_nano: 1_000,
        end_time_unix_nano: 2_000,
        ..Default::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..Default::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] }
}

pub(crate) fn metrics(name: &str) -> ExportMetricsServiceRequest {
    let points = vec![NumberDataPoint { time_unix_nano: 5, ..Default::default() }];
    let metric = Metric {
        name: name.to_owned(),
        data: Some(Data::Gauge(Gauge { data_points: points })),
        ..Default::default()
    };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }],
    }
}

pub(crate) fn logs(text: &str) -> ExportLogsServiceRequest {
    let record = LogRecord { severity_text: text.to_owned(), ..Default::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..Default::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] }
}
