//! Contexts: a run or a try that one process started and another one ends, as plain data between them.

use dagtel_core::event::{RunDetails, TaskDetails};
use dagtel_core::id::{RunIds, task_span_id, traceparent};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::time::Timestamp;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceState};
use serde::{Deserialize, Serialize};

use crate::describe::{DagRun, TaskInstance};

/// A run that was handed over, to be stored or sent as JSON or in any other form that serde knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunContext {
    traceparent: String,
    run: RunKey,
    queued: Option<Timestamp>,
    started: Timestamp,
    details: RunDetails,
}

/// A try that was handed over, to be stored or sent as JSON or in any other form that serde knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskContext {
    traceparent: String,
    run: RunKey,
    task: TryKey,
    started: Timestamp,
    details: TaskDetails,
}

impl RunContext {
    pub(crate) fn new(run: &DagRun, started: Timestamp) -> Self {
        let ids = RunIds::of(&run.key);
        Self {
            traceparent: traceparent(ids.trace_id, ids.span_id),
            run: run.key.clone(),
            queued: run.queued_at,
            started,
            details: run.details.clone(),
        }
    }

    pub(crate) fn into_run(self) -> (DagRun, Timestamp) {
        let run =
            DagRun { key: self.run, details: self.details, queued_at: self.queued, named_namespace: true };
        (run, self.started)
    }

    /// The W3C `traceparent` that makes the run's span the parent of what follows.
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }
}

impl TaskContext {
    pub(crate) fn new(run: &RunKey, task: TaskInstance, started: Timestamp) -> Self {
        Self {
            traceparent: traceparent(RunIds::of(run).trace_id, task_span_id(run, &task.key)),
            run: run.clone(),
            task: task.key,
            started,
            details: task.details,
        }
    }

    pub(crate) fn into_task(self) -> (DagRun, TaskInstance, Timestamp) {
        let mut run = DagRun::new("", "");
        run.key = self.run;
        run.named_namespace = true;
        (run, TaskInstance { key: self.task, details: self.details }, self.started)
    }

    /// The W3C `traceparent` that makes the try's span the parent of what follows.
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }
}

/// A context in which a span of dagtel is the parent, for the user's own SDK or `tracing` spans.
pub(crate) fn otel_context(run: &RunKey, span_id: SpanId) -> opentelemetry::Context {
    let trace_id = RunIds::of(run).trace_id;
    let parent = SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, true, TraceState::default());
    opentelemetry::Context::new().with_remote_span_context(parent)
}
