//! What an engine says about a DAG run or a task instance before it runs.

use std::time::SystemTime;

use dagtel_core::catalog::attribute;
use dagtel_core::event::{RunDetails, TaskDetails};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::time::Timestamp;
use dagtel_core::value::{SmolStr, Value};

/// A DAG run, as the engine describes it.
///
/// ```
/// use dagtel::DagRun;
///
/// let run = DagRun::new("sales", "2026-11-20").run_type("scheduled").edge("extract", "load").attribute("team", "bi");
/// ```
#[derive(Clone, Debug)]
pub struct DagRun {
    pub(crate) key: RunKey,
    pub(crate) details: RunDetails,
    pub(crate) queued_at: Option<Timestamp>,
    pub(crate) named_namespace: bool,
}

impl DagRun {
    /// The first attempt of a run of a DAG. The names may be any text; see `dagtel_core::limits` for what is cut.
    pub fn new(dag_id: impl Into<SmolStr>, run_id: impl Into<SmolStr>) -> Self {
        Self {
            key: RunKey::new(dag_id, run_id),
            details: RunDetails::default(),
            queued_at: None,
            named_namespace: false,
        }
    }

    /// The deployment, when it is not the builder's.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<SmolStr>) -> Self {
        self.key.namespace = namespace.into();
        self.named_namespace = true;
        self
    }

    /// How many times this run was cleared before; 0 at first. Every attempt is a trace of its own.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.key.attempt = attempt;
        self
    }

    /// When the run was created and began to wait.
    #[must_use]
    pub fn queued_at(mut self, time: SystemTime) -> Self {
        self.queued_at = Some(time.into());
        self
    }

    /// `manual`, `scheduled`, `backfill`, or the engine's own word. A tag of the metrics of runs.
    #[must_use]
    pub fn run_type(self, run_type: impl Into<SmolStr>) -> Self {
        self.attribute(attribute::RUN_TYPE, run_type.into())
    }

    /// The interval of data that the run is for. `dagrun.schedule_delay` of a `scheduled` run counts from its end.
    #[must_use]
    pub fn data_interval(self, start: SystemTime, end: SystemTime) -> Self {
        let text = |time: SystemTime| SmolStr::from(Timestamp::from(time).to_string());
        self.attribute(attribute::DATA_INTERVAL_START, text(start))
            .attribute(attribute::DATA_INTERVAL_END, text(end))
    }

    /// One dependency. A task that names its own upstream ([`TaskInstance::upstream`]) needs none.
    #[must_use]
    pub fn edge(mut self, upstream: impl Into<SmolStr>, downstream: impl Into<SmolStr>) -> Self {
        self.details.edges.push((upstream.into(), downstream.into()));
        self
    }

    /// The W3C `traceparent` of what started the run; the root span is linked to it.
    #[must_use]
    pub fn trigger(mut self, traceparent: impl Into<SmolStr>) -> Self {
        self.details.trigger = Some(traceparent.into());
        self
    }

    /// An attribute of the root span.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<SmolStr>, value: impl Into<Value>) -> Self {
        self.details.attributes.push((key.into(), value.into()));
        self
    }

    /// What names the run.
    pub fn key(&self) -> &RunKey {
        &self.key
    }
}

/// A try of a task instance, as the engine describes it.
///
/// ```
/// use dagtel::TaskInstance;
///
/// let task = TaskInstance::new("load").upstream(["extract"]).operator("BashOperator").try_number(2);
/// ```
#[derive(Clone, Debug)]
pub struct TaskInstance {
    pub(crate) key: TryKey,
    pub(crate) details: TaskDetails,
}

impl TaskInstance {
    /// The first try of a task that is not mapped.
    pub fn new(task_id: impl Into<SmolStr>) -> Self {
        Self { key: TryKey::new(task_id), details: TaskDetails::default() }
    }

    /// The index of a mapped task instance.
    #[must_use]
    pub fn map_index(mut self, index: i32) -> Self {
        self.key.map_index = index;
        self
    }

    /// The try, from 1.
    #[must_use]
    pub fn try_number(mut self, number: u32) -> Self {
        self.key.try_number = number;
        self
    }

    /// The ids of the tasks it waits for.
    #[must_use]
    pub fn upstream<T: Into<SmolStr>>(mut self, task_ids: impl IntoIterator<Item = T>) -> Self {
        self.details.upstream = Some(task_ids.into_iter().map(Into::into).collect());
        self
    }

    /// The class that does the work. A tag of `operator_successes` and `operator_failures`.
    #[must_use]
    pub fn operator(self, operator: impl Into<SmolStr>) -> Self {
        self.attribute(attribute::OPERATOR, operator.into())
    }

    /// Where the work is done. A tag of all metrics of tries.
    #[must_use]
    pub fn execution_mode(self, mode: impl Into<SmolStr>) -> Self {
        self.attribute(attribute::EXECUTION_MODE, mode.into())
    }

    /// The pool.
    #[must_use]
    pub fn pool(self, pool: impl Into<SmolStr>) -> Self {
        self.attribute(attribute::POOL, pool.into())
    }

    /// The queue. A tag of the metrics of waiting.
    #[must_use]
    pub fn queue(self, queue: impl Into<SmolStr>) -> Self {
        self.attribute(attribute::QUEUE, queue.into())
    }

    /// An attribute of the span.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<SmolStr>, value: impl Into<Value>) -> Self {
        self.details.attributes.push((key.into(), value.into()));
        self
    }

    /// What names the try within its run.
    pub fn key(&self) -> &TryKey {
        &self.key
    }
}

impl From<&'static str> for TaskInstance {
    fn from(task_id: &'static str) -> Self {
        Self::new(SmolStr::new_static(task_id))
    }
}
