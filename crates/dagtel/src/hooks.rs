//! [`Dagtel`] as a [`Listener`]: for engines that have hooks of their own.

use std::sync::Arc;

use dagtel_core::event::{Exception, RunChange, RunState, TaskChange, TaskState};
use dagtel_core::time::Timestamp;

use crate::describe::{DagRun, TaskInstance};
use crate::engine::{Dagtel, Inner};
use crate::listener::Listener;
use crate::usage;

/// Each call is one fact.
impl Listener for Dagtel {
    fn on_dag_run_running(&self, run: &DagRun) {
        if let Some(inner) = &self.0 {
            inner.hooked_run(run, RunChange::Started, None);
            inner.tell(|listener| listener.on_dag_run_running(run));
        }
    }

    fn on_dag_run_success(&self, run: &DagRun) {
        if let Some(inner) = &self.0 {
            inner.hooked_run(run, RunChange::Finished(RunState::Success), None);
            inner.tell(|listener| listener.on_dag_run_success(run));
        }
    }

    fn on_dag_run_failed(&self, run: &DagRun, error: Option<&Exception>) {
        if let Some(inner) = &self.0 {
            inner.hooked_run(run, RunChange::Finished(RunState::Failed), error);
            inner.tell(|listener| listener.on_dag_run_failed(run, error));
        }
    }

    fn on_dag_run_skipped(&self, run: &DagRun) {
        if let Some(inner) = &self.0 {
            inner.hooked_run(run, RunChange::Finished(RunState::Skipped), None);
            inner.tell(|listener| listener.on_dag_run_skipped(run));
        }
    }

    fn on_task_instance_running(&self, run: &DagRun, task: &TaskInstance) {
        if let Some(inner) = &self.0 {
            let now = inner.now();
            inner.hooked_task(run, task, TaskChange::Started, None, now);
            if inner.is_heard() {
                inner.starts.put(run, task, now);
            }
            inner.tell(|listener| listener.on_task_instance_running(run, task));
        }
    }

    fn on_task_instance_success(&self, run: &DagRun, task: &TaskInstance) {
        if let Some(inner) = &self.0 {
            inner.hooked_end(run, task, TaskState::Success, None, |listener, task| {
                listener.on_task_instance_success(run, task);
            });
        }
    }

    fn on_task_instance_failed(
        &self,
        run: &DagRun,
        task: &TaskInstance,
        error: Option<&Exception>,
        will_retry: bool,
    ) {
        if let Some(inner) = &self.0 {
            let state = if will_retry { TaskState::UpForRetry } else { TaskState::Failed };
            inner.hooked_end(run, task, state, error, |listener, task| {
                listener.on_task_instance_failed(run, task, error, will_retry);
            });
        }
    }

    fn on_task_instance_skipped(&self, run: &DagRun, task: &TaskInstance) {
        if let Some(inner) = &self.0 {
            inner.hooked_end(run, task, TaskState::Skipped, None, |listener, task| {
                listener.on_task_instance_skipped(run, task);
            });
        }
    }
}

impl Inner {
    fn hooked_run(&self, run: &DagRun, change: RunChange, error: Option<&Exception>) {
        let run = self.settle(run.clone());
        let mut details = run.details.clone();
        details.exception = error.cloned().map(Box::new);
        let key = Arc::new(run.key.clone());
        if change == RunChange::Started {
            self.run_queued(&key, &run);
            usage::unfold(&mut details.attributes);
        }
        self.run_event(&key, self.now(), change, details);
    }

    fn hooked_task(
        &self,
        run: &DagRun,
        task: &TaskInstance,
        change: TaskChange,
        error: Option<&Exception>,
        at: Timestamp,
    ) {
        let run = self.settle(run.clone());
        let mut details = task.details.clone();
        details.exception = error.cloned().map(Box::new);
        self.task_event(&Arc::new(run.key.clone()), at, change, task, details);
    }

    /// A hook tells that a try ended: records it, and tells the listeners, with how long it ran.
    fn hooked_end(
        &self,
        run: &DagRun,
        task: &TaskInstance,
        state: TaskState,
        error: Option<&Exception>,
        call: impl Fn(&dyn Listener, &TaskInstance),
    ) {
        let now = self.now();
        self.hooked_task(run, task, TaskChange::Finished(state), error, now);
        if !self.is_heard() {
            return;
        }
        match self.starts.take(run, task) {
            Some(started) => {
                let mut task = task.clone();
                task.ran_for(now.seconds_since(started));
                self.tell(|listener| call(listener, &task));
            }
            None => self.tell(|listener| call(listener, task)),
        }
    }
}
