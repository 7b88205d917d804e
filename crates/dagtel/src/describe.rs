//! What an engine says about a DAG run or a task instance before it runs.

use std::time::SystemTime;

use dagtel_core::catalog::attribute;
use dagtel_core::event::{RunDetails, TaskDetails};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::time::Timestamp;
use dagtel_core::value::{Attribute, SmolStr, Text, Value};
use dagtel_usage::listener::{DagTasks, dag_hash, execution_mode};

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

    /// The Python module of each task's operator, such as `cosmos.operators.local`; a mapped task counts once. With
    /// Cosmos's among them the root span says how many (`cosmos_task_count`) and has the DAG's hash (`dag_hash`: the MD5
    /// of its id, unless it has one already), and the run is one of which there are [usage events](crate::usage).
    #[must_use]
    pub fn task_modules<'m>(mut self, modules: impl IntoIterator<Item = &'m str>) -> Self {
        let tasks = DagTasks::of(modules);
        let known = &mut self.details.attributes;
        // On the span the tasks that ran are counted instead, and theirs are the modes.
        known.push((attribute::TASK_COUNT, count(tasks.count)));
        known.push((attribute::COSMOS_TASK_COUNT, count(tasks.cosmos)));
        known.push((
            attribute::EXECUTION_MODES,
            tasks.execution_modes.into_iter().map(SmolStr::new).collect::<Vec<_>>().into(),
        ));
        if tasks.cosmos > 0 && !known.iter().any(|(key, _)| *key == attribute::DAG_HASH) {
            known.push((attribute::DAG_HASH, dag_hash(&self.key.dag_id).into()));
        }
        self
    }

    /// The hash of the DAG's content, by which usage events name the DAG instead of by the MD5 of its id.
    #[must_use]
    pub fn dag_hash(mut self, hash: impl Into<Text>) -> Self {
        self.details.attributes.retain(|(key, _)| *key != attribute::DAG_HASH);
        self.attribute(attribute::DAG_HASH, hash.into())
    }

    /// What Cosmos says about the DAG, compressed as it stands there. The root span has it as it is, and what is in it as
    /// `dag_metadata.<key>`; or `dag_metadata.error`, when it cannot be read.
    #[must_use]
    pub fn metadata(self, compressed: impl Into<Text>) -> Self {
        self.attribute(attribute::DAG_METADATA, compressed.into())
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

    /// The Python module of the operator's class. One of Cosmos, such as `cosmos.operators.local`, tells the execution mode
    /// as well, unless that is known already.
    #[must_use]
    pub fn operator_module(mut self, module: impl Into<Text>) -> Self {
        let module: SmolStr = module.into().into();
        let known = &mut self.details.attributes;
        if let Some(mode) = execution_mode(&module)
            && !known.iter().any(|(key, _)| *key == attribute::EXECUTION_MODE)
        {
            known.push((attribute::EXECUTION_MODE, SmolStr::new(mode).into()));
        }
        self.attribute(attribute::OPERATOR_MODULE, module)
    }

    /// Where the work is done. A tag of all metrics of tries.
    #[must_use]
    pub fn execution_mode(mut self, mode: impl Into<Text>) -> Self {
        // The operator's module may have told another one.
        self.details.attributes.retain(|(key, _)| *key != attribute::EXECUTION_MODE);
        self.attribute(attribute::EXECUTION_MODE, mode.into())
    }

    /// The pool.
    #[must_use]
    pub fn pool(self, pool: impl Into<Text>) -> Self {
        self.attribute(attribute::POOL, pool.into())
    }

    /// The class of the executor that it is given to. From when it is queued until it starts there is a span
    /// `executor.<executor>` then.
    #[must_use]
    pub fn executor(self, class_name: impl Into<Text>) -> Self {
        self.attribute(attribute::EXECUTOR, class_name.into())
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

    /// What listeners are told at its end.
    pub(crate) fn ran_for(&mut self, seconds: f64) {
        self.details.attributes.push((attribute::DURATION, seconds.into()));
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

fn count(tasks: usize) -> Value {
    Value::Int(i64::try_from(tasks).unwrap_or(i64::MAX))
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
