//! Batches of 512 tasks on their way to OTLP: as dagtel's events, and as the SDK's spans.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dagtel::core::catalog::attribute;
use dagtel::core::event::{
    Event, Fact, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState, Truth,
};
use dagtel::core::fold::{Change, Fold, Timing};
use dagtel::core::guard;
use dagtel::core::key::{RunKey, TryKey};
use dagtel::core::signal::{self, Span};
use dagtel::core::time::Timestamp;
use dagtel_otlp::{Frame, Identity};
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use prost::Message as _;

use crate::sample::{self, TASKS};

/// What the spans of one request have in common at most: both sides send 512 at a time.
const REQUEST: usize = 512;
/// Tasks that run side by side.
const WAVE: usize = 16;

/// Where the tasks of a batch belong.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// All to one run; with a link from each to the one before it, or without.
    OneRun { links: bool },
    /// Each to a run of its own.
    ManyRuns,
}

impl Shape {
    const fn runs(self) -> usize {
        match self {
            Self::OneRun { .. } => 1,
            Self::ManyRuns => TASKS,
        }
    }
}

/// Events of a batch.
#[derive(Clone)]
pub(crate) struct Events {
    first: Vec<Event>,
    /// The end of the one long run comes when its tries are out already, as it does in life.
    last: Option<Event>,
}

impl Events {
    /// All of them, in their order.
    pub(crate) fn into_events(self) -> impl Iterator<Item = Event> {
        self.first.into_iter().chain(self.last)
    }
}

/// dagtel's way. The fold stays from batch to batch, as it does in a drainer; every batch is of new runs.
pub(crate) struct Ours {
    shape: Shape,
    fold: Fold,
    identity: Identity,
    batches: u64,
}

impl Ours {
    pub(crate) fn new(shape: Shape) -> Self {
        let fold = Fold::new(Timestamp::from_millis(0), Timing::new(Duration::ZERO, Duration::ZERO));
        Self { shape, fold, identity: Identity::new("bench", "1"), batches: 0 }
    }

    /// The next batch.
    pub(crate) fn events(&mut self) -> Events {
        self.batches += 1;
        let mut first = Vec::new();
        let run = |n: usize| Arc::new(RunKey::new(sample::DAG, format!("scheduled__{}/{n}", self.batches)));
        match self.shape {
            Shape::OneRun { links } => {
                let run = run(0);
                first.push(run_event(&run, RunChange::Started));
                let tasks: Vec<usize> = (0..TASKS).collect();
                for wave in tasks.chunks(WAVE) {
                    first.extend(wave.iter().map(|n| started(&run, *n, links)));
                    first.extend(wave.iter().map(|n| finished(&run, *n)));
                }
                Events { first, last: Some(run_event(&run, RunChange::Finished(RunState::Success))) }
            }
            Shape::ManyRuns => {
                for n in 0..TASKS {
                    let run = run(n);
                    first.push(run_event(&run, RunChange::Started));
                    first.push(started(&run, n, false));
                    first.push(finished(&run, n));
                    first.push(run_event(&run, RunChange::Finished(RunState::Success)));
                }
                Events { first, last: None }
            }
        }
    }

    /// From events to requests.
    pub(crate) fn encode(&mut self, events: Events) -> Vec<Frame> {
        let changes = self.changes(events);
        dagtel_otlp::traces(signal::spans(changes), &self.identity)
    }

    /// From events to spans.
    pub(crate) fn spans(&mut self, events: Events) -> Vec<Span> {
        signal::spans(self.changes(events)).collect()
    }

    fn changes(&mut self, events: Events) -> Vec<Change> {
        for event in events.first {
            self.fold.apply(guard::readmit(event).0);
        }
        let mut changes = self.fold.due(Timestamp::MAX);
        if let Some(event) = events.last {
            self.fold.apply(guard::readmit(event).0);
            changes.extend(self.fold.due(Timestamp::MAX));
        }
        // A fold that takes its events for late ones, or known ones, would be very fast.
        let ends = changes.iter().filter(|change| !matches!(change, Change::Started(_)));
        assert_eq!(ends.count(), TASKS + self.shape.runs(), "spans of a batch");
        changes
    }
}

fn run_event(run: &Arc<RunKey>, change: RunChange) -> Event {
    let at = Timestamp::from_millis(if change == RunChange::Started { 1 } else { 99 });
    let fact = Fact::Run { change, details: RunDetails::default() };
    Event { run: run.clone(), at, truth: Truth::Reported, fact }
}

fn started(run: &Arc<RunKey>, n: usize, link: bool) -> Event {
    let upstream = link.then(|| vec![sample::task_id(n + TASKS - 1).into()]);
    let details = TaskDetails { upstream, attributes: sample::attributes(n), ..TaskDetails::default() };
    task_event(run, n, 2, TaskChange::Started, details)
}

fn finished(run: &Arc<RunKey>, n: usize) -> Event {
    task_event(run, n, 5, TaskChange::Finished(TaskState::Success), TaskDetails::default())
}

fn task_event(run: &Arc<RunKey>, n: usize, at: u64, change: TaskChange, details: TaskDetails) -> Event {
    let fact = Fact::Task { key: TryKey::new(sample::task_id(n)), change, details };
    Event { run: run.clone(), at: Timestamp::from_millis(at), truth: Truth::Reported, fact }
}

/// The SDK's way, with as many spans as dagtel makes of the same shape.
pub(crate) struct Theirs {
    resource: ResourceAttributesWithSchema,
    scope: InstrumentationScope,
}

impl Theirs {
    pub(crate) fn new() -> Self {
        let scope = InstrumentationScope::builder("bench").with_version("0.1.0").build();
        Self { resource: (&Self::resource()).into(), scope }
    }

    /// Who emits, in as many words as dagtel uses.
    pub(crate) fn resource() -> Resource {
        Resource::builder_empty()
            .with_service_name(sample::DAG)
            .with_attributes([
                opentelemetry::KeyValue::new("service.namespace", "default"),
                opentelemetry::KeyValue::new("telemetry.sdk.language", "rust"),
                opentelemetry::KeyValue::new("telemetry.sdk.name", "opentelemetry"),
                opentelemetry::KeyValue::new("telemetry.sdk.version", "0.33.1"),
            ])
            .build()
    }

    /// Spans with the twelve attributes, and those of their runs with none.
    pub(crate) fn spans(&self, shape: Shape) -> Vec<Vec<SpanData>> {
        let links = matches!(shape, Shape::OneRun { links: true });
        let tasks = (0..TASKS).map(|n| {
            let mut span = self.span(n, sample::task_id(n));
            span.attributes = sample::key_values(n);
            span.parent_span_id = SpanId::from(7u64);
            if links {
                span.links = link(context(n + 1));
            }
            span
        });
        let runs = (TASKS..TASKS + shape.runs()).map(|n| self.span(n, sample::DAG.to_owned()));
        in_requests(tasks.chain(runs).collect())
    }

    /// The very spans that dagtel makes, with all that it puts in besides the twelve attributes.
    pub(crate) fn same_as(&self, spans: &[Span]) -> Vec<Vec<SpanData>> {
        let same = |span: &Span| {
            let mut same = self.span(0, span.name.clone());
            same.span_context = local(span.trace_id, span.span_id);
            same.parent_span_id = span.parent.unwrap_or(SpanId::INVALID);
            same.attributes = span.attributes.iter().map(key_value).collect();
            same.events.events = span.events.iter().map(event).collect();
            same.links.links = span.links.iter().map(|l| linked(local(l.trace_id, l.span_id))).collect();
            same
        };
        in_requests(spans.iter().map(same).collect())
    }

    fn span(&self, n: usize, name: String) -> SpanData {
        SpanData {
            span_context: context(n),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time: time(2),
            end_time: time(5),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }

    /// From spans to requests.
    pub(crate) fn encode(&self, requests: Vec<Vec<SpanData>>) -> Vec<Vec<u8>> {
        let encode = |spans| {
            let resource_spans = group_spans_by_resource_and_scope(spans, &self.resource);
            ExportTraceServiceRequest { resource_spans }.encode_to_vec()
        };
        requests.into_iter().map(encode).collect()
    }
}

fn in_requests(spans: Vec<SpanData>) -> Vec<Vec<SpanData>> {
    spans.chunks(REQUEST).map(<[SpanData]>::to_vec).collect()
}

fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

fn context(n: usize) -> SpanContext {
    local(TraceId::from(0x1111_u128), SpanId::from(1 + n as u64))
}

fn local(trace_id: TraceId, span_id: SpanId) -> SpanContext {
    SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::default())
}

fn link(to: SpanContext) -> SpanLinks {
    let mut links = SpanLinks::default();
    links.links.push(linked(to));
    links
}

fn linked(to: SpanContext) -> Link {
    let attributes = [("link.type", "dependency"), ("link.direction", "upstream")];
    Link::new(to, attributes.map(|(key, value)| opentelemetry::KeyValue::new(key, value)).to_vec(), 0)
}

fn event(event: &signal::SpanEvent) -> opentelemetry::trace::Event {
    opentelemetry::trace::Event::new(event.name, time(2), Vec::new(), 0)
}

/// Whoever writes such spans by the SDK has literals where dagtel and the sample have them.
fn literal(text: &str) -> Option<&'static str> {
    let own = attribute::ALL.iter().map(|key| key.as_str());
    own.chain(sample::literals()).chain([TaskState::Success.as_str()]).find(|literal| *literal == text)
}

fn key_value((key, value): &dagtel::core::value::Attribute) -> opentelemetry::KeyValue {
    use dagtel::core::value::Value;
    let value: opentelemetry::Value = match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        other => {
            let text = other.as_str().unwrap_or_default();
            literal(text).map_or_else(|| text.to_owned().into(), Into::into)
        }
    };
    opentelemetry::KeyValue::new(literal(key).expect("a key of dagtel's or of the sample"), value)
}
