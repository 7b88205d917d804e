//! Changes: what became final, with everything that its span will say.

use std::collections::VecDeque;
use std::sync::Arc;

use opentelemetry::trace::SpanId;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::resources::Resources;
use crate::catalog::link;
use crate::event::{Exception, LogLine, RunState, Severity, TaskState, Truth};
use crate::key::{RunKey, TryKey};
use crate::time::Timestamp;
use crate::value::Attribute;

/// Something that became final.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// A run or a try started; the rest comes when it is final.
    Started(Box<Started>),
    /// A try of a task instance.
    Try(Box<ClosedTry>),
    /// A DAG run.
    Run(Box<ClosedRun>),
}

/// A run or a try that started: told once, as it is known then.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Started {
    /// The run.
    pub run: Arc<RunKey>,
    /// The try and its span; `None` when the run itself started.
    pub task: Option<(TryKey, SpanId)>,
    /// When.
    pub at: Timestamp,
}

/// A line that a try logged.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Line {
    /// The run.
    pub run: Arc<RunKey>,
    /// The try.
    pub task: TryKey,
    /// When.
    pub at: Timestamp,
    /// What it logged.
    pub line: LogLine,
}

/// The lines of a try that become events of its span.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LastLines {
    /// The last ones, in the order in which they were read.
    pub last: VecDeque<(Timestamp, Severity, SmolStr)>,
    /// How many there were before them.
    pub dropped: u32,
}

/// A try that will not change any more.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClosedTry {
    /// Its run.
    pub run: Arc<RunKey>,
    /// Which try.
    pub key: TryKey,
    /// Its span.
    pub span_id: SpanId,
    /// The state in which it ended, and how strongly that is known.
    pub state: TaskState,
    /// How strongly the end is known.
    pub truth: Truth,
    /// Whether its process was gone without a word: of a failure nobody may know more than that.
    pub silent: bool,
    /// When it was scheduled, if anybody said so.
    pub scheduled: Option<Timestamp>,
    /// When it was queued, if anybody said so.
    pub queued: Option<Timestamp>,
    /// When it started; `None` when it never ran.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Timestamp,
    /// Deferrals (`true`) and resumptions (`false`), in time.
    pub pauses: Vec<(Timestamp, bool)>,
    /// Its exceptions, in time.
    pub exceptions: Vec<(Timestamp, Box<Exception>)>,
    /// Its last lines, if they are wanted as events.
    pub lines: LastLines,
    /// What it used, as far as that was measured.
    pub resources: Resources,
    /// What it is linked to.
    pub links: Links,
    /// Its attributes, each key once.
    pub attributes: Vec<Attribute>,
}

/// A run that will not change any more.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClosedRun {
    /// Which run.
    pub key: Arc<RunKey>,
    /// The state in which it ended.
    pub state: RunState,
    /// How strongly the end is known.
    pub truth: Truth,
    /// When it was queued, if anybody said so.
    pub queued: Option<Timestamp>,
    /// When it started, if anybody said so.
    pub started: Option<Timestamp>,
    /// The earliest time of anything in it.
    pub first_seen: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// W3C `traceparent` of what started it.
    pub trigger: Option<SmolStr>,
    /// Its exceptions, in time.
    pub exceptions: Vec<(Timestamp, Box<Exception>)>,
    /// Its attributes, each key once.
    pub attributes: Vec<Attribute>,
    /// Task instances in it, tries not counted apart.
    pub task_count: usize,
    /// Distinct execution modes of its tasks, sorted.
    pub execution_modes: Vec<SmolStr>,
}

/// The links of a try, all within its own trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Links {
    /// In a fixed order: dependencies by task id and map index, then the previous try, then the culprit.
    pub links: Vec<Link>,
    /// How many more there were than [`crate::limits::LINKS`].
    pub dropped: u32,
    /// Upstream tasks of which no try is known.
    pub unresolved: Vec<SmolStr>,
}

/// One link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// Why.
    pub kind: LinkKind,
    /// To which span.
    pub span_id: SpanId,
}

/// Why a try is linked to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkKind {
    /// It waited for it.
    Dependency,
    /// It is the next try of the same task instance.
    RetryOf,
    /// It never ran because of it.
    Culprit,
}

impl LinkKind {
    /// The value of `link.type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dependency => link::DEPENDENCY,
            Self::RetryOf => link::RETRY_OF,
            Self::Culprit => link::CULPRIT,
        }
    }
}
