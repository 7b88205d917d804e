//! Log records, as plain data: what somebody tells, what tries logged, and what became of runs and tries.

use std::sync::Arc;

use opentelemetry::trace::{SpanId, TraceId};
use smol_str::{SmolStr, format_smolstr};

use super::map::LastRun;
use crate::catalog::{attribute, lifecycle};
pub use crate::event::Severity;
use crate::fold::{Change, Line, Started};
use crate::guard::AdmittedLog;
use crate::id::task_span_id;
use crate::key::{RunKey, TryKey, UNMAPPED};
use crate::time::Timestamp;
use crate::value::{Attribute, Value};

/// A log record, as somebody tells it. [`crate::guard::admit_log`] holds it to the limits; only then it can be encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// When it happened.
    pub time: Timestamp,
    /// When it was seen by whoever makes the record.
    pub observed: Timestamp,
    /// What kind of event it is; empty for a plain line.
    pub event_name: SmolStr,
    /// How bad it is.
    pub severity: Severity,
    /// The text for people; may be empty.
    pub body: SmolStr,
    /// What is known of it, each key once.
    pub attributes: Vec<Attribute>,
    /// The span it belongs to, and the trace of that.
    pub span: Option<(TraceId, SpanId)>,
}

/// Where a record about a run or a try comes from: its resource.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The deployment: `service.namespace`.
    pub namespace: SmolStr,
    /// The DAG: `service.name`, unless the deployment's name is wanted there.
    pub dag_id: SmolStr,
    /// The process: `host.name` and `process.pid`, as far as they are known.
    pub process: Vec<Attribute>,
}

impl Origin {
    fn of(run: &RunKey) -> Self {
        Self { namespace: run.namespace.clone(), dag_id: run.dag_id.clone(), process: Vec::new() }
    }
}

/// The records of lines that tries logged, in their order.
pub fn log_records(lines: impl IntoIterator<Item = Line>) -> impl Iterator<Item = AdmittedLog> {
    let mut runs = LastRun::default();
    // Lines mostly come many of one try, and deriving its id is not free.
    let mut last: Option<(Arc<RunKey>, TryKey, SpanId)> = None;
    lines.into_iter().map(move |told| {
        let Line { run, task, at, line } = told;
        let span_id = match &last {
            Some((known_run, known_task, span_id)) if *known_run == run && *known_task == task => *span_id,
            _ => task_span_id(&run, &task),
        };
        let mut attributes = identity(&run, Some(&task), 0);
        let own = attributes.len();
        let mut origin = Origin::of(&run);
        for attribute in line.attributes {
            if attribute.0 == attribute::HOST_NAME || attribute.0 == attribute::PROCESS_PID {
                origin.process.push(attribute);
            } else if attributes[..own].iter().all(|(key, _)| *key != attribute.0) {
                attributes.push(attribute);
            }
        }
        let record = LogRecord {
            time: at,
            observed: at,
            event_name: SmolStr::default(),
            severity: line.severity,
            body: line.body,
            attributes,
            span: Some((runs.ids(&run).trace_id, span_id)),
        };
        last = Some((run, task, span_id));
        AdmittedLog::of(record, origin)
    })
}

/// The records that tell what began and what became final, in the order of the changes.
pub fn lifecycle_records(changes: &[Change]) -> Vec<AdmittedLog> {
    let mut runs = LastRun::default();
    let mut record = |run: &Arc<RunKey>, span: Option<SpanId>, told: Told| {
        let ids = runs.ids(run);
        let record = LogRecord {
            time: told.at,
            observed: told.at,
            event_name: SmolStr::new_static(told.name),
            severity: if told.failed { Severity::Error } else { Severity::Info },
            body: told.body,
            attributes: told.attributes,
            span: Some((ids.trace_id, span.unwrap_or(ids.span_id))),
        };
        AdmittedLog::of(record, Origin::of(run))
    };
    let told = changes.iter().map(|change| match change {
        Change::Started(started) => {
            let span = started.task.as_ref().map(|(_, span_id)| *span_id);
            record(&started.run, span, began(started))
        }
        Change::Try(task) => {
            let (state, times) = (task.state, (task.started, task.ended));
            let told = ended(&task.run, Some(&task.key), state.as_str(), state.is_error(), times);
            record(&task.run, Some(task.span_id), told)
        }
        Change::Run(run) => {
            let (state, times) = (run.state, (run.started, run.ended));
            record(&run.key, None, ended(&run.key, None, state.as_str(), state.is_error(), times))
        }
    });
    told.collect()
}

/// What a record of a change says.
struct Told {
    at: Timestamp,
    name: &'static str,
    failed: bool,
    body: SmolStr,
    attributes: Vec<Attribute>,
}

fn began(started: &Started) -> Told {
    let task = started.task.as_ref().map(|(task, _)| task);
    let name = if task.is_some() { lifecycle::TASK_STARTED } else { lifecycle::DAG_RUN_STARTED };
    let body = format_smolstr!("{} started", shown(&started.run, task));
    Told { at: started.at, name, failed: false, body, attributes: identity(&started.run, task, 0) }
}

fn ended(
    run: &RunKey,
    task: Option<&TryKey>,
    state: &'static str,
    failed: bool,
    (started, ended): (Option<Timestamp>, Timestamp),
) -> Told {
    let mut attributes = identity(run, task, 2);
    attributes.push((attribute::STATE, SmolStr::new_static(state).into()));
    attributes.extend(started.map(|started| (attribute::DURATION, ended.seconds_since(started).into())));
    let name = if task.is_some() { lifecycle::TASK_FINISHED } else { lifecycle::DAG_RUN_FINISHED };
    let body = format_smolstr!("{} finished: {state}", shown(run, task));
    Told { at: ended, name, failed, body, attributes }
}

/// A run or a try as people read it.
fn shown(run: &RunKey, task: Option<&TryKey>) -> SmolStr {
    match task {
        None => format_smolstr!("DAG run {}", run.dag_id),
        Some(task) if task.map_index == UNMAPPED => {
            format_smolstr!("task {} try {}", task.task_id, task.try_number)
        }
        Some(task) => format_smolstr!("task {}[{}] try {}", task.task_id, task.map_index, task.try_number),
    }
}

/// The attributes that say what a record is about, with room for more.
fn identity(run: &RunKey, task: Option<&TryKey>, more: usize) -> Vec<Attribute> {
    let mut attributes: Vec<(SmolStr, Value)> = Vec::with_capacity(8 + more);
    attributes.push((attribute::DAG_ID, run.dag_id.clone().into()));
    attributes.push((attribute::RUN_ID, run.run_id.clone().into()));
    if let Some(task) = task {
        attributes.push((attribute::TASK_ID, task.task_id.clone().into()));
        attributes.push((attribute::MAP_INDEX, task.map_index.into()));
        attributes.push((attribute::TRY_NUMBER, task.try_number.into()));
    }
    attributes
}
