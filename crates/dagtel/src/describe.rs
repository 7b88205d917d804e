//! What an engine says about a DAG run or a task instance before it runs.

use std::time::SystemTime;

use dagtel_core::catalog::attribute;
use dagtel_core::event::{RunDetails, TaskDetails};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::time::Timestamp;
use dagtel_core::value::{Attribute, SmolStr, Text, Value};

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
    pub fn new(dag_id: impl Into<Text>, run_id: impl Into<Text>) -> Self {
        Self {
            key: RunKey::new(dag_id.into(), run_id.into()),
            details: RunDetails::default(),
            queued_at: None,
            named_namespace: false,
        }
    }

    /// The deployment, when it is not the builder's.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<Text>) -> Self {
        self.key.namespace = namespace.into().into();
        self.named_namespace = true;
        self
    }

    /// How many times this run was cleared before; 0 at first. Every attempt is a trace of its own.
    #[must_use]
    #[inline]
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
    pub fn run_type(self, run_type: impl Into<Text>) -> Self {
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
    pub fn edge(mut self, upstream: impl Into<Text>, downstream: impl Into<Text>) -> Self {
        self.details.edges.push((upstream.into().into(), downstream.into().into()));
        self
    }

    /// The W3C `traceparent` of what started the run; the root span is linked to it.
    #[must_use]
    pub fn trigger(mut self, traceparent: impl Into<Text>) -> Self {
        self.details.trigger = Some(traceparent.into().into());
        self
    }

    /// An attribute of the root span.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<Text>, value: impl Into<Value>) -> Self {
        self.details.attributes.push((key.into().into(), value.into()));
        self
    }

    /// Several attributes of the root span, which is cheaper than one by one.
    #[must_use]
    pub fn attributes<K, V>(mut self, attributes: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<Text>,
        V: Into<Value>,
    {
        add(&mut self.details.attributes, attributes);
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
///
/// Literals are kept as they are, without copying them; see [`Text`].
#[derive(Clone, Debug)]
pub struct TaskInstance {
    pub(crate) key: TryKey,
    pub(crate) details: TaskDetails,
}

impl TaskInstance {
    /// The first try of a task that is not mapped.
    pub fn new(task_id: impl Into<Text>) -> Self {
        Self { key: TryKey::new(task_id.into()), details: TaskDetails::default() }
    }

    /// The index of a mapped task instance.
    #[must_use]
    #[inline]
    pub fn map_index(mut self, index: i32) -> Self {
        self.key.map_index = index;
        self
    }

    /// The try, from 1.
    #[must_use]
    #[inline]
    pub fn try_number(mut self, number: u32) -> Self {
        self.key.try_number = number;
        self
    }

    /// The ids of the tasks it waits for.
    #[must_use]
    pub fn upstream<T: Into<Text>>(mut self, task_ids: impl IntoIterator<Item = T>) -> Self {
        self.details.upstream = Some(task_ids.into_iter().map(|id| id.into().into()).collect());
        self
    }

    /// The class that does the work. A tag of `operator_successes` and `operator_failures`.
    #[must_use]
    pub fn operator(self, operator: impl Into<Text>) -> Self {
        self.attribute(attribute::OPERATOR, operator.into())
    }

    /// Where the work is done. A tag of all metrics of tries.
    #[must_use]
    pub fn execution_mode(self, mode: impl Into<Text>) -> Self {
        self.attribute(attribute::EXECUTION_MODE, mode.into())
    }

    /// The pool.
    #[must_use]
    pub fn pool(self, pool: impl Into<Text>) -> Self {
        self.attribute(attribute::POOL, pool.into())
    }

    /// The queue. A tag of the metrics of waiting.
    #[must_use]
    pub fn queue(self, queue: impl Into<Text>) -> Self {
        self.attribute(attribute::QUEUE, queue.into())
    }

    /// An attribute of the span.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<Text>, value: impl Into<Value>) -> Self {
        self.details.attributes.push((key.into().into(), value.into()));
        self
    }

    /// Several attributes of the span, which is cheaper than one by one.
    #[must_use]
    pub fn attributes<K, V>(mut self, attributes: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<Text>,
        V: Into<Value>,
    {
        add(&mut self.details.attributes, attributes);
        self
    }

    /// What names the try within its run.
    pub fn key(&self) -> &TryKey {
        &self.key
    }
}

impl From<&'static str> for TaskInstance {
    fn from(task_id: &'static str) -> Self {
        Self::new(task_id)
    }
}

fn add<K, V>(known: &mut Vec<Attribute>, more: impl IntoIterator<Item = (K, V)>)
where
    K: Into<Text>,
    V: Into<Value>,
{
    let more = more.into_iter().map(|(key, value)| (key.into().into(), value.into()));
    // Collecting takes over the room of a list that is given away; extending would copy out of it.
    if known.is_empty() {
        *known = more.collect();
    } else {
        known.extend(more);
    }
}
