//! Listeners: call-backs on what happens to runs and tries.
//!
//! The trait serves both ways. [`Dagtel`](crate::Dagtel) is a listener, so an engine that has hooks of its own calls it
//! there and needs no handles. And a listener given to [`Builder::listener`](crate::Builder::listener) is told of
//! everything that is reported through dagtel, for instance to draw progress.

use dagtel_core::event::Exception;

use crate::describe::{DagRun, TaskInstance};

/// Told of what happens to runs and tries. Every method does nothing unless it is written.
///
/// At the end of a try its description has one attribute more: `duration_s`, how long it ran, where that is known.
///
/// The methods are called on the engine's thread and should be quick. A panic in one is caught and ignored.
pub trait Listener: Send + Sync {
    /// A run started.
    fn on_dag_run_running(&self, run: &DagRun) {
        let _ = run;
    }

    /// A run succeeded.
    fn on_dag_run_success(&self, run: &DagRun) {
        let _ = run;
    }

    /// A run failed.
    fn on_dag_run_failed(&self, run: &DagRun, error: Option<&Exception>) {
        let _ = (run, error);
    }

    /// A run was skipped.
    fn on_dag_run_skipped(&self, run: &DagRun) {
        let _ = run;
    }

    /// A try started.
    fn on_task_instance_running(&self, run: &DagRun, task: &TaskInstance) {
        let _ = (run, task);
    }

    /// A try succeeded.
    fn on_task_instance_success(&self, run: &DagRun, task: &TaskInstance) {
        let _ = (run, task);
    }

    /// A try failed. `will_retry`: another one follows.
    fn on_task_instance_failed(
        &self,
        run: &DagRun,
        task: &TaskInstance,
        error: Option<&Exception>,
        will_retry: bool,
    ) {
        let _ = (run, task, error, will_retry);
    }

    /// A task instance was skipped, by itself or with its upstream.
    fn on_task_instance_skipped(&self, run: &DagRun, task: &TaskInstance) {
        let _ = (run, task);
    }
}
