//! The published form of an event: one flat JSON object on one line, writable by hand and by any language.
//!
//! ```json
//! {"event":"task.finished","dag_id":"sales","run_id":"2026-11-20","task_id":"load","state":"success","at":1795208640.5}
//! ```
//!
//! [`schema`] is its JSON Schema. A field that is not known is an error that names it, because a misspelled field would
//! otherwise be lost in silence.

mod read;
mod write;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Exception, Severity, Truth};
use crate::key::{DEFAULT_NAMESPACE, UNMAPPED};
use crate::time::Timestamp;
use crate::value::Value;

/// One event as a JSON object. See the fields for what each kind of event needs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "dagtel event")]
pub struct EventLine {
    /// What happened.
    pub event: EventName,
    /// When it happened: RFC 3339 text or seconds since the Unix epoch.
    pub at: Timestamp,
    /// The deployment.
    #[serde(default = "default_namespace")]
    #[schemars(with = "String")]
    pub namespace: SmolStr,
    /// The DAG.
    #[schemars(with = "String")]
    pub dag_id: SmolStr,
    /// The run.
    #[schemars(with = "String")]
    pub run_id: SmolStr,
    /// How many times the run was cleared before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempt: u32,
    /// The task; needed by every `task.*` event, not allowed on the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub task_id: Option<SmolStr>,
    /// The index of a mapped task instance; -1 when it is not mapped.
    #[serde(default = "unmapped", skip_serializing_if = "is_unmapped")]
    pub map_index: i32,
    /// The try, from 1; 0 for a task instance that never ran.
    #[serde(default = "first_try", skip_serializing_if = "is_first_try")]
    pub try_number: u32,
    /// The state at the end; needed by `dag_run.finished` and `task.finished`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "is_default")]
    pub truth: Truth,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<Box<Exception>>,
    /// The ids of the tasks this one waited for (`task.*`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<String>>")]
    pub upstream: Option<Vec<SmolStr>>,
    /// Dependencies of the run as pairs of upstream and downstream task id (`dag_run.*`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<(String, String)>")]
    pub edges: Vec<(SmolStr, SmolStr)>,
    /// Whether every task instance is reported once more, with `"truth":"roster"`, when the run ends (`dag_run.*`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub roster: bool,
    /// What the task logged; needed by `task.log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub body: Option<SmolStr>,
    /// How bad it is (`task.log`); `info` when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// W3C traceparent of what started the run (`dag_run.*`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub trigger: Option<SmolStr>,
    /// Attributes by their key, such as `operator`, `pool`, `execution_mode`, or your own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Value>")]
    pub attributes: BTreeMap<SmolStr, Value>,
    /// How many lines the process could not write since its last one (inbox).
    #[serde(default, skip_serializing_if = "is_default")]
    pub dropped: u64,
    /// What an anonymous usage event of this end says of the installation (inbox, `*.finished`). That it is here is the
    /// consent to one: whoever writes the line has asked for opt-outs where the user set them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Installation>,
}

/// Versions of what a run ran in, by the names that they have in a usage event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Installation {
    /// The version of Cosmos.
    #[schemars(with = "String")]
    pub cosmos_version: SmolStr,
    /// The version of Airflow.
    #[schemars(with = "String")]
    pub airflow_version: SmolStr,
    /// The version of Python.
    #[schemars(with = "String")]
    pub python_version: SmolStr,
}

/// The kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub enum EventName {
    /// The run was created.
    #[serde(rename = "dag_run.queued")]
    RunQueued,
    /// The run started.
    #[serde(rename = "dag_run.started")]
    RunStarted,
    /// The run ended.
    #[serde(rename = "dag_run.finished")]
    RunFinished,
    /// Something else became known about the run.
    #[serde(rename = "dag_run.updated")]
    RunUpdated,
    /// Another process reports the run's end.
    #[serde(rename = "dag_run.handed_over")]
    RunHandedOver,
    /// The scheduler decided that the try may run.
    #[serde(rename = "task.scheduled")]
    TaskScheduled,
    /// The try was given to an executor.
    #[serde(rename = "task.queued")]
    TaskQueued,
    /// The try started.
    #[serde(rename = "task.started")]
    TaskStarted,
    /// The try waits for a trigger.
    #[serde(rename = "task.deferred")]
    TaskDeferred,
    /// The try runs again after a deferral.
    #[serde(rename = "task.resumed")]
    TaskResumed,
    /// The try ended.
    #[serde(rename = "task.finished")]
    TaskFinished,
    /// Something else became known about the try.
    #[serde(rename = "task.updated")]
    TaskUpdated,
    /// Another process reports the try's end.
    #[serde(rename = "task.handed_over")]
    TaskHandedOver,
    /// The try logged a line.
    #[serde(rename = "task.log")]
    TaskLog,
}

/// Why a well-formed JSON object is no event.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineError {
    /// A `task.*` event without `task_id`.
    #[error("the event has no \"task_id\": a task.* event must say which task it is about")]
    NoTask,
    /// A `dag_run.*` event with `task_id`.
    #[error("the event is about the run but has \"task_id\" {0:?}: leave it out, or use a task.* event")]
    UnexpectedTask(SmolStr),
    /// A `task.log` event without `body`.
    #[error("the event has no \"body\": a task.log event must say what was logged")]
    NoBody,
    /// Another event with `body` or `severity`.
    #[error("the event has a \"body\" or a \"severity\" but is no task.log event: leave it out")]
    UnexpectedBody,
    /// A finished event without `state`.
    #[error("the event has no \"state\": a finished event must say one of {0}")]
    NoState(String),
    /// A state that there is not.
    #[error("the state {0:?} is not known: use one of {1}")]
    UnknownState(String, String),
}

/// A line of the inbox: an event, or what a process measured of itself.
#[derive(JsonSchema)]
#[schemars(untagged, title = "dagtel inbox line")]
#[expect(dead_code, reason = "only its schema is used: lines are read as what they say they are")]
enum InboxLine {
    Event(Box<EventLine>),
    Metrics(super::report::MetricsLine),
}

/// The JSON Schema (draft 2020-12) of what may stand on a line: an [`EventLine`], or in an inbox also a
/// [`MetricsLine`](super::report::MetricsLine).
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(InboxLine)
}

fn default_namespace() -> SmolStr {
    DEFAULT_NAMESPACE
}

fn unmapped() -> i32 {
    UNMAPPED
}

fn first_try() -> u32 {
    1
}

fn is_unmapped(index: &i32) -> bool {
    *index == UNMAPPED
}

fn is_first_try(number: &u32) -> bool {
    *number == 1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Fact};
    use crate::key::TryKey;

    fn read(json: &str) -> Result<Event, String> {
        let line: EventLine = serde_json::from_str(json).map_err(|e| e.to_string())?;
        line.try_into().map_err(|e: LineError| e.to_string())
    }

    #[test]
    fn a_line_round_trips() {
        let json = r#"{"event":"task.finished","at":"2026-11-20T21:04:00.000000000Z","namespace":"prod","dag_id":"sales","run_id":"r","attempt":1,"task_id":"load","map_index":3,"try_number":2,"state":"failed","truth":"roster","exception":{"type":"E","message":"m","stacktrace":""},"upstream":["extract"],"attributes":{"operator":"bash","rows":3}}"#;
        let event = read(json).unwrap();
        assert_eq!(serde_json::to_string(&EventLine::from(&event)).unwrap(), json);
    }

    /// Found by fuzzing: one ordinary number in ten was read as its neighbour.
    #[test]
    fn a_float_is_read_as_it_was_written() {
        for float in [423.20917087271323, 1234.5678901234567, 13.370000000000001, 5e-324, f64::MAX] {
            let json = format!(
                r#"{{"event":"dag_run.started","at":1,"dag_id":"d","run_id":"r","attributes":{{"a":{float:e}}}}}"#
            );
            let Fact::Run { details, .. } = read(&json).unwrap().fact else { panic!("it is about the run") };
            assert_eq!(details.attributes, [("a".into(), Value::Float(float))]);
        }
    }

    #[test]
    fn every_attribute_of_an_event_has_a_place_on_the_line() {
        let mut event = read(r#"{"event":"dag_run.started","at":1,"dag_id":"d","run_id":"r"}"#).unwrap();
        let Fact::Run { details, .. } = &mut event.fact else { panic!("it is about the run") };
        details.attributes =
            vec![("a".into(), f64::NAN.into()), ("b".into(), "first".into()), ("b".into(), "second".into())];
        let line = serde_json::to_string(&EventLine::from(&event)).unwrap();
        let Fact::Run { details, .. } = read(&line).unwrap().fact else { panic!("it is about the run") };
        assert_eq!(details.attributes, [("a".into(), "NaN".into()), ("b".into(), "first".into())]);
    }

    #[test]
    fn a_logged_line_round_trips() {
        let json = r#"{"event":"task.log","at":"2026-11-20T21:04:00.000000000Z","namespace":"default","dag_id":"sales","run_id":"r","task_id":"load","truth":"reported","body":"3 rows","severity":"warn","attributes":{"process.pid":7}}"#;
        let event = read(&json.replace(r#""truth":"reported","#, "")).unwrap();
        assert_eq!(
            serde_json::to_string(&EventLine::from(&event)).unwrap(),
            json.replace(r#""truth":"reported","#, "")
        );
        let Fact::Log { key, line } = event.fact else { panic!("it is a logged line") };
        assert_eq!((key, line.severity, line.body.as_str()), (TryKey::new("load"), Severity::Warn, "3 rows"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let check = |json, part: &str| {
            let error = read(json).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        check(r#"{"event":"task.started","at":1,"dag_id":"d","run_id":"r"}"#, "\"task_id\"");
        check(r#"{"event":"dag_run.started","at":1,"dag_id":"d","run_id":"r","task_id":"t"}"#, "task_id");
        check(r#"{"event":"dag_run.finished","at":1,"dag_id":"d","run_id":"r"}"#, "success, failed");
        check(r#"{"event":"dag_run.finished","at":1,"dag_id":"d","run_id":"r","state":"ok"}"#, "\"ok\"");
        check(r#"{"event":"dag_run.started","at":1,"dag_id":"d","run_id":"r","dagid":1}"#, "dagid");
        check(r#"{"event":"dag_run.begun","at":1,"dag_id":"d","run_id":"r"}"#, "dag_run.started");
        check(r#"{"event":"dag_run.started","dag_id":"d","run_id":"r"}"#, "at");
        check(r#"{"event":"task.log","at":1,"dag_id":"d","run_id":"r","task_id":"t"}"#, "\"body\"");
        check(
            r#"{"event":"task.started","at":1,"dag_id":"d","run_id":"r","task_id":"t","body":"x"}"#,
            "task.log",
        );
    }
}
