//! A DAG run that the engine has started.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dagtel_core::catalog::error_type;
use dagtel_core::event::{Exception, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState};
use dagtel_core::id::{RunIds, traceparent};
use dagtel_core::key::RunKey;
use dagtel_core::time::Timestamp;
use dagtel_core::value::{Text, Value};

use super::TaskHandle;
use crate::context::{RunContext, TaskContext, otel_context};
use crate::describe::{DagRun, TaskInstance};
use crate::engine::Inner;

/// A DAG run that the engine has started. Clones are the same run; it may be shared between threads.
///
/// Report its end by [`success`](Self::success), [`failed`](Self::failed), [`skipped`](Self::skipped) or
/// [`cancelled`](Self::cancelled). When the last clone is dropped without that, the run is reported as failed, with
/// `error.type` = `handle_dropped`, or `panic` while the thread panics.
#[derive(Clone)]
#[must_use = "a run that is dropped at once is reported as failed; keep it until the run ends"]
pub struct RunHandle(Option<Arc<Shared>>);

struct Shared {
    inner: Arc<Inner>,
    key: Arc<RunKey>,
    run: Arc<DagRun>,
    started: Timestamp,
    ended: AtomicBool,
}

impl RunHandle {
    pub(crate) const fn off() -> Self {
        Self(None)
    }

    pub(crate) fn new(inner: Arc<Inner>, key: Arc<RunKey>, run: DagRun, started: Timestamp) -> Self {
        let ended = AtomicBool::new(false);
        Self(Some(Arc::new(Shared { inner, key, run: Arc::new(run), started, ended })))
    }

    /// A run whose end another process tells.
    pub(crate) fn joined(inner: Arc<Inner>, key: Arc<RunKey>, run: DagRun, started: Timestamp) -> Self {
        let ended = AtomicBool::new(true);
        Self(Some(Arc::new(Shared { inner, key, run: Arc::new(run), started, ended })))
    }

    /// Reports that a try of a task instance started.
    pub fn start(&self, task: impl Into<TaskInstance>) -> TaskHandle {
        self.start_with(|| task.into())
    }

    /// The same for a description that costs something: it is not made when telemetry is off.
    ///
    /// ```
    /// # use dagtel::{Dagtel, DagRun, TaskInstance};
    /// # let run = Dagtel::off().start(DagRun::new("sales", "1"));
    /// let table = "orders";
    /// run.start_with(|| TaskInstance::new(format!("load_{table}")).operator("bash")).success();
    /// ```
    pub fn start_with(&self, describe: impl FnOnce() -> TaskInstance) -> TaskHandle {
        let Some(shared) = &self.0 else { return TaskHandle::off() };
        let mut task = describe();
        let inner = &shared.inner;
        inner.settle_task(&mut task);
        // Only listeners want the description again; without one it moves on.
        let details = if inner.is_heard() { task.details.clone() } else { std::mem::take(&mut task.details) };
        let now = inner.now();
        inner.task_event(&shared.key, now, TaskChange::Started, &task, details);
        inner.tell(|listener| listener.on_task_instance_running(&shared.run, &task));
        TaskHandle::new(inner.clone(), shared.key.clone(), shared.run.clone(), task, now)
    }

    /// Reports that the scheduler decided that a try may run.
    pub fn scheduled(&self, task: &TaskInstance) {
        self.waiting(task, TaskChange::Scheduled);
    }

    /// Reports that a try was given to an executor.
    pub fn queued(&self, task: &TaskInstance) {
        self.waiting(task, TaskChange::Queued);
    }

    fn waiting(&self, task: &TaskInstance, change: TaskChange) {
        if let Some(Shared { inner, key, .. }) = self.0.as_deref() {
            inner.task_event(key, inner.now(), change, task, TaskDetails::default());
        }
    }

    /// Reports a task instance that was skipped and never ran.
    pub fn skip(&self, task: impl Into<TaskInstance>) {
        self.never_ran(task, TaskState::Skipped);
    }

    /// Reports a task instance that never ran because something before it failed.
    pub fn upstream_failed(&self, task: impl Into<TaskInstance>) {
        self.never_ran(task, TaskState::UpstreamFailed);
    }

    fn never_ran(&self, task: impl Into<TaskInstance>, state: TaskState) {
        let Some(shared) = &self.0 else { return };
        let mut task = task.into();
        task.key.try_number = 0;
        let details = task.details.clone();
        let inner = &shared.inner;
        inner.task_event(&shared.key, inner.now(), TaskChange::Finished(state), &task, details);
        if state == TaskState::Skipped {
            inner.tell(|listener| listener.on_task_instance_skipped(&shared.run, &task));
        }
    }

    /// Starts a try that another process will end, and gives what that process needs
    /// ([`Dagtel::take_over_task`](crate::Dagtel::take_over_task)). `None` when telemetry is off.
    pub fn hand_over_task(&self, task: impl Into<TaskInstance>) -> Option<TaskContext> {
        let Shared { inner, key, .. } = self.0.as_deref()?;
        let mut task = task.into();
        inner.settle_task(&mut task);
        let now = inner.now();
        inner.task_event(key, now, TaskChange::Started, &task, task.details.clone());
        inner.task_event(key, now, TaskChange::HandedOver, &task, TaskDetails::default());
        Some(TaskContext::new(key, task, now))
    }

    /// Leaves the end of the run to another process, and gives what that process needs
    /// ([`Dagtel::take_over`](crate::Dagtel::take_over)). `None` when telemetry is off.
    pub fn hand_over(self) -> Option<RunContext> {
        let shared = self.0.as_ref()?;
        if shared.ended.swap(true, Ordering::Relaxed) {
            return None;
        }
        shared.inner.run_event(&shared.key, shared.inner.now(), RunChange::HandedOver, RunDetails::default());
        Some(RunContext::new(&shared.run, shared.started))
    }

    /// Adds an attribute to the root span.
    pub fn set_attribute(&self, key: impl Into<Text>, value: impl Into<Value>) {
        if let Some(Shared { inner, key: run, .. }) = self.0.as_deref() {
            let attributes = vec![(key.into().into(), value.into())];
            let details = RunDetails { attributes, ..RunDetails::default() };
            inner.run_event(run, inner.now(), RunChange::Updated, details);
        }
    }

    /// Reports that the run succeeded.
    pub fn success(&self) {
        self.end(RunState::Success, None);
    }

    /// Reports that the run failed.
    pub fn failed(&self) {
        self.end(RunState::Failed, None);
    }

    /// Reports that the run failed, and why.
    pub fn failed_with(&self, error: impl Into<Exception>) {
        self.end(RunState::Failed, Some(error.into()));
    }

    /// Reports that nothing in the run was to be done.
    pub fn skipped(&self) {
        self.end(RunState::Skipped, None);
    }

    /// Reports that a person ended the run.
    pub fn cancelled(&self) {
        self.end(RunState::Cancelled, None);
    }

    fn end(&self, state: RunState, error: Option<Exception>) {
        if let Some(shared) = &self.0 {
            shared.end(state, error);
        }
    }

    /// A context in which the run's span is the parent: SDK and `tracing` spans made in it belong to the run.
    pub fn context(&self) -> opentelemetry::Context {
        match self.0.as_deref() {
            Some(shared) => otel_context(&shared.key, RunIds::of(&shared.key).span_id),
            None => opentelemetry::Context::current(),
        }
    }

    /// The W3C `traceparent` of the run's span, for child processes. `None` when telemetry is off.
    pub fn traceparent(&self) -> Option<String> {
        let ids = RunIds::of(&self.0.as_ref()?.key);
        Some(traceparent(ids.trace_id, ids.span_id))
    }
}

impl Shared {
    fn end(&self, state: RunState, error: Option<Exception>) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let exception = error.clone().map(Box::new);
        let details = RunDetails { exception, ..RunDetails::default() };
        self.inner.run_event(&self.key, self.inner.now(), RunChange::Finished(state), details);
        let run = &self.run;
        self.inner.tell(|listener| match state {
            RunState::Success => listener.on_dag_run_success(run),
            RunState::Skipped => listener.on_dag_run_skipped(run),
            _ => listener.on_dag_run_failed(run, error.as_ref()),
        });
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.end(RunState::Failed, Some(dropped()));
    }
}

/// The error of a handle that is dropped without an end.
pub(super) fn dropped() -> Exception {
    if std::thread::panicking() {
        panicked()
    } else {
        Exception::new(error_type::HANDLE_DROPPED, "the handle was dropped without reporting an end")
    }
}

/// The error of what ends while its thread panics.
pub(crate) fn panicked() -> Exception {
    Exception::new(error_type::PANIC, "the thread that held the handle panicked")
}

impl fmt::Debug for RunHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunHandle").field(&self.0.as_ref().map(|shared| &shared.key)).finish()
    }
}
