//! Events: facts about DAG runs and tries, as plain data.
//!
//! An event is self-sufficient: it carries the whole key of what it is about and its own time, so events may be read
//! in any order, from any number of writers, and more than once. [`mod@line`] is their published JSON form.

mod exception;
pub mod line;
mod log;
pub mod report;
mod state;

use std::cmp::Ordering;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

pub use self::exception::Exception;
pub use self::log::{LogLine, Severity};
pub use self::state::{RunState, TaskState};
use crate::key::{RunKey, TryKey};
use crate::time::Timestamp;
use crate::value::Attribute;

/// One fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The run it is about, or the run of the try it is about.
    pub run: Arc<RunKey>,
    /// When it happened (not when it was written).
    pub at: Timestamp,
    /// Who says so.
    pub truth: Truth,
    /// What happened.
    pub fact: Fact,
}

/// How strongly a fact is known. For each thing that can be known of a try (its start, its end, an attribute) the
/// strongest fact counts, whatever the order in which they came: [`Roster`](Self::Roster) before
/// [`Reported`](Self::Reported) before [`Inferred`](Self::Inferred).
// Journals hold the places of the variants, so these stay as they are; their strength is beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(schemars::JsonSchema)]
#[non_exhaustive]
pub enum Truth {
    /// Concluded from silence: the writer is dead and reported no end.
    Inferred,
    /// The engine's own list of task instances at the end of the run: what people see in the engine. (A process does
    /// not always know its own times: in Airflow 3 it learns neither the start nor, if it failed, the end that are in
    /// the database.)
    Roster,
    /// The process that did it said so.
    #[default]
    Reported,
}

impl Truth {
    const fn strength(self) -> u8 {
        match self {
            Self::Inferred => 0,
            Self::Reported => 1,
            Self::Roster => 2,
        }
    }
}

impl Ord for Truth {
    fn cmp(&self, other: &Self) -> Ordering {
        self.strength().cmp(&other.strength())
    }
}

impl PartialOrd for Truth {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Fact {
    /// About the run.
    Run {
        /// What changed.
        change: RunChange,
        /// What else became known.
        details: RunDetails,
    },
    /// About one try of a task instance.
    Task {
        /// Which try.
        key: TryKey,
        /// What changed.
        change: TaskChange,
        /// What else became known.
        details: TaskDetails,
    },
    /// A line that a try logged. It is passed on as it is read, and is nothing that could be merged: the same line twice is
    /// two lines.
    Log {
        /// Which try.
        key: TryKey,
        /// What it logged.
        line: LogLine,
    },
}

/// What changed for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RunChange {
    /// It was created and waits to be started.
    Queued,
    /// It started.
    Started,
    /// It came to its end in this state.
    Finished(RunState),
    /// Only the details are new.
    Updated,
    /// Another process will report the end; this one's silence means nothing.
    HandedOver,
}

/// What changed for one try of a task instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TaskChange {
    /// The scheduler decided that it may run.
    Scheduled,
    /// It was given to an executor.
    Queued,
    /// It started.
    Started,
    /// It gave its worker back and waits for a trigger.
    Deferred,
    /// It runs again after a deferral.
    Resumed,
    /// It came to its end in this state.
    Finished(TaskState),
    /// Only the details are new.
    Updated,
    /// Another process will report the end; this one's silence means nothing.
    HandedOver,
}

/// What may be known of a run besides its times and its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunDetails {
    /// Dependencies between tasks as (upstream, downstream).
    pub edges: Vec<(SmolStr, SmolStr)>,
    /// Whether the engine reports every task instance once more, with its last state, when the run ends
    /// ([`Truth::Roster`]). Then the spans of tries wait for it, because it knows times that nobody else does.
    pub roster: bool,
    /// A W3C `traceparent` of what started the run: a link of the root span. (Not its parent: the run's trace id is
    /// derived from its key, so that everybody knows it.)
    pub trigger: Option<SmolStr>,
    /// Why the run failed.
    pub exception: Option<Box<Exception>>,
    /// Attributes, by the keys of [`crate::catalog::attribute`] or the engine's own.
    pub attributes: Vec<Attribute>,
}

/// What may be known of a try besides its times and its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskDetails {
    /// The ids of the tasks it waited for. `None`: not known here; the run's edges count then.
    pub upstream: Option<Vec<SmolStr>>,
    /// Why it failed.
    pub exception: Option<Box<Exception>>,
    /// Attributes, by the keys of [`crate::catalog::attribute`] or the engine's own.
    pub attributes: Vec<Attribute>,
}
