//! A line as an event.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{EventLine, EventName, LineError};
use crate::event::{
    Event, Fact, LogLine, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState,
};
use crate::key::{RunKey, TryKey};
use crate::value::Value;

impl TryFrom<EventLine> for Event {
    type Error = LineError;

    fn try_from(line: EventLine) -> Result<Self, LineError> {
        if line.event != EventName::TaskLog && (line.body.is_some() || line.severity.is_some()) {
            return Err(LineError::UnexpectedBody);
        }
        let fact = match run_change(&line)? {
            Some(change) => run_fact(&line, change)?,
            None => task_fact(&line)?,
        };
        let run = RunKey {
            namespace: line.namespace,
            dag_id: line.dag_id,
            run_id: line.run_id,
            attempt: line.attempt,
        };
        Ok(Self { run: Arc::new(run), at: line.at, truth: line.truth, fact })
    }
}

fn run_change(line: &EventLine) -> Result<Option<RunChange>, LineError> {
    Ok(Some(match line.event {
        EventName::RunQueued => RunChange::Queued,
        EventName::RunStarted => RunChange::Started,
        EventName::RunUpdated => RunChange::Updated,
        EventName::RunHandedOver => RunChange::HandedOver,
        EventName::RunFinished => {
            RunChange::Finished(state(line, RunState::parse, RunState::ALL, RunState::as_str)?)
        }
        _ => return Ok(None),
    }))
}

fn run_fact(line: &EventLine, change: RunChange) -> Result<Fact, LineError> {
    if let Some(task) = &line.task_id {
        return Err(LineError::UnexpectedTask(task.clone()));
    }
    let details = RunDetails {
        edges: line.edges.clone(),
        roster: line.roster,
        trigger: line.trigger.clone(),
        exception: line.exception.clone(),
        attributes: attributes(line),
    };
    Ok(Fact::Run { change, details })
}

fn task_fact(line: &EventLine) -> Result<Fact, LineError> {
    let task_id = line.task_id.clone().ok_or(LineError::NoTask)?;
    let key = TryKey { task_id, map_index: line.map_index, try_number: line.try_number };
    if line.event == EventName::TaskLog {
        let body = line.body.clone().ok_or(LineError::NoBody)?;
        let severity = line.severity.unwrap_or_default();
        return Ok(Fact::Log { key, line: LogLine { severity, body, attributes: attributes(line) } });
    }
    let change = match line.event {
        EventName::TaskScheduled => TaskChange::Scheduled,
        EventName::TaskQueued => TaskChange::Queued,
        EventName::TaskStarted => TaskChange::Started,
        EventName::TaskDeferred => TaskChange::Deferred,
        EventName::TaskResumed => TaskChange::Resumed,
        EventName::TaskHandedOver => TaskChange::HandedOver,
        EventName::TaskFinished => {
            TaskChange::Finished(state(line, TaskState::parse, TaskState::ALL, TaskState::as_str)?)
        }
        _ => TaskChange::Updated,
    };
    let details = TaskDetails {
        upstream: line.upstream.clone(),
        exception: line.exception.clone(),
        attributes: attributes(line),
    };
    Ok(Fact::Task { key, change, details })
}

fn attributes(line: &EventLine) -> Vec<(SmolStr, Value)> {
    line.attributes.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn state<S: Copy>(
    line: &EventLine,
    parse: fn(&str) -> Option<S>,
    all: &[S],
    word: fn(S) -> &'static str,
) -> Result<S, LineError> {
    let known = || all.iter().map(|state| word(*state)).collect::<Vec<_>>().join(", ");
    let text = line.state.as_deref().ok_or_else(|| LineError::NoState(known()))?;
    parse(text).ok_or_else(|| LineError::UnknownState(text.to_owned(), known()))
}
