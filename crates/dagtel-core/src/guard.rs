//! The guard: the only way from an [`Event`] to the [`Admitted`] one that the journal and the fold take, from a
//! [`LogRecord`] to the [`AdmittedLog`] that the encoder takes, and from a [`Pass`] to the [`AdmittedPass`] of which spans
//! are made.
//!
//! It masks what looks like a secret ([`crate::redact`]) and holds every text and list to its limit ([`crate::limits`]) before
//! anything is kept, and counts what it masked and cut.

use std::borrow::Cow;
use std::ops::{AddAssign, Deref};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::catalog::attribute::{self, text as key_text};
use crate::event::{Event, Exception, Fact, LogLine, RunDetails, TaskDetails};
use crate::limits;
use crate::redact::{MASK, Rules};
use crate::signal::{LogRecord, Origin, Pass};
use crate::value::{Attribute, Value};

/// An event without secrets and within all limits. Only a [`Guard`] makes one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Admitted(Event);

impl Admitted {
    /// The event itself.
    pub fn event(&self) -> &Event {
        &self.0
    }

    /// The same with an id of its own, if it is a line: whoever receives it knows by that whether it has come before.
    #[must_use]
    pub fn with_uid(mut self, uid: impl FnOnce() -> SmolStr) -> Self {
        if let Fact::Log { line, .. } = &mut self.0.fact {
            line.attributes.retain(|(key, _)| *key != attribute::LOG_RECORD_UID);
            line.attributes.truncate(limits::LOG_ATTRIBUTES - 1);
            line.attributes.push((attribute::LOG_RECORD_UID, uid().into()));
        }
        self
    }

    pub(crate) fn into_event(self) -> Event {
        self.0
    }
}

/// A log record without secrets and within all limits. Only a [`Guard`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct AdmittedLog {
    record: LogRecord,
    origin: Option<Origin>,
}

impl AdmittedLog {
    /// A record made of an event that was admitted.
    pub(crate) fn of(record: LogRecord, origin: Origin) -> Self {
        Self { record, origin: Some(origin) }
    }

    /// The record itself.
    pub fn record(&self) -> &LogRecord {
        &self.record
    }

    /// Which run's it is. `None`: it is the process's that tells it.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }
}

/// A pass of a loop without secrets and within all limits. Only a [`Guard`] makes one.
#[derive(Clone, Debug)]
pub struct AdmittedPass(Pass);

impl AdmittedPass {
    pub(crate) fn into_pass(self) -> Pass {
        self.0
    }
}

/// What the guard did to something before it let it in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "what the guard did is to be counted"]
pub struct Found {
    /// Texts, lists and attributes that were cut.
    pub cut: u32,
    /// Secrets that were masked.
    pub redacted: u32,
}

impl AddAssign for Found {
    fn add_assign(&mut self, more: Self) {
        self.cut = self.cut.saturating_add(more.cut);
        self.redacted = self.redacted.saturating_add(more.redacted);
    }
}

/// The guard, with the rules by which it masks secrets.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    rules: Rules,
}

impl Guard {
    /// With the deployment's own rules besides those that are built in.
    pub fn new(rules: Rules) -> Self {
        Self { rules }
    }

    /// Masks the secrets in an event and holds it to the limits.
    pub fn admit(&self, event: Event) -> (Admitted, Found) {
        Check { rules: Some(&self.rules), found: Found::default() }.event(event)
    }

    /// The same for a log record.
    pub fn admit_log(&self, mut record: LogRecord) -> (AdmittedLog, Found) {
        let mut check = Check { rules: Some(&self.rules), found: Found::default() };
        check.text(&mut record.event_name, limits::TAG_BYTES);
        check.text(&mut record.body, limits::STRING_BYTES);
        check.attributes(&mut record.attributes);
        (AdmittedLog { record, origin: None }, check.found)
    }

    /// The same for a pass of a loop.
    pub fn admit_pass(&self, mut pass: Pass) -> (AdmittedPass, Found) {
        let mut check = Check { rules: Some(&self.rules), found: Found::default() };
        check.key(&mut pass.key.namespace);
        check.key(&mut pass.key.instance_id);
        check.truncate(&mut pass.spans, limits::PASS_SPANS);
        for span in &mut pass.spans {
            check.text(&mut span.name, limits::TAG_BYTES);
            check.attributes(&mut span.attributes);
            if let Some((_, exception)) = &mut span.exception {
                check.exception(exception);
            }
        }
        (AdmittedPass(pass), check.found)
    }

    /// The same for attributes that are of no event, such as tags and those of a resource.
    pub fn admit_attributes(&self, attributes: &mut Vec<Attribute>) -> Found {
        let mut check = Check { rules: Some(&self.rules), found: Found::default() };
        check.attributes(attributes);
        check.found
    }

    /// A text that is only shown to people, such as a message about a bad line, without its secrets.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.rules.redact(text).map_or(Cow::Borrowed(text), |(masked, _)| Cow::Owned(masked))
    }
}

/// Masks secrets by the built-in rules and holds an event to the limits.
pub fn admit(event: Event) -> (Admitted, Found) {
    Guard::default().admit(event)
}

/// The same for a log record.
pub fn admit_log(record: LogRecord) -> (AdmittedLog, Found) {
    Guard::default().admit_log(record)
}

/// An event that was admitted before it was written down, by this or by another process: it is only held to the limits.
pub fn readmit(event: Event) -> (Admitted, Found) {
    Check { rules: None, found: Found::default() }.event(event)
}

/// One look at one thing.
struct Check<'a> {
    rules: Option<&'a Rules>,
    found: Found,
}

fn needs_clipping(event: &Event) -> bool {
    [&event.run.namespace, &event.run.dag_id, &event.run.run_id]
        .iter()
        .any(|part| part.len() > limits::KEY_BYTES)
}

impl Check<'_> {
    fn event(mut self, mut event: Event) -> (Admitted, Found) {
        if needs_clipping(&event) {
            let (run, parts) = Arc::unwrap_or_clone(event.run).clipped();
            event.run = Arc::new(run);
            self.found.cut += parts;
        }
        match &mut event.fact {
            Fact::Run { details, .. } => self.run_details(details),
            Fact::Task { key, details, .. } => {
                self.key(&mut key.task_id);
                self.task_details(details);
            }
            Fact::Log { key, line } => {
                self.key(&mut key.task_id);
                self.line(line);
            }
        }
        (Admitted(event), self.found)
    }

    fn run_details(&mut self, details: &mut RunDetails) {
        self.truncate(&mut details.edges, limits::EDGES);
        for (upstream, downstream) in &mut details.edges {
            self.key(upstream);
            self.key(downstream);
        }
        if let Some(trigger) = &mut details.trigger {
            self.text(trigger, limits::TAG_BYTES);
        }
        if let Some(exception) = &mut details.exception {
            self.exception(exception);
        }
        self.attributes(&mut details.attributes);
    }

    fn task_details(&mut self, details: &mut TaskDetails) {
        if let Some(upstream) = &mut details.upstream {
            self.truncate(upstream, limits::LIST_ITEMS);
            upstream.iter_mut().for_each(|id| self.key(id));
        }
        if let Some(exception) = &mut details.exception {
            self.exception(exception);
        }
        self.attributes(&mut details.attributes);
    }

    fn line(&mut self, line: &mut LogLine) {
        self.truncate(&mut line.attributes, limits::LOG_ATTRIBUTES);
        let whole = line.body.len();
        if whole > limits::LOG_BODY_BYTES
            && line.attributes.iter().all(|(key, _)| *key != attribute::BODY_BYTES)
        {
            let bytes = i64::try_from(whole).unwrap_or(i64::MAX);
            line.attributes.push((attribute::BODY_BYTES, bytes.into()));
        }
        self.text(&mut line.body, limits::LOG_BODY_BYTES);
        self.attributes(&mut line.attributes);
    }

    fn exception(&mut self, exception: &mut Exception) {
        self.text(&mut exception.kind, limits::TAG_BYTES);
        self.text(&mut exception.message, limits::STRING_BYTES);
        self.text(&mut exception.stacktrace, limits::STACKTRACE_BYTES);
    }

    fn attributes(&mut self, attributes: &mut Vec<Attribute>) {
        self.truncate(attributes, limits::ATTRIBUTES);
        let mut unfolded = false;
        for (key, value) in &mut *attributes {
            let long = match value {
                Value::Str(text) => self.shorten(text, limits::STRING_BYTES),
                _ => false,
            };
            if let Some(rules) = self.rules {
                let secrets = rules.attribute(key, value);
                self.found.redacted += secrets;
                unfolded |=
                    secrets > 0 && key.starts_with(key_text::DAG_METADATA) && key != key_text::DAG_METADATA;
            }
            self.clip(key, limits::TAG_BYTES, false);
            match value {
                Value::Str(value) => self.clip(value, limits::STRING_BYTES, long),
                Value::List(values) => self.list(values),
                Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
            }
        }
        if unfolded {
            // The packed form of the metadata has the same secret in it.
            let packed = attributes.iter_mut().find(|(key, _)| key == key_text::DAG_METADATA);
            packed.into_iter().for_each(|(_, value)| *value = MASK.into());
        }
    }

    fn list(&mut self, values: &mut Vec<SmolStr>) {
        self.truncate(values, limits::LIST_ITEMS);
        values.iter_mut().for_each(|value| self.clip(value, limits::TAG_BYTES, false));
        let mut bytes = 0;
        let room = values.iter().take_while(|value| {
            bytes += value.len();
            bytes <= limits::STRING_BYTES
        });
        let room = room.count();
        self.truncate(values, room);
    }

    fn truncate<T>(&mut self, list: &mut Vec<T>, most: usize) {
        if list.len() > most {
            self.found.cut += u32::try_from(list.len() - most).unwrap_or(u32::MAX);
            list.truncate(most);
        }
    }

    /// Masks the secrets of a text, and holds it to its limit.
    fn text<T>(&mut self, text: &mut T, most: usize)
    where
        T: Deref<Target = str> + From<SmolStr>,
    {
        let long = self.shorten(text, most);
        if let Some((masked, secrets)) = self.rules.and_then(|rules| rules.redact(text)) {
            *text = SmolStr::from(masked).into();
            self.found.redacted += secrets;
        }
        self.clip(text, most, long);
    }

    /// Cuts what is far beyond a limit, so that it need not be looked at. Returns whether it was.
    ///
    /// What is left is cut again, and with it the secret that this cut may have gone through. As masks make a text shorter,
    /// the last word goes here already.
    fn shorten<T>(&mut self, text: &mut T, most: usize) -> bool
    where
        T: Deref<Target = str> + From<SmolStr>,
    {
        let long = self.rules.is_some() && text.len() > 2 * most;
        if long {
            let head = limits::clip(text, 2 * most);
            let word = head.rfind(|letter: char| letter.is_whitespace()).filter(|word| *word > most);
            let end = word.unwrap_or_else(|| head.floor_char_boundary(most));
            *text = SmolStr::from(&head[..end]).into();
        }
        long
    }

    /// Cuts a text to its limit. Counts that it was cut, now or before (`cut`).
    fn clip<T>(&mut self, text: &mut T, most: usize, mut cut: bool)
    where
        T: Deref<Target = str> + From<SmolStr>,
    {
        if text.len() > most {
            *text = SmolStr::from(limits::clip(text, most)).into();
            cut = true;
        }
        self.found.cut += u32::from(cut);
    }

    fn key(&mut self, part: &mut SmolStr) {
        if let Cow::Owned(short) = limits::clip_key(part) {
            *part = short.into();
            self.found.cut += 1;
        }
    }
}
