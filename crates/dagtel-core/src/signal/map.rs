//! From what became final to its span: names, attributes, events, links and status as the telemetry contract says.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{SpanId, TraceId};
use smol_str::{SmolStr, format_smolstr};

use super::own::Own;
use super::span::{Span, SpanEvent, SpanLink, Status};
use crate::catalog::{attribute, error_type, event, link, span as names};
use crate::event::{Exception, Severity, TaskState, Truth};
use crate::fold::{Change, ClosedRun, ClosedTry, LinkKind, Resources};
use crate::id::{RunIds, executor_span_id};
use crate::key::{RunKey, TryKey, UNMAPPED};
use crate::limits;
use crate::time::Timestamp;
use crate::value::{Attribute, Text, Value};

/// Jaeger 1.76 takes a span of no length for a negative one, warns, and changes it, so that its resend is no longer
/// recognised.
pub(super) const SHORTEST: Duration = Duration::from_micros(1);

/// The spans of what became final, in its order, each made when it is asked for. A try that names its executor has two.
pub fn spans(changes: impl IntoIterator<Item = Change>) -> impl Iterator<Item = Span> {
    let mut runs = LastRun::default();
    changes.into_iter().flat_map(move |change| match change {
        Change::Started(_) => None.into_iter().chain(None),
        Change::Try(task) => {
            let ids = runs.ids(&task.run);
            let executor = executor_span(&task, ids);
            Some(task_span(*task, ids)).into_iter().chain(executor)
        }
        Change::Run(run) => {
            let ids = runs.ids(&run.key);
            Some(run_span(*run, ids)).into_iter().chain(None)
        }
    })
}

/// The ids of the run that was asked for last: what comes at one time is mostly of one run, and deriving them is not free.
#[derive(Default)]
pub(super) struct LastRun(Option<(Arc<RunKey>, RunIds)>);

impl LastRun {
    pub(super) fn ids(&mut self, run: &Arc<RunKey>) -> &RunIds {
        let (_, ids) = match self.0.take().filter(|(known, _)| known == run) {
            Some(known) => self.0.insert(known),
            None => self.0.insert((run.clone(), RunIds::of(run))),
        };
        ids
    }
}

fn run_span(run: ClosedRun, ids: &RunIds) -> Span {
    let started = run.started.or(run.queued).unwrap_or(run.first_seen);
    let start = run.queued.unwrap_or(started).min(started);
    let mut own = Own::with_room(run.attributes.len());
    own.put(attribute::DAG_ID, run.key.dag_id.clone());
    own.put(attribute::RUN_ID, run.key.run_id.clone());
    own.put(attribute::ATTEMPT, run.key.attempt);
    own.put(attribute::STATE, SmolStr::new_static(run.state.as_str()));
    if let Some(queued) = run.queued {
        own.put(attribute::QUEUED_AT, format_smolstr!("{queued}"));
    }
    if run.truth != Truth::Inferred {
        own.put(attribute::DURATION, run.ended.seconds_since(started));
    }
    own.put(attribute::TASK_COUNT, i64::try_from(run.task_count).unwrap_or(i64::MAX));
    if !run.execution_modes.is_empty() {
        own.put(attribute::EXECUTION_MODES, run.execution_modes);
    }
    own.put(attribute::CICD_PIPELINE_NAME, run.key.dag_id.clone());
    own.put(attribute::CICD_PIPELINE_RUN_ID, run.key.run_id.clone());
    own.put(attribute::CICD_PIPELINE_RESULT, SmolStr::new_static(run.state.cicd_result()));
    let status = status(
        run.state.is_error(),
        run.truth == Truth::Inferred,
        run.state.as_str(),
        &run.exceptions,
        &mut own,
    );
    let mut events = Vec::with_capacity(2 + run.exceptions.len());
    events.extend(run.queued.map(|at| plain(at, event::QUEUED)));
    events.extend(run.started.map(|at| plain(at, event::STARTED)));
    events.extend(run.exceptions.into_iter().map(exception));
    let links = run.trigger.as_deref().and_then(trigger).into_iter().collect();
    let name = name(names::DAG_RUN, &run.key.dag_id, UNMAPPED);
    Parts { own, events, dropped_lines: 0, links, dropped_links: 0, status, name, start, end: run.ended }
        .span(&run.key, ids.trace_id, ids.span_id, None, run.attributes)
}

fn task_span(task: ClosedTry, ids: &RunIds) -> Span {
    let start = task.started.unwrap_or(task.ended);
    let mut own = Own::with_room(task.attributes.len());
    identity(&mut own, &task.run, &task.key, task.state);
    durations(&mut own, &task);
    resources(&mut own, task.resources);
    if !task.links.unresolved.is_empty() {
        own.put(attribute::UPSTREAM_TASK_IDS, task.links.unresolved);
    }
    let status = status(task.state.is_error(), task.silent, task.state.as_str(), &task.exceptions, &mut own);
    let mut events = Vec::with_capacity(3 + task.pauses.len() + task.exceptions.len());
    events.extend(task.scheduled.map(|at| plain(at, event::SCHEDULED)));
    events.extend(task.queued.map(|at| plain(at, event::QUEUED)));
    events.extend(task.started.map(|at| plain(at, event::STARTED)));
    events.extend(
        task.pauses
            .into_iter()
            .map(|(at, deferred)| plain(at, if deferred { event::DEFERRED } else { event::RESUMED })),
    );
    events.extend(task.exceptions.into_iter().map(exception));
    let dropped_lines = task.lines.dropped;
    events.extend(task.lines.last.into_iter().map(line));
    events.sort_by_key(|event| event.at);
    let outer = task.attributes.iter().find(|(key, _)| *key == attribute::TRACEPARENT);
    let outer =
        outer.and_then(|(_, outer)| trigger(outer.as_str()?)).filter(|outer| outer.span_id != task.span_id);
    let nested = outer.as_ref().filter(|outer| outer.trace_id == ids.trace_id).map(|outer| outer.span_id);
    let links = task.links.links.iter().map(|link| SpanLink {
        trace_id: ids.trace_id,
        span_id: link.span_id,
        attributes: link_attributes(link.kind),
    });
    let links = links.chain(outer.filter(|_| nested.is_none())).collect();
    let name = name(names::TASK_RUN, &task.key.task_id, task.key.map_index);
    let dropped_links = task.links.dropped;
    Parts { own, events, dropped_lines, links, dropped_links, status, name, start, end: task.ended }.span(
        &task.run,
        ids.trace_id,
        task.span_id,
        Some(nested.unwrap_or(ids.span_id)),
        task.attributes,
    )
}

/// The time from when an executor was given the try until the try started. It is a child of the run: of a child that begins
/// before its parent Jaeger warns.
fn executor_span(task: &ClosedTry, ids: &RunIds) -> Option<Span> {
    let (_, executor) = task.attributes.iter().find(|(key, _)| *key == attribute::EXECUTOR)?;
    let (executor, start, end) = (executor.as_str()?, task.queued?, task.started?);
    let mut own = Own::with_room(0);
    own.put(attribute::DAG_ID, task.run.dag_id.clone());
    own.put(attribute::RUN_ID, task.run.run_id.clone());
    own.put(attribute::ATTEMPT, task.run.attempt);
    own.put(attribute::TASK_ID, task.key.task_id.clone());
    own.put(attribute::MAP_INDEX, task.key.map_index);
    own.put(attribute::TRY_NUMBER, task.key.try_number);
    own.put(attribute::EXECUTOR, SmolStr::new(executor));
    let name = name(names::EXECUTOR, executor, UNMAPPED);
    let (events, links, status) = (Vec::new(), Vec::new(), Status::Unset);
    let span_id = executor_span_id(&task.run, &task.key);
    Some(Parts { own, events, dropped_lines: 0, links, dropped_links: 0, status, name, start, end }.span(
        &task.run,
        ids.trace_id,
        span_id,
        Some(ids.span_id),
        Vec::new(),
    ))
}

fn identity(own: &mut Own, run: &RunKey, key: &TryKey, state: TaskState) {
    own.put(attribute::DAG_ID, run.dag_id.clone());
    own.put(attribute::RUN_ID, run.run_id.clone());
    own.put(attribute::ATTEMPT, run.attempt);
    own.put(attribute::TASK_ID, key.task_id.clone());
    own.put(attribute::MAP_INDEX, key.map_index);
    own.put(attribute::TRY_NUMBER, key.try_number);
    own.put(attribute::STATE, SmolStr::new_static(state.as_str()));
    own.put(attribute::CICD_PIPELINE_TASK_NAME, key.task_id.clone());
    own.put(attribute::CICD_PIPELINE_TASK_RUN_ID, task_run_id(&run.run_id, key));
    own.put(attribute::CICD_PIPELINE_TASK_RUN_RESULT, SmolStr::new_static(state.cicd_result()));
}

/// `<run_id>/<task_id>/<map_index>/<try_number>`, without `format!` where it is often asked for.
fn task_run_id(run_id: &str, key: &TryKey) -> SmolStr {
    let mut id = String::with_capacity(run_id.len() + key.task_id.len() + 24);
    for part in [run_id, "/", &key.task_id, "/"] {
        id.push_str(part);
    }
    match (key.map_index, key.try_number) {
        (UNMAPPED, 1) => id.push_str("-1/1"),
        (map_index, try_number) => {
            let _ = write!(id, "{map_index}/{try_number}");
        }
    }
    id.into()
}

fn durations(own: &mut Own, task: &ClosedTry) {
    if let Some(started) = task.started {
        if task.truth != Truth::Inferred {
            own.put(attribute::DURATION, task.ended.seconds_since(started));
        }
        if let Some(queued) = task.queued {
            own.put(attribute::QUEUED_DURATION, started.seconds_since(queued));
        }
    }
    if let (Some(scheduled), Some(queued)) = (task.scheduled, task.queued) {
        own.put(attribute::SCHEDULED_DURATION, queued.seconds_since(scheduled));
    }
}

fn resources(own: &mut Own, resources: Resources) {
    if let Some(peak) = resources.memory_peak {
        own.put(attribute::MEMORY_PEAK_BYTES, i64::try_from(peak).unwrap_or(i64::MAX));
        own.put(attribute::MEMORY_PEAK_METHOD, resources.memory_peak_method);
    }
    if let Some(cpu_time) = resources.cpu_time {
        own.put(attribute::CPU_TIME, cpu_time.as_secs_f64());
    }
}

/// The status, and `error.type` beside it.
pub(super) fn status(
    error: bool,
    silent: bool,
    state: &'static str,
    exceptions: &[(Timestamp, Box<Exception>)],
    own: &mut Own,
) -> Status {
    if !error {
        return Status::Unset;
    }
    let last = exceptions.last().map(|(_, exception)| exception);
    let kind = last.map(|exception| exception.kind.clone()).filter(|kind| !kind.is_empty());
    let fallback = if silent || state == TaskState::Lost.as_str() {
        error_type::PROCESS_LOST
    } else {
        error_type::OTHER
    };
    own.put(attribute::ERROR_TYPE, kind.unwrap_or(SmolStr::new_static(fallback)));
    let message = last.map(|exception| exception.message.clone()).filter(|message| !message.is_empty());
    Status::Error(message.unwrap_or(SmolStr::new_static(state)))
}

fn plain(at: Timestamp, name: &'static str) -> SpanEvent {
    SpanEvent { at, name, attributes: Vec::new() }
}

pub(super) fn exception((at, exception): (Timestamp, Box<Exception>)) -> SpanEvent {
    let Exception { kind, message, stacktrace } = *exception;
    let fields = [
        (attribute::EXCEPTION_TYPE, kind),
        (attribute::EXCEPTION_MESSAGE, message),
        (attribute::EXCEPTION_STACKTRACE, stacktrace),
    ];
    let known = fields.into_iter().filter(|(_, text)| !text.is_empty());
    let attributes = known.map(|(key, text)| (key, text.into())).collect();
    SpanEvent { at, name: event::EXCEPTION, attributes }
}

fn line((at, severity, body): (Timestamp, Severity, SmolStr)) -> SpanEvent {
    let severity = (attribute::LOG_SEVERITY, severity.as_str().into());
    SpanEvent { at, name: event::LOG, attributes: vec![severity, (attribute::LOG_MESSAGE, body.into())] }
}

fn link_attributes(kind: LinkKind) -> &'static [Attribute] {
    const fn text(key: SmolStr, value: &'static str) -> Attribute {
        (key, Value::Str(Text::new_static(value)))
    }
    static DEPENDENCY: [Attribute; 2] =
        [text(attribute::LINK_TYPE, link::DEPENDENCY), text(attribute::LINK_DIRECTION, "upstream")];
    static RETRY_OF: [Attribute; 1] = [text(attribute::LINK_TYPE, link::RETRY_OF)];
    static CULPRIT: [Attribute; 1] = [text(attribute::LINK_TYPE, link::CULPRIT)];
    match kind {
        LinkKind::Dependency => &DEPENDENCY,
        LinkKind::RetryOf => &RETRY_OF,
        LinkKind::Culprit => &CULPRIT,
    }
}

/// The link of a W3C `traceparent` (`00-<trace id>-<span id>-<flags>`), if it is one.
fn trigger(traceparent: &str) -> Option<SpanLink> {
    static TRIGGER: [Attribute; 1] = [(attribute::LINK_TYPE, Value::Str(Text::new_static(link::TRIGGER)))];
    let mut parts = traceparent.split('-').skip(1);
    let trace_id = TraceId::from_hex(parts.next().filter(|id| id.len() == 32)?).ok()?;
    let span_id = SpanId::from_hex(parts.next().filter(|id| id.len() == 16)?).ok()?;
    let valid = trace_id != TraceId::INVALID && span_id != SpanId::INVALID;
    valid.then_some(SpanLink { trace_id, span_id, attributes: &TRIGGER })
}

fn name(prefix: &str, id: &str, map_index: i32) -> String {
    let id = limits::clip(id, limits::TAG_BYTES);
    if map_index == UNMAPPED { [prefix, id].concat() } else { format!("{prefix}{id}[{map_index}]") }
}

/// What a span has before the attributes that came with events.
struct Parts {
    own: Own,
    events: Vec<SpanEvent>,
    dropped_lines: u32,
    links: Vec<SpanLink>,
    dropped_links: u32,
    status: Status,
    name: String,
    start: Timestamp,
    end: Timestamp,
}

impl Parts {
    fn span(
        mut self,
        run: &RunKey,
        trace_id: TraceId,
        span_id: SpanId,
        parent: Option<SpanId>,
        attributes: Vec<Attribute>,
    ) -> Span {
        let (attributes, dropped_attributes) = self.own.and(attributes);
        let dropped_events = self.events.len().saturating_sub(limits::SPAN_EVENTS);
        self.events.truncate(limits::SPAN_EVENTS);
        Span {
            namespace: run.namespace.clone(),
            dag_id: Some(run.dag_id.clone()),
            trace_id,
            span_id,
            parent,
            name: self.name,
            start: self.start,
            end: self.end.max(self.start.saturating_add(SHORTEST)),
            attributes,
            dropped_attributes,
            events: self.events,
            dropped_events: u32::try_from(dropped_events)
                .unwrap_or(u32::MAX)
                .saturating_add(self.dropped_lines),
            links: self.links,
            dropped_links: self.dropped_links,
            status: self.status,
        }
    }
}
