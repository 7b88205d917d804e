//! Requests to show, written in few words.

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{Metric, ResourceMetrics, ScopeMetrics, metric::Data},
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status,
        span::{Event, Link},
    },
};

use crate::show::Store;

/// When every trace of the tests starts.
const EPOCH: u64 = 1_795_208_627_000_000_000;

const MILLI: u64 = 1_000_000;

pub(super) const TRACE: [u8; 16] = [0xab; 16];

/// A span under construction. Times are milliseconds since the start of the trace.
pub(super) struct Sketch(Span);

pub(super) fn span(id: u8, parent: u8, name: &str, from: u64, to: u64) -> Sketch {
    let parent = if parent == 0 { Vec::new() } else { span_id(parent) };
    Sketch(Span {
        trace_id: TRACE.to_vec(),
        span_id: span_id(id),
        parent_span_id: parent,
        name: name.to_owned(),
        start_time_unix_nano: EPOCH + from * MILLI,
        end_time_unix_nano: EPOCH + to * MILLI,
        ..Default::default()
    })
}

fn span_id(id: u8) -> Vec<u8> {
    vec![id; 8]
}

impl Sketch {
    pub(super) fn state(mut self, state: &str) -> Self {
        self.0.attributes.push(text("state", state));
        match state {
            "failed" => self.status(2),
            _ => self,
        }
    }

    pub(super) fn status(mut self, code: i32) -> Self {
        self.0.status = Some(Status { code, message: String::new() });
        self
    }

    pub(super) fn attempt(mut self, number: i64) -> Self {
        self.0.attributes.push(pair("try_number", Value::IntValue(number)));
        self
    }

    pub(super) fn link(mut self, kind: &str, to: u8) -> Self {
        let attributes = vec![text("link.type", kind)];
        let link = Link { trace_id: TRACE.to_vec(), span_id: span_id(to), attributes, ..Default::default() };
        self.0.links.push(link);
        self
    }

    pub(super) fn error(mut self, kind: &str, message: &str) -> Self {
        let attributes = vec![text("exception.type", kind), text("exception.message", message)];
        self.0.events.push(Event { name: "exception".to_owned(), attributes, ..Default::default() });
        self
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Span)) -> Self {
        change(&mut self.0);
        self
    }
}

pub(super) fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

fn resource(service: &str) -> Option<Resource> {
    Some(Resource { attributes: vec![text("service.name", service)], ..Default::default() })
}

pub(super) fn request(service: &str, spans: Vec<Sketch>) -> ExportTraceServiceRequest {
    let spans = spans.into_iter().map(|sketch| sketch.0).collect();
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let resource_spans = ResourceSpans { resource: resource(service), scope_spans, ..Default::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

pub(super) fn stored(service: &str, spans: Vec<Sketch>) -> Store {
    let mut store = Store::default();
    store.add_traces(&request(service, spans));
    store
}

pub(super) fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Default::default() }
}

pub(super) fn metrics(service: &str, metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope_metrics = vec![ScopeMetrics { metrics, ..Default::default() }];
    let resource_metrics =
        ResourceMetrics { resource: resource(service), scope_metrics, ..Default::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
}
