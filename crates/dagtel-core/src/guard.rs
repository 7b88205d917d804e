//! The guard: the only way from an [`Event`] to the [`Admitted`] one that the fold takes, from a [`LogRecord`] to the
//! [`AdmittedLog`] that the encoder takes, and from a [`Pass`] to the [`AdmittedPass`] of which spans are made.
//!
//! It holds every text and list to its limit ([`crate::limits`]) before anything is kept, and counts what it cut.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::event::{Event, Exception, Fact, RunDetails, TaskDetails};
use crate::limits;
use crate::signal::{LogRecord, Pass};
use crate::value::{Attribute, Value};

/// An event within all limits. Only [`admit`] makes one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Admitted(Event);

impl Admitted {
    /// The event itself.
    pub fn event(&self) -> &Event {
        &self.0
    }

    pub(crate) fn into_event(self) -> Event {
        self.0
    }
}

/// Holds an event to the limits. Returns it, and how many texts, lists and attributes were cut.
pub fn admit(mut event: Event) -> (Admitted, u32) {
    let mut cut = 0;
    if needs_clipping(&event) {
        let (run, parts) = Arc::unwrap_or_clone(event.run).clipped();
        event.run = Arc::new(run);
        cut += parts;
    }
    match &mut event.fact {
        Fact::Run { details, .. } => run_details(details, &mut cut),
        Fact::Task { key, details, .. } => {
            if key.task_id.len() > limits::KEY_BYTES {
                let (short, parts) = key.clone().clipped();
                *key = short;
                cut += parts;
            }
            task_details(details, &mut cut);
        }
    }
    (Admitted(event), cut)
}

/// A log record within all limits. Only [`admit_log`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct AdmittedLog(LogRecord);

impl AdmittedLog {
    /// The record itself.
    pub fn record(&self) -> &LogRecord {
        &self.0
    }
}

/// Holds a log record to the limits. Returns it, and how many texts, lists and attributes were cut.
pub fn admit_log(mut record: LogRecord) -> (AdmittedLog, u32) {
    let mut cut = 0;
    text(&mut record.event_name, limits::TAG_BYTES, &mut cut);
    text(&mut record.body, limits::STRING_BYTES, &mut cut);
    attributes(&mut record.attributes, &mut cut);
    (AdmittedLog(record), cut)
}

/// A pass of a loop within all limits. Only [`admit_pass`] makes one.
#[derive(Clone, Debug)]
pub struct AdmittedPass(Pass);

impl AdmittedPass {
    pub(crate) fn into_pass(self) -> Pass {
        self.0
    }
}

/// Holds a pass of a loop to the limits. Returns it, and how many texts, lists, attributes and spans were cut.
pub fn admit_pass(mut pass: Pass) -> (AdmittedPass, u32) {
    let mut cut = 0;
    key(&mut pass.key.namespace, &mut cut);
    key(&mut pass.key.instance_id, &mut cut);
    truncate(&mut pass.spans, limits::PASS_SPANS, &mut cut);
    for span in &mut pass.spans {
        text(&mut span.name, limits::TAG_BYTES, &mut cut);
        attributes(&mut span.attributes, &mut cut);
        if let Some((_, exception)) = &mut span.exception {
            clip_exception(exception, &mut cut);
        }
    }
    (AdmittedPass(pass), cut)
}

fn needs_clipping(event: &Event) -> bool {
    [&event.run.namespace, &event.run.dag_id, &event.run.run_id]
        .iter()
        .any(|part| part.len() > limits::KEY_BYTES)
}

fn run_details(details: &mut RunDetails, cut: &mut u32) {
    truncate(&mut details.edges, limits::EDGES, cut);
    for (upstream, downstream) in &mut details.edges {
        key(upstream, cut);
        key(downstream, cut);
    }
    if let Some(trigger) = &mut details.trigger {
        text(trigger, limits::TAG_BYTES, cut);
    }
    exception(&mut details.exception, cut);
    attributes(&mut details.attributes, cut);
}

fn task_details(details: &mut TaskDetails, cut: &mut u32) {
    if let Some(upstream) = &mut details.upstream {
        truncate(upstream, limits::LIST_ITEMS, cut);
        upstream.iter_mut().for_each(|id| key(id, cut));
    }
    exception(&mut details.exception, cut);
    attributes(&mut details.attributes, cut);
}

fn exception(exception: &mut Option<Box<Exception>>, cut: &mut u32) {
    if let Some(exception) = exception {
        clip_exception(exception, cut);
    }
}

fn clip_exception(exception: &mut Exception, cut: &mut u32) {
    text(&mut exception.kind, limits::TAG_BYTES, cut);
    text(&mut exception.message, limits::STRING_BYTES, cut);
    text(&mut exception.stacktrace, limits::STACKTRACE_BYTES, cut);
}

fn attributes(attributes: &mut Vec<Attribute>, cut: &mut u32) {
    truncate(attributes, limits::ATTRIBUTES, cut);
    for (key, value) in attributes {
        text(key, limits::TAG_BYTES, cut);
        match value {
            Value::Str(value) => text(value, limits::STRING_BYTES, cut),
            Value::List(values) => {
                truncate(values, limits::LIST_ITEMS, cut);
                values.iter_mut().for_each(|value| text(value, limits::TAG_BYTES, cut));
                let mut bytes = 0;
                let room = values.iter().take_while(|value| {
                    bytes += value.len();
                    bytes <= limits::STRING_BYTES
                });
                let room = room.count();
                truncate(values, room, cut);
            }
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
        }
    }
}

fn truncate<T>(list: &mut Vec<T>, most: usize, cut: &mut u32) {
    if list.len() > most {
        *cut += u32::try_from(list.len() - most).unwrap_or(u32::MAX);
        list.truncate(most);
    }
}

fn text<T>(text: &mut T, most: usize, cut: &mut u32)
where
    T: Deref<Target = str> + From<SmolStr>,
{
    if text.len() > most {
        *text = SmolStr::from(limits::clip(text, most)).into();
        *cut += 1;
    }
}

fn key(part: &mut SmolStr, cut: &mut u32) {
    if let Cow::Owned(short) = limits::clip_key(part) {
        *part = short.into();
        *cut += 1;
    }
}
