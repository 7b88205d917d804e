//! What the listener hooks of Airflow 3 saw, as events.
//!
//! Airflow's own task processes report their tries; the scheduler reports the run, and at its end lists every task
//! instance with its last state (`tis`). That list knows what no hook does: times of queueing, tasks that never ran, and
//! the end of a task that was killed. Its facts are told as [`Truth::Roster`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dagtel_core::catalog::attribute;
use dagtel_core::event::{
    Event, Exception, Fact, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState, Truth,
};
use dagtel_core::key::{RunKey, TryKey, UNMAPPED};
use dagtel_core::time::Timestamp;
use dagtel_core::value::{Attribute, SmolStr};
use serde::Deserialize;

/// Turns hooks into events. It remembers which attempt of a run is on, because the hooks of tasks do not say.
#[derive(Debug)]
pub(super) struct Adapter {
    namespace: SmolStr,
    attempts: HashMap<(SmolStr, SmolStr), u32>,
    announced: HashSet<Arc<RunKey>>,
}

#[derive(Deserialize)]
struct RunHook {
    at: Timestamp,
    dag_run: DagRun,
    #[serde(default)]
    edges: Vec<(SmolStr, SmolStr)>,
    #[serde(default)]
    tis: Vec<TaskInstance>,
    #[serde(default)]
    msg: Option<SmolStr>,
}

#[derive(Deserialize)]
struct DagRun {
    dag_id: SmolStr,
    run_id: SmolStr,
    #[serde(default)]
    clear_number: u32,
    #[serde(default)]
    run_type: Option<SmolStr>,
    #[serde(default)]
    logical_date: Option<SmolStr>,
    #[serde(default)]
    data_interval_start: Option<SmolStr>,
    #[serde(default)]
    data_interval_end: Option<SmolStr>,
    #[serde(default)]
    triggered_by: Option<SmolStr>,
    #[serde(default)]
    queued_at: Option<Timestamp>,
    #[serde(default)]
    start_date: Option<Timestamp>,
    #[serde(default)]
    end_date: Option<Timestamp>,
}

#[derive(Deserialize)]
struct TaskHook {
    at: Timestamp,
    #[serde(default)]
    pid: Option<i64>,
    ti: TaskInstance,
    task: Task,
    #[serde(default)]
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct TaskInstance {
    task_id: SmolStr,
    // The list at the end of a run leaves out what all its entries share.
    #[serde(default)]
    dag_id: SmolStr,
    #[serde(default)]
    run_id: SmolStr,
    #[serde(default)]
    try_number: u32,
    #[serde(default = "unmapped")]
    map_index: i32,
    #[serde(default)]
    state: Option<SmolStr>,
    #[serde(default)]
    start_date: Option<Timestamp>,
    #[serde(default)]
    end_date: Option<Timestamp>,
    #[serde(default)]
    queued_dttm: Option<Timestamp>,
    #[serde(default)]
    scheduled_dttm: Option<Timestamp>,
    #[serde(default)]
    operator: Option<SmolStr>,
    #[serde(default)]
    pool: Option<SmolStr>,
    #[serde(default)]
    queue: Option<SmolStr>,
    #[serde(default)]
    hostname: Option<SmolStr>,
}

#[derive(Deserialize)]
struct Task {
    #[serde(default)]
    operator: Option<SmolStr>,
    #[serde(default)]
    module: Option<SmolStr>,
    #[serde(default)]
    upstream: Vec<SmolStr>,
    #[serde(default)]
    is_mapped: bool,
    #[serde(default)]
    has_callbacks: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Failure {
    Typed {
        #[serde(rename = "type")]
        kind: SmolStr,
        #[serde(default)]
        message: SmolStr,
        #[serde(default)]
        stacktrace: SmolStr,
    },
    Text(SmolStr),
}

fn unmapped() -> i32 {
    UNMAPPED
}

const RUN_HOOKS: [&str; 3] = ["on_dag_run_running", "on_dag_run_success", "on_dag_run_failed"];
const TASK_HOOKS: [&str; 4] = [
    "on_task_instance_running",
    "on_task_instance_success",
    "on_task_instance_failed",
    "on_task_instance_skipped",
];

impl Adapter {
    pub(super) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.into(), attempts: HashMap::new(), announced: HashSet::new() }
    }

    /// The facts that one hook tells.
    pub(super) fn events(&mut self, line: serde_json::Value) -> Result<Vec<Event>, String> {
        let hook = line["hook"].as_str().unwrap_or_default().to_owned();
        if RUN_HOOKS.contains(&hook.as_str()) {
            let line: RunHook = serde_json::from_value(line).map_err(|error| format!("{hook}: {error}"))?;
            Ok(self.run_events(&hook, line))
        } else if TASK_HOOKS.contains(&hook.as_str()) {
            let line: TaskHook = serde_json::from_value(line).map_err(|error| format!("{hook}: {error}"))?;
            self.task_events(&hook, line)
        } else {
            let known = RUN_HOOKS.iter().chain(&TASK_HOOKS).copied().collect::<Vec<_>>().join(", ");
            Err(format!("the hook {hook:?} is not known: it is one of {known}"))
        }
    }

    fn key(&self, dag_id: &SmolStr, run_id: &SmolStr, attempt: u32) -> Arc<RunKey> {
        Arc::new(RunKey {
            namespace: self.namespace.clone(),
            dag_id: dag_id.clone(),
            run_id: run_id.clone(),
            attempt,
        })
    }

    fn run_events(&mut self, hook: &str, line: RunHook) -> Vec<Event> {
        let RunHook { at, dag_run: run, edges, tis, msg } = line;
        self.attempts.insert((run.dag_id.clone(), run.run_id.clone()), run.clear_number);
        let key = self.key(&run.dag_id, &run.run_id, run.clear_number);
        let mut events = Vec::new();
        let mut tell = |at, change, details| {
            let fact = Fact::Run { change, details };
            events.push(Event { run: key.clone(), at, truth: Truth::Reported, fact });
        };
        // The last hook says again when the run began: news only if the first hook is missing.
        if self.announced.insert(key.clone()) {
            let mut details = RunDetails { edges, roster: true, ..RunDetails::default() };
            details.attributes = run_attributes(&run);
            if let Some(queued) = run.queued_at {
                tell(queued, RunChange::Queued, RunDetails::default());
            }
            tell(run.start_date.unwrap_or(at), RunChange::Started, details);
        }
        let state = match hook {
            "on_dag_run_success" => RunState::Success,
            "on_dag_run_failed" => RunState::Failed,
            _ => return events,
        };
        let exception = msg.filter(|_| state == RunState::Failed).map(|msg| Exception::from(msg.as_str()));
        let details = RunDetails { exception: exception.map(Box::new), ..RunDetails::default() };
        let end = run.end_date.unwrap_or(at);
        tell(end, RunChange::Finished(state), details);
        tis.into_iter().for_each(|ti| roster_events(&key, ti, end, &mut events));
        events
    }

    fn task_events(&self, hook: &str, line: TaskHook) -> Result<Vec<Event>, String> {
        let TaskHook { at, pid, ti, task, error } = line;
        let attempt = self.attempts.get(&(ti.dag_id.clone(), ti.run_id.clone())).copied().unwrap_or_default();
        let run = self.key(&ti.dag_id, &ti.run_id, attempt);
        let (at, change) = match hook {
            "on_task_instance_running" => (ti.start_date.unwrap_or(at), TaskChange::Started),
            "on_task_instance_success" => {
                (ti.end_date.unwrap_or(at), TaskChange::Finished(TaskState::Success))
            }
            "on_task_instance_skipped" => {
                (ti.end_date.unwrap_or(at), TaskChange::Finished(TaskState::Skipped))
            }
            _ => (ti.end_date.unwrap_or(at), TaskChange::Finished(failed_state(&ti)?)),
        };
        let key = TryKey { task_id: ti.task_id.clone(), map_index: ti.map_index, try_number: ti.try_number };
        let details = TaskDetails {
            upstream: Some(task.upstream.clone()),
            exception: error.map(exception).map(Box::new),
            attributes: task_attributes(ti, task, pid),
        };
        let fact = Fact::Task { key, change, details };
        Ok(vec![Event { run, at, truth: Truth::Reported, fact }])
    }
}

fn failed_state(ti: &TaskInstance) -> Result<TaskState, String> {
    let Some(state) = &ti.state else { return Ok(TaskState::Failed) };
    TaskState::parse(state)
        .ok_or_else(|| format!("on_task_instance_failed: the state {state:?} is not known"))
}

fn run_attributes(run: &DagRun) -> Vec<Attribute> {
    texts([
        (attribute::RUN_TYPE, &run.run_type),
        (attribute::LOGICAL_DATE, &run.logical_date),
        (attribute::DATA_INTERVAL_START, &run.data_interval_start),
        (attribute::DATA_INTERVAL_END, &run.data_interval_end),
        (attribute::TRIGGERED_BY, &run.triggered_by),
    ])
}

fn task_attributes(ti: TaskInstance, task: Task, pid: Option<i64>) -> Vec<Attribute> {
    let mode = task.module.as_deref().and_then(execution_mode);
    let operator = task.operator.or(ti.operator);
    let mut attributes = texts([
        (attribute::OPERATOR, &operator),
        (attribute::EXECUTION_MODE, &mode),
        (attribute::POOL, &ti.pool),
        (attribute::QUEUE, &ti.queue),
        (attribute::HOSTNAME, &ti.hostname),
    ]);
    // Airflow 3.3 calls the first instance of a mapped task not mapped.
    let is_mapped = task.is_mapped || ti.map_index != UNMAPPED;
    attributes.push((attribute::IS_MAPPED, is_mapped.into()));
    attributes.push((attribute::HAS_CALLBACK, task.has_callbacks.into()));
    attributes.extend(pid.map(|pid| (attribute::PROCESS_PID, pid.into())));
    attributes
}

/// Cosmos names its operators' modules after the execution mode: `cosmos.operators.local`.
fn execution_mode(module: &str) -> Option<SmolStr> {
    module.strip_prefix("cosmos.operators.")?.split('.').next().map(SmolStr::from)
}

/// The facts of one entry of the list at the end of a run.
fn roster_events(run: &Arc<RunKey>, ti: TaskInstance, run_end: Timestamp, events: &mut Vec<Event>) {
    let key = TryKey { task_id: ti.task_id.clone(), map_index: ti.map_index, try_number: ti.try_number };
    let mut tell = |at: Option<Timestamp>, change, details| {
        if let Some(at) = at {
            let fact = Fact::Task { key: key.clone(), change, details };
            events.push(Event { run: run.clone(), at, truth: Truth::Roster, fact });
        }
    };
    tell(ti.scheduled_dttm, TaskChange::Scheduled, TaskDetails::default());
    tell(ti.queued_dttm, TaskChange::Queued, TaskDetails::default());
    // A task instance that never ran has a start date all the same: the time of its end.
    let started = ti.start_date.filter(|_| ti.try_number > 0);
    tell(started, TaskChange::Started, TaskDetails::default());
    let attributes = texts([
        (attribute::OPERATOR, &ti.operator),
        (attribute::POOL, &ti.pool),
        (attribute::QUEUE, &ti.queue),
        (attribute::HOSTNAME, &ti.hostname),
    ]);
    let details = TaskDetails { attributes, ..TaskDetails::default() };
    match ti.state.as_deref().and_then(TaskState::parse) {
        Some(state) => tell(ti.end_date.or(Some(run_end)), TaskChange::Finished(state), details),
        // Still running, waiting, or without a state: the run ended over it.
        None => tell(Some(run_end), TaskChange::Updated, details),
    }
}

fn exception(failure: Failure) -> Exception {
    match failure {
        Failure::Typed { kind, message, stacktrace } => Exception { kind, message, stacktrace },
        Failure::Text(text) => Exception::from(text.as_str()),
    }
}

fn texts<const N: usize>(fields: [(SmolStr, &Option<SmolStr>); N]) -> Vec<Attribute> {
    let known = fields.into_iter().filter_map(|(key, value)| Some((key, value.clone()?)));
    known.filter(|(_, text)| !text.is_empty()).map(|(key, text)| (key, text.into())).collect()
}
