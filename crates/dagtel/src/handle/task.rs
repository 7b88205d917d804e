//! A try of a task instance that the engine has started.

use std::fmt;
use std::sync::{Arc, OnceLock};

use dagtel_core::catalog::attribute;
use dagtel_core::event::{Exception, Severity, TaskChange, TaskDetails, TaskState};
use dagtel_core::id::{RunIds, task_span_id, traceparent};
use dagtel_core::key::RunKey;
use dagtel_core::time::Timestamp;
use dagtel_core::value::{Attribute, Text, Value};

use dagtel_proc::{Tracked, Usage};

use super::log::TaskLogger;
use super::run::dropped;
use crate::context::otel_context;
use crate::describe::{DagRun, TaskInstance};
use crate::engine::Inner;
use crate::memory::{self, ProcessEnd};

/// A try of a task instance that the engine has started.
///
/// Report its end by [`success`](Self::success), [`failed`](Self::failed), [`retry`](Self::retry) or
/// [`skipped`](Self::skipped). Dropped without that, it is reported as failed, with `error.type` = `handle_dropped`,
/// or `panic` while the thread panics.
#[must_use = "a try that is dropped at once is reported as failed; keep it until the task ends"]
pub struct TaskHandle(Option<Running>);

struct Running {
    inner: Arc<Inner>,
    run_key: Arc<RunKey>,
    run: Arc<DagRun>,
    task: TaskInstance,
    started: Timestamp,
    /// Made when it is asked for: most tries log nothing.
    logger: OnceLock<TaskLogger>,
    tracked: Option<Tracked>,
}

impl TaskHandle {
    pub(crate) const fn off() -> Self {
        Self(None)
    }

    pub(crate) fn new(
        inner: Arc<Inner>,
        run_key: Arc<RunKey>,
        run: Arc<DagRun>,
        task: TaskInstance,
        started: Timestamp,
    ) -> Self {
        Self(Some(Running { inner, run_key, run, task, started, logger: OnceLock::new(), tracked: None }))
    }

    /// Adds an attribute to the span.
    pub fn set_attribute(&self, key: impl Into<Text>, value: impl Into<Value>) {
        if let Some(running) = &self.0 {
            let attributes = vec![(key.into().into(), value.into())];
            running.report(TaskChange::Updated, TaskDetails { attributes, ..TaskDetails::default() });
        }
    }

    /// Logs a line of the try.
    ///
    /// ```
    /// # use dagtel::{DagRun, Dagtel, Severity, TaskInstance};
    /// # let task = Dagtel::off().start(DagRun::new("d", "r")).start(TaskInstance::new("t"));
    /// task.log(Severity::Info, format!("{} rows loaded", 17));
    /// ```
    pub fn log(&self, severity: Severity, body: impl Into<Text>) {
        if let Some(running) = &self.0 {
            running.logger().log(severity, body);
        }
    }

    /// What logs lines of the try elsewhere: on other threads, or while this handle is lent out.
    pub fn logger(&self) -> TaskLogger {
        self.0.as_ref().map(|running| running.logger().clone()).unwrap_or_default()
    }

    /// Reports that the try gave its worker back and waits for a trigger.
    pub fn deferred(&self) {
        if let Some(running) = &self.0 {
            running.report(TaskChange::Deferred, TaskDetails::default());
        }
    }

    /// Reports that the try runs again after a deferral.
    pub fn resumed(&self) {
        if let Some(running) = &self.0 {
            running.report(TaskChange::Resumed, TaskDetails::default());
        }
    }

    /// Tracks what a process and all its descendants use, from now until the try ends: the span tells their peak of
    /// memory and their processor time, `task.memory.*` and `task.cpu.time` count them. All tracked tries of this handle's
    /// [`Dagtel`](crate::Dagtel) share one thread.
    pub fn track(&mut self, pid: u32) {
        if let Some(running) = &mut self.0 {
            let Running { inner, run_key, task, .. } = &*running;
            running.tracked = Some(memory::track(inner, run_key, &task.key, pid));
        }
    }

    /// Reports how the try's process ended: by success, or by failure with `error.type` = `oom_killed`,
    /// `signal:SIGKILL`, `exit:1` and the like.
    pub fn exited(mut self, end: ProcessEnd<'_>) {
        let Some(running) = &mut self.0 else { return };
        let mut usage = running.tracked.take().map(Tracked::stop).unwrap_or_default();
        end.add_to(&mut usage);
        let code = (attribute::PROCESS_EXIT_CODE, end.exit_code().into());
        let pid = end.pid.map(|pid| (attribute::PROCESS_PID, pid.into()));
        let totals = running.used(&usage, [code].into_iter().chain(pid));
        match end.death(&usage) {
            None => self.end_after(TaskState::Success, None, totals),
            Some(death) => self.end_after(TaskState::Failed, Some(death), totals),
        }
    }

    /// Reports that the try succeeded.
    pub fn success(mut self) {
        self.end(TaskState::Success, None);
    }

    /// Reports that the try failed for good.
    pub fn failed(mut self, error: impl Into<Exception>) {
        self.end_with(TaskState::Failed, error);
    }

    /// Reports that the try failed and another one will follow.
    pub fn retry(mut self, error: impl Into<Exception>) {
        self.end_with(TaskState::UpForRetry, error);
    }

    /// Reports that the try took longer than it may.
    pub fn timed_out(mut self, error: impl Into<Exception>) {
        self.end_with(TaskState::Timeout, error);
    }

    /// Reports that the try skipped itself.
    pub fn skipped(mut self) {
        self.end(TaskState::Skipped, None);
    }

    /// Makes nothing of the error when telemetry is off: its text may cost more than everything else.
    fn end_with(&mut self, state: TaskState, error: impl Into<Exception>) {
        if self.0.is_some() {
            self.end(state, Some(error.into()));
        }
    }

    fn end(&mut self, state: TaskState, error: Option<Exception>) {
        let totals = self.0.as_mut().and_then(|running| {
            let tracked = running.tracked.take()?;
            Some(running.used(&tracked.stop(), []))
        });
        self.end_after(state, error, totals.unwrap_or_default());
    }

    /// Reports the end of a try of which it is known what it used in all.
    fn end_after(&mut self, state: TaskState, error: Option<Exception>, totals: Vec<Attribute>) {
        let Some(mut running) = self.0.take() else { return };
        let now = running.inner.now();
        if !running.inner.is_heard() {
            running.report_end(now, state, error, totals);
            return;
        }
        running.report_end(now, state, error.clone(), totals);
        running.task.ran_for(now.seconds_since(running.started));
        let inner = &running.inner;
        let (run, task) = (&running.run, &running.task);
        inner.tell(|listener| match state {
            TaskState::Success => listener.on_task_instance_success(run, task),
            TaskState::Skipped => listener.on_task_instance_skipped(run, task),
            _ => {
                let will_retry = state == TaskState::UpForRetry;
                listener.on_task_instance_failed(run, task, error.as_ref(), will_retry);
            }
        });
    }

    /// A context in which the try's span is the parent: SDK and `tracing` spans made in it belong to the try, and events of
    /// `tracing` become its lines (feature `tracing`).
    pub fn context(&self) -> opentelemetry::Context {
        match &self.0 {
            Some(running) => {
                let span_id = task_span_id(&running.run_key, &running.task.key);
                otel_context(&running.run_key, span_id).with_value(running.logger().clone())
            }
            None => opentelemetry::Context::current(),
        }
    }

    /// The W3C `traceparent` of the try's span, for child processes. `None` when telemetry is off.
    pub fn traceparent(&self) -> Option<String> {
        let Running { run_key, task, .. } = self.0.as_ref()?;
        Some(traceparent(RunIds::of(run_key).trace_id, task_span_id(run_key, &task.key)))
    }
}

impl Running {
    fn logger(&self) -> &TaskLogger {
        self.logger.get_or_init(|| TaskLogger::new(&self.inner, &self.run_key, &self.task.key))
    }

    fn report(&self, change: TaskChange, details: TaskDetails) {
        self.report_at(self.inner.now(), change, details);
    }

    fn report_at(&self, at: Timestamp, change: TaskChange, details: TaskDetails) {
        self.inner.task_event(&self.run_key, at, change, &self.task, details);
    }

    /// Tells the peak, and returns what the try used in all for the report of its end.
    fn used(&self, usage: &Usage, more: impl IntoIterator<Item = Attribute>) -> Vec<Attribute> {
        self.inner.memory.tell_peak(&self.run_key, &self.task.key, usage);
        memory::resources_in_all(usage).into_iter().chain(more).collect()
    }

    fn report_end(
        &self,
        at: Timestamp,
        state: TaskState,
        error: Option<Exception>,
        attributes: Vec<Attribute>,
    ) {
        let details = TaskDetails { exception: error.map(Box::new), attributes, ..TaskDetails::default() };
        self.report_at(at, TaskChange::Finished(state), details);
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.end(TaskState::Failed, Some(dropped()));
        }
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.0.as_ref().map(|running| (&running.run_key, &running.task.key));
        f.debug_tuple("TaskHandle").field(&key).finish()
    }
}
