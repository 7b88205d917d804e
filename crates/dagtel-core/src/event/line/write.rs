//! An event as a line.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::{EventLine, EventName};
use crate::event::{Event, Fact, LogLine, RunChange, RunDetails, TaskChange, TaskDetails};
use crate::key::{TryKey, UNMAPPED};
use crate::value::{Attribute, Value};

impl From<&Event> for EventLine {
    fn from(event: &Event) -> Self {
        let mut line = Self {
            event: EventName::RunUpdated,
            at: event.at,
            namespace: event.run.namespace.clone(),
            dag_id: event.run.dag_id.clone(),
            run_id: event.run.run_id.clone(),
            attempt: event.run.attempt,
            task_id: None,
            map_index: UNMAPPED,
            try_number: 1,
            state: None,
            truth: event.truth,
            exception: None,
            upstream: None,
            edges: Vec::new(),
            roster: false,
            body: None,
            severity: None,
            trigger: None,
            attributes: BTreeMap::new(),
            dropped: 0,
            usage: None,
        };
        match &event.fact {
            Fact::Run { change, details } => line.set_run(change, details),
            Fact::Task { key, change, details } => line.set_task(key, change, details),
            Fact::Log { key, line: logged } => line.set_log(key, logged),
        }
        line
    }
}

impl EventLine {
    fn set_run(&mut self, change: &RunChange, details: &RunDetails) {
        self.event = match change {
            RunChange::Queued => EventName::RunQueued,
            RunChange::Started => EventName::RunStarted,
            RunChange::Updated => EventName::RunUpdated,
            RunChange::HandedOver => EventName::RunHandedOver,
            RunChange::Finished(state) => {
                self.state = Some(state.to_string());
                EventName::RunFinished
            }
        };
        self.edges.clone_from(&details.edges);
        self.roster = details.roster;
        self.trigger.clone_from(&details.trigger);
        self.exception.clone_from(&details.exception);
        self.attributes = by_key(&details.attributes);
    }

    fn set_task(&mut self, key: &TryKey, change: &TaskChange, details: &TaskDetails) {
        self.event = match change {
            TaskChange::Scheduled => EventName::TaskScheduled,
            TaskChange::Queued => EventName::TaskQueued,
            TaskChange::Started => EventName::TaskStarted,
            TaskChange::Deferred => EventName::TaskDeferred,
            TaskChange::Resumed => EventName::TaskResumed,
            TaskChange::Updated => EventName::TaskUpdated,
            TaskChange::HandedOver => EventName::TaskHandedOver,
            TaskChange::Finished(state) => {
                self.state = Some(state.to_string());
                EventName::TaskFinished
            }
        };
        self.set_key(key);
        self.upstream.clone_from(&details.upstream);
        self.exception.clone_from(&details.exception);
        self.attributes = by_key(&details.attributes);
    }

    fn set_key(&mut self, key: &TryKey) {
        self.task_id = Some(key.task_id.clone());
        self.map_index = key.map_index;
        self.try_number = key.try_number;
    }

    fn set_log(&mut self, key: &TryKey, logged: &LogLine) {
        self.event = EventName::TaskLog;
        self.set_key(key);
        self.body = Some(logged.body.clone());
        self.severity = Some(logged.severity);
        self.attributes = by_key(&logged.attributes);
    }
}

/// Each key once: the first counts, as in the fold. A number that JSON does not have becomes the text that a span shows.
fn by_key(attributes: &[Attribute]) -> BTreeMap<SmolStr, Value> {
    let writable = |value: &Value| match value {
        Value::Float(number) if !number.is_finite() => number.to_string().into(),
        _ => value.clone(),
    };
    attributes.iter().rev().map(|(key, value)| (key.clone(), writable(value))).collect()
}
