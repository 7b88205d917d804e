//! What a collector accepted.

use std::collections::BTreeMap;

use dagtel_receiver::Received;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::{Oracle, texts};

/// The requests that a collector accepted, decoded, in the order in which they came.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Taken {
    /// With spans.
    pub traces: Vec<ExportTraceServiceRequest>,
    /// With metrics.
    pub metrics: Vec<ExportMetricsServiceRequest>,
    /// With log records.
    pub logs: Vec<ExportLogsServiceRequest>,
}

/// A log record, and the attributes of its resource.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Logged<'a> {
    /// The resource's attributes.
    pub resource: &'a [KeyValue],
    /// The record.
    pub record: &'a LogRecord,
}

/// A span, and the attributes of its resource.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Spanned<'a> {
    /// The resource's attributes.
    pub resource: &'a [KeyValue],
    /// The span.
    pub span: &'a Span,
}

/// A metric point.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Point {
    /// The resource's attributes that are texts.
    pub resource: BTreeMap<String, String>,
    /// Its own attributes that are texts.
    pub tags: BTreeMap<String, String>,
    /// Since when it counts.
    pub start: u64,
    /// Its time.
    pub time: u64,
    /// Its value.
    pub value: Value,
}

/// The value of a metric point.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// How many were recorded, and their sum.
    Histogram(u64, f64),
    /// None of these.
    Other,
}

impl Taken {
    pub(crate) fn add(&mut self, request: Received) {
        match request {
            Received::Traces(request) => self.traces.push(request),
            Received::Metrics(request) => self.metrics.push(request),
            Received::Logs(request) => self.logs.push(request),
            _ => {}
        }
    }

    /// Every span, as often as it came.
    pub fn spans(&self) -> impl Iterator<Item = Spanned<'_>> {
        let resources = self.traces.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|group| {
            let resource = group.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
            let spans = group.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.map(move |span| Spanned { resource, span })
        })
    }

    /// Every log record, as often as it came.
    pub fn logs(&self) -> impl Iterator<Item = Logged<'_>> {
        let resources = self.logs.iter().flat_map(|request| &request.resource_logs);
        resources.flat_map(|group| {
            let resource = group.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
            let records = group.scope_logs.iter().flat_map(|scope| &scope.log_records);
            records.map(move |record| Logged { resource, record })
        })
    }

    /// The span with this id, in hexadecimal.
    pub fn span(&self, id: &str) -> Option<Spanned<'_>> {
        let id = u64::from_str_radix(id, 16).ok()?.to_be_bytes();
        self.spans().find(|spanned| spanned.span.span_id == id)
    }

    /// The spans with this name.
    pub fn named(&self, name: &str) -> Vec<Spanned<'_>> {
        self.spans().filter(|spanned| spanned.span.name == name).collect()
    }

    /// Whether every span came once.
    pub fn oracle(&self) -> Oracle {
        Oracle::of(self)
    }

    /// Every point of the metric with this name, in the order in which they came.
    pub fn points(&self, name: &str) -> Vec<Point> {
        let mut points = Vec::new();
        for group in self.metrics.iter().flat_map(|request| &request.resource_metrics) {
            let resource = group.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
            let metrics = group.scope_metrics.iter().flat_map(|scope| &scope.metrics);
            for data in metrics.filter(|metric| metric.name == name).filter_map(|metric| metric.data.as_ref())
            {
                points.extend(points_of(data, resource));
            }
        }
        points
    }

    /// The last value of the series of this metric that has all these tags (and perhaps more).
    pub fn value(&self, name: &str, tags: &[(&str, &str)]) -> Option<Value> {
        let wanted =
            |point: &Point| tags.iter().all(|(key, value)| point.tags.get(*key).is_some_and(|v| v == value));
        self.points(name).into_iter().filter(wanted).max_by_key(|point| point.time).map(|point| point.value)
    }
}

fn points_of(data: &Data, resource: &[KeyValue]) -> Vec<Point> {
    let point = |tags: &[KeyValue], start, time, value| Point {
        resource: owned(resource),
        tags: owned(tags),
        start,
        time,
        value,
    };
    let number = |p: &NumberDataPoint| {
        let value = match p.value {
            Some(number_data_point::Value::AsInt(value)) => Value::Int(value),
            Some(number_data_point::Value::AsDouble(value)) => Value::Double(value),
            None => Value::Other,
        };
        point(&p.attributes, p.start_time_unix_nano, p.time_unix_nano, value)
    };
    match data {
        Data::Sum(sum) => sum.data_points.iter().map(number).collect(),
        Data::Gauge(gauge) => gauge.data_points.iter().map(number).collect(),
        Data::Histogram(histogram) => histogram
            .data_points
            .iter()
            .map(|p| {
                let value = Value::Histogram(p.count, p.sum.unwrap_or_default());
                point(&p.attributes, p.start_time_unix_nano, p.time_unix_nano, value)
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn owned(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    texts(attributes).into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
