//! Received spans and points, kept within bounds until they are shown.

use std::collections::{BTreeMap, VecDeque};

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    trace::v1::{ResourceSpans, Span},
};

use super::{
    series::SeriesTable,
    value::{bounded, find_int, find_text},
    words::{Link, first_error},
};

/// Traces kept; the oldest goes when another one comes.
pub(crate) const MAX_TRACES: usize = 256;

/// Spans kept of one trace; later ones are counted and dropped.
pub(crate) const MAX_SPANS_PER_TRACE: usize = 10_000;

/// Spans kept in all; beyond it, the oldest traces go.
pub(crate) const MAX_SPANS: usize = 100_000;

/// Different spans under one span id; only a faulty sender has two.
const MAX_TWINS: usize = 4;

/// The sixteen bytes of a trace's id.
pub(crate) type TraceId = [u8; 16];

/// The eight bytes of a span's id.
pub(crate) type SpanId = [u8; 8];

/// Everything received so far.
#[derive(Debug, Default)]
pub(crate) struct Store {
    traces: BTreeMap<TraceId, Trace>,
    /// Ids in the order of their first span.
    order: VecDeque<TraceId>,
    spans: usize,
    pub(super) metrics: SeriesTable,
    pub(super) dropped: Dropped,
}

/// What is not shown, and why.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Traces that made room for newer ones.
    pub(crate) old_traces: usize,
    /// Spans whose trace id or span id is not one.
    pub(crate) bad_ids: usize,
}

/// One trace, its spans in the order they came.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(super) id: TraceId,
    pub(super) spans: Vec<SpanRow>,
    pub(super) by_id: BTreeMap<SpanId, Vec<usize>>,
    /// Spans beyond [`MAX_SPANS_PER_TRACE`].
    pub(super) beyond: usize,
}

/// What is shown of a span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SpanRow {
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: String,
    pub(super) service: String,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) state: Option<String>,
    pub(super) try_number: Option<i64>,
    pub(super) status: i32,
    pub(super) error: Option<String>,
    pub(super) links: Vec<Link>,
    pub(super) dropped_links: u32,
}

impl Store {
    /// Takes the spans of a request; one that is already there is not taken twice.
    pub(crate) fn add_traces(&mut self, request: &ExportTraceServiceRequest) {
        for resource in &request.resource_spans {
            let service = service_name(resource);
            for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                self.add_span(span, &service);
            }
        }
        self.make_room();
    }

    /// Takes the points of a request; of each series the latest one stays.
    pub(crate) fn add_metrics(&mut self, request: &ExportMetricsServiceRequest) {
        self.metrics.add(request);
    }

    /// The traces, oldest first.
    pub(crate) fn traces(&self) -> impl DoubleEndedIterator<Item = &Trace> {
        self.order.iter().filter_map(|id| self.traces.get(id))
    }

    fn add_span(&mut self, span: &Span, service: &str) {
        let ids = (id_of::<16>(&span.trace_id), SpanRow::read(span, service));
        let (Some(trace_id), Some(row)) = ids else {
            self.dropped.bad_ids += 1;
            return;
        };
        let trace = self.traces.entry(trace_id).or_insert_with(|| {
            self.order.push_back(trace_id);
            Trace { id: trace_id, spans: Vec::new(), by_id: BTreeMap::new(), beyond: 0 }
        });
        self.spans += usize::from(trace.add(row));
    }

    fn make_room(&mut self) {
        while self.order.len() > MAX_TRACES || (self.spans > MAX_SPANS && self.order.len() > 1) {
            let oldest = self.order.pop_front().and_then(|id| self.traces.remove(&id));
            self.spans -= oldest.map_or(0, |trace| trace.spans.len());
            self.dropped.old_traces += 1;
        }
    }
}

impl Trace {
    /// Whether the row was new.
    fn add(&mut self, row: SpanRow) -> bool {
        let twins = self.by_id.get(&row.id).map_or(&[][..], Vec::as_slice);
        if twins.iter().any(|&index| self.spans[index] == row) {
            return false;
        }
        if self.spans.len() >= MAX_SPANS_PER_TRACE || twins.len() >= MAX_TWINS {
            self.beyond += 1;
            return false;
        }
        self.by_id.entry(row.id).or_default().push(self.spans.len());
        self.spans.push(row);
        true
    }

    /// The span with this id; of several, the one that came first.
    pub(super) fn find(&self, id: &SpanId) -> Option<&SpanRow> {
        self.by_id.get(id).and_then(|found| self.spans.get(*found.first()?))
    }
}

impl SpanRow {
    fn read(span: &Span, service: &str) -> Option<Self> {
        let id = id_of::<8>(&span.span_id)?;
        let status = span.status.as_ref();
        Some(Self {
            id,
            parent: id_of(&span.parent_span_id),
            name: bounded(&span.name),
            service: service.to_owned(),
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
            state: find_text(&span.attributes, "state"),
            try_number: find_int(&span.attributes, "try_number"),
            status: status.map_or(0, |status| status.code),
            error: first_error(span),
            links: Link::read_all(span),
            dropped_links: span.dropped_links_count,
        })
    }

    /// Nanoseconds from start to end; a clock that went back counts as none.
    pub(super) fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether the sender marked the span as an error.
    pub(super) fn is_error(&self) -> bool {
        self.status == 2
    }
}

/// An id of the right length; all zeros means that there is none.
pub(super) fn id_of<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    <[u8; N]>::try_from(bytes).ok().filter(|id| *id != [0; N])
}

fn service_name(resource: &ResourceSpans) -> String {
    let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
    find_text(attributes, "service.name").unwrap_or_default()
}
