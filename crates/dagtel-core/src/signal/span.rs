//! A span, as plain data.

use opentelemetry::trace::{SpanId, TraceId};
use smol_str::SmolStr;

use crate::time::Timestamp;
use crate::value::Attribute;

/// A finished span, within all limits. Only [`crate::signal::spans`] and [`crate::signal::pass_spans`] make one, from what
/// the guard admitted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Span {
    /// The deployment: `service.namespace` of its resource.
    pub namespace: SmolStr,
    /// The DAG: `service.name` of its resource, unless the deployment's name is wanted there. `None` when it is of no DAG.
    pub dag_id: Option<SmolStr>,
    /// Its trace.
    pub trace_id: TraceId,
    /// Itself.
    pub span_id: SpanId,
    /// Its parent in the same trace, if it has one.
    pub parent: Option<SpanId>,
    /// Its name.
    pub name: String,
    /// When it began.
    pub start: Timestamp,
    /// When it ended, at least a microsecond later.
    pub end: Timestamp,
    /// What is known of it.
    pub attributes: Vec<Attribute>,
    /// How many attributes more there were than the limit.
    pub dropped_attributes: u32,
    /// What happened in it, in time.
    pub events: Vec<SpanEvent>,
    /// How many events more there were than the limit.
    pub dropped_events: u32,
    /// What it is linked to.
    pub links: Vec<SpanLink>,
    /// How many links more there were than the limit.
    pub dropped_links: u32,
    /// How it ended.
    pub status: Status,
}

/// An event of a span.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SpanEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub name: &'static str,
    /// What is known of it.
    pub attributes: Vec<Attribute>,
}

/// A link of a span.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SpanLink {
    /// The trace of the span it points to.
    pub trace_id: TraceId,
    /// The span it points to.
    pub span_id: SpanId,
    /// Why: `link.type`, and for a dependency `link.direction`.
    pub attributes: &'static [Attribute],
}

/// How a span ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// No error.
    Unset,
    /// An error, with a message for people.
    Error(SmolStr),
}
