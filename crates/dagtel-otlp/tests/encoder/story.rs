//! Events told one by one, and what came of them.

use std::sync::Arc;

use dagtel_core::event::{
    Event, Exception, Fact, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState, Truth,
};
use dagtel_core::fold::{Fold, Timing};
use dagtel_core::guard;
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::signal::{Span, spans};
use dagtel_core::time::Timestamp;
use dagtel_core::value::{SmolStr, Value};
use dagtel_otlp::{Frame, Identity};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span as Decoded;
use prost::Message as _;

/// So many milliseconds after the beginning of every story.
pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_795_208_627_000 + millis)
}

pub(crate) fn identity() -> Identity {
    Identity::new("deployment", "instance-1")
}

pub(crate) fn attributes(list: impl IntoIterator<Item = (SmolStr, Value)>) -> TaskDetails {
    TaskDetails { attributes: list.into_iter().collect(), ..TaskDetails::default() }
}

/// A fold, and what the guard cut on the way to it.
pub(crate) struct Story {
    pub(crate) fold: Fold,
    pub(crate) cut: u32,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self { fold: Fold::new(at(0), Timing::default()), cut: 0 }
    }

    fn tell(&mut self, run: &RunKey, millis: u64, fact: Fact) -> &mut Self {
        let event = Event { run: Arc::new(run.clone()), at: at(millis), truth: Truth::Reported, fact };
        let (admitted, found) = guard::admit(event);
        self.cut += found.cut;
        self.fold.apply(admitted);
        self
    }

    pub(crate) fn run(
        &mut self,
        run: &RunKey,
        millis: u64,
        change: RunChange,
        details: RunDetails,
    ) -> &mut Self {
        self.tell(run, millis, Fact::Run { change, details })
    }

    pub(crate) fn task(
        &mut self,
        run: &RunKey,
        key: &TryKey,
        millis: u64,
        change: TaskChange,
        details: TaskDetails,
    ) -> &mut Self {
        self.tell(run, millis, Fact::Task { key: key.clone(), change, details })
    }

    /// A run from 0 s to 10 s, with what else is known of it.
    pub(crate) fn whole_run(&mut self, run: &RunKey, state: RunState, details: RunDetails) -> &mut Self {
        self.run(run, 0, RunChange::Started, details);
        self.run(run, 10_000, RunChange::Finished(state), RunDetails::default())
    }

    /// A try from 1 s to 2.5 s, with what else is known of it.
    pub(crate) fn whole_try(
        &mut self,
        run: &RunKey,
        key: &TryKey,
        state: TaskState,
        details: TaskDetails,
    ) -> &mut Self {
        self.task(run, key, 1000, TaskChange::Started, details);
        self.task(run, key, 2500, TaskChange::Finished(state), TaskDetails::default())
    }

    pub(crate) fn failed_try(&mut self, run: &RunKey, key: &TryKey, exception: Exception) -> &mut Self {
        self.task(run, key, 1000, TaskChange::Started, TaskDetails::default());
        let details = TaskDetails { exception: Some(Box::new(exception)), ..TaskDetails::default() };
        self.task(run, key, 2500, TaskChange::Finished(TaskState::Failed), details)
    }

    pub(crate) fn spans(&mut self) -> Vec<Span> {
        spans(self.fold.finish()).collect()
    }

    /// What is left when all spans went over the wire and back.
    pub(crate) fn decoded(&mut self) -> Vec<Decoded> {
        let spans = self.spans();
        decode_all(&dagtel_otlp::traces(&spans, &identity()))
    }

    /// The metrics as they go over the wire, 60 s after the beginning.
    pub(crate) fn metrics(&self, identity: &Identity) -> Vec<Metric> {
        let frames = dagtel_otlp::metrics(self.fold.metrics(), at(60_000), identity);
        frames.iter().flat_map(|frame| metrics_of(decode_metrics(frame))).collect()
    }
}

pub(crate) fn decode(frame: &Frame) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(&*frame.body).unwrap()
}

pub(crate) fn decode_metrics(frame: &Frame) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest::decode(&*frame.body).unwrap()
}

pub(crate) fn metrics_of(request: ExportMetricsServiceRequest) -> Vec<Metric> {
    let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).collect()
}

pub(crate) fn spans_of(request: ExportTraceServiceRequest) -> Vec<Decoded> {
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

pub(crate) fn decode_all(frames: &[Frame]) -> Vec<Decoded> {
    frames.iter().flat_map(|frame| spans_of(decode(frame))).collect()
}

/// The span with this name.
pub(crate) fn named<'a>(spans: &'a [Decoded], name: &str) -> &'a Decoded {
    spans.iter().find(|span| span.name == name).unwrap()
}

pub(crate) fn get<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Any> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

pub(crate) fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match get(attributes, key)? {
        Any::StringValue(text) => Some(text),
        _ => None,
    }
}

pub(crate) fn string(text: &str) -> AnyValue {
    AnyValue { value: Some(Any::StringValue(text.to_owned())) }
}
