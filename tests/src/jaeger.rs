//! What Jaeger shows: a client of its HTTP query API with typed answers.

use crate::{http, wait};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// Asks one Jaeger.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

/// A trace with its spans in the order of their start.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Trace {
    /// The trace id in hexadecimal.
    pub id: String,
    /// All spans Jaeger holds of it.
    pub spans: Vec<Span>,
}

/// One span as Jaeger shows it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Span {
    /// The span id in hexadecimal.
    pub id: String,
    /// The span's name.
    pub operation: String,
    /// The parent (first `CHILD_OF`) and the links (`FOLLOWS_FROM`).
    pub references: Vec<Reference>,
    /// Microseconds since 1970.
    pub start_us: u64,
    /// Microseconds.
    pub duration_us: u64,
    /// Attributes, and what Jaeger made of kind and status; an array attribute is a string of JSON.
    pub tags: BTreeMap<String, Value>,
    /// The span's events.
    pub logs: Vec<Log>,
    /// What Jaeger found odd about it.
    pub warnings: Vec<String>,
    /// `service.name` of its resource.
    pub service: String,
    /// The other attributes of its resource.
    pub resource: BTreeMap<String, Value>,
}

/// A pointer to another span.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Reference {
    /// `CHILD_OF` or `FOLLOWS_FROM`.
    pub ref_type: String,
    /// The trace it points into.
    #[serde(rename = "traceID")]
    pub trace_id: String,
    /// The span it points to.
    #[serde(rename = "spanID")]
    pub span_id: String,
}

/// An event of a span.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Log {
    /// Microseconds since 1970.
    pub timestamp_us: u64,
    /// Its attributes; the event's name is the field `event`.
    pub fields: BTreeMap<String, Value>,
}

impl Client {
    pub(crate) fn new(base: String) -> Self {
        Self { agent: http::agent(), base }
    }

    /// The names of all services of which Jaeger holds a span.
    ///
    /// # Errors
    /// What kept Jaeger from answering.
    pub fn services(&self) -> Result<Vec<String>, String> {
        let answer: Answer<Option<Vec<String>>> = self.get("services", &[])?;
        Ok(answer.data.unwrap_or_default())
    }

    /// The trace with this id.
    ///
    /// # Errors
    /// What kept Jaeger from answering, or that it has no such trace.
    pub fn trace(&self, id: &str) -> Result<Trace, String> {
        let answer: Answer<Vec<RawTrace>> = self.get(&format!("traces/{id}"), &[])?;
        answer.data.into_iter().next().map(Trace::from).ok_or_else(|| format!("Jaeger has no trace {id}"))
    }

    /// Up to `limit` traces in which the service took part, as old as they may be.
    ///
    /// # Errors
    /// What kept Jaeger from answering.
    pub fn traces_of(&self, service: &str, limit: usize) -> Result<Vec<Trace>, String> {
        let limit = limit.to_string();
        // Without a beginning Jaeger looks back two days only, and recorded runs are older.
        let query = [("service", service), ("limit", limit.as_str()), ("start", "0")];
        let answer: Answer<Option<Vec<RawTrace>>> = self.get("traces", &query)?;
        Ok(answer.data.unwrap_or_default().into_iter().map(Trace::from).collect())
    }

    /// Asks for the trace until it is there and `complete` says that it is whole.
    ///
    /// # Panics
    /// When that has not happened within `limit`.
    #[track_caller]
    pub fn wait_for_trace(&self, id: &str, complete: impl Fn(&Trace) -> bool, limit: Duration) -> Trace {
        wait::until(&format!("the whole trace {id}"), limit, || {
            let trace = self.trace(id)?;
            if complete(&trace) { Ok(trace) } else { Err(trace.summary()) }
        })
    }

    fn get<T: serde::de::DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, String> {
        http::json(&self.agent, &format!("{}/api/{path}", self.base), query)
    }
}

impl Trace {
    /// The only span of this name.
    ///
    /// # Panics
    /// When there is none or more than one; the message lists what there is.
    #[track_caller]
    pub fn span(&self, operation: &str) -> &Span {
        let mut named = self.spans.iter().filter(|span| span.operation == operation);
        match (named.next(), named.next()) {
            (Some(span), None) => span,
            (None, _) => panic!("There is no span {operation}. {}", self.summary()),
            _ => panic!("There is more than one span {operation}. {}", self.summary()),
        }
    }

    fn summary(&self) -> String {
        let names: Vec<_> = self.spans.iter().map(|span| span.operation.as_str()).collect();
        format!("The trace {} has {} spans: {}", self.id, names.len(), names.join(", "))
    }
}

impl Span {
    /// The id of the parent span.
    pub fn parent(&self) -> Option<&str> {
        let parent = self.references.iter().find(|reference| reference.ref_type == "CHILD_OF");
        parent.map(|reference| reference.span_id.as_str())
    }

    /// What it is linked to.
    pub fn links(&self) -> impl Iterator<Item = &Reference> {
        self.references.iter().filter(|reference| reference.ref_type == "FOLLOWS_FROM")
    }
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTrace {
    #[serde(rename = "traceID")]
    trace_id: String,
    spans: Vec<RawSpan>,
    processes: BTreeMap<String, RawProcess>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSpan {
    #[serde(rename = "spanID")]
    span_id: String,
    operation_name: String,
    references: Option<Vec<Reference>>,
    start_time: u64,
    duration: u64,
    tags: Option<Vec<RawTag>>,
    logs: Option<Vec<RawLog>>,
    warnings: Option<Vec<String>>,
    #[serde(rename = "processID")]
    process_id: String,
}

#[derive(Deserialize, Clone, Default)]
#[serde(rename_all = "camelCase")]
struct RawProcess {
    service_name: String,
    tags: Option<Vec<RawTag>>,
}

#[derive(Deserialize)]
struct RawLog {
    timestamp: u64,
    fields: Option<Vec<RawTag>>,
}

#[derive(Deserialize, Clone)]
struct RawTag {
    key: String,
    value: Value,
}

impl From<RawTrace> for Trace {
    fn from(raw: RawTrace) -> Self {
        let process = |span: &RawSpan| raw.processes.get(&span.process_id).cloned().unwrap_or_default();
        let mut spans: Vec<_> = raw.spans.into_iter().map(|span| (process(&span), span).into()).collect();
        spans.sort_by(|a: &Span, b| (a.start_us, &a.id).cmp(&(b.start_us, &b.id)));
        Self { id: raw.trace_id, spans }
    }
}

impl From<(RawProcess, RawSpan)> for Span {
    fn from((process, raw): (RawProcess, RawSpan)) -> Self {
        let log = |log: RawLog| Log { timestamp_us: log.timestamp, fields: map(log.fields) };
        Self {
            id: raw.span_id,
            operation: raw.operation_name,
            references: raw.references.unwrap_or_default(),
            start_us: raw.start_time,
            duration_us: raw.duration,
            tags: map(raw.tags),
            logs: raw.logs.unwrap_or_default().into_iter().map(log).collect(),
            warnings: raw.warnings.unwrap_or_default(),
            service: process.service_name,
            resource: map(process.tags),
        }
    }
}

fn map(tags: Option<Vec<RawTag>>) -> BTreeMap<String, Value> {
    tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect()
}
