//! What is known of one try of a task instance.

use std::cmp::Ordering;

use opentelemetry::trace::SpanId;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::anomaly::Anomaly;
use super::change::{LastLines, Line};
use super::resources::{Measured, measure};
use super::told::{Layer, Layers, Merged, News, Told, room_for_one, tell, tell_by};
use crate::event::{Exception, TaskChange, TaskDetails, TaskState, Truth};
use crate::limits;
use crate::time::Timestamp;

/// Exceptions kept of one try.
const EXCEPTIONS: usize = 16;

/// The end of a try, and how strongly it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TryEnd {
    pub(crate) truth: Truth,
    pub(crate) at: Timestamp,
    pub(crate) state: TaskState,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Try {
    span_id: [u8; 8],
    pub(crate) scheduled: Option<Told>,
    pub(crate) queued: Option<Told>,
    pub(crate) started: Option<Told>,
    pub(crate) end: Option<TryEnd>,
    /// Its own process said how it ended.
    spoke: bool,
    /// It was concluded from silence that it ended.
    fell_silent: bool,
    /// Deferrals (`true`) and resumptions (`false`).
    pub(crate) pauses: Vec<(Timestamp, bool)>,
    pub(crate) exceptions: Vec<(Timestamp, Box<Exception>)>,
    pub(crate) layers: Layers,
    pub(crate) measured: Option<Measured>,
    /// The last time its own process said anything.
    pub(crate) last_seen: Timestamp,
    pub(crate) handed_over: bool,
    pub(crate) news_at: News,
    /// Its start was told.
    pub(crate) start_told: bool,
    /// Lines that it logged.
    logged: u32,
    pub(crate) last_lines: LastLines,
    pub(crate) counted: Counted,
    /// Waits in its run's list of tries to look at.
    pub(crate) listed: bool,
    pub(crate) closed: bool,
}

/// Which metrics have been counted for a try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) start: bool,
    pub(crate) finish: bool,
    pub(crate) queued: bool,
    pub(crate) scheduled: bool,
}

impl Try {
    pub(crate) fn new(span_id: SpanId) -> Self {
        Self {
            span_id: span_id.to_bytes(),
            scheduled: None,
            queued: None,
            started: None,
            end: None,
            spoke: false,
            fell_silent: false,
            pauses: Vec::new(),
            exceptions: Vec::new(),
            layers: Layers::default(),
            measured: None,
            last_seen: Timestamp::MIN,
            handed_over: false,
            news_at: News::NotSeen,
            start_told: false,
            logged: 0,
            last_lines: LastLines::default(),
            counted: Counted::default(),
            listed: false,
            closed: false,
        }
    }

    pub(crate) fn span_id(&self) -> SpanId {
        SpanId::from_bytes(self.span_id)
    }

    pub(crate) fn apply(
        &mut self,
        at: Timestamp,
        truth: Truth,
        change: &TaskChange,
        details: TaskDetails,
    ) -> Merged {
        if truth == Truth::Reported {
            self.last_seen = self.last_seen.max(at);
        }
        self.change(at, truth, change).and(self.add(at, truth, details))
    }

    /// Counts a line, and keeps it if it may be an event of the span.
    pub(crate) fn log(&mut self, line: &Line, keep: bool) -> Result<(), Anomaly> {
        if self.logged >= limits::LOG_LINES_PER_TRY {
            return Err(Anomaly::OverLimit);
        }
        self.logged += 1;
        if keep && !self.closed {
            let LastLines { last, dropped } = &mut self.last_lines;
            if last.len() >= limits::LOG_EVENTS {
                last.pop_front();
                *dropped += 1;
            }
            let body = SmolStr::from(limits::clip(&line.line.body, limits::LOG_EVENT_BYTES));
            last.push_back((line.at, line.line.severity, body));
        }
        Ok(())
    }

    /// Whether its process was gone without a word, whoever said afterwards how it ended.
    pub(crate) fn is_silent(&self) -> bool {
        self.fell_silent && !self.spoke
    }

    /// Airflow's word for the state it is in, `None` when nothing is known of it.
    pub(crate) fn state_now(&self) -> Option<&'static str> {
        if let Some(end) = &self.end {
            return Some(end.state.as_str());
        }
        let deferred = self.pauses.last().is_some_and(|(_, deferred)| *deferred);
        let states = [
            (deferred, "deferred"),
            (self.started.is_some() || !self.pauses.is_empty(), "running"),
            (self.queued.is_some(), "queued"),
            (self.scheduled.is_some(), "scheduled"),
        ];
        states.iter().find(|(is, _)| *is).map(|(_, state)| *state)
    }

    fn change(&mut self, at: Timestamp, truth: Truth, change: &TaskChange) -> Merged {
        let told = Told { truth, at };
        match change {
            TaskChange::Scheduled => tell(&mut self.scheduled, told),
            TaskChange::Queued => tell(&mut self.queued, told),
            TaskChange::Started => tell(&mut self.started, told),
            TaskChange::Deferred => insert(&mut self.pauses, (at, true), 2 * EXCEPTIONS),
            TaskChange::Resumed => insert(&mut self.pauses, (at, false), 2 * EXCEPTIONS),
            TaskChange::Finished(state) => {
                self.spoke |= truth == Truth::Reported;
                self.fell_silent |= truth == Truth::Inferred;
                tell_by(&mut self.end, TryEnd { truth, at, state: *state }, first_end, |end| end.truth)
            }
            TaskChange::Updated => Merged::Known,
            TaskChange::HandedOver => {
                let known = std::mem::replace(&mut self.handed_over, true);
                if known { Merged::Known } else { Merged::News }
            }
        }
    }

    fn add(&mut self, at: Timestamp, truth: Truth, details: TaskDetails) -> Merged {
        let TaskDetails { upstream, exception, mut attributes } = details;
        let measured = measure(&mut self.measured, at, truth, &mut attributes);
        let exceptions = match exception {
            Some(exception) => insert(&mut self.exceptions, (at, exception), EXCEPTIONS),
            None => Merged::Known,
        };
        measured.and(exceptions).and(self.layers.add(Layer { truth, at, upstream, attributes }))
    }
}

fn first_end(a: &TryEnd, b: &TryEnd) -> Ordering {
    b.truth.cmp(&a.truth).then(a.at.cmp(&b.at)).then(a.state.cmp(&b.state))
}

/// Inserts in order, unless it is there or the list is full.
pub(super) fn insert<T: Ord>(list: &mut Vec<T>, item: T, most: usize) -> Merged {
    match list.binary_search(&item) {
        Ok(_) => Merged::Known,
        Err(_) if list.len() >= most => Merged::Weaker,
        Err(place) => {
            room_for_one(list);
            list.insert(place, item);
            Merged::News
        }
    }
}
